//! A log filled from kube-runtime's watcher events.

use std::sync::Arc;

use futures::stream;
use k8s_openapi::api::core::v1::ConfigMap;
use kube_runtime::watcher::{Error, Event};
use kubewright_cache::{DeltaFifo, FifoConfig, Observer, ResourceVersion, WatcherFeed};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::by_hand::store;
use crate::rig::{Notes, describe};

fn object(name: &str, version: &str) -> ConfigMap {
    let meta = json!({"name": name, "uid": format!("uid-of-{name}"), "resourceVersion": version});
    serde_json::from_value(json!({ "metadata": meta })).unwrap()
}

/// Two lists and changes in between, as kube-runtime tells of them: deletions that it does not tell
/// of are inferred, and an error between events is told and passed over.
#[tokio::test]
async fn a_watchers_events_become_a_store() {
    let events = [
        Ok(Event::Init),
        Ok(Event::InitApply(object("b", "9"))),
        Ok(Event::InitApply(object("a", "10"))),
        Ok(Event::InitDone),
        Ok(Event::Apply(object("c", "11"))),
        Ok(Event::Delete(object("b", "12"))),
        Err(Error::NoResourceVersion),
        Ok(Event::Init),
        Ok(Event::InitApply(object("lost", "13"))),
        Ok(Event::Init),
        Ok(Event::InitApply(object("c", "11"))),
        Ok(Event::InitDone),
        Ok(Event::Apply(ConfigMap::default())),
    ];
    let (mut writer, store) = store();
    let fifo = DeltaFifo::new(FifoConfig::default());
    let notes = Arc::new(Notes::default());
    let feed = WatcherFeed::new(stream::iter(events), store.clone(), fifo.clone())
        .observed_by(Arc::clone(&notes) as Arc<dyn Observer>);
    let consume = async {
        let mut told = Vec::new();
        while let Some(mut batch) = fifo.pop_batch().await {
            told.extend(writer.apply_batch(&mut batch).iter().map(describe));
        }
        told
    };
    let ((), told) = tokio::join!(feed.run(CancellationToken::new()), consume);
    assert_eq!(told, ["+a@10!", "+b@9!", "+c@11", "-b@12", "-a@10?"]);
    assert_eq!(store.resource_version(), Some(ResourceVersion::from(12)));
    assert_eq!(notes.failures.lock().len(), 1);
    assert_eq!(store.failures().undecodable, 1, "an object without a name");
}
