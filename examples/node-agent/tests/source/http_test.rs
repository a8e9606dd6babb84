//! Pods that a web server has; answers to `http_test.go`.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use k8s_openapi::api::core::v1::Pod;
use node_agent::pod::PodSource;
use node_agent::source::{HttpSource, PodSets, SetSource as _};
use serde_json::json;
use tokio::sync::mpsc::Receiver;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::pods::{DEADLINE, manifest, names, next};
use crate::taken_port::taken_port;
use crate::web::{Page, Web};

/// A source at work, which is asked to stop when it is dropped.
struct Running {
    sets: Receiver<(PodSource, Vec<Arc<Pod>>)>,
    tasks: JoinSet<()>,
    token: CancellationToken,
}

fn run(url: &str, headers: HeaderMap) -> Running {
    let source = HttpSource::new(url, headers, "node", Duration::from_millis(5)).unwrap();
    let (sender, sets) = PodSets::channel(PodSource::Http);
    let token = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(source.run(sender, token.clone()));
    Running { sets, tasks, token }
}

#[tokio::test]
async fn extract_manifest_from_http_with_headers() {
    let web = Web::serving(manifest("web").to_string()).await;
    let headers = HeaderMap::from_iter([(
        http::HeaderName::from_static("metadata-flavor"),
        HeaderValue::from_static("Google"),
    )]);
    let mut running = run(&web.url("/pods?x=1"), headers);
    assert_eq!(names(&next(&mut running.sets).await), ["web-node"]);
    let request = web.requests()[0].to_lowercase();
    assert!(
        request.starts_with("get /pods?x=1 http/1.1\r\n"),
        "{request}"
    );
    assert!(
        request.contains("\r\nmetadata-flavor: google\r\n"),
        "{request}"
    );

    // It stops when it is told to.
    running.token.cancel();
    let ended = tokio::time::timeout(DEADLINE, running.tasks.join_next()).await;
    ended.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn extract_from_http_multiple() {
    let list =
        json!({"apiVersion": "v1", "kind": "PodList", "items": [manifest("a"), manifest("b")]});
    let web = Web::serving(list.to_string()).await;
    let mut running = run(&web.url("/"), HeaderMap::new());
    assert_eq!(names(&next(&mut running.sets).await), ["a-node", "b-node"]);

    // The same again is no news.
    web.asked_again(3).await;
    assert_eq!(running.sets.try_recv(), Err(TryRecvError::Empty));
    web.show(Page::ok(manifest("c").to_string()));
    assert_eq!(names(&next(&mut running.sets).await), ["c-node"]);
}

/// Answers to `TestExtractFromHttpBadness` and `TestExtractInvalidPods`: nothing of this is a set.
#[tokio::test]
async fn extract_from_http_badness() {
    let web = Web::serving(manifest("web").to_string()).await;
    let mut running = run(&web.url("/"), HeaderMap::new());
    next(&mut running.sets).await;
    let mut nameless = manifest("web");
    nameless["metadata"] = json!({});
    let list = json!({"apiVersion": "v1", "kind": "PodList", "items": [manifest("ok"), nameless]});
    for page in [
        Page::ok(manifest("other").to_string()).with_status("500 Internal Server Error"),
        Page::ok(manifest("other").to_string()).with_status("201 Created"),
        Page {
            header: "Location: http://127.0.0.1:1/\r\n",
            ..Page::ok("").with_status("302 Found")
        },
        Page::ok("[1, 2]"),
        Page::ok("gibberish: ["),
        Page::ok(json!({"apiVersion": "v1", "kind": "Service"}).to_string()),
        Page::ok(nameless.to_string()),
        Page::ok(list.to_string()),
        Page::ok(vec![b' '; (10 << 20) + 1]),
    ] {
        web.show(page);
        // The first may have been answered before; once the third is asked, the second was looked at.
        web.asked_again(3).await;
        assert_eq!(running.sets.try_recv(), Err(TryRecvError::Empty));
    }
    web.show(Page::ok(manifest("again").to_string()));
    assert_eq!(names(&next(&mut running.sets).await), ["again-node"]);
    // Nothing at all says that nothing is wanted.
    web.show(Page::ok(""));
    assert_eq!(next(&mut running.sets).await, []);
}

/// Answers to `TestURLErrorNotExistNoUpdate`.
#[tokio::test(start_paused = true)]
async fn url_error_not_exist_no_update() {
    let (_taken, port) = taken_port();
    let url = format!("http://127.0.0.1:{port}/");
    let mut running = run(&url, HeaderMap::new());
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(running.sets.try_recv(), Err(TryRecvError::Empty));
    assert!(running.tasks.try_join_next().is_none(), "it goes on");
}

#[test]
fn urls_are_those_of_web_servers() {
    for url in ["", "manifests", "/etc/kubernetes", "file:///etc", "http://"] {
        let source = HttpSource::new(url, HeaderMap::new(), "node", DEADLINE);
        let expected = format!("{url:?} is not an http or https URL");
        assert_eq!(source.unwrap_err().to_string(), expected);
    }
}
