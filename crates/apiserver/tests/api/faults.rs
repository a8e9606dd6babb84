//! Trouble on demand, and the record of what clients asked.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use kubewright_apiserver::faults::{Call, Fault, Rule, Verb, WatchEnd};
use kubewright_apiserver::{ApiError, ServiceError};
use serde_json::json;
use tokio::time::Instant;
use tower::Service as _;

use crate::seam::{Answer, CONFIG_MAPS, Server, Watch};

const A: &str = "/api/v1/namespaces/default/configmaps/a";

async fn server() -> Server {
    let server = Server::new();
    server.config_map("a", "1").await;
    server
}

fn shown(calls: &[Call]) -> Vec<String> {
    calls.iter().map(ToString::to_string).collect()
}

/// Sends a request whose answer is lost.
async fn lost(server: &Server, method: &str, path: &str, body: &'static str) {
    let request = Request::builder().method(method).uri(path);
    let request = request
        .body(Full::new(Bytes::from_static(body.as_bytes())))
        .unwrap();
    let error = server.0.service().call(request).await.unwrap_err();
    assert_eq!(error, ServiceError::ConnectionLost);
}

async fn merge(server: &Server, data: &str) -> Answer {
    server.merge(A, json!({ "data": { "k": data } })).await
}

#[tokio::test(start_paused = true)]
async fn a_refusal_changes_nothing_and_says_what_it_is_told_to() {
    let server = server().await;
    let version = server.0.resource_version();
    for (fault, code, reason, retry) in [
        (
            Fault::too_many_requests(7),
            429,
            "TooManyRequests",
            Some("7"),
        ),
        (Fault::expired(), 410, "Expired", None),
        (Fault::internal(), 500, "InternalError", None),
        (Fault::unavailable(), 503, "ServiceUnavailable", None),
        (Fault::timeout(), 504, "Timeout", None),
        (Fault::Conflict, 409, "Conflict", None),
        (
            Fault::Refuse(ApiError::bad_request("no")),
            400,
            "BadRequest",
            None,
        ),
    ] {
        let rule = server.0.faults().add(Rule::new(fault));
        let refused = merge(&server, "2").await.is(code);
        assert_eq!(*refused.at("kind"), "Status");
        assert_eq!(*refused.at("reason"), reason);
        let header = refused
            .headers
            .get("retry-after")
            .map(|value| value.to_str().unwrap());
        assert_eq!(header, retry);
        rule.remove();
    }
    assert_eq!(server.0.resource_version(), version);
    merge(&server, "2").await.is(200);
}

#[tokio::test(start_paused = true)]
async fn a_conflict_is_as_a_real_one() {
    let server = server().await;
    let mut stale = server.get(A).await.body;
    merge(&server, "2").await.is(200);
    stale["data"]["k"] = "3".into();
    let real = server.put(A, stale.clone()).await.is(409);
    server
        .0
        .faults()
        .add(Rule::new(Fault::Conflict).verb(Verb::Update));
    stale["metadata"]["resourceVersion"] = server.get(A).await.version().to_string().into();
    let injected = server.put(A, stale).await.is(409);
    assert_eq!(injected.body, real.body);
}

#[tokio::test(start_paused = true)]
async fn a_lost_request_is_not_carried_out_and_a_lost_answer_is() {
    let server = server().await;
    server
        .0
        .faults()
        .add(Rule::new(Fault::LoseRequest).verb(Verb::Delete).nth(1));
    server
        .0
        .faults()
        .add(Rule::new(Fault::LoseAnswer).verb(Verb::Delete).nth(2));
    lost(&server, "DELETE", A, "").await;
    server.get(A).await.is(200);
    lost(&server, "DELETE", A, "").await;
    server.get(A).await.is(404);
    server.delete(A).await.is(404);
}

