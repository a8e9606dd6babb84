//! How images get onto the node.

use std::sync::Arc;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kubewright_cri::testing::Fault;
use kubewright_cri::{Status, v1};
use node_agent::config::Rate;
use node_agent::runtime::{Keyring, StartError};
use node_agent::worker::{Failure, Outcome};
use serde_json::json;
use tokio::time::{Instant, advance};

use crate::fixtures::{Harness, SECOND, app, pod};

/// A case of upstream's `pullerTestCases`.
struct Case {
    name: &'static str,
    policy: &'static str,
    is_present: bool,
    faults: &'static [(&'static str, &'static str)],
    /// The reasons to wait, for one try each 15 s; empty if it was started.
    reasons: &'static [&'static str],
    calls: &'static [&'static str],
    events: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        name: "image missing, pull",
        policy: "IfNotPresent",
        is_present: false,
        faults: &[],
        reasons: &[""],
        calls: &["ImageStatus", "PullImage", "ImageStatus"],
        events: &["Pulling", "Pulled"],
    },
    Case {
        name: "image present, don't pull",
        policy: "IfNotPresent",
        is_present: true,
        faults: &[],
        reasons: &[""],
        calls: &["ImageStatus"],
        events: &["Pulled"],
    },
    Case {
        name: "image present, pull always",
        policy: "Always",
        is_present: true,
        faults: &[],
        reasons: &[""],
        calls: &["ImageStatus", "PullImage", "ImageStatus"],
        events: &["Pulling", "Pulled"],
    },
    Case {
        name: "image missing, never pull",
        policy: "Never",
        is_present: false,
        faults: &[],
        reasons: &["ErrImageNeverPull", "ErrImageNeverPull"],
        calls: &["ImageStatus", "ImageStatus"],
        events: &["ErrImageNeverPull", "Failed", "ErrImageNeverPull", "Failed"],
    },
    Case {
        name: "image present, never pull",
        policy: "Never",
        is_present: true,
        faults: &[],
        reasons: &[""],
        calls: &["ImageStatus"],
        events: &["Pulled"],
    },
    Case {
        name: "image missing, unable to inspect",
        policy: "IfNotPresent",
        is_present: false,
        faults: &[("ImageStatus", "unknown inspectError")],
        reasons: &["ImageInspectError", ""],
        calls: &["ImageStatus", "ImageStatus", "PullImage", "ImageStatus"],
        events: &["InspectFailed", "Failed", "Pulling", "Pulled"],
    },
    Case {
        name: "image missing, unable to pull",
        policy: "IfNotPresent",
        is_present: false,
        faults: &[
            ("PullImage", "404: Not Found"),
            ("PullImage", "404: Not Found"),
        ],
        reasons: &["ErrImagePull", "ErrImagePull", "ImagePullBackOff", ""],
        calls: &[
            "ImageStatus",
            "PullImage",
            "ImageStatus",
            "PullImage",
            "ImageStatus",
            "ImageStatus",
            "PullImage",
            "ImageStatus",
        ],
        events: &[
            "Pulling", "Failed", "Failed", "Pulling", "Failed", "Failed", "BackOff", "Failed",
            "Pulling", "Pulled",
        ],
    },
    Case {
        name: "registry is unavailable",
        policy: "IfNotPresent",
        is_present: false,
        faults: &[("PullImage", "RegistryUnavailable: no route")],
        reasons: &["RegistryUnavailable", ""],
        calls: &[
            "ImageStatus",
            "PullImage",
            "ImageStatus",
            "PullImage",
            "ImageStatus",
        ],
        events: &["Pulling", "Failed", "Failed", "Pulling", "Pulled"],
    },
];

