//! Owners and their dependents, with the garbage collector stepped by hand.

use kubewright_apiserver::controllers::{Controller, Controllers, ControllersConfig, Step};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::seam::{Answer, CONFIG_MAPS, Server};

/// A server, and its garbage collector alone.
struct Cluster {
    server: Server,
    collector: Controllers,
}

impl Cluster {
    fn new() -> Self {
        Self::of(Server::new())
    }

    fn of(server: Server) -> Self {
        let mut config = ControllersConfig::default();
        config.enabled = [Controller::GarbageCollector].into();
        let collector = server.0.controllers(config);
        Self { server, collector }
    }

    /// Creates a config map that the objects of these references own.
    async fn owned(&self, name: &str, owners: &[Value]) -> Answer {
        let body = json!({ "metadata": { "name": name, "ownerReferences": owners } });
        self.server.post(CONFIG_MAPS, body).await.is(201)
    }

    async fn delete(&self, name: &str, policy: &str) -> Answer {
        let options = json!({ "propagationPolicy": policy });
        self.server.delete_with(&path(name), options).await.is(200)
    }

    /// Collects, and checks which config maps are left.
    async fn leaves(&mut self, names: &[&str]) {
        assert_eq!(
            self.collector.settle().await,
            None,
            "nothing fails for a while"
        );
        let list = self.server.get(CONFIG_MAPS).await.is(200);
        assert_eq!(list.names(), names);
    }

