//! What the API answers, apart from logs and streams.

use http::StatusCode;
use kubewright_clock::Clock;
use node_agent::server::PATHS;

use crate::host::{Asked, FakeHost, UID};
use crate::{Served, open};

const DISABLED: [&str; 8] = [
    "/run/",
    "/exec/",
    "/attach/",
    "/portForward/",
    "/containerLogs/",
    "/runningpods/",
    "/debug/pprof/",
    "/logs/",
];

/// Answers to `TestServeRunInContainer`.
#[tokio::test]
async fn serve_run_in_container() {
    let server = Served::start(FakeHost::default()).await;
    let answered = server
        .send("POST", "/run/other/foo/baz?cmd=ls%20-a", &[])
        .await;
    assert_eq!((answered.code, answered.text.as_str()), (200, "foo bar"));
    let command = vec!["ls".to_owned(), "-a".to_owned()];
    let asked = Asked::Run("foo_other".to_owned(), "baz".to_owned(), command);
    assert_eq!(*server.host.asked.lock(), [asked]);
}

/// Answers to `TestServeRunInContainerWithUID`.
#[tokio::test]
async fn serve_run_in_container_with_uid() {
    let server = Served::start(FakeHost::default()).await;
    for (uid, code) in [(UID, 200), ("of-the-mirror", 200), ("another", 404)] {
        let target = format!("/run/other/foo/{uid}/baz?cmd=ls%20-a");
        assert_eq!(server.send("POST", &target, &[]).await.code, code, "{uid}");
    }
    assert_eq!(server.host.asked.lock().len(), 2);
}

#[tokio::test]
async fn a_command_that_fails_and_a_pod_that_is_not_there_are_told() {
    let host = FakeHost {
        output: Err("command terminated with exit code 3"),
        ..FakeHost::default()
    };
    let server = Served::start(host).await;
    let answered = server
        .send("POST", "/run/other/foo/baz?cmd=false", &[])
        .await;
    let text = "command terminated with exit code 3";
    assert_eq!((answered.code, answered.text.as_str()), (500, text));
    let answered = server.send("POST", "/run/other/bar/baz?cmd=ls", &[]).await;
    assert_eq!(
        (answered.code, answered.text.as_str()),
        (404, "pod does not exist")
    );
}

#[tokio::test]
async fn pods_are_listed_as_they_are_wanted_and_as_they_run() {
    let server = Served::start(FakeHost::default()).await;
    for target in ["/pods", "/pods/", "/runningpods/"] {
        let answered = server.get(target).await;
        let list: serde_json::Value = serde_json::from_str(&answered.text).unwrap();
        assert_eq!(list["kind"], "PodList");
        assert_eq!(list["apiVersion"], "v1");
        assert_eq!(list["items"][0]["metadata"]["uid"], UID);
        assert_eq!(answered.headers["content-type"], "application/json");
    }
}

