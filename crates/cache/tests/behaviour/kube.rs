//! `KubeListerWatcher` over a client whose server is a function.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, channel::mpsc};
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{StreamBody, combinators::BoxBody};
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod};
use kube_client::client::{Body, Client};
use kubewright_cache::{
    InitialEvents, InitialList, KubeListerWatcher, ListOptions, ListerWatcher, Page, PageSink,
    ResourceVersion, Scanned, SourceError, Undecodable, VersionMatch, WatchEvent, WatchOptions,
};
use parking_lot::Mutex;

use crate::rig::{Rig, seconds};

type Chunk = Result<&'static [u8], &'static str>;
type Sender = mpsc::UnboundedSender<Result<Frame<Bytes>, std::io::Error>>;

/// What a request is answered with.
struct Reply {
    status: StatusCode,
    headers: Vec<(&'static str, &'static str)>,
    chunks: Vec<Chunk>,
    /// Whether the connection stays open when everything is sent.
    open: bool,
}

fn reply(status: u16, text: &'static str) -> Reply {
    Reply {
        status: StatusCode::from_u16(status).unwrap(),
        headers: Vec::new(),
        chunks: vec![Ok(text.as_bytes())],
        open: false,
    }
}

fn chunks(chunks: impl IntoIterator<Item = &'static str>) -> Reply {
    let mut reply = reply(200, "");
    reply.chunks = chunks
        .into_iter()
        .map(|chunk| Ok(chunk.as_bytes()))
        .collect();
    reply
}

/// A server that gives its replies in turn and notes what was asked.
#[derive(Clone, Default)]
struct Server {
    replies: Arc<Mutex<std::collections::VecDeque<Reply>>>,
    asked: Arc<Mutex<Vec<Request<()>>>>,
    /// Keeps open what is to stay open.
    open: Arc<Mutex<Vec<Sender>>>,
}

impl Server {
    fn with(replies: impl IntoIterator<Item = Reply>) -> Self {
        let server = Self::default();
        server.replies.lock().extend(replies);
        server
    }

    fn client(&self) -> Client {
        let server = self.clone();
        Client::new(
            tower::service_fn(move |request: Request<Body>| {
                let response = server.answer(request);
                async move { Ok::<_, Infallible>(response) }
            }),
            "default",
        )
    }

    fn answer(&self, request: Request<Body>) -> Response<BoxBody<Bytes, std::io::Error>> {
        self.asked.lock().push(request.map(drop));
        let reply = self.replies.lock().pop_front().expect("no more requests");
        let (sender, receiver) = mpsc::unbounded();
        for chunk in reply.chunks {
            let frame = chunk
                .map(|bytes| Frame::data(Bytes::from_static(bytes)))
                .map_err(std::io::Error::other);
            sender.unbounded_send(frame).unwrap();
        }
        if reply.open {
            self.open.lock().push(sender);
        }
        let mut response = Response::builder().status(reply.status);
        for (name, value) in reply.headers {
            response = response.header(name, value);
        }
        response
            .body(BoxBody::new(StreamBody::new(receiver)))
            .unwrap()
    }

    fn urls(&self) -> Vec<String> {
        self.asked
            .lock()
            .iter()
            .map(|request| request.uri().to_string())
            .collect()
    }
}

#[derive(Default)]
struct Items {
    names: Vec<String>,
    undecodable: Vec<String>,
}

impl PageSink for Items {
    fn item(&mut self, item: &Scanned<'_>) {
        self.names.push(item.key().unwrap().to_string());
    }

    fn undecodable(&mut self, item: Undecodable) {
        self.undecodable.push(item.to_string());
    }
}

async fn list(server: &Server, options: &ListOptions) -> Result<(Page, Items), SourceError> {
    let source = KubeListerWatcher::<ConfigMap>::all(server.client());
    let mut items = Items::default();
    let page = source.list(options, &mut items).await?;
    Ok((page, items))
}

/// The events of a watch that is answered with `reply`, in words.
async fn watch(reply: Reply) -> Vec<String> {
    let server = Server::with([reply]);
    let source = KubeListerWatcher::<ConfigMap>::all(server.client()).max_object(200);
    let watch = source.watch(&WatchOptions::default()).await.unwrap();
    watch
        .map(|event| match event {
            Ok(WatchEvent::Added(object)) => format!("+{}", object.meta().key()),
            Ok(WatchEvent::Modified(object)) => format!("~{}", object.meta().key()),
            Ok(WatchEvent::Deleted(object)) => format!("-{}", object.meta().key()),
            Ok(WatchEvent::Bookmark {
                resource_version,
                ends_initial_events,
            }) => {
                format!(
                    "={resource_version}{}",
                    if ends_initial_events { "!" } else { "" }
                )
            }
            Ok(WatchEvent::Undecodable(item)) => {
                format!("? {item}{}", if item.deleted { " (deleted)" } else { "" })
            }
            Ok(other) => panic!("{other:?}"),
            Err(error) => format!("error: {error}"),
        })
        .collect()
        .await
}

