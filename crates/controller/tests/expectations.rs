//! Expectations, under paused time.

use std::sync::Arc;
use std::time::Duration;

use kubewright_controller::{Expectations, Pending, UidTrackingExpectations};
use kubewright_informer::ObjectKey;
use tokio::task::JoinSet;
use tokio::time::advance;

fn key(name: &str) -> ObjectKey {
    ObjectKey::namespaced("default", name)
}

/// kube-controller-manager `TestControllerExpectations`.
#[tokio::test(start_paused = true)]
async fn test_controller_expectations() {
    const TIMEOUT: Duration = Duration::from_secs(30);
    const ADDS: i64 = 10;
    const DELETES: i64 = 30;
    let expectations = Arc::new(Expectations::new(TIMEOUT));
    let set = key("foobar");
    expectations.expect(&set, Pending::new(ADDS, DELETES));

    let mut observers = JoinSet::new();
    for _ in 0..=ADDS {
        let (expectations, set) = (Arc::clone(&expectations), set.clone());
        observers.spawn(async move { expectations.creation_observed(&set) });
    }
    observers.join_all().await;
    assert!(
        !expectations.satisfied(&set),
        "there are still deletions expected"
    );

    let mut observers = JoinSet::new();
    for _ in 0..=DELETES {
        let (expectations, set) = (Arc::clone(&expectations), set.clone());
        observers.spawn(async move { expectations.deletion_observed(&set) });
    }
    observers.join_all().await;
    assert_eq!(
        expectations.pending(&set),
        Some(Pending::new(-1, -1)),
        "surpassed"
    );
    assert!(expectations.satisfied(&set));

    // The next round replaces what was left.
    expectations.expect(&set, Pending::new(1, 2));
    assert_eq!(expectations.pending(&set), Some(Pending::new(1, 2)));
    assert!(!expectations.satisfied(&set));

    advance(TIMEOUT).await;
    assert!(!expectations.satisfied(&set));
    advance(Duration::from_nanos(1)).await;
    assert!(expectations.satisfied(&set), "they expired");
}

/// kube-controller-manager `TestUIDExpectations`.
#[test]
fn test_uid_expectations() {
    let expectations = UidTrackingExpectations::default();
    let pods = |set: usize| (0..5).map(move |pod| key(&format!("pod{pod}-rc-{set}")));
    let set = |nth: usize| key(&format!("rc-{nth}"));
    for nth in 0..4 {
        expectations.expect_deletions(&set(nth), pods(nth));
    }
    for nth in [2, 0, 3, 1] {
        let set = set(nth);
        assert!(
            !expectations.satisfied(&set),
            "rc-{nth} before the deletions"
        );
        for pod in pods(nth) {
            expectations.deletion_observed(&set, &pod);
        }
        assert!(expectations.satisfied(&set), "rc-{nth} after the deletions");
        expectations.forget(&set);
        assert_eq!(expectations.leaving(&set), []);
        assert_eq!(expectations.pending(&set), None);
    }
}

/// kube-controller-manager `TestDeletionTimestamp`, its expectations: a graceful deletion is seen
/// twice and counts once.
#[test]
fn a_deletion_counts_once() {
    let expectations = UidTrackingExpectations::default();
    let set = key("web");
    expectations.expect_deletions(&set, [key("a"), key("b")]);
    expectations.deletion_observed(&set, &key("a"));
    expectations.deletion_observed(&set, &key("a"));
    assert_eq!(expectations.pending(&set), Some(Pending::new(0, 1)));
    assert_eq!(expectations.leaving(&set), [key("b")]);
    // Nobody expected that one.
    expectations.deletion_observed(&set, &key("c"));
    expectations.deletion_observed(&key("other"), &key("b"));
    assert!(!expectations.satisfied(&set));
    expectations.deletion_observed(&set, &key("b"));
    assert!(expectations.satisfied(&set));
}

#[test]
fn the_same_object_named_twice_is_expected_once() {
    let expectations = UidTrackingExpectations::default();
    let set = key("web");
    expectations.expect_deletions(&set, [key("a"), key("a")]);
    expectations.deletion_observed(&set, &key("a"));
    assert!(expectations.satisfied(&set));
}

#[test]
fn what_is_not_expected_is_satisfied_and_stays_so() {
    let expectations = UidTrackingExpectations::default();
    let set = key("web");
    assert!(expectations.satisfied(&set));
    expectations.creation_observed(&set);
    expectations.lower(&set, Pending::new(5, 5));
    assert_eq!(
        expectations.pending(&set),
        None,
        "observing expects nothing"
    );
    expectations.expect_creations(&set, 0);
    assert!(expectations.satisfied(&set));
}

#[test]
fn failed_writes_lower_and_late_ones_raise() {
    let expectations = Expectations::default();
    let set = key("web");
    expectations.expect_creations(&set, 10);
    expectations.lower(&set, Pending::new(7, 0));
    expectations.raise(&set, Pending::new(1, 0));
    assert_eq!(expectations.pending(&set), Some(Pending::new(4, 0)));
    expectations.expect_deletions(&set, 2);
    assert_eq!(expectations.pending(&set), Some(Pending::new(0, 2)));
    expectations.forget(&set);
    assert!(expectations.satisfied(&set));
}
