//! What is known of pods, and how new it is.

use std::sync::Arc;
use std::time::Duration;

use node_agent::pleg::PodCache;
use node_agent::runtime::RuntimeState::{Exited, Running};
use tokio::time::timeout;

use crate::fixtures::{name, observed, uid};

const SOON: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn cache_get_pod_not_exist() {
    let cache = PodCache::new();
    assert!(cache.get(&uid("1")).is_none());
    let nothing = cache.if_newer_than(&uid("1"), &name("web"), None);
    assert!(nothing.is_none(), "nobody has looked yet");

    cache.advance(cache.stamp());
    let nothing = cache.if_newer_than(&uid("1"), &name("web"), None);
    let nothing = nothing.unwrap().unwrap();
    assert!(nothing.containers.is_empty());
    assert_eq!((&nothing.uid, &nothing.name), (&uid("1"), &name("web")));
}

#[tokio::test(start_paused = true)]
async fn cache_get_pod_newer_than() {
    let cache = PodCache::new();
    let before = cache.stamp();
    let at = cache.stamp();
    cache.set(
        &uid("1"),
        Ok(Arc::new(observed("1", &[("c", Running)]))),
        at,
    );
    let after = cache.stamp();
    for (of, than, is_known) in [
        ("1", Some(before), true),
        ("1", Some(at), false),
        ("1", Some(after), false),
        ("1", None, true),
        ("2", Some(before), false),
        ("2", None, false),
    ] {
        let known = cache.if_newer_than(&uid(of), &name("web"), than);
        assert_eq!(known.is_some(), is_known, "{of} {than:?}");
    }
    // A newer list says that nothing has changed, of those that it knows and those it does not.
    cache.advance(cache.stamp());
    for of in ["1", "2"] {
        let known = cache.if_newer_than(&uid(of), &name("web"), Some(after));
        assert!(known.is_some(), "{of}");
    }
}

#[tokio::test(start_paused = true)]
async fn register_notification() {
    let cache = PodCache::new();
    cache.advance(cache.stamp());
    let now = cache.stamp();
    let (other, web) = (uid("2"), name("web"));
    let waits = async {
        let first = cache.newer_than(&other, &web, Some(now)).await;
        assert_eq!(first.unwrap().containers.len(), 1);
    };
    let tells = async {
        tokio::task::yield_now().await;
        // An older look at the pod and a look at another one tell nothing.
        let newer = cache.stamp();
        cache.set(&uid("1"), Ok(Arc::new(observed("1", &[]))), newer);
        tokio::task::yield_now().await;
        cache.set(&other, Ok(Arc::new(observed("2", &[("c", Exited)]))), newer);
    };
    timeout(SOON, async { tokio::join!(waits, tells) })
        .await
        .unwrap();

    // Who gives up is not missed.
    let late = cache.stamp();
    let given_up = timeout(
        Duration::from_secs(1),
        cache.newer_than(&other, &web, Some(late)),
    );
    assert!(given_up.await.is_err());
    cache.advance(cache.stamp());
    let known = timeout(SOON, cache.newer_than(&other, &web, Some(late))).await;
    assert_eq!(known.unwrap().unwrap().containers.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn cache_with_evented_pleg() {
    // What was begun to be observed later wins, whoever comes later.
    let cache = PodCache::new();
    let (older, newer) = (cache.stamp(), cache.stamp());
    let exited = Ok(Arc::new(observed("1", &[("c", Exited)])));
    assert!(cache.set(&uid("1"), exited, newer));
    let running = Ok(Arc::new(observed("1", &[("c", Running)])));
    assert!(!cache.set(&uid("1"), running.clone(), older));
    assert_eq!(
        cache.get(&uid("1")).unwrap().unwrap().containers[0].state,
        Exited
    );
    cache.remove(&uid("1"), older);
    assert!(cache.get(&uid("1")).is_some(), "it came after that");
    assert!(cache.set(&uid("1"), running, cache.stamp()));
    assert_eq!(
        cache.get(&uid("1")).unwrap().unwrap().containers[0].state,
        Running
    );
    cache.remove(&uid("1"), cache.stamp());
    assert!(cache.get(&uid("1")).is_none());
}