#[tokio::test(start_paused = true)]
async fn requests_say_what_the_options_say() {
    let empty = || reply(200, r#"{"metadata":{"resourceVersion":"1"},"items":[]}"#);
    let server = Server::with((0..6).map(|_| empty()));
    let client = server.client();
    let mut items = Items::default();
    let mut options = ListOptions::default();
    let all = KubeListerWatcher::<Pod>::all(client.clone());
    all.list(&options, &mut items).await.unwrap();
    options.resource_version = ResourceVersion::from(7);
    options.version_match = Some(VersionMatch::NotOlderThan);
    options.limit = Some(500);
    let some = KubeListerWatcher::<Pod>::namespaced(client.clone(), "n")
        .labels("app in (a,b)")
        .fields("spec.nodeName=x");
    some.list(&options, &mut items).await.unwrap();
    let mut options = ListOptions::default();
    options.continue_token = Some("to/ken+".into());
    KubeListerWatcher::<Node>::all(client.clone())
        .list(&options, &mut items)
        .await
        .unwrap();
    let mut options = WatchOptions::default();
    options.resource_version = ResourceVersion::from(7);
    options.timeout = Some(seconds(300));
    some.watch(&options).await.unwrap();
    options.resource_version = ResourceVersion::default();
    options.initial_events = InitialEvents::Sent;
    let metadata = KubeListerWatcher::<Pod>::all(client).metadata_only();
    metadata.watch(&options).await.unwrap();
    metadata
        .list(&ListOptions::default(), &mut items)
        .await
        .unwrap();

    let selection = "labelSelector=app+in+%28a%2Cb%29&fieldSelector=spec.nodeName%3Dx";
    assert_eq!(
        server.urls(),
        [
            "/api/v1/pods?".to_owned(),
            format!(
                "/api/v1/namespaces/n/pods?{selection}&limit=500&resourceVersion=7&resourceVersionMatch=NotOlderThan"
            ),
            "/api/v1/nodes?continue=to%2Fken%2B".to_owned(),
            format!(
                "/api/v1/namespaces/n/pods?{selection}&watch=true&allowWatchBookmarks=true&timeoutSeconds=300&resourceVersion=7"
            ),
            "/api/v1/pods?watch=true&allowWatchBookmarks=true&timeoutSeconds=300&sendInitialEvents=true&resourceVersionMatch=NotOlderThan".to_owned(),
            "/api/v1/pods?".to_owned(),
        ]
    );
    let asked = server.asked.lock();
    assert_eq!(asked[3].headers()["accept-encoding"], "identity");
    assert_eq!(asked[0].headers()["accept"], "application/json");
    let partial =
        |kind: &str| format!("application/json;as={kind};g=meta.k8s.io;v=v1,application/json");
    assert_eq!(
        asked[4].headers()["accept"],
        partial("PartialObjectMetadata")
    );
    assert_eq!(
        asked[5].headers()["accept"],
        partial("PartialObjectMetadataList")
    );
}

#[tokio::test]
async fn a_page_is_split_as_it_arrives() {
    let server = Server::with([chunks([
        r#"{"kind":"ConfigMapList","metadata":{"resourceVersion":"9","continue":"c"},"items":[{"meta"#,
        r#"data":{"name":"a","namespace":"n"}},{"metadata":{"name":"b"#,
        r#""}},"nonsense",{"metadata":{"name":"c"}}]}"#,
    ])]);
    let (page, items) = list(&server, &ListOptions::default()).await.unwrap();
    assert_eq!(page, Page::last(ResourceVersion::from(9)).with_more("c"));
    assert_eq!(items.names, ["n/a", "b", "c"]);
    assert_eq!(
        items.undecodable,
        ["an object without a readable key: expected an object at byte 0"]
    );
}

#[tokio::test]
async fn a_list_that_is_none_is_an_error_of_the_list() {
    for text in [
        r#"{"items":[{"metadata":{"name":"a"}}"#,
        "<html>",
        "{}",
        r#"{"kind":"Status","metadata":{},"status":"Failure"}"#,
        r#"{"kind":"Table","rows":[]}"#,
    ] {
        let outcome = list(&Server::with([reply(200, text)]), &ListOptions::default()).await;
        assert!(
            matches!(outcome, Err(SourceError::Malformed { .. })),
            "{text}"
        );
    }
    let mut broken = reply(200, r#"{"items":["#);
    broken.chunks.push(Err("reset"));
    let outcome = list(&Server::with([broken]), &ListOptions::default()).await;
    assert!(matches!(outcome, Err(SourceError::Transport(_))));
}

#[tokio::test]
async fn refusals_say_what_to_do_next() {
    let mut busy = reply(
        429,
        r#"{"kind":"Status","reason":"TooManyRequests","message":"m"}"#,
    );
    busy.headers.push(("retry-after", "7"));
    let outcome = list(&Server::with([busy]), &ListOptions::default()).await;
    assert!(matches!(
        outcome,
        Err(SourceError::TooManyRequests { retry_after: Some(after), .. }) if after == seconds(7)
    ));
    let gone = reply(
        410,
        r#"{"kind":"Status","code":410,"reason":"Expired","message":"old"}"#,
    );
    let outcome = list(&Server::with([gone]), &ListOptions::default()).await;
    assert!(matches!(outcome, Err(SourceError::Expired { message }) if message == "old"));
    let proxy = reply(502, "<html>bad gateway</html>");
    let outcome = list(&Server::with([proxy]), &ListOptions::default()).await;
    let Err(SourceError::Unreachable(source)) = outcome else {
        panic!("a proxy's words")
    };
    assert!(source.to_string().contains("bad gateway"));
    let missing = reply(404, "404 page not found\n");
    let outcome = list(&Server::with([missing]), &ListOptions::default()).await;
    assert!(matches!(outcome, Err(error @ SourceError::NotFound { .. }) if error.is_fatal()));
}

#[tokio::test]
async fn a_client_without_a_connection_is_unreachable() {
    let refusing = tower::service_fn(|_: Request<Body>| async {
        Err::<Response<Body>, _>(std::io::Error::from(std::io::ErrorKind::ConnectionRefused))
    });
    let source = KubeListerWatcher::<ConfigMap>::all(Client::new(refusing, "default"));
    let outcome = source.watch(&WatchOptions::default()).await;
    assert!(matches!(outcome, Err(SourceError::Unreachable(_))));
}

#[tokio::test]
async fn watch_events_are_read_line_by_line() {
    let events = watch(chunks([
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"a\"}}}\n{\"type\":\"MODI",
        "FIED\",\"object\":{\"metadata\":{\"name\":\"b\"}}}\n\n",
        "{\"object\":{\"metadata\":{\"name\":\"c\"}} , \"type\":\"DELETED\"}\r\n",
        "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"5\"}}}\n",
        "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"6\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}",
    ]))
    .await;
    assert_eq!(events, ["+a", "~b", "-c", "=5", "=6!"]);
}

/// kube-runtime's D3 at its root: each line that makes no sense is told with its own error, and the
/// lines after it are read.
#[tokio::test]
async fn d3_lines_that_make_no_sense_are_told_apart_and_passed_over() {
    let long: &'static str = Box::leak(format!("{}\n", "x".repeat(300)).into_boxed_str());
    let events = watch(chunks([
        "nonsense\n{\"type\":\"ADDED\"}\n{\"type\":\"ADDED\",\"object\":5}\n",
        "{\"type\":\"DELETED\",\"object\":{\"metadata\":{\"name\":\"a\",\"uid\":5,\"resourceVersion\":\"3\"}}}\n",
        "{\"type\":\"MOVED\",\"object\":{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"4\"}}}\n",
        "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{}}}\n",
        "{\"type\":\"ADDED\",\"object\":{\"kind\":\"Table\",\"metadata\":{\"resourceVersion\":\"5\"}}}\n",
        long,
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"z\"}}}\n",
    ]))
    .await;
    let nobody = "? an object without a readable key";
    assert_eq!(
        events,
        [
            format!("{nobody}: expected a watch event at byte 0"),
            format!("{nobody}: a watch event without an object at byte 0"),
            format!("{nobody}: expected an object at byte 25"),
            "? a at version 3: expected a string at byte 30 (deleted)".to_owned(),
            "? a at version 4: a watch event of an unknown type at byte 0".to_owned(),
            format!("{nobody}: a bookmark without a version at byte 0"),
            format!("{nobody} at version 5: a Table in place of an object at byte 0"),
            format!("{nobody}: a line above the maximum at byte 0"),
            "+z".to_owned(),
        ]
    );
}

#[tokio::test]
async fn an_error_event_ends_the_watch() {
    let rest = "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"z\"}}}\n";
    for (line, expected) in [
        (
            "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"metadata\":{},\"code\":410,\"reason\":\"Expired\",\"message\":\"m\"}}\n",
            "error: the resource version is gone: m",
        ),
        (
            "{\"kind\":\"Status\",\"metadata\":{},\"code\":500,\"reason\":\"InternalError\",\"message\":\"m\"}\n",
            "error: the server failed: m",
        ),
        (
            "{\"type\":\"ERROR\",\"object\":{\"metadata\":{}}}\n",
            "error: the answer cannot be read: error event {\"type\":\"ERROR\",\"object\":{\"metadata\":{}}}",
        ),
    ] {
        assert_eq!(watch(chunks([line, rest])).await, [expected]);
    }
}

/// A line that the end of the connection has cut off comes again with the next watch.
#[tokio::test]
async fn a_line_that_was_cut_off_is_dropped() {
    let whole = "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"a\"}}}\n";
    assert_eq!(
        watch(chunks([whole, "{\"type\":\"ADDED\",\"obj"])).await,
        ["+a"]
    );
    let mut broken = chunks([whole, "{\"type\":"]);
    broken.chunks.push(Err("reset"));
    assert_eq!(watch(broken).await, ["+a", "error: the connection broke"]);
}

/// From the server's bytes to the store: pages, a watch, an expired version, and the list after it.
#[tokio::test(start_paused = true)]
async fn a_store_follows_a_server_over_http() {
    let mut open = chunks([
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"c\",\"uid\":\"3\",\"resourceVersion\":\"11\"}}}\n",
        "{\"type\":\"MODIFIED\",\"object\":{\"metadata\":{\"name\":\"a\",\"uid\":\"1\",\"resourceVersion\":\"12\"}}}\n",
        "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"15\"}}}\n",
        "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,\"reason\":\"Expired\"}}\n",
    ]);
    open.open = true;
    let mut last = chunks([
        "{\"type\":\"DELETED\",\"object\":{\"metadata\":{\"name\":\"a\",\"uid\":\"1\",\"resourceVersion\":\"21\"}}}\n",
    ]);
    last.open = true;
    let server = Server::with([
        reply(
            200,
            r#"{"metadata":{"resourceVersion":"10","continue":"t"},"items":[{"metadata":{"name":"a","uid":"1","resourceVersion":"1"},"data":{"k":"v"}}]}"#,
        ),
        reply(
            200,
            r#"{"metadata":{"resourceVersion":"10"},"items":[{"metadata":{"name":"b","uid":"2","resourceVersion":"2"}}]}"#,
        ),
        open,
        reply(
            200,
            r#"{"metadata":{"resourceVersion":"20"},"items":[{"metadata":{"name":"a","uid":"1","resourceVersion":"12"}},{"metadata":{"name":"c","uid":"3","resourceVersion":"19"}}]}"#,
        ),
        last,
    ]);
    let source = KubeListerWatcher::<ConfigMap>::namespaced(server.client(), "n");
    let rig = Rig::configured(source, |_, _| {});
    rig.settle().await;
    assert_eq!(rig.events(), ["+a@1!", "+b@2!", "+c@11", "~a@1>12"]);
    assert_eq!(
        rig.store.resource_version(),
        Some(ResourceVersion::from(15))
    );
    tokio::time::sleep(seconds(3)).await;
    assert_eq!(rig.events(), ["-b@2?", "~c@11>19", "-a@21"]);

    let urls = server.urls();
    let queries: Vec<_> = urls
        .iter()
        .map(|url| {
            let query = url
                .strip_prefix("/api/v1/namespaces/n/configmaps?")
                .unwrap();
            query
                .split('&')
                .filter(|part| !part.starts_with("timeoutSeconds"))
                .collect::<Vec<_>>()
                .join("&")
        })
        .collect();
    let watch = "watch=true&allowWatchBookmarks=true&resourceVersion";
    assert_eq!(
        queries,
        [
            "limit=500&resourceVersion=0".to_owned(),
            "limit=500&continue=t".to_owned(),
            format!("{watch}=10"),
            // Its first list came in pages, so the server has no cache: it is paged for ever.
            "limit=500&resourceVersion=15&resourceVersionMatch=NotOlderThan".to_owned(),
            format!("{watch}=20"),
        ]
    );
    rig.stop().await;
}

/// The same by a streaming list.
#[tokio::test(start_paused = true)]
async fn a_store_follows_a_streaming_list_over_http() {
    let mut stream = chunks([
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"a\",\"uid\":\"1\",\"resourceVersion\":\"4\"}}}\n",
        "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"9\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}\n",
        "{\"type\":\"DELETED\",\"object\":{\"metadata\":{\"name\":\"a\",\"uid\":\"1\",\"resourceVersion\":\"10\"}}}\n",
    ]);
    stream.open = true;
    let server = Server::with([stream]);
    let source = KubeListerWatcher::<ConfigMap>::all(server.client());
    let rig = Rig::configured(source, |reflector, _| {
        reflector.initial_list = InitialList::Streaming;
    });
    rig.settle().await;
    assert_eq!(rig.events(), ["+a@4!", "-a@10"]);
    rig.stop().await;
}