#[tokio::test(start_paused = true)]
async fn delays_add_up_and_come_before_the_request_is_carried_out() {
    let server = server().await;
    let second = Duration::from_secs(1);
    server
        .0
        .faults()
        .add(Rule::new(Fault::Delay(second)).verb(Verb::Patch));
    server
        .0
        .faults()
        .add(Rule::new(Fault::Delay(2 * second)).verb(Verb::Patch));
    let started = Instant::now();
    let read = async {
        tokio::time::sleep(Duration::from_millis(2_999)).await;
        assert_eq!(*server.get(A).await.at("data.k"), "1");
    };
    let (changed, ()) = tokio::join!(merge(&server, "2"), read);
    changed.is(200);
    assert_eq!(started.elapsed(), 3 * second);

    // A client that does not wait for the answer has not asked.
    let given_up = tokio::time::timeout(second, merge(&server, "3")).await;
    assert!(given_up.is_err());
    tokio::time::sleep(10 * second).await;
    assert_eq!(*server.get(A).await.at("data.k"), "2");
}

#[tokio::test(start_paused = true)]
async fn a_rule_strikes_by_the_count_of_requests_that_it_concerns() {
    let server = server().await;
    let codes = async |rule: Rule| {
        let rule = server.0.faults().add(rule);
        let mut codes = Vec::new();
        for _ in 0..6 {
            // Of no concern.
            server.get(CONFIG_MAPS).await.is(200);
            codes.push(server.get(A).await.code);
        }
        assert_eq!(rule.requests(), 6);
        assert_eq!(
            rule.strikes() as usize,
            codes.iter().filter(|code| **code == 500).count()
        );
        rule.remove();
        codes
    };
    let rule = || Rule::new(Fault::internal()).verb(Verb::Get);
    assert_eq!(codes(rule()).await, [500; 6]);
    assert_eq!(codes(rule().nth(3)).await, [200, 200, 500, 200, 200, 200]);
    assert_eq!(codes(rule().skip(4)).await, [200, 200, 200, 200, 500, 500]);
    assert_eq!(codes(rule().times(2)).await, [500, 500, 200, 200, 200, 200]);
    assert_eq!(
        codes(rule().skip(1).times(2)).await,
        [200, 500, 500, 200, 200, 200]
    );
    assert_eq!(codes(rule().chance(0.0)).await, [200; 6]);
}

#[tokio::test(start_paused = true)]
async fn chance_follows_the_seed() {
    let mut histories = Vec::new();
    for seed in [1, 1, 2] {
        let server = Server::with(|config| config.seed = seed);
        let rule = server
            .0
            .faults()
            .add(Rule::new(Fault::internal()).chance(0.5));
        let mut history = Vec::new();
        for _ in 0..200 {
            history.push(server.get("/version").await.code);
        }
        assert!((70..130).contains(&rule.strikes()), "{}", rule.strikes());
        histories.push(history);
    }
    assert_eq!(histories[0], histories[1]);
    assert_ne!(histories[0], histories[2]);
}

#[tokio::test(start_paused = true)]
async fn a_rule_concerns_what_fits_everything_that_is_said() {
    let server = server().await;
    let deployment = json!({
        "metadata": { "name": "web" },
        "spec": {
            "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [{ "name": "c", "image": "i" }] },
            },
        },
    });
    let deployments = "/apis/apps/v1/namespaces/default/deployments";
    server.post(deployments, deployment).await.is(201);
    let web = format!("{deployments}/web");
    let scale = format!("{web}/scale");
    let requests = [
        A,
        CONFIG_MAPS,
        &web,
        &scale,
        "/version",
        "/api/v1/configmaps",
    ];
    let struck = async |rule: Rule| {
        let rule = server.0.faults().add(rule);
        let mut struck = String::new();
        for (number, path) in requests.iter().enumerate() {
            if server.get(path).await.code == 500 {
                struck.push_str(&number.to_string());
            }
        }
        rule.remove();
        struck
    };
    let rule = || Rule::new(Fault::internal());
    assert_eq!(struck(rule()).await, "012345");
    assert_eq!(struck(rule().verb(Verb::List)).await, "15");
    assert_eq!(
        struck(rule().verb(Verb::List).verb(Verb::Get)).await,
        "012345"
    );
    assert_eq!(struck(rule().verb(Verb::Delete)).await, "");
    assert_eq!(struck(rule().resource("configmaps")).await, "015");
    assert_eq!(struck(rule().resource("deployments")).await, "2");
    assert_eq!(struck(rule().resource("deployments/scale")).await, "3");
    assert_eq!(struck(rule().resource("deployments/*")).await, "23");
    assert_eq!(struck(rule().resource("deployments.apps/scale")).await, "3");
    assert_eq!(struck(rule().resource("deployments.batch")).await, "");
    assert_eq!(struck(rule().resource("/version")).await, "4");
    assert_eq!(struck(rule().namespace("default")).await, "0123");
    assert_eq!(struck(rule().name("web")).await, "23");
    assert_eq!(struck(rule().name("a").resource("configmaps")).await, "0");
    assert_eq!(struck(rule().name("a").resource("deployments")).await, "");
    assert_eq!(struck(rule().when(|call| call.group == "apps")).await, "23");
}

