//! How containers are stopped: with how much grace, and in which order.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use node_agent::pod::containers;
use node_agent::runtime::{
    KillReason, StopTurn, TerminationOrder, kill_grace, restart_count_by_logs, stop_timeout,
};
use serde_json::json;

use crate::fixtures::pod;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn kill_container_grace_period() {
    let probe = |grace: Option<u64>| json!({"terminationGracePeriodSeconds": grace});
    let (live, start) = (
        Some(KillReason::LivenessProbe),
        Some(KillReason::StartupProbe),
    );
    // What the probes ask for (liveness, startup), the pod, whoever deleted it; why; what is given.
    let cases = [
        ("nobody asks", [None, None, None, None], None, 2),
        ("the pod asks", [None, None, Some(30), None], None, 30),
        (
            "who deletes is heard first",
            [Some(10), Some(11), Some(30), Some(5)],
            live,
            5,
        ),
        (
            "who deletes may ask for more",
            [None, None, Some(30), Some(300)],
            None,
            300,
        ),
        ("no time at all", [None, None, Some(30), Some(0)], None, 0),
        (
            "the liveness probe asks",
            [Some(10), Some(11), Some(30), None],
            live,
            10,
        ),
        (
            "the startup probe asks",
            [Some(10), Some(11), Some(30), None],
            start,
            11,
        ),
        (
            "a probe asks that did not fail",
            [Some(10), Some(11), Some(30), None],
            None,
            30,
        ),
        (
            "the probe that failed does not ask",
            [None, Some(11), Some(30), None],
            live,
            30,
        ),
        (
            "a change is no probe",
            [Some(10), Some(11), Some(30), None],
            Some(KillReason::Changed),
            30,
        ),
    ];
    for (case, [liveness, startup, of_pod, of_deletion], reason, expected) in cases {
        let mut pod = pod(json!({
            "terminationGracePeriodSeconds": of_pod,
            "containers": [{"name": "a", "livenessProbe": probe(liveness), "startupProbe": probe(startup)}],
        }));
        pod.metadata.deletion_grace_period_seconds = of_deletion.map(u64::cast_signed);
        let container = containers(&pod).next().unwrap().spec;
        assert_eq!(
            kill_grace(&pod, Some(&container), reason),
            seconds(expected),
            "{case}"
        );
    }
}

#[test]
fn the_runtime_is_always_given_a_moment() {
    assert_eq!(stop_timeout(seconds(30), seconds(0)), seconds(30));
    assert_eq!(stop_timeout(seconds(30), seconds(12)), seconds(18));
    assert_eq!(stop_timeout(seconds(30), seconds(29)), seconds(2));
    assert_eq!(stop_timeout(seconds(30), seconds(300)), seconds(2));
    assert_eq!(stop_timeout(seconds(0), seconds(0)), seconds(2));
}

#[test]
fn restart_count_by_log_dir() {
    let cases: [(&[&str], u32); 7] = [
        (&[], 0),
        (&["0.log"], 1),
        (&["5.log", "2.log"], 6),
        (&["0.log", "2.log.20230408-204906", "2.log"], 3),
        (&["3.log.20230408-204906.gz"], 4),
        (&["1-1.log", "x.log", ".log", "7.logs", "-3.log"], 0),
        (&["99999999999999999999.log", "9.log"], 10),
    ];
    for (names, expected) in cases {
        assert_eq!(
            restart_count_by_logs(names.iter().copied()),
            expected,
            "{names:?}"
        );
    }
}

/// Stops containers as soon as their turn comes; returns who ended together.
fn rounds(order: &mut TerminationOrder, names: &[&str]) -> Vec<BTreeSet<String>> {
    let mut left: BTreeSet<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut rounds = Vec::new();
    while !left.is_empty() {
        let turn = |name: &String| order.turn(name, seconds(0), seconds(30)) == StopTurn::Now;
        let now: BTreeSet<_> = left.iter().filter(|name| turn(name)).cloned().collect();
        assert!(!now.is_empty(), "nobody's turn comes: {left:?}");
        for name in &now {
            order.terminated(name);
            left.remove(name);
        }
        rounds.push(now);
    }
    rounds
}

fn order(running: &[&str]) -> TerminationOrder {
    let pod = pod(json!({
        "initContainers": [
            {"name": "init"},
            {"name": "s1", "restartPolicy": "Always"},
            {"name": "s2", "restartPolicy": "Always"},
            {"name": "s3", "restartPolicy": "Always"},
        ],
        "containers": [{"name": "a"}, {"name": "b"}],
    }));
    TerminationOrder::new(&pod, running.iter().map(|name| Arc::from(*name)))
}

fn sets<const N: usize>(rounds: [&[&str]; N]) -> Vec<BTreeSet<String>> {
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    rounds.into_iter().map(set).collect()
}

#[test]
fn termination_ordering_sidecar_stop_after_main() {
    let running = ["a", "b", "s1"];
    assert_eq!(
        rounds(&mut order(&running), &running),
        sets([&["a", "b"], &["s1"]])
    );
}

#[test]
fn termination_ordering_sidecars_in_reverse_order() {
    let running = ["a", "b", "s1", "s2", "s3"];
    let expected = sets([&["a", "b"], &["s3"], &["s2"], &["s1"]]);
    assert_eq!(rounds(&mut order(&running), &running), expected);
    // Who does not run is not waited for.
    let running = ["a", "s1", "s3"];
    assert_eq!(
        rounds(&mut order(&running), &running),
        sets([&["a"], &["s3"], &["s1"]])
    );
    let running = ["init", "s1"];
    assert_eq!(
        rounds(&mut order(&running), &running),
        sets([&["init", "s1"]])
    );
}

#[test]
fn termination_ordering_obeys_grace() {
    let order = order(&["a", "s1"]);
    assert_eq!(
        order.turn("s1", seconds(0), seconds(30)),
        StopTurn::Later(seconds(30))
    );
    assert_eq!(
        order.turn("s1", seconds(29), seconds(30)),
        StopTurn::Later(seconds(1))
    );
    assert_eq!(order.turn("s1", seconds(30), seconds(30)), StopTurn::Now);
    assert_eq!(order.turn("s1", seconds(0), seconds(0)), StopTurn::Now);
    assert_eq!(order.turn("a", seconds(0), seconds(30)), StopTurn::Now);
}
