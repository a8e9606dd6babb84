//! However it ends, nothing is left; and what is left by one that was killed, the next one takes away.

use kubewright_process_runtime::testing::{processes_left_in, processes_of};
use rustix::process::Signal;

use crate::process::{DEADLINE, Program, assert_nothing_is_left, directory, until};

#[tokio::test]
async fn an_interrupted_tour_cleans_up() {
    for moment in [
        "  kubectl",
        "... create a ReplicaSet",
        "ok  create a ReplicaSet",
        "... restart the node agent",
    ] {
        let (_parent, root_dir) = directory();
        let mut program = Program::start(&root_dir, &["--serve"]);
        program.line_that_begins(moment).await;
        program.signal(Signal::INT);
        let (lines, status) = program.end().await;
        // The tour may be over before it hears of the signal.
        let code = match lines.iter().any(|line| line.starts_with("OK")) {
            true => 0,
            false => 130,
        };
        assert_eq!(status.code(), Some(code), "{moment}: {lines:#?}");
        assert_nothing_is_left(&root_dir).await;
    }
}

#[tokio::test]
async fn what_a_killed_one_leaves_the_next_one_takes_away() {
    let (_parent, root_dir) = directory();
    let mut program = Program::start(&root_dir, &[]);
    program.line_that_begins("ok  create a ReplicaSet").await;
    program.signal(Signal::KILL);
    program.end().await;
    let orphans = processes_of(&root_dir);
    assert!(orphans.len() >= 4, "containers outlive it: {orphans:?}");

    let mut program = Program::start(&root_dir, &["--serve"]);
    program.line_that_begins("OK").await;
    // The agent knows of no pod that they belong to.
    until("orphans end", || {
        let left = processes_of(&root_dir);
        !orphans.keys().any(|orphan| left.contains_key(orphan))
    })
    .await;
    program.signal(Signal::TERM);
    let (lines, status) = program.end().await;
    assert!(status.success(), "{lines:#?}");
    assert_eq!(processes_left_in(&root_dir, DEADLINE).await, [].into());
    // The directory was there before this one.
    assert_eq!(std::fs::read_dir(&root_dir).unwrap().count(), 0);
}