async fn check(harness: &mut Harness, case: &Case) {
    if case.is_present {
        add_image(harness);
    }
    for (method, message) in case.faults {
        let refused = Status::unknown(*message);
        harness.fake.fault(method, Fault::Refused(refused));
    }
    let pod = app(json!({"imagePullPolicy": case.policy}));
    for (attempt, reason) in case.reasons.iter().enumerate() {
        let result = harness.sync(&pod).await;
        let seen = result.starts[0].result.as_ref().err();
        let seen = seen.map_or("", |error| error.reason);
        assert_eq!(seen, *reason, "{} attempt {attempt}", case.name);
        advance(15 * SECOND).await;
    }
    let calls = harness.changes().into_iter();
    let calls: Vec<_> = calls
        .filter_map(|call| Some(call.split_once(' ')?.0.to_owned()))
        .filter(|call| call.contains("Image"))
        .collect();
    assert_eq!(calls, case.calls, "{}", case.name);
    let events = harness.reasons().into_iter();
    let events: Vec<_> = events
        .map(|event| event.trim_end_matches("{app}").to_owned())
        .filter(|event| !["Created", "Started"].contains(&&**event))
        .collect();
    assert_eq!(events, case.events, "{}", case.name);
}

fn add_image(harness: &Harness) {
    harness.fake.add_image(v1::Image {
        id: "sha256:1".to_owned(),
        repo_tags: vec!["busybox:1".to_owned()],
        ..v1::Image::default()
    });
}

#[tokio::test(start_paused = true)]
async fn serialized_puller() {
    for case in CASES {
        let mut harness = Harness::new();
        check(&mut harness, case).await;
    }
}

