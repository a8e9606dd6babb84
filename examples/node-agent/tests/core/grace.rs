//! How long a pod is given to end.

use std::time::Duration;

use node_agent::worker::effective_grace;
use proptest::prelude::*;
use serde_json::json;

use crate::fixtures::pod;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What the pod, its deletion, the worker so far and a kill ask for; what it is given.
fn grace(
    spec: Option<u64>,
    deletion: Option<u64>,
    current: Option<u64>,
    asked: Option<u64>,
) -> u64 {
    let mut pod = pod(json!({"terminationGracePeriodSeconds": spec, "containers": []}));
    pod.metadata.deletion_grace_period_seconds = deletion.map(u64::cast_signed);
    effective_grace(current.map(seconds), Some(&pod), asked.map(seconds)).as_secs()
}

#[test]
fn calculate_effective_grace_period() {
    let cases = [
        ("nobody asks for anything", [None, None, None, None], 1),
        ("the spec asks", [Some(15), None, None, None], 15),
        ("the spec asks for nothing", [Some(0), None, None, None], 1),
        (
            "the deletion asks for less",
            [Some(15), Some(5), None, None],
            5,
        ),
        (
            "the deletion asks for more",
            [Some(15), Some(50), None, None],
            50,
        ),
        (
            "the deletion asks for nothing",
            [Some(15), Some(0), None, None],
            1,
        ),
        (
            "the kill asks for less",
            [Some(15), Some(5), None, Some(2)],
            2,
        ),
        (
            "the kill asks for more",
            [Some(15), Some(5), None, Some(20)],
            5,
        ),
        ("the kill alone asks", [Some(15), None, None, Some(7)], 7),
        ("it never grows", [Some(15), Some(50), Some(3), Some(20)], 3),
        (
            "it shrinks by the kill",
            [Some(15), Some(50), Some(30), Some(20)],
            20,
        ),
        (
            "it shrinks by the deletion",
            [Some(15), Some(5), Some(30), None],
            5,
        ),
        (
            "the spec counts no more",
            [Some(15), None, Some(30), None],
            30,
        ),
    ];
    for (case, [spec, deletion, current, asked], expected) in cases {
        assert_eq!(grace(spec, deletion, current, asked), expected, "{case}");
    }
    assert_eq!(
        effective_grace(None, None, None),
        seconds(1),
        "a pod that only the runtime knows"
    );
}

proptest! {
    #[test]
    fn the_grace_never_grows(
        spec in any::<Option<u8>>(),
        asks in prop::collection::vec((any::<Option<u8>>(), any::<Option<u8>>()), 1..10),
    ) {
        let mut current = None;
        for (deletion, asked) in asks {
            let new = grace(spec.map(u64::from), deletion.map(u64::from), current, asked.map(u64::from));
            prop_assert!(new >= 1);
            prop_assert!(current.is_none_or(|current| new <= current));
            prop_assert!(asked.is_none_or(|asked| new <= u64::from(asked).max(1)));
            current = Some(new);
        }
    }
}
