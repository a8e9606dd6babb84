//! The expectations of `pkg/controller/controller_utils_test.go`, as this controller uses them.

use std::time::Duration;

use kubewright_cache::ObjectKey;
use kubewright_controller::{Expectations, Pending, UidTrackingExpectations};

fn key(name: &str) -> ObjectKey {
    ObjectKey::namespaced("default", name)
}

#[tokio::test(start_paused = true)]
async fn test_controller_expectations() {
    let timeout = Duration::from_secs(30);
    let expectations = Expectations::new(timeout);
    let set = key("set");
    assert!(expectations.satisfied(&set), "nothing is expected yet");

    expectations.expect(&set, Pending::new(1, 3));
    assert!(!expectations.satisfied(&set));
    let observe = |creations, deletions| {
        for _ in 0..creations {
            expectations.creation_observed(&set);
        }
        for _ in 0..deletions {
            expectations.deletion_observed(&set);
        }
    };
    // More is seen than was expected of the one, less of the other.
    observe(2, 1);
    assert!(!expectations.satisfied(&set));
    observe(0, 2);
    assert!(expectations.satisfied(&set));
    assert_eq!(expectations.pending(&set), Some(Pending::new(-1, 0)));

    // What is set replaces what was, and what is set for one is nothing to another.
    expectations.expect_creations(&set, 1);
    expectations.expect_deletions(&key("other"), 1);
    assert_eq!(expectations.pending(&set), Some(Pending::new(1, 0)));

    // Nothing is waited for longer than the timeout.
    expectations.expect(&set, Pending::new(1, 2));
    tokio::time::advance(timeout).await;
    assert!(!expectations.satisfied(&set));
    tokio::time::advance(Duration::from_nanos(1)).await;
    assert!(expectations.satisfied(&set));

    expectations.expect(&set, Pending::new(1, 2));
    expectations.forget(&set);
    assert!(expectations.satisfied(&set));
    assert_eq!(expectations.pending(&set), None);
    observe(1, 1);
    assert_eq!(
        expectations.pending(&set),
        None,
        "what comes late counts for nothing"
    );
}

#[tokio::test(start_paused = true)]
async fn test_uid_expectations() {
    let expectations = UidTrackingExpectations::default();
    let mut sets = ["rc-2", "rc-1", "rc-0", "rc-5"].map(key);
    fastrand::Rng::with_seed(5).shuffle(&mut sets);
    for set in &sets {
        let pods: Vec<_> = (0..5)
            .map(|n| key(&format!("pod{n}-{}", set.name())))
            .collect();
        expectations.expect_deletions(set, pods.clone());
        assert!(!expectations.satisfied(set), "{set}");
        // A stranger, and one seen twice, count for nothing.
        expectations.deletion_observed(set, &key("stranger"));
        for pod in &pods[1..] {
            expectations.deletion_observed(set, pod);
            expectations.deletion_observed(set, pod);
        }
        assert_eq!(expectations.leaving(set), pods[..1], "{set}");
        assert!(!expectations.satisfied(set), "{set}");
        expectations.deletion_observed(set, &pods[0]);
        assert!(expectations.satisfied(set), "{set}");
        expectations.forget(set);
        assert_eq!(expectations.leaving(set), [], "{set}");
    }
}
