//! Reading without the server.

use kube_core::{Expression, Selector};
use kubewright_informer::ObjectKey;
use serde_json::json;

use crate::rig::{Rig, Thing, key, settle};

fn names(objects: &[kubewright_informer::Object<Thing>]) -> Vec<&str> {
    objects.iter().map(|object| object.key().as_str()).collect()
}

async fn rig() -> Rig {
    let mut rig = Rig::new(&[]);
    for (name, app) in [
        ("prod/a", "web"),
        ("prod/b", "db"),
        ("test/a", "web"),
        ("prod-2/a", "web"),
    ] {
        let key = key(name);
        rig.source.apply(json!({"metadata": {
            "namespace": key.namespace(), "name": key.name(), "labels": {"app": app},
        }}));
    }
    rig.start();
    rig.informer.synced().await.unwrap();
    rig
}

#[tokio::test(start_paused = true)]
async fn lists_by_selector_and_namespace() {
    let rig = rig().await;
    let lister = rig.informer.lister();
    let web = Selector::from(Expression::Equal("app".into(), "web".into()));
    let not_web = Selector::from(Expression::NotEqual("app".into(), "web".into()));
    assert_eq!(
        names(&lister.all()),
        ["prod-2/a", "prod/a", "prod/b", "test/a"]
    );
    assert_eq!(names(&lister.list(&Selector::default())).len(), 4);
    assert_eq!(names(&lister.list(&web)), ["prod-2/a", "prod/a", "test/a"]);
    let prod = lister.namespaced("prod");
    assert_eq!(names(&prod.all()), ["prod/a", "prod/b"]);
    assert_eq!(names(&prod.list(&web)), ["prod/a"]);
    assert_eq!(names(&prod.list(&not_web)), ["prod/b"]);
    assert!(lister.namespaced("none").all().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_an_error_with_a_name() {
    let rig = rig().await;
    let lister = rig.informer.lister();
    let found = lister.get(&ObjectKey::namespaced("prod", "a")).unwrap();
    assert_eq!(found.meta().label("app"), Some("web"));
    let missing = lister.namespaced("prod").get("z").unwrap_err();
    assert_eq!(missing.to_string(), r#"things "prod/z" not found"#);
    assert_eq!(missing.key, key("prod/z"));
}

/// Listing reads metadata only: an object that does not decode as its type is listed all the same.
#[tokio::test(start_paused = true)]
async fn listing_decodes_nothing() {
    let rig = rig().await;
    rig.source.apply(json!({
        "metadata": {"namespace": "prod", "name": "odd", "labels": {"app": "web"}},
        "data": "not a map",
    }));
    settle().await;
    let web = Selector::from(Expression::Equal("app".into(), "web".into()));
    let objects = rig.informer.lister().namespaced("prod").list(&web);
    assert_eq!(names(&objects), ["prod/a", "prod/odd"]);
    assert_eq!(rig.informer.store().failures().decode, 0);
    assert!(objects[1].get().is_err());
    assert_eq!(rig.informer.store().failures().decode, 1);
}
