//! How long crashed containers and images wait.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use node_agent::pod::{PodUid, containers};
use node_agent::runtime::{Backoff, CrashLoop, ImageBackoffs};
use proptest::prelude::*;

use crate::fixtures::{State, at, base_pod, running, set};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn do_back_off() {
    let pod = base_pod("Always");
    let mut spec = containers(&pod).next().unwrap().spec.into_owned();
    let mut observed = running(&pod);
    let mut crash_loop = CrashLoop::default();
    let mut now = 0;

    assert_eq!(
        crash_loop.try_start(&pod, &spec, &observed, at(0)),
        Ok(()),
        "it never ended"
    );
    set(&mut observed.containers[0], State::Exited(1));
    for delay in [0, 10, 20, 40, 80, 160, 300, 300] {
        observed.containers[0].finished_at = Some(at(now));
        if delay > 0 {
            let held = crash_loop
                .try_start(&pod, &spec, &observed, at(now))
                .unwrap_err();
            assert_eq!(
                (held.delay, held.expiry),
                (seconds(delay), at(now + delay.cast_signed()))
            );
            now += delay.cast_signed();
            crash_loop
                .try_start(&pod, &spec, &observed, at(now - 1))
                .unwrap_err();
        }
        assert_eq!(
            crash_loop.try_start(&pod, &spec, &observed, at(now)),
            Ok(()),
            "after {delay}"
        );
    }

    // It crashed after a while: the delay counts from there, in the same step.
    observed.containers[0].finished_at = Some(at(now + 600));
    let held = crash_loop
        .try_start(&pod, &spec, &observed, at(now + 601))
        .unwrap_err();
    assert_eq!(held.expiry, at(now + 900));
    assert_eq!(
        held.to_string(),
        "back-off 5m0s restarting failed container=foo1 pod=foo_new(12345678)"
    );

    let image = spec.image.replace("newer".into());
    assert_eq!(
        crash_loop.try_start(&pod, &spec, &observed, at(now + 601)),
        Ok(()),
        "another image"
    );
    spec.image = image;

    // It ran for more than twice the limit: what was is forgotten.
    observed.containers[0].finished_at = Some(at(now + 601));
    assert_eq!(
        crash_loop.try_start(&pod, &spec, &observed, at(now + 602)),
        Ok(())
    );
    let held = crash_loop
        .try_start(&pod, &spec, &observed, at(now + 603))
        .unwrap_err();
    assert_eq!(held.delay, seconds(10));
    assert!(held.to_string().starts_with("back-off 10s "));
}

#[test]
fn images_wait_per_pod() {
    let (uid, other) = (PodUid::new("1"), PodUid::new("2"));
    let mut backoffs = ImageBackoffs::default();
    assert_eq!(backoffs.try_pull(&uid, "web:1", at(0)), Ok(()));
    backoffs.failed(&uid, "web:1", "no such image".into(), at(0));
    let held = backoffs.try_pull(&uid, "web:1", at(9)).unwrap_err();
    assert_eq!(
        held.to_string(),
        r#"Back-off pulling image "web:1": no such image"#
    );
    assert_eq!(held.expiry, at(10));
    assert_eq!(backoffs.try_pull(&uid, "web:2", at(9)), Ok(()));
    assert_eq!(backoffs.try_pull(&other, "web:1", at(9)), Ok(()));
    assert_eq!(backoffs.try_pull(&uid, "web:1", at(10)), Ok(()));
    backoffs.failed(&uid, "web:1", "timeout".into(), at(10));
    assert_eq!(
        backoffs.try_pull(&uid, "web:1", at(29)).unwrap_err().cause,
        "timeout"
    );
    assert_eq!(backoffs.try_pull(&uid, "web:1", at(30)), Ok(()));
    backoffs.collect_garbage(at(611));
    backoffs.failed(&uid, "web:1", "timeout".into(), at(611));
    assert_eq!(
        backoffs
            .try_pull(&uid, "web:1", at(611))
            .unwrap_err()
            .expiry,
        at(621)
    );
}

#[test]
fn a_clock_that_was_set_back_keeps_nobody_waiting() {
    let mut backoff = Backoff::new(seconds(10), seconds(300));
    assert_eq!(backoff.fail("web", at(7200), at(7200)), seconds(10));
    assert_eq!(
        backoff.expiry_since(&"web", at(7200), at(7201)),
        Some(at(7210))
    );
    // Two hours back: what was counted is forgotten.
    assert_eq!(backoff.expiry_since(&"web", at(7200), at(1)), None);
    assert_eq!(backoff.expiry_since_update(&"web", at(1)), None);
    // The events of one whose clock is ahead count from when they were counted, and do count.
    assert_eq!(backoff.fail("web", at(7201), at(1)), seconds(10));
    assert_eq!(backoff.expiry_since(&"web", at(7202), at(2)), Some(at(11)));
    assert_eq!(backoff.expiry_since(&"web", at(7202), at(11)), None);
    assert_eq!(backoff.fail("web", at(7211), at(11)), seconds(20));
    backoff.fail("late", at(7200), at(7200));
    backoff.collect_garbage(at(12));
    assert_eq!(backoff.len(), 1);
}

proptest! {
    /// The delay is what a walk over all failures of the key says.
    #[test]
    fn a_backoff_is_its_history(steps in prop::collection::vec((0..2u8, 0..40i64, any::<bool>()), 1..60)) {
        let (initial, max) = (3, 10);
        let mut backoff = Backoff::new(seconds(initial), seconds(max));
        let mut failures: [Vec<Timestamp>; 2] = Default::default();
        let mut now = at(0);
        for (key, pause, collect) in steps {
            now += SignedDuration::from_secs(pause);
            if collect {
                backoff.collect_garbage(now);
            }
            let history = &mut failures[usize::from(key)];
            let mut expected: Option<u64> = None;
            let mut last: Option<Timestamp> = None;
            for failure in history.iter().copied().chain([now]) {
                let is_fresh = last.is_some_and(|last| failure.duration_since(last).as_secs() <= 20);
                let delay = expected.filter(|_| is_fresh);
                expected = Some(delay.map_or(initial, |delay| (delay * 2).min(max)));
                last = Some(failure);
            }
            let known = backoff.expiry_since_update(&key, now);
            let before = history.last().copied();
            prop_assert!(known.is_none_or(|known| known > now && before.is_some()));
            prop_assert_eq!(Some(backoff.fail(key, now, now)), expected.map(seconds));
            prop_assert!(backoff.expiry_since_update(&key, now) > Some(now));
            history.push(now);
        }
    }
}
