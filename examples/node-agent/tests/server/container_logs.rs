//! Logs over the API.

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream;
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use node_agent::log::{LogError, LogOptions, LogStream, LogStreams};
use node_agent::server::HostError;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::host::{Asked, FakeHost};
use crate::{DEADLINE, Served};

async fn check(query: &str, change: impl FnOnce(&mut LogOptions)) {
    let server = Served::start(FakeHost::default()).await;
    let answered = server
        .get(&format!("/containerLogs/other/foo/baz{query}"))
        .await;
    assert_eq!(
        (answered.code, answered.text.as_str()),
        (200, "foo bar"),
        "{query}"
    );
    let mut options = LogOptions::default();
    change(&mut options);
    let asked = Asked::Log("foo_other".to_owned(), "baz".to_owned(), options);
    assert_eq!(*server.host.asked.lock(), [asked], "{query}");
}

async fn refused(query: &str, code: u16, text: &str) {
    let server = Served::start(FakeHost::default()).await;
    let answered = server
        .get(&format!("/containerLogs/other/foo/baz{query}"))
        .await;
    assert_eq!(
        (answered.code, answered.text.as_str()),
        (code, text),
        "{query}"
    );
    assert!(server.host.asked.lock().is_empty());
}

const INVALID: &str = r#"{"message": "Invalid request."}"#;
const UNDECODABLE: &str = r#"{"message": "Unable to decode query."}"#;

/// Answers to `TestContainerLogs`.
#[tokio::test]
async fn container_logs() {
    check("", |_| {}).await;
    check("?tailLines=5", |options| options.tail_lines = Some(5)).await;
    check("?tail=5", |options| options.tail_lines = Some(5)).await;
    check("?tail=all", |_| {}).await;
    check("?tail=all&tailLines=5", |_| {}).await;
    check("?follow=1", |options| options.follow = true).await;
    check("?follow=true&timestamps=true&previous=0", |options| {
        options.follow = true;
        options.timestamps = true;
    })
    .await;
    check("?previous=true&limitBytes=7", |options| {
        options.previous = true;
        options.limit_bytes = Some(7);
    })
    .await;
    check("?sinceTime=2020-09-27T11:18:02%2B01:00", |options| {
        options.since = Some("2020-09-27T10:18:02Z".parse::<Timestamp>().unwrap());
    })
    .await;
}

/// Answers to `TestContainerLogsWithInvalidTail`.
#[tokio::test]
async fn container_logs_with_invalid_tail() {
    refused("?tail=-1", 422, INVALID).await;
    refused("?tailLines=-1", 422, INVALID).await;
    refused("?tailLines=x", 400, UNDECODABLE).await;
    refused("?limitBytes=0", 422, INVALID).await;
    refused("?sinceSeconds=0", 422, INVALID).await;
    refused("?sinceTime=yesterday", 400, UNDECODABLE).await;
    refused(
        "?sinceSeconds=1&sinceTime=2020-09-27T11:18:02Z",
        422,
        INVALID,
    )
    .await;
}

/// Answers to `TestContainerLogsWithSeparateStream`, as far as it is about what is asked for; what
/// comes of it is tested where logs are read.
#[tokio::test]
async fn container_logs_with_separate_stream() {
    check("?limitBytes=100", |options| options.limit_bytes = Some(100)).await;
    let only = |stream| move |options: &mut LogOptions| options.streams = LogStreams::Only(stream);
    check("?stream=Stdout", only(LogStream::Stdout)).await;
    check("?stream=Stderr", only(LogStream::Stderr)).await;
    check("?stream=All", |_| {}).await;
    check("?stream=All&tail=1", |options| options.tail_lines = Some(1)).await;
    check("?stream=Stdout&limitBytes=6", |options| {
        options.streams = LogStreams::Only(LogStream::Stdout);
        options.limit_bytes = Some(6);
    })
    .await;
    refused("?stream=invalid", 422, INVALID).await;
    refused("?stream=Stdout&tailLines=1", 422, INVALID).await;
}