#[tokio::test(start_paused = true)]
async fn the_name_of_a_new_object_is_the_one_in_its_body() {
    let server = server().await;
    server
        .0
        .faults()
        .add(Rule::new(Fault::internal()).verb(Verb::Create).name("b"));
    server.config_map("c", "1").await;
    let body = json!({ "metadata": { "name": "b" } });
    server.post(CONFIG_MAPS, body).await.is(500);
}

#[tokio::test(start_paused = true)]
async fn of_several_answers_the_first_rule_gives_its_own() {
    let server = server().await;
    let first = server
        .0
        .faults()
        .add(Rule::new(Fault::unavailable()).skip(1));
    let second = server.0.faults().add(Rule::new(Fault::internal()));
    server.get(A).await.is(500);
    server.get(A).await.is(503);
    assert_eq!((first.strikes(), second.strikes()), (1, 2));
    server.0.faults().clear();
    server.get(A).await.is(200);
    assert_eq!(second.requests(), 2);
    first.remove();
    server.get(A).await.is(200);
}

#[tokio::test(start_paused = true)]
async fn history_is_forgotten_before_the_request() {
    let server = server().await;
    let version = server.0.resource_version();
    merge(&server, "2").await.is(200);
    server
        .0
        .faults()
        .add(Rule::new(Fault::Compact).verb(Verb::Watch).nth(1));
    let path = format!("{CONFIG_MAPS}?resourceVersion={version}");
    let mut watch = server.watch(&path).await;
    let event = watch.next().await.unwrap();
    assert_eq!(event["type"], "ERROR");
    assert_eq!(event["object"]["code"], 410);
    assert!(watch.next().await.is_none());
    let version = server.0.resource_version();
    let mut watch = server
        .watch(&format!("{CONFIG_MAPS}?resourceVersion={version}"))
        .await;
    merge(&server, "3").await.is(200);
    assert_eq!(watch.next().await.unwrap()["type"], "MODIFIED");
}

#[tokio::test(start_paused = true)]
async fn open_watches_end_before_the_request() {
    let server = server().await;
    let path = format!(
        "{CONFIG_MAPS}?resourceVersion={}",
        server.0.resource_version()
    );
    let mut watches = [server.watch(&path).await, server.watch(&path).await];
    server
        .0
        .faults()
        .add(Rule::new(Fault::DropWatches).verb(Verb::Patch).nth(2));
    merge(&server, "2").await.is(200);
    for watch in &mut watches {
        assert_eq!(watch.next().await.unwrap()["type"], "MODIFIED");
        assert!(watch.is_quiet().await);
    }
    merge(&server, "3").await.is(200);
    for watch in &mut watches {
        assert!(watch.next().await.is_none(), "without the change");
    }
}

async fn watch(server: &Server, fault: Fault) -> Watch {
    let rule = server.0.faults().add(Rule::new(fault).verb(Verb::Watch));
    let path = format!(
        "{CONFIG_MAPS}?resourceVersion={}",
        server.0.resource_version()
    );
    let watch = server.watch(&path).await;
    for data in ["x", "y", "z"] {
        merge(server, data).await.is(200);
    }
    rule.remove();
    watch
}

