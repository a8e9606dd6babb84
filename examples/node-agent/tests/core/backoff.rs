//! How long images wait, and the arithmetic of that.

use std::time::Duration;

use node_agent::pod::PodUid;
use node_agent::runtime::{Backoff, ImageBackoffs};
use proptest::prelude::*;
use tokio::time::Instant;

use crate::fixtures::after;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn images_wait_per_pod() {
    let (uid, other) = (PodUid::new("1"), PodUid::new("2"));
    let mut backoffs = ImageBackoffs::default();
    assert_eq!(backoffs.try_pull(&uid, "web:1", after(0)), Ok(()));
    backoffs.failed(&uid, "web:1", "no such image".into(), after(0));
    let held = backoffs.try_pull(&uid, "web:1", after(9)).unwrap_err();
    assert_eq!(
        held.to_string(),
        r#"Back-off pulling image "web:1": no such image"#
    );
    assert_eq!(held.expiry, after(10));
    assert_eq!(backoffs.try_pull(&uid, "web:2", after(9)), Ok(()));
    assert_eq!(backoffs.try_pull(&other, "web:1", after(9)), Ok(()));
    assert_eq!(backoffs.try_pull(&uid, "web:1", after(10)), Ok(()));
    backoffs.failed(&uid, "web:1", "timeout".into(), after(10));
    assert_eq!(
        backoffs
            .try_pull(&uid, "web:1", after(29))
            .unwrap_err()
            .cause,
        "timeout"
    );
    assert_eq!(backoffs.try_pull(&uid, "web:1", after(30)), Ok(()));
    backoffs.collect_garbage(after(611));
    backoffs.failed(&uid, "web:1", "timeout".into(), after(611));
    assert_eq!(
        backoffs
            .try_pull(&uid, "web:1", after(611))
            .unwrap_err()
            .expiry,
        after(621)
    );
}

#[test]
fn a_delay_that_lasts_is_not_forgotten_meanwhile() {
    let mut backoff = Backoff::new(seconds(10), seconds(300));
    backoff.fail("web", after(0), after(0));
    // It ran for almost as long as what was would be remembered, and then ended.
    let expiry = backoff.expiry_since(&"web", after(599), after(605));
    assert_eq!(expiry, Some(after(609)));
    backoff.collect_garbage(after(605));
    assert_eq!(backoff.expiry_since(&"web", after(599), after(605)), expiry);
    assert_eq!(
        backoff.expiry_since(&"web", after(601), after(605)),
        None,
        "it ran for longer"
    );
    backoff.collect_garbage(after(901));
    assert!(backoff.is_empty());
}

proptest! {
    /// The delay is what a walk over all failures of the key says.
    #[test]
    fn a_backoff_is_its_history(steps in prop::collection::vec((0..2u8, 0..40u64, any::<bool>()), 1..60)) {
        let (initial, max) = (3, 10);
        let mut backoff = Backoff::new(seconds(initial), seconds(max));
        let mut failures: [Vec<Instant>; 2] = Default::default();
        let mut now = after(0);
        for (key, pause, collect) in steps {
            now += seconds(pause);
            if collect {
                backoff.collect_garbage(now);
            }
            let history = &mut failures[usize::from(key)];
            let mut expected: Option<u64> = None;
            let mut last: Option<Instant> = None;
            for failure in history.iter().copied().chain([now]) {
                let is_fresh = last.is_some_and(|last| failure.duration_since(last) <= seconds(20));
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