#[tokio::test(start_paused = true)]
async fn parallel_puller() {
    for case in CASES {
        let mut harness = Harness::with(|settings| settings.max_parallel_pulls = None);
        check(&mut harness, case).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_image_that_waits_tells_why_and_until_when() {
    let mut harness = Harness::new();
    let pod = app(json!({}));
    let missing = Status::not_found("busybox:1: not found");
    harness.fake.fault("PullImage", Fault::Refused(missing));
    let failed_at = Instant::now();
    let first = harness.sync(&pod).await;
    let error = first.starts[0].result.clone().unwrap_err();
    let cause = "rpc error: code = NotFound desc = busybox:1: not found";
    assert_eq!(
        error,
        StartError {
            reason: "ErrImagePull",
            message: cause.into(),
            expiry: None
        }
    );
    let events = harness.events();
    let told = [
        "Normal Pulling{app}: Pulling image \"busybox:1\"".to_owned(),
        format!("Warning Failed{{app}}: Failed to pull image \"busybox:1\": {cause}"),
        "Warning Failed{app}: Error: ErrImagePull".to_owned(),
    ];
    assert_eq!(events, told);
    let second = harness.sync(&pod).await;
    let error = second.starts[0].result.clone().unwrap_err();
    let expiry = failed_at + 10 * SECOND;
    let message = format!("Back-off pulling image \"busybox:1\": ErrImagePull: {cause}");
    let expected = StartError {
        reason: "ImagePullBackOff",
        message,
        expiry: Some(expiry),
    };
    assert_eq!(error, expected);
    assert_eq!(
        second.outcome(),
        Outcome::Failed(Failure::Backoff { expiry })
    );
    let told = [
        "Normal BackOff{app}: Back-off pulling image \"busybox:1\"",
        "Warning Failed{app}: Error: ImagePullBackOff",
    ];
    assert_eq!(harness.events(), told);
}

#[tokio::test(start_paused = true)]
async fn a_text_that_is_no_name_of_an_image_is_refused() {
    let mut harness = Harness::new();
    let result = harness.sync(&app(json!({"image": "no such:name"}))).await;
    let error = result.starts[0].result.clone().unwrap_err();
    assert_eq!(error.reason, "InvalidImageName");
    let message = "Failed to apply default image tag \"no such:name\": couldn't parse image name \
                   \"no such:name\": invalid reference format";
    assert_eq!(error.message, message);
    let told = [
        format!("Warning InspectFailed{{app}}: {message}"),
        "Warning Failed{app}: Error: InvalidImageName".to_owned(),
    ];
    assert_eq!(harness.events(), told);
}

#[tokio::test(start_paused = true)]
async fn the_newest_of_an_image_is_pulled_each_time_unless_told_otherwise() {
    for (image, pulls) in [("busybox", 2), ("busybox:latest", 2), ("busybox:1", 1)] {
        let harness = Harness::new();
        let spec = |name| json!({"name": name, "image": image});
        let pod = pod(json!({"containers": [spec("a"), spec("b")]}));
        harness.sync_well(&pod).await;
        assert_eq!(harness.fake.pulls().len(), pulls, "{image}");
    }
}

/// How long it takes until two pods have their images, each of which takes 10 s.
async fn time_of_two_pulls(max_parallel: Option<u32>) -> std::time::Duration {
    let harness = Harness::with(|settings| settings.max_parallel_pulls = max_parallel);
    for _ in 0..2 {
        harness.fake.fault("PullImage", Fault::Delayed(10 * SECOND));
    }
    let first = app(json!({}));
    let mut second = app(json!({"image": "alpine:1"}));
    second.metadata.name = Some("other".to_owned());
    second.metadata.uid = Some("other".to_owned());
    let start = Instant::now();
    tokio::join!(harness.sync_well(&first), harness.sync_well(&second));
    start.elapsed()
}

#[tokio::test(start_paused = true)]
async fn as_many_images_are_pulled_at_once_as_may_be() {
    assert_eq!(time_of_two_pulls(Some(1)).await, 20 * SECOND);
    assert_eq!(time_of_two_pulls(Some(2)).await, 10 * SECOND);
    assert_eq!(time_of_two_pulls(None).await, 10 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn pulls_that_come_too_often_fail() {
    let rate = Rate {
        per_second: 1,
        burst: 1,
    };
    let harness = Harness::with(|settings| settings.pull_rate = Some(rate));
    let pod = pod(json!({"containers": [
        {"name": "a", "image": "a:1"},
        {"name": "b", "image": "b:1"},
    ]}));
    let result = harness.sync(&pod).await;
    let results: Vec<_> = result.starts.iter().map(|it| it.result.clone()).collect();
    assert_eq!(results[0], Ok(()));
    assert_eq!(
        results[1].as_ref().unwrap_err().to_string(),
        "ErrImagePull: pull QPS exceeded"
    );
    advance(11 * SECOND).await;
    harness.sync_well(&pod).await;
}

fn secret(kind: &str, key: &str, value: &serde_json::Value) -> Arc<Secret> {
    let data = [(key.to_owned(), ByteString(value.to_string().into_bytes()))];
    let mut secret = Secret {
        type_: Some(kind.to_owned()),
        data: Some(data.into()),
        ..Secret::default()
    };
    secret.metadata.namespace = Some("new".to_owned());
    secret.metadata.name = Some("pull".to_owned());
    Arc::new(secret)
}

fn docker_config(auths: &serde_json::Value) -> Arc<Secret> {
    let config = json!({"auths": auths});
    secret(
        "kubernetes.io/dockerconfigjson",
        ".dockerconfigjson",
        &config,
    )
}

#[tokio::test(start_paused = true)]
async fn secrets_are_tried_in_turn() {
    let mut harness = Harness::new();
    harness.pull_secrets = vec![
        docker_config(&json!({"docker.io": {"username": "first", "password": "1"}})),
        // second:2
        docker_config(&json!({"https://docker.io/v1/": {"auth": "c2Vjb25kOjI="}})),
        docker_config(&json!({"elsewhere.example": {"username": "never", "password": "3"}})),
    ];
    let denied = Status::permission_denied("not you");
    harness
        .fake
        .fault("PullImage", Fault::Refused(denied.clone()));
    harness.sync_well(&app(json!({}))).await;
    let [pull] = &harness.fake.pulls()[..] else {
        panic!("one pull took effect");
    };
    let auth = pull.auth.clone().unwrap();
    assert_eq!((&*auth.username, &*auth.password), ("second", "2"));

    // With none that will do all failures are told, once each.
    for message in ["not you", "nor you"] {
        let denied = Status::permission_denied(message);
        harness.fake.fault("PullImage", Fault::Refused(denied));
    }
    let result = harness
        .sync(&pod(json!({"containers": [{"name": "b", "image": "b"}]})))
        .await;
    let error = result.starts[0].result.clone().unwrap_err();
    let expected = "ErrImagePull: [rpc error: code = PermissionDenied desc = not you, rpc error: \
                    code = PermissionDenied desc = nor you]";
    assert_eq!(error.to_string(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_cannot_be_read_is_named_and_not_told() {
    let mut harness = Harness::new();
    let entry = json!({"docker.io": {"auth": "hidden!"}});
    harness.pull_secrets = vec![docker_config(&entry)];
    let result = harness.sync(&app(json!({}))).await;
    let error = result.starts[0].result.clone().unwrap_err();
    let expected = "ErrImagePull: pull secret new/pull cannot be read: an auth in it is not base64";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn docker_keyring_lookup() {
    let names = [
        "*.docker.io",
        "docker.io",
        "gcr.io",
        "gcr.io/team",
        "http://plain.example/v2/path",
        "https://index.docker.io/v1/",
        "port.example:5000",
        "?.short.example",
    ];
    let auths: serde_json::Map<_, _> = names
        .iter()
        .map(|name| {
            (
                (*name).to_owned(),
                json!({"username": name, "password": "p"}),
            )
        })
        .collect();
    let all = docker_config(&auths.into());
    let old = json!({"old.example": {"username": "old", "password": "p", "email": "e"}});
    let old = secret("kubernetes.io/dockercfg", ".dockercfg", &old);
    let opaque = secret("Opaque", ".dockercfg", &json!("whatever"));
    let keyring = Keyring::new(&[all, old, opaque]).unwrap();
    let found = |repository: &str| {
        let found = keyring.lookup(repository).into_iter();
        found.map(|auth| auth.username).collect::<Vec<_>>()
    };
    assert_eq!(found("docker.io/library/busybox"), ["docker.io"]);
    assert_eq!(found("gcr.io/team/image"), ["gcr.io/team", "gcr.io"]);
    assert_eq!(found("gcr.io/other"), ["gcr.io"]);
    assert_eq!(found("a.docker.io/image"), ["*.docker.io"]);
    assert_eq!(found("a.b.docker.io/image"), [""; 0]);
    assert_eq!(
        found("plain.example/path/image"),
        ["http://plain.example/v2/path"]
    );
    assert_eq!(found("plain.example/image"), [""; 0]);
    assert_eq!(found("port.example:5000/image"), ["port.example:5000"]);
    assert_eq!(found("port.example/image"), [""; 0]);
    assert_eq!(found("a.short.example/image"), ["?.short.example"]);
    assert_eq!(found("old.example/image"), ["old"]);
    // Short names are of the default registry.
    let default = json!({"https://index.docker.io/v1/": {"username": "d", "password": "p"}});
    let keyring = Keyring::new(&[docker_config(&default)]).unwrap();
    assert_eq!(keyring.lookup("docker.io/library/busybox")[0].username, "d");
    assert!(keyring.lookup("gcr.io/busybox").is_empty());
    assert!(!format!("{keyring:?}").contains("\"p\""));
}

/// A pattern is what somebody has written into a secret.
#[test]
fn a_pattern_of_many_stars_is_matched_in_no_time() {
    let keyring = |host: &str| {
        let auths = json!({host: {"username": "u", "password": "p"}});
        Keyring::new(&[docker_config(&auths)]).unwrap()
    };
    let repository = format!("{}/image", "a".repeat(100));
    let stars = "*a".repeat(30);
    assert_eq!(keyring(&stars).lookup(&repository).len(), 1);
    assert!(
        keyring(&format!("{stars}*b"))
            .lookup(&repository)
            .is_empty()
    );
    for (pattern, host, expected) in [
        ("*", "abc", true),
        ("a*c", "abbc", true),
        ("a*c", "abbcd", false),
        ("*b*", "abc", true),
        ("*bc", "abcbc", true),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("a**", "a", true),
        ("?*", "", false),
    ] {
        let host = format!("{host}.example");
        let found = keyring(&format!("{pattern}.example")).lookup(&format!("{host}/image"));
        assert_eq!(found.len(), usize::from(expected), "{pattern} {host}");
    }
}