    async fn references(&self, name: &str) -> Vec<String> {
        let object = self.server.get(&path(name)).await.is(200);
        let references = object.at("metadata.ownerReferences").as_array();
        let references = references.into_iter().flatten();
        references
            .map(|reference| reference["name"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn path(name: &str) -> String {
    format!("{CONFIG_MAPS}/{name}")
}

/// A reference to an object as it was answered.
fn owner(answer: &Answer) -> Value {
    json!({
        "apiVersion": answer.at("apiVersion"),
        "kind": answer.at("kind"),
        "name": answer.at("metadata.name"),
        "uid": answer.at("metadata.uid"),
    })
}

fn blocking(mut reference: Value) -> Value {
    reference["blockOwnerDeletion"] = json!(true);
    reference
}

/// D9
#[tokio::test(start_paused = true)]
async fn in_the_background_dependents_go_after_their_owner() {
    let mut cluster = Cluster::new();
    let top = cluster.owned("a-top", &[]).await;
    let middle = cluster.owned("b-middle", &[owner(&top)]).await;
    cluster.owned("c-bottom", &[owner(&middle)]).await;
    cluster.owned("d-other", &[]).await;
    cluster
        .leaves(&["a-top", "b-middle", "c-bottom", "d-other"])
        .await;
    cluster.delete("a-top", "Background").await;
    let list = cluster.server.get(CONFIG_MAPS).await;
    assert_eq!(
        list.names(),
        ["b-middle", "c-bottom", "d-other"],
        "the owner goes at once"
    );
    cluster.leaves(&["d-other"]).await;
}

/// D10
#[tokio::test(start_paused = true)]
async fn in_the_foreground_an_owner_waits_for_dependents_that_block_it() {
    let mut cluster = Cluster::new();
    let top = cluster.owned("top", &[]).await;
    let held = json!({ "metadata": {
        "name": "held", "finalizers": ["example.com/f"], "ownerReferences": [blocking(owner(&top))],
    } });
    cluster.server.post(CONFIG_MAPS, held.clone()).await.is(201);
    let mut free = held;
    free["metadata"]["name"] = "free".into();
    free["metadata"]["ownerReferences"] = json!([owner(&top)]);
    cluster.server.post(CONFIG_MAPS, free).await.is(201);

    cluster.delete("top", "Foreground").await;
    cluster.leaves(&["free", "held", "top"]).await;
    for name in ["held", "free"] {
        let object = cluster.server.get(&path(name)).await;
        assert!(
            object.at("metadata.deletionTimestamp").is_string(),
            "{name}"
        );
    }
    let waits = cluster.server.get(&path("top")).await;
    assert_eq!(
        *waits.at("metadata.finalizers"),
        json!(["foregroundDeletion"])
    );

    let release = json!({ "metadata": { "finalizers": null } });
    cluster.server.merge(&path("held"), release).await.is(200);
    cluster.leaves(&["free"]).await;
}

/// D11
#[tokio::test(start_paused = true)]
async fn an_owner_that_orphans_goes_when_it_is_forgotten() {
    let mut cluster = Cluster::new();
    let top = cluster.owned("top", &[]).await;
    let other = cluster.owned("other", &[]).await;
    let only = cluster.owned("only", &[owner(&top)]).await;
    cluster.owned("both", &[owner(&top), owner(&other)]).await;
    cluster.owned("below", &[owner(&only)]).await;
    cluster.delete("top", "Orphan").await;
    let waits = cluster.server.get(&path("top")).await;
    assert_eq!(*waits.at("metadata.finalizers"), json!(["orphan"]));
    cluster.leaves(&["below", "both", "only", "other"]).await;
    let only = cluster.server.get(&path("only")).await;
    assert!(only.at("metadata.ownerReferences").is_null());
    assert_eq!(cluster.references("both").await, ["other"]);
    assert_eq!(cluster.references("below").await, ["only"]);
}

/// D15
#[tokio::test(start_paused = true)]
async fn an_owner_that_never_was_is_absent() {
    let mut cluster = Cluster::new();
    let real = cluster.owned("real", &[]).await;
    let mut stranger = owner(&real);
    stranger["uid"] = "00000000-0000-0000-0000-000000000001".into();
    cluster.owned("a", &[stranger]).await;
    cluster.leaves(&["real"]).await;
}

#[tokio::test(start_paused = true)]
async fn an_owner_is_what_its_reference_says_in_every_part() {
    let mut cluster = Cluster::new();
    let real = cluster.owned("real", &[]).await;
    for (name, field, value) in [
        ("kind", "kind", "Secret"),
        ("name", "name", "other"),
        ("group", "apiVersion", "apps/v1"),
    ] {
        let mut reference = owner(&real);
        reference[field] = value.into();
        if field == "apiVersion" {
            // A kind that this group has, or nobody could say whether it is there.
            reference["kind"] = "Deployment".into();
        }
        cluster.owned(name, &[reference]).await;
    }
    cluster.leaves(&["real"]).await;
}

/// D16
#[tokio::test(start_paused = true)]
async fn one_owner_of_two_is_enough() {
    let mut cluster = Cluster::new();
    let one = cluster.owned("one", &[]).await;
    let two = cluster.owned("two", &[]).await;
    cluster.owned("both", &[owner(&one), owner(&two)]).await;
    cluster.delete("one", "Background").await;
    cluster.leaves(&["both", "two"]).await;
    assert_eq!(
        cluster.references("both").await,
        ["two"],
        "it forgets the one that is gone"
    );
    cluster.delete("two", "Background").await;
    cluster.leaves(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn a_dependent_with_another_owner_does_not_go_with_one_in_the_foreground() {
    let mut cluster = Cluster::new();
    let one = cluster.owned("one", &[]).await;
    let two = cluster.owned("two", &[]).await;
    cluster
        .owned("both", &[blocking(owner(&one)), owner(&two)])
        .await;
    cluster.delete("one", "Foreground").await;
    cluster.leaves(&["both", "two"]).await;
    assert_eq!(cluster.references("both").await, ["two"]);
}

/// D17
#[tokio::test(start_paused = true)]
async fn an_owner_in_another_namespace_is_absent() {
    let mut cluster = Cluster::new();
    let far = json!({ "metadata": { "name": "far" } });
    let far = cluster
        .server
        .post("/api/v1/namespaces/kube-public/configmaps", far)
        .await
        .is(201);
    let near = cluster.owned("near", &[]).await;
    cluster.owned("a", &[owner(&far)]).await;
    cluster.owned("b", &[owner(&far), owner(&near)]).await;
    cluster.leaves(&["b", "near"]).await;
    assert_eq!(cluster.references("b").await, ["near"]);
}

#[tokio::test(start_paused = true)]
async fn an_owner_without_a_namespace_may_own_in_all() {
    let mut cluster = Cluster::new();
    let node = json!({ "metadata": { "name": "n" } });
    let node = cluster.server.post("/api/v1/nodes", node).await.is(201);
    cluster.owned("a", &[owner(&node)]).await;
    cluster.leaves(&["a"]).await;
    cluster.server.delete("/api/v1/nodes/n").await.is(200);
    cluster.leaves(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn what_belongs_to_no_namespace_cannot_follow_an_owner_in_one() {
    let mut cluster = Cluster::new();
    let near = cluster.owned("near", &[]).await;
    let node = json!({ "metadata": { "name": "n", "ownerReferences": [owner(&near)] } });
    cluster.server.post("/api/v1/nodes", node).await.is(201);
    cluster.delete("near", "Background").await;
    cluster.leaves(&[]).await;
    cluster.server.get("/api/v1/nodes/n").await.is(200);
}

#[tokio::test(start_paused = true)]
async fn an_owner_of_a_kind_that_is_not_served_is_left_undecided() {
    let mut cluster = Cluster::new();
    let reference = json!({
        "apiVersion": "example.com/v1", "kind": "Widget", "name": "w",
        "uid": "00000000-0000-0000-0000-000000000002",
    });
    cluster.owned("a", &[reference]).await;
    cluster.leaves(&["a"]).await;
}

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// Defines the kind `Widget` of `example.com`.
async fn define_widgets(cluster: &Cluster) {
    let definition = json!({
        "metadata": { "name": "widgets.example.com" },
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": { "kind": "Widget", "plural": "widgets", "singular": "widget" },
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": { "openAPIV3Schema": { "type": "object" } },
            }],
        },
    });
    cluster.server.post(DEFINITIONS, definition).await.is(201);
}

#[tokio::test(start_paused = true)]
async fn what_was_undecided_is_decided_when_the_kind_is_served() {
    let mut cluster = Cluster::new();
    let reference = json!({
        "apiVersion": "example.com/v1", "kind": "Widget", "name": "w",
        "uid": "00000000-0000-0000-0000-000000000002",
    });
    cluster.owned("a", &[reference]).await;
    cluster.leaves(&["a"]).await;
    define_widgets(&cluster).await;
    cluster.leaves(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn custom_resources_own_and_go_with_their_definition() {
    let mut cluster = Cluster::new();
    define_widgets(&cluster).await;
    let widgets = "/apis/example.com/v1/namespaces/default/widgets";
    let mut owners = Vec::new();
    for name in ["v", "w"] {
        let widget = json!({
            "apiVersion": "example.com/v1", "kind": "Widget", "metadata": { "name": name },
        });
        owners.push(owner(&cluster.server.post(widgets, widget).await.is(201)));
    }
    cluster.owned("of-v", &owners[..1]).await;
    cluster.owned("of-w", &owners[1..]).await;
    cluster.leaves(&["of-v", "of-w"]).await;
    cluster.server.delete(&format!("{widgets}/v")).await.is(200);
    cluster.leaves(&["of-w"]).await;
    // Nobody can ask for widgets any more, but this one was seen to go.
    let definition = format!("{DEFINITIONS}/widgets.example.com");
    cluster.server.delete(&definition).await.is(200);
    cluster.leaves(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn a_definition_that_comes_back_begins_anew() {
    let mut cluster = Cluster::new();
    let widgets = "/apis/example.com/v1/namespaces/default/widgets";
    let definition = format!("{DEFINITIONS}/widgets.example.com");
    let mut late = None;
    for round in 0..3 {
        define_widgets(&cluster).await;
        let widget = json!({
            "apiVersion": "example.com/v1", "kind": "Widget", "metadata": { "name": "w" },
        });
        let widget = cluster.server.post(widgets, widget).await.is(201);
        cluster
            .owned(&format!("of-{round}"), &[owner(&widget)])
            .await;
        if round == 1 {
            // Not seen until it is served again.
            cluster.server.delete(&definition).await.is(200);
            continue;
        }
        cluster.leaves(&[&format!("of-{round}")]).await;
        late = Some(widget);
        if round == 0 {
            cluster.server.delete(&definition).await.is(200);
            cluster.leaves(&[]).await;
        }
    }
    cluster.owned("later", &[owner(&late.unwrap())]).await;
    cluster.leaves(&["later", "of-2"]).await;
    cluster.server.delete(&format!("{widgets}/w")).await.is(200);
    cluster.leaves(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn a_definition_that_goes_does_not_make_the_collector_forget() {
    let mut cluster = Cluster::new();
    define_widgets(&cluster).await;
    let widgets = "/apis/example.com/v1/namespaces/default/widgets";
    let widget = json!({
        "apiVersion": "example.com/v1", "kind": "Widget", "metadata": { "name": "w" },
    });
    let widget = cluster.server.post(widgets, widget).await.is(201);
    for number in 0..20 {
        cluster
            .owned(&format!("a{number}"), &[owner(&widget)])
            .await;
    }
    cluster.collector.settle().await;
    cluster
        .server
        .delete(&format!("{DEFINITIONS}/widgets.example.com"))
        .await
        .is(200);
    // One write at a time, with all the news in between.
    let mut steps = 0;
    while cluster.collector.step() == Step::Wrote {
        steps += 1;
    }
    assert_eq!(steps, 20);
    cluster.leaves(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn a_new_object_of_the_same_name_is_no_owner() {
    let mut cluster = Cluster::new();
    let top = cluster.owned("top", &[]).await;
    cluster.owned("a", &[owner(&top)]).await;
    cluster.delete("top", "Background").await;
    cluster.owned("top", &[]).await;
    cluster.leaves(&["top"]).await;
}

#[tokio::test(start_paused = true)]
async fn what_lets_its_owner_go_in_time_stays() {
    let mut cluster = Cluster::new();
    let top = cluster.owned("top", &[]).await;
    cluster.owned("a", &[owner(&top)]).await;
    cluster.owned("b", &[owner(&top)]).await;
    cluster.leaves(&["a", "b", "top"]).await;
    cluster.delete("top", "Background").await;
    let forget = json!({ "metadata": { "ownerReferences": null } });
    cluster.server.merge(&path("a"), forget).await.is(200);
    cluster.leaves(&["a"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_reference_may_come_later() {
    let mut cluster = Cluster::new();
    let top = cluster.owned("top", &[]).await;
    cluster.owned("a", &[]).await;
    cluster.leaves(&["a", "top"]).await;
    let adopt = json!({ "metadata": { "ownerReferences": [owner(&top)] } });
    cluster.server.merge(&path("a"), adopt).await.is(200);
    cluster.leaves(&["a", "top"]).await;
    cluster.delete("top", "Background").await;
    cluster.leaves(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn owners_in_a_circle_do_not_wait_for_each_other() {
    for block in [true, false] {
        let mut cluster = Cluster::new();
        let reference = |answer: &Answer| match block {
            true => blocking(owner(answer)),
            false => owner(answer),
        };
        let one = cluster.owned("one", &[]).await;
        let two = cluster.owned("two", &[reference(&one)]).await;
        let three = cluster.owned("three", &[reference(&two)]).await;
        let close = json!({ "metadata": { "ownerReferences": [reference(&three)] } });
        cluster.server.merge(&path("one"), close).await.is(200);
        cluster.leaves(&["one", "three", "two"]).await;
        cluster.delete("one", "Foreground").await;
        cluster.leaves(&[]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_finalizer_says_how_a_collected_object_goes_itself() {
    let mut cluster = Cluster::new();
    let top = cluster.owned("top", &[]).await;
    let middle = json!({ "metadata": {
        "name": "middle", "finalizers": ["orphan"], "ownerReferences": [owner(&top)],
    } });
    let middle = cluster.server.post(CONFIG_MAPS, middle).await.is(201);
    cluster.owned("bottom", &[owner(&middle)]).await;
    cluster.delete("top", "Background").await;
    cluster.leaves(&["bottom"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_collector_that_comes_late_sees_what_there_is() {
    let server = Server::with(|config| config.history = 3);
    let mut cluster = Cluster::of(server);
    let top = cluster.owned("top", &[]).await;
    cluster.leaves(&["top"]).await;
    // More than is remembered.
    for number in 0..20 {
        cluster.owned(&format!("a{number}"), &[owner(&top)]).await;
    }
    cluster.delete("top", "Background").await;
    cluster.leaves(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn every_dependent_costs_one_write() {
    const DEPENDENTS: usize = 2_000;
    for policy in ["Background", "Foreground", "Orphan"] {
        let mut cluster = Cluster::new();
        let top = cluster.owned("top", &[]).await;
        for number in 0..DEPENDENTS {
            cluster
                .owned(&format!("a{number}"), &[blocking(owner(&top))])
                .await;
        }
        assert_eq!(cluster.collector.settle().await, None);
        let before = cluster.server.0.resource_version();
        cluster.delete("top", policy).await;
        let mut steps = 0;
        while cluster.collector.step() == Step::Wrote {
            steps += 1;
        }
        // The finalizer of the owner is one more, and so are its two changes.
        let (more_steps, more_changes) = if policy == "Background" {
            (0, 1)
        } else {
            (1, 2)
        };
        assert_eq!(steps, DEPENDENTS + more_steps, "{policy}");
        let changes = cluster.server.0.resource_version() - before;
        assert_eq!(changes, (DEPENDENTS + more_changes) as u64, "{policy}");
    }
}

/// What a test of random owners does.
#[derive(Clone, Debug)]
enum Act {
    /// Owners are earlier objects, alive or not, by number; 99 is an object that never was.
    Create {
        owners: Vec<(usize, bool)>,
    },
    Delete {
        number: usize,
        policy: usize,
    },
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let owner = (prop_oneof![6 => 0..12usize, 1 => Just(99)], any::<bool>());
    let act = prop_oneof![
        3 => prop::collection::vec(owner, 0..4).prop_map(|owners| Act::Create { owners }),
        2 => (0..12usize, 0..3usize).prop_map(|(number, policy)| Act::Delete { number, policy }),
    ];
    prop::collection::vec(act, 1..24)
}

/// The objects as they should be: each with its owners, `None` once it is gone.
#[derive(Debug, Default)]
struct Model(Vec<Option<Vec<usize>>>);

impl Model {
    fn is_there(&self, number: usize) -> bool {
        self.0.get(number).is_some_and(Option::is_some)
    }

    /// Lets go what has only owners that are gone, until nothing more does.
    fn collect(&mut self) {
        loop {
            let gone: Vec<bool> = (0..100).map(|number| !self.is_there(number)).collect();
            let doomed = |owners: &Vec<usize>| {
                !owners.is_empty() && owners.iter().all(|number| gone[*number])
            };
            let Some(next) = self.0.iter().position(|o| o.as_ref().is_some_and(doomed)) else {
                break;
            };
            self.0[next] = None;
        }
        let gone: Vec<bool> = (0..100).map(|number| !self.is_there(number)).collect();
        for owners in self.0.iter_mut().flatten() {
            owners.retain(|number| !gone[*number]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Random owners and deletions, against a model that scans everything again and again.
    #[test]
    fn what_is_left_is_as_in_the_model(acts in acts()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(follow(acts));
    }
}

async fn follow(acts: Vec<Act>) {
    let mut cluster = Cluster::new();
    let mut model = Model::default();
    let mut references: Vec<Value> = Vec::new();
    for act in acts {
        match act {
            Act::Create { owners } => {
                let mut owners: Vec<(usize, bool)> = owners;
                owners.retain(|(number, _)| *number < references.len() || *number == 99);
                owners.sort_unstable();
                owners.dedup_by_key(|(number, _)| *number);
                let wanted: Vec<Value> = owners
                    .iter()
                    .map(|(number, blocks)| {
                        let never = json!({
                            "apiVersion": "v1", "kind": "ConfigMap", "name": "never", "uid": "never",
                        });
                        let mut reference = references.get(*number).cloned().unwrap_or(never);
                        reference["blockOwnerDeletion"] = json!(blocks);
                        reference
                    })
                    .collect();
                let name = format!("o{:02}", references.len());
                let created = cluster.owned(&name, &wanted).await;
                references.push(owner(&created));
                let owners = owners.into_iter().map(|(number, _)| number).collect();
                model.0.push(Some(owners));
            }
            Act::Delete { number, .. } if !model.is_there(number) => continue,
            Act::Delete { number, policy } => {
                let policy = ["Background", "Foreground", "Orphan"][policy];
                cluster.delete(&format!("o{number:02}"), policy).await;
                model.0[number] = None;
                if policy == "Orphan" {
                    for owners in model.0.iter_mut().flatten() {
                        owners.retain(|owner| *owner != number);
                    }
                }
            }
        }
        model.collect();
        let expected: Vec<(String, Vec<String>)> = model
            .0
            .iter()
            .enumerate()
            .filter_map(|(number, owners)| {
                let owners = owners.as_ref()?.iter();
                let owners = owners.map(|owner| format!("o{owner:02}")).collect();
                Some((format!("o{number:02}"), owners))
            })
            .collect();
        assert_eq!(cluster.collector.settle().await, None);
        let list = cluster.server.get(CONFIG_MAPS).await;
        let mut found = Vec::new();
        for name in list.names() {
            found.push((name.to_owned(), cluster.references(name).await));
        }
        assert_eq!(found, expected);
    }
}