#[tokio::test(start_paused = true)]
async fn a_watch_ends_after_so_many_events() {
    let server = server().await;
    for after in 0..3 {
        let end = WatchEnd::Clean;
        let mut clean = watch(&server, Fault::EndWatch { after, end }).await;
        assert_eq!(clean.rest().await.len(), after);

        let end = WatchEnd::Expired;
        let mut expired = watch(&server, Fault::EndWatch { after, end }).await;
        for _ in 0..after {
            assert_eq!(expired.next().await.unwrap()["type"], "MODIFIED");
        }
        let event = expired.next().await.unwrap();
        assert_eq!(event["type"], "ERROR");
        assert_eq!(event["object"]["reason"], "Expired");
        assert!(expired.next().await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_breaks_in_the_middle_of_an_event() {
    let server = server().await;
    let end = WatchEnd::Broken;
    let rule = Rule::new(Fault::EndWatch { after: 2, end });
    server.0.faults().add(rule);
    let version = server.0.resource_version();
    let path = format!("{CONFIG_MAPS}?watch=true&resourceVersion={version}");
    let request = Request::get(path).body(Full::new(Bytes::new())).unwrap();
    let mut body = server.0.service().call(request).await.unwrap().into_body();
    for data in ["x", "y", "z"] {
        merge(&server, data).await.is(200);
    }
    let mut text = String::new();
    let error = loop {
        match body.frame().await.unwrap() {
            Ok(frame) => text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap()),
            Err(error) => break error,
        }
    };
    assert_eq!(error, ServiceError::ConnectionLost);
    assert!(body.frame().await.is_none());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(!text.ends_with('\n') && !lines[2].is_empty());
    assert!(serde_json::from_str::<serde_json::Value>(lines[2]).is_err());
}

#[tokio::test(start_paused = true)]
async fn calls_are_recorded_in_order_with_their_answers() {
    let server = server().await;
    let calls = server.0.record();
    server
        .0
        .faults()
        .add(Rule::new(Fault::LoseAnswer).verb(Verb::Delete));
    server.get(&format!("{A}?pretty=true")).await.is(200);
    server.get("/api/v1/configmaps?limit=1").await.is(200);
    server.get("/version").await.is(200);
    server
        .watch(&format!("{CONFIG_MAPS}?resourceVersion=0"))
        .await;
    merge(&server, "2").await.is(200);
    server.put(A, json!({})).await.is(400);
    let node = json!({ "metadata": { "name": "n" } });
    server.post("/api/v1/nodes", node).await.is(201);
    let generated = json!({ "metadata": { "generateName": "g-" } });
    let generated = server.post(CONFIG_MAPS, generated).await.is(201);
    server
        .put(
            "/api/v1/nodes/n/status",
            json!({ "metadata": { "name": "n" } }),
        )
        .await
        .is(200);
    server.delete_with(CONFIG_MAPS, json!({})).await;
    lost(&server, "DELETE", A, "").await;
    let name = generated.at("metadata.name").as_str().unwrap();
    let recorded = calls.take();
    assert_eq!(
        shown(&recorded),
        [
            "get configmaps default/a: 200".to_owned(),
            "list configmaps: 200".to_owned(),
            "get /version: 200".to_owned(),
            "watch configmaps default/: 200".to_owned(),
            "patch configmaps default/a: 200".to_owned(),
            "update configmaps default/a: 400".to_owned(),
            "create nodes n: 201".to_owned(),
            format!("create configmaps default/{name}: 201"),
            "update nodes/status n: 200".to_owned(),
            "deletecollection configmaps default/: 200".to_owned(),
            "delete configmaps default/a: lost".to_owned(),
        ]
    );
    assert_eq!(recorded[0].query.as_deref(), Some("pretty=true"));
    assert_eq!(recorded[4].body, r#"{"data":{"k":"2"}}"#);
    assert!(calls.take().is_empty());
}

#[tokio::test(start_paused = true)]
async fn recordings_are_apart_and_end_when_they_are_dropped() {
    let server = server().await;
    let early = server.0.record();
    server.get(A).await.is(200);
    let late = server.0.record();
    merge(&server, "2").await.is(200);
    assert_eq!(
        shown(&early.take_writes()),
        ["patch configmaps default/a: 200"]
    );
    assert_eq!(late.take().len(), 1);
    drop(late);
    server.get(A).await.is(200);
    assert_eq!(early.take().len(), 1);
    drop(early);
    assert!(format!("{:?}", server.0.faults()).contains("rules: 0"));
    server.get(A).await.is(200);
}
