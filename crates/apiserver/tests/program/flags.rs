//! Command lines: what is refused, with which status, and what is told.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::process::{Program, run};

#[tokio::test]
async fn wrong_flags_end_it_with_status_2() {
    for (flags, told) in [
        (
            &["--listen", "0.0.0.0:0"][..],
            "0.0.0.0 is not a loopback address",
        ),
        (
            &["--listen", "192.168.1.1:6443"],
            "192.168.1.1 is not a loopback address",
        ),
        (&["--listen", "[::]:0"], ":: is not a loopback address"),
        (&["--listen", "here"], "127.0.0.1:6443"),
        (&["--listen", "127.0.0.1"], "127.0.0.1:6443"),
        (&["--token", "two words"], "visible ASCII"),
        (&["--token", ""], "visible ASCII"),
        (
            &["--disable", "gc,everything"],
            "none of gc, namespaces, pods",
        ),
        (&["--pod-ready-after", "soon"], "--pod-ready-after"),
        (&["--pod-ready-after=-1s"], "time does not run backwards"),
        (&["--unknown"], "--unknown"),
        (&["argument"], "argument"),
    ] {
        let ended = run(flags).await;
        assert_eq!(ended.status.code(), Some(2), "{flags:?}: {ended:?}");
        assert!(ended.stderr.contains(told), "{flags:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "{flags:?}");
    }
}

#[tokio::test]
async fn help_names_every_flag() {
    let ended = run(&["--help"]).await;
    assert_eq!(ended.status.code(), Some(0));
    for flag in [
        "--listen <ADDR>",
        "--token <T>",
        "--write-kubeconfig <PATH>",
        "--http",
        "--disable <LIST>",
        "--pod-ready-after <TIME>",
        "--pod-nodes <LIST>",
        "--log <FILTER>",
    ] {
        assert!(ended.stdout.contains(flag), "{flag} in {}", ended.stdout);
    }
}

#[tokio::test]
async fn a_port_in_use_ends_it_with_status_1() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = run(&["--listen", &address]).await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert_eq!(ended.stdout, "");
    let told = format!("kubewright-apiserver: cannot listen on {address}: ");
    assert!(ended.stderr.starts_with(&told), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1);
}

#[tokio::test]
async fn a_kubeconfig_of_someone_else_ends_it_and_stays() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("config");
    fs::write(&path, "current-context: production\n").unwrap();
    let text = path.to_str().unwrap();
    let ended = run(&["--listen", "127.0.0.1:0", "--write-kubeconfig", text]).await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert_eq!(ended.stdout, "", "nothing is served");
    assert!(ended.stderr.contains(text), "{}", ended.stderr);
    assert!(
        ended
            .stderr
            .contains("was not written by kubewright-apiserver"),
        "{}",
        ended.stderr
    );
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "current-context: production\n"
    );
}

#[tokio::test]
async fn the_kubeconfig_is_there_with_the_url_and_for_its_owner_only() {
    let program = Program::start(&[]).await;
    assert!(
        program.url.starts_with("https://127.0.0.1:"),
        "{}",
        program.url
    );
    let path = program.kubeconfig();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("current-context: kubewright"));
    assert!(text.contains(&program.url));
    // Its own file is replaced by the next start.
    let flags = ["--write-kubeconfig", path.to_str().unwrap()];
    let other = run_briefly(&flags).await;
    assert!(fs::read_to_string(&path).unwrap().contains(&other));
    program.stop().await;
}

/// Starts a second program with a flag that is given twice: the last counts.
async fn run_briefly(flags: &[&str]) -> String {
    let program = Program::start(flags).await;
    let url = program.url.clone();
    program.stop().await;
    url
}

#[tokio::test]
async fn an_address_may_be_a_name_or_of_version_6() {
    for (address, begins) in [
        ("localhost:0", "https://127.0.0.1:"),
        ("[::1]:0", "https://[::1]:"),
    ] {
        if address.starts_with("[::1]")
            && let Err(error) = TcpListener::bind(address).await
        {
            // Past the test harness, which keeps what passing tests print to itself.
            let _ = writeln!(
                io::stderr(),
                "NOT RUN: listening on ::1, which this machine does not have: {error}"
            );
            continue;
        }
        let program = Program::start(&["--listen", address]).await;
        assert!(program.url.starts_with(begins), "{}", program.url);
        let client = program.client().await;
        client.apiserver_version().await.unwrap();
        program.stop().await;
    }
}
