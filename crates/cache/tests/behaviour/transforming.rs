//! Objects that are changed before they are kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kubewright_cache::testing::FakeSource;
use kubewright_cache::{InitialList, ResourceVersion, Transformed};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::rig::{Rig, expired, key, object, seconds};

/// Leaves out the data and counts how often it did; makes a mess of objects that are called so.
fn transformed(source: &FakeSource) -> (Transformed<FakeSource>, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let transform = move |object: &mut Value| {
        counted.fetch_add(1, Ordering::Relaxed);
        if object["metadata"]["name"] == "mess" {
            object["metadata"]["labels"] = json!(5);
        }
        object.as_object_mut().unwrap().remove("data");
    };
    (Transformed::new(source.clone(), transform), calls)
}

fn body(rig: &Rig, name: &str) -> Value {
    serde_json::from_str(&rig.store.get(name).unwrap().body()).unwrap()
}

/// Answers to client-go's `TestDeltaFIFO_transformer`, `TestReflectorRespectStoreTransformer` and
/// `TestSharedInformerTransformer`: objects are changed once each time they arrive, however they
/// arrive; deletions that are made up and resyncs show what was changed before.
#[tokio::test(start_paused = true)]
async fn objects_are_changed_once_each_time_they_arrive() {
    for initial_list in [InitialList::Paged, InitialList::Streaming] {
        let source = FakeSource::new();
        source.apply(object("a"));
        source.apply(object("b"));
        let (transformed, calls) = transformed(&source);
        let rig = Rig::configured(transformed, |reflector, _| {
            reflector.initial_list = initial_list;
            reflector.resync = Some(seconds(60));
        });
        rig.settle().await;
        source.apply(object("c"));
        source.delete(&key("a"));
        rig.settle().await;
        assert_eq!(rig.events(), ["+a@1!", "+b@2!", "+c@3", "-a@4"]);
        assert_eq!(calls.swap(0, Ordering::Relaxed), 4);
        for name in ["b", "c"] {
            assert_eq!(body(&rig, name)["data"], Value::Null);
        }

        source.delete_unseen(&key("b"));
        source.fail_watches(expired);
        sleep(seconds(5)).await;
        assert_eq!(rig.events(), ["-b@2?"]);
        assert_eq!(calls.swap(0, Ordering::Relaxed), 1, "c, of the list");
        sleep(seconds(60)).await;
        assert_eq!(rig.events(), ["~c@3>3"]);
        assert_eq!(calls.load(Ordering::Relaxed), 0);
        rig.stop().await;
    }
}

/// A change that makes no sense concerns the object that was changed, and nothing else.
#[tokio::test(start_paused = true)]
async fn what_is_no_object_afterwards_is_isolated() {
    let source = FakeSource::new();
    source.apply(object("a"));
    source.apply(object("mess"));
    let (transformed, _) = transformed(&source);
    let rig = Rig::configured(transformed, |_, _| {});
    rig.settle().await;
    source.apply(object("mess"));
    source.apply(object("z"));
    source.delete(&key("mess"));
    rig.settle().await;
    assert_eq!(rig.events(), ["+a@1!", "+z@4"]);
    assert_eq!(rig.store.resource_version(), Some(ResourceVersion::from(5)));
    assert_eq!(rig.store.failures().undecodable, 3);
    assert!(
        rig.store.snapshot().undecodable("mess").is_none(),
        "deleted"
    );
    rig.stop().await;
}