#[tokio::test]
async fn metrics_statistics_and_the_configuration_are_shown() {
    let server = Served::start(FakeHost::default()).await;
    assert_eq!(server.get("/metrics").await.text, "# the agent's\n# EOF\n");
    assert_eq!(
        server.get("/metrics/probes").await.text,
        "# the probes'\n# EOF\n"
    );
    let resources = server.get("/metrics/resource").await.text;
    assert!(
        resources.contains("resource_scrape_error 0\n"),
        "{resources}"
    );
    let configuration = server.get("/configz").await.text;
    assert_eq!(configuration, r#"{"kubeletconfig":{"maxPods":110}}"#);
    let summary = server.get("/stats/summary").await.text;
    assert_eq!(summary, r#"{"node":{"nodeName":"test"},"pods":[]}"#);
}

#[tokio::test]
async fn what_is_not_supported_is_refused_in_words() {
    let server = Served::start(FakeHost::default()).await;
    for (method, target, what) in [
        ("GET", "/logs/", "logs of the node"),
        ("GET", "/logs/syslog", "logs of the node"),
        (
            "POST",
            "/checkpoint/other/foo/baz",
            "checkpoints of containers",
        ),
        ("GET", "/debug/pprof/profile", "profiles"),
        ("GET", "/metrics/cadvisor", "metrics of cAdvisor"),
    ] {
        let answered = server.send(method, target, &[]).await;
        assert_eq!(answered.code, StatusCode::NOT_IMPLEMENTED, "{target}");
        assert_eq!(
            answered.text,
            format!("{what} are not supported by this agent\n")
        );
    }
    assert_eq!(server.get("/junk").await.code, 404);
}

#[tokio::test]
async fn methods_other_than_those_of_a_path_are_refused() {
    let server = Served::start(FakeHost::default()).await;
    for (method, target, allowed) in [
        ("POST", "/pods", "GET"),
        ("HEAD", "/pods", "GET"),
        ("DELETE", "/runningpods/", "GET"),
        ("POST", "/containerLogs/other/foo/baz", "GET"),
        ("GET", "/run/other/foo/baz", "POST"),
        ("PUT", "/exec/other/foo/baz", "GET, POST"),
    ] {
        let answered = server.send(method, target, &[]).await;
        assert_eq!(answered.code, 405, "{method} {target}");
        assert_eq!(answered.headers["allow"], allowed);
    }
}

/// Answers to `TestDebuggingDisabledHandlers` and `TestInstallAuthNotRequiredHandlers`.
#[tokio::test]
async fn debugging_disabled_handlers() {
    let server = Served::with(FakeHost::default(), open(), |options| {
        options.debugging = false;
    });
    let server = server.await;
    for path in DISABLED {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let answered = server.send(method, path, &[]).await;
            assert_eq!(answered.code, 405, "{method} {path}");
            assert_eq!(answered.text, "Debug endpoints are disabled.\n");
        }
    }
    let answered = server.get("/exec/other/foo/baz?command=ls&output=1").await;
    assert_eq!(answered.code, 405);
    for path in ["/configz", "/checkpoint/other/foo/baz", "/flagz"] {
        assert_eq!(server.get(path).await.code, 404, "{path}");
    }
    for path in ["/healthz", "/pods", "/stats/summary", "/metrics"] {
        assert_eq!(server.get(path).await.code, 200, "{path}");
    }
}

#[tokio::test]
async fn anybody_may_read_and_do_nothing_else_without_tls() {
    let server = Served::read_only(FakeHost::default()).await;
    for path in ["/healthz", "/pods", "/stats/summary", "/metrics"] {
        assert_eq!(server.get(path).await.code, 200, "{path}");
    }
    for path in PATHS.iter().filter(|path| {
        let open = ["/healthz", "/pods", "/stats", "/metrics"];
        !open.iter().any(|open| path.starts_with(open))
    }) {
        for method in ["GET", "POST"] {
            let code = server.send(method, path, &[]).await.code;
            assert!([404, 405].contains(&code), "{method} {path}: {code}");
        }
    }
    assert!(server.host.asked.lock().is_empty());
    server.stop().await;
}

#[tokio::test]
async fn a_certificate_that_the_agent_signed_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let certificate = |directory: std::path::PathBuf| async move {
        let server = Served::with(FakeHost::default(), open(), |options| {
            options.pki_dir = directory.clone();
        });
        let server = server.await;
        assert_eq!(server.get("/healthz").await.text, "ok");
        server.stop().await;
        std::fs::read_to_string(directory.join("kubelet.crt")).unwrap()
    };
    let pki = directory.path().join("pki");
    // One that was signed when the clock was years ahead is trusted by nobody, and made anew.
    let early = Served::with(FakeHost::default(), open(), |options| {
        options.pki_dir = pki.clone();
        options.clock = Clock::starting_at("2090-01-01T00:00:00Z".parse().unwrap());
    });
    early.await.stop().await;
    let first = certificate(pki.clone()).await;
    assert_eq!(certificate(pki.clone()).await, first);
    // Only the agent reads its key.
    use std::os::unix::fs::PermissionsExt as _;
    let key = std::fs::metadata(pki.join("kubelet.key")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
    // Without it the certificate is of no use.
    std::fs::write(pki.join("kubelet.key"), "nonsense").unwrap();
    let second = certificate(pki.clone()).await;
    assert_ne!(second, first);
    // Nor is it with the key of another.
    std::fs::write(pki.join("kubelet.crt"), &first).unwrap();
    let third = certificate(pki).await;
    assert!(third != first && third != second);
}