#[tokio::test]
async fn since_seconds_count_from_the_servers_time() {
    let server = Served::start(FakeHost::default()).await;
    let before = kubewright_clock::Clock::system().now();
    server
        .get("/containerLogs/other/foo/baz?sinceSeconds=60")
        .await;
    let Asked::Log(_, _, options) = server.host.asked.lock()[0].clone() else {
        panic!("a log was asked for");
    };
    let ago = before.duration_since(options.since.unwrap()).as_secs_f64();
    assert!((0.0..=60.0).contains(&ago), "{ago}");
}

#[tokio::test]
async fn pods_containers_and_logs_that_are_not_there_are_told() {
    let server = Served::start(FakeHost::default()).await;
    let answered = server.get("/containerLogs/other/bar/baz").await;
    let text = "pod \"bar\" does not exist";
    assert_eq!((answered.code, answered.text.as_str()), (404, text));
    let answered = server.get("/containerLogs/other/foo/bay").await;
    let text = "container \"bay\" not found in pod \"foo\"";
    assert_eq!((answered.code, answered.text.as_str()), (404, text));
    *server.host.log.lock() = Box::new(|| {
        let id = "gone".to_owned();
        Err(HostError::Log(LogError::NoFile { id }))
    });
    let answered = server.get("/containerLogs/other/foo/baz").await;
    let text = "container \"gone\" has no log file";
    assert_eq!((answered.code, answered.text.as_str()), (400, text));
}

pub(crate) type Lines = mpsc::Sender<Result<Bytes, LogError>>;

/// A log that is followed, and how its end shows.
pub(crate) fn followed() -> (FakeHost, Lines) {
    let (lines, receiver) = mpsc::channel(1);
    let host = FakeHost::default();
    let receiver = std::sync::Mutex::new(Some(receiver));
    *host.log.lock() = Box::new(move || {
        let mut receiver = receiver.lock().unwrap().take().unwrap();
        let lines = stream::poll_fn(move |context| receiver.poll_recv(context));
        Ok(lines.boxed())
    });
    (host, lines)
}

fn broken() -> LogError {
    let line = "nonsense".to_owned();
    LogError::UnsupportedFormat { line }
}

#[tokio::test]
async fn a_followed_log_comes_as_it_is_written_and_ends_with_the_server() {
    let (host, lines) = followed();
    let server = Served::start(host).await;
    let response = server
        .response("GET", "/containerLogs/other/foo/baz?follow=1", &[])
        .await;
    let mut body = response.into_body();
    for line in ["a\n", "b\n"] {
        lines.send(Ok(Bytes::from(line))).await.unwrap();
        let frame = timeout(DEADLINE, body.frame())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        assert_eq!(frame.into_data().unwrap(), line);
    }
    server.stop().await;
    assert!(lines.is_closed());
}

#[tokio::test]
async fn a_client_that_goes_ends_the_reading() {
    let (host, lines) = followed();
    let server = Served::start(host).await;
    let response = server
        .response("GET", "/containerLogs/other/foo/baz?follow=1", &[])
        .await;
    drop(response);
    server.clients.lock().abort_all();
    timeout(DEADLINE, lines.closed()).await.unwrap();
}

#[tokio::test]
async fn a_log_that_breaks_off_is_no_whole_answer() {
    let (host, lines) = followed();
    let server = Served::start(host).await;
    let target = "/containerLogs/other/foo/baz?follow=1";
    let response = server.response("GET", target, &[]).await;
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    lines.send(Ok(Bytes::from("a\n"))).await.unwrap();
    let frame = timeout(DEADLINE, body.frame()).await.unwrap().unwrap();
    assert_eq!(frame.unwrap().into_data().unwrap(), "a\n");
    lines.send(Err(broken())).await.unwrap();
    let rest = timeout(DEADLINE, body.collect()).await.unwrap();
    assert!(rest.is_err());
}

#[tokio::test]
async fn a_log_that_cannot_be_read_at_all_is_refused_in_words() {
    let server = Served::start(FakeHost::default()).await;
    *server.host.log.lock() = Box::new(|| Ok(stream::iter([Err(broken())]).boxed()));
    let answered = server.get("/containerLogs/other/foo/baz").await;
    let text = "unsupported log format: \"nonsense\"";
    assert_eq!((answered.code, answered.text.as_str()), (400, text));
}
