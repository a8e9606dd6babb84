//! The logs of containers, in CRI's format.

use std::path::PathBuf;

use tokio::time::timeout;

use crate::support::{DEADLINE, Host, container, until};

/// Stream, tag and text of each entry.
fn entries(log: &str) -> Vec<(String, String, String)> {
    let parse = |line: &str| {
        let mut parts = line.splitn(4, ' ').map(str::to_owned);
        let mut next = || parts.next().unwrap();
        let time: jiff::Timestamp = next().parse().unwrap();
        assert!(time.as_second() > 1_700_000_000);
        (next(), next(), next())
    };
    // Not by `lines`, which would take the ends of a terminal's lines away.
    log.split_terminator('\n').map(parse).collect()
}

fn entry(stream: &str, tag: &str, text: &str) -> (String, String, String) {
    (stream.to_owned(), tag.to_owned(), text.to_owned())
}

#[tokio::test]
async fn lines_of_both_streams_are_in_the_log() {
    let host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    let script = "echo one; echo two >&2; echo; printf rest";
    let id = host.run(&sandbox, "app", script).await;
    let status = host.exited(&id).await;
    // Two streams have no order between them.
    let (out, err): (Vec<_>, Vec<_>) = entries(&host.log("web", "app"))
        .into_iter()
        .partition(|(stream, ..)| stream == "stdout");
    assert_eq!(
        out,
        [
            entry("stdout", "F", "one"),
            entry("stdout", "F", ""),
            entry("stdout", "P", "rest"),
        ]
    );
    assert_eq!(err, [entry("stderr", "F", "two")]);
    assert!(
        status.log_path.ends_with("web/app/0.log"),
        "{}",
        status.log_path
    );
    host.end().await;
}

#[tokio::test]
async fn long_lines_come_in_pieces() {
    let host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    let id = host
        .run(
            &sandbox,
            "app",
            "head -c 40000 /dev/zero | tr '\\0' x; echo",
        )
        .await;
    host.exited(&id).await;
    let entries = entries(&host.log("web", "app"));
    let lengths: Vec<_> = entries
        .iter()
        .map(|(_, tag, text)| (tag.as_str(), text.len()))
        .collect();
    assert_eq!(lengths, [("P", 16384), ("P", 16384), ("F", 7232)]);
    host.end().await;
}

#[tokio::test]
async fn a_hundred_megabytes_are_logged_without_loss() {
    const LINE: usize = 200;
    const LINES: usize = 100_000_000 / LINE;
    let host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    let text = "x".repeat(LINE - 1);
    let script = format!("yes {text} | head -n {LINES}");
    let id = host.run(&sandbox, "app", &script).await;
    // As long as a machine may take that does much else, with programs that are not optimised.
    let status = host.exited_within(4 * DEADLINE, &id).await;
    assert_eq!(status.exit_code, 0);
    let log = host.log("web", "app");
    assert_eq!(log.lines().count(), LINES);
    let whole = format!(" stdout F {text}");
    assert!(log.lines().all(|line| line.ends_with(&whole)));
    host.end().await;
}

#[tokio::test]
async fn a_log_that_was_renamed_is_opened_anew() {
    let host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    let script = "echo one; until [ -e go ]; do sleep 0.01; done; echo two";
    let id = host.run(&sandbox, "app", script).await;
    let path = PathBuf::from(host.status(&id).await.log_path);
    let holds = |path: &PathBuf, text: &str| {
        std::fs::read_to_string(path).is_ok_and(|log| log.contains(text))
    };
    until("the first line is there", || holds(&path, "one")).await;
    let old = path.with_extension("old");
    std::fs::rename(&path, &old).unwrap();
    host.runtime.reopen_container_log(&id).await.unwrap();
    std::fs::write(host.container_dir(&id).join("root/go"), "").unwrap();
    host.exited(&id).await;
    assert!(holds(&old, "one") && !holds(&old, "two"));
    assert!(holds(&path, "two") && !holds(&path, "one"));
    let error = host.runtime.reopen_container_log(&id).await.unwrap_err();
    assert!(error.message().contains("CONTAINER_EXITED"), "{error}");
    host.end().await;
}

#[tokio::test]
async fn a_full_disk_under_the_log_does_not_hold_up_the_container() {
    let host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    let logs = host.dir.path().join("logs/web/app");
    std::fs::create_dir_all(&logs).unwrap();
    std::os::unix::fs::symlink("/dev/full", logs.join("0.log")).unwrap();
    let script = "head -c 1000000 /dev/zero | tr '\\0' '\\n'; touch done; exit 6";
    let id = host.run(&sandbox, "app", script).await;
    let status = timeout(DEADLINE, host.exited(&id)).await.unwrap();
    assert_eq!(status.exit_code, 6);
    let exit = std::fs::read_to_string(host.container_dir(&id).join("exit.json")).unwrap();
    let exit: serde_json::Value = serde_json::from_str(&exit).unwrap();
    assert!(exit["lost_log_bytes"].as_u64().unwrap() > 1_000_000);
    host.end().await;
}

#[tokio::test]
async fn a_container_without_a_log_runs_all_the_same() {
    let host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    let mut config = container("app", "head -c 1000000 /dev/zero; exit 0");
    config.log_path.clear();
    let id = host.run_config(&sandbox, config).await;
    let status = host.exited(&id).await;
    assert_eq!((status.exit_code, status.log_path.as_str()), (0, ""));
    host.end().await;
}

#[tokio::test]
async fn output_is_complete_when_the_end_is_known() {
    let host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    for number in 0..10 {
        let name = format!("app-{number}");
        let id = host.run(&sandbox, &name, "seq 1 2000; echo last").await;
        host.exited(&id).await;
        let log = host.log("web", &name);
        assert!(log.ends_with(" stdout F last\n"), "{name}");
        assert_eq!(log.lines().count(), 2001);
    }
    host.end().await;
}

#[tokio::test]
async fn a_terminal_is_logged_as_one_stream() {
    let host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    let mut config = container(
        "app",
        "test -t 0 && test -t 1 && echo terminal; echo two >&2; tty",
    );
    config.tty = true;
    let id = host.run_config(&sandbox, config).await;
    assert_eq!(host.exited(&id).await.exit_code, 0);
    let entries = entries(&host.log("web", "app"));
    assert_eq!(entries[0], entry("stdout", "F", "terminal\r"));
    assert_eq!(entries[1], entry("stdout", "F", "two\r"));
    assert!(entries[2].2.starts_with("/dev/pts/"), "{entries:?}");
    host.end().await;
}
