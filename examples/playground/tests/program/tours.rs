//! The whole tour.

use crate::process::{Program, assert_nothing_is_left, directory};

const STEPS: [&str; 7] = [
    "wait for the node: playground is ready, with ",
    "create a ReplicaSet of 4: the API shows 4 ready pods, and their processes run: ",
    "kill the process of a container: web-",
    "delete a pod: web-",
    "scale it to 8: the API shows 8 ready pods, and just their processes run: ",
    "restart the node agent: 8 pods ran unattended for ",
    "scale it to 2: the API shows 2 ready pods, and just their processes run: ",
];

fn assert_went_well(lines: &[String]) {
    let last = lines.last().unwrap();
    assert!(last.starts_with("OK 4 pods ran"), "{lines:#?}");
    let done = lines.iter().filter_map(|line| line.strip_prefix("ok  "));
    let done: Vec<_> = done.collect();
    assert_eq!(done.len(), STEPS.len(), "{lines:#?}");
    for (line, step) in done.iter().zip(STEPS) {
        assert!(line.starts_with(step), "{line}");
    }
}

#[tokio::test]
async fn the_tour_ends_well_and_leaves_nothing_behind() {
    let (_parent, root_dir) = directory();
    let mut program = Program::start(&root_dir, &[]);
    let first = program.line().await;
    assert!(first.contains("https://127.0.0.1:"), "{first}");
    let second = program.line().await;
    let kubeconfig = program.kubeconfig();
    assert!(
        second.contains(kubeconfig.to_str().unwrap()),
        "{second} should name {}",
        kubeconfig.display()
    );
    let (lines, status) = program.end().await;
    assert!(status.success(), "{lines:#?}");
    assert_went_well(&lines);
    assert_nothing_is_left(&root_dir).await;
}

#[tokio::test]
async fn two_of_them_do_not_disturb_each_other() {
    let (_parent, one) = directory();
    let (_other_parent, other) = directory();
    let programs = [Program::start(&one, &[]), Program::start(&other, &[])];
    let [first, second] = programs;
    for (lines, status) in <[_; 2]>::from(tokio::join!(first.end(), second.end())) {
        assert!(status.success(), "{lines:#?}");
        assert_went_well(&lines);
    }
    assert_nothing_is_left(&one).await;
    assert_nothing_is_left(&other).await;
}

#[tokio::test]
async fn a_step_that_takes_too_long_fails_the_tour() {
    let (_parent, root_dir) = directory();
    let program = Program::start(&root_dir, &["--step-deadline", "1ms"]);
    let (lines, status) = program.end().await;
    assert_eq!(status.code(), Some(1));
    let last = lines.last().unwrap();
    assert!(
        last.starts_with("FAILED wait for the node: not over within 1ms"),
        "{last}"
    );
    assert_nothing_is_left(&root_dir).await;
}
