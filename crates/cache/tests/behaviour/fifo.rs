//! The log: order, batches, bound, compression, close, and when it is synced.

use std::num::NonZeroUsize;

use futures::FutureExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kubewright_cache::{
    Batch, Closed, Compression, Delta, DeltaFifo, FifoConfig, Initial, Object, ResourceVersion,
    ScanError, Undecodable, scan,
};
use serde_json::json;
use tokio::time::{Duration, sleep};

type Fifo = DeltaFifo<ConfigMap>;

fn fifo(configure: impl FnOnce(&mut FifoConfig)) -> Fifo {
    let mut config = FifoConfig::default();
    configure(&mut config);
    DeltaFifo::new(config)
}

fn object(name: &str, version: u64) -> Object<ConfigMap> {
    incarnation(name, version, "u")
}

fn incarnation(name: &str, version: u64, uid: &str) -> Object<ConfigMap> {
    let meta = json!({"name": name, "uid": uid, "resourceVersion": version.to_string()});
    Object::from_json(json!({ "metadata": meta }).to_string().as_bytes()).unwrap()
}

fn added(name: &str, version: u64) -> Delta<ConfigMap> {
    Delta::Added(object(name, version))
}

fn updated(name: &str, version: u64) -> Delta<ConfigMap> {
    Delta::Updated(object(name, version))
}

fn deleted(name: &str, version: u64) -> Delta<ConfigMap> {
    Delta::Deleted(object(name, version))
}

fn replaced(version: u64, names: &[&str]) -> Delta<ConfigMap> {
    Delta::Replaced {
        items: names.iter().map(|name| object(name, version)).collect(),
        undecodable: Vec::new(),
        version: ResourceVersion::from(version),
    }
}

fn bookmark(version: u64) -> Delta<ConfigMap> {
    Delta::Bookmark {
        version: ResourceVersion::from(version),
    }
}

async fn push(fifo: &Fifo, deltas: impl IntoIterator<Item = Delta<ConfigMap>>) {
    for delta in deltas {
        fifo.push(delta).await.unwrap();
    }
}

/// The next batch, which must be there.
fn pop(fifo: &Fifo) -> Batch<ConfigMap> {
    fifo.pop_batch()
        .now_or_never()
        .expect("something waits")
        .expect("it is open")
}

fn shown(batch: &Batch<ConfigMap>) -> String {
    format!("{:?}", batch.deltas())
}

/// Everything that waits, batch by batch.
fn drain(fifo: &Fifo) -> Vec<String> {
    let mut batches = Vec::new();
    while !fifo.is_empty() {
        batches.push(shown(&pop(fifo)));
    }
    batches
}

/// Answers to client-go's `TestRealFIFO_basic`, `TestRealFIFO_addUpdate` and
/// `TestRealFIFO_DeleteExistingNonPropagated`: every delta is delivered, in order, across keys.
#[tokio::test]
async fn deltas_come_out_as_they_went_in() {
    let fifo = fifo(|_| {});
    push(
        &fifo,
        [
            added("a", 1),
            added("b", 2),
            deleted("b", 3),
            deleted("c", 4),
        ],
    )
    .await;
    assert_eq!(fifo.len(), 4);
    assert_eq!(
        drain(&fifo),
        ["[Added(a@1), Added(b@2)]", "[Deleted(b@3), Deleted(c@4)]"]
    );
}

/// Answers to client-go's `TestRealFIFO_PopMultipleDeltaInBatch`: a batch ends before a key it has
/// already, at its size, and around an entry that stands alone.
#[tokio::test]
async fn batches_hold_each_key_once_and_no_atomic_entry_besides_others() {
    let fifo = fifo(|config| config.batch = NonZeroUsize::new(3).unwrap());
    push(&fifo, [replaced(1, &["a"])]).await;
    drop(pop(&fifo));
    push(&fifo, (0..5).map(|number| added(&format!("o{number}"), 2))).await;
    assert_eq!(
        drain(&fifo),
        [
            "[Added(o0@2), Added(o1@2), Added(o2@2)]",
            "[Added(o3@2), Added(o4@2)]"
        ]
    );

    push(&fifo, [updated("a", 3), updated("b", 4), updated("a", 5)]).await;
    assert_eq!(
        drain(&fifo),
        ["[Updated(a@3), Updated(b@4)]", "[Updated(a@5)]"]
    );

    push(
        &fifo,
        [
            updated("a", 6),
            Delta::Sync,
            bookmark(7),
            updated("b", 8),
            replaced(9, &[]),
        ],
    )
    .await;
    assert_eq!(
        drain(&fifo),
        [
            "[Updated(a@6)]",
            "[Sync]",
            "[Bookmark(7), Updated(b@8)]",
            "[Replaced([]@9)]"
        ]
    );
}

/// Answers to client-go's `TestRealFIFO_PopBrokenItemsInBatch`: an item without a key spoils nothing.
#[tokio::test]
async fn items_without_a_key_share_batches() {
    let fifo = fifo(|_| {});
    let error: ScanError = scan::object(b"").unwrap_err();
    let broken = || Delta::Undecodable(Undecodable::unreadable(error.clone()));
    push(&fifo, [added("a", 1), broken(), broken(), added("b", 2)]).await;
    let batch = pop(&fifo);
    assert_eq!(batch.deltas().len(), 4);
    assert_eq!(batch.version(), Some(&ResourceVersion::from(2)));
}

/// Answers to client-go's `TestRealFIFO_ReplaceAtomic`, `..._ReplaceAtomicPop` and
/// `..._ResyncAtomic`: one entry each, in order with its neighbours.
#[tokio::test]
async fn pictures_and_resyncs_are_single_entries_in_order() {
    let fifo = fifo(|_| {});
    push(
        &fifo,
        [
            added("a", 1),
            replaced(2, &["a", "b"]),
            Delta::Sync,
            deleted("a", 3),
        ],
    )
    .await;
    assert_eq!(fifo.len(), 4);
    assert_eq!(
        drain(&fifo),
        [
            "[Added(a@1)]",
            "[Replaced([a@2, b@2]@2)]",
            "[Sync]",
            "[Deleted(a@3)]"
        ]
    );
}

/// Answers to client-go's `TestRealFIFO_HasSynced` and `..._HasSyncedCorrectOnDeletion`: synced is
/// what has been processed, not what has been popped.
#[tokio::test]
async fn it_has_synced_once_the_first_picture_is_processed() {
    let fifo = fifo(|_| {});
    assert!(!fifo.has_synced());
    push(&fifo, [bookmark(1), Delta::Sync]).await;
    drain(&fifo);
    assert!(!fifo.has_synced(), "neither is a picture");

    push(&fifo, [replaced(2, &[]), updated("a", 3)]).await;
    let synced = fifo.synced();
    tokio::pin!(synced);
    assert!(
        !fifo.has_synced(),
        "not even an empty one before it is popped"
    );
    let batch = pop(&fifo);
    assert_eq!(batch.initial(), Initial::Yes);
    assert!(!fifo.has_synced());
    push(&fifo, [updated("b", 4)]).await;
    assert!(!fifo.has_synced(), "whatever else happens meanwhile");
    assert!(synced.as_mut().now_or_never().is_none());
    drop(batch);
    assert!(fifo.has_synced());
    assert_eq!(synced.now_or_never(), Some(Ok(())));
    assert_eq!(
        pop(&fifo).initial(),
        Initial::No,
        "what comes after is not initial"
    );

    // A later picture does not undo it.
    push(&fifo, [replaced(4, &["a"])]).await;
    assert!(fifo.has_synced());
    assert_eq!(pop(&fifo).initial(), Initial::No);
}

/// Changes before the first picture make the log a live one, as in client-go's `TestRealFIFO_HasSynced`.
#[tokio::test]
async fn changes_before_any_picture_count_as_synced() {
    let fifo = fifo(|_| {});
    push(&fifo, [added("a", 1)]).await;
    assert!(fifo.has_synced());
    push(&fifo, [replaced(2, &["a"])]).await;
    assert!(fifo.has_synced());
}

/// Answers to client-go's `TestDeltaFIFO_PopShouldUnblockWhenClosed`.
#[tokio::test(start_paused = true)]
async fn closing_lets_out_what_is_in_and_wakes_everybody() {
    let fifo = fifo(|config| config.capacity = NonZeroUsize::MIN);
    push(&fifo, [added("a", 1)]).await;
    let (blocked, waiting) = (fifo.clone(), fifo.clone());
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        assert_eq!(blocked.push(added("b", 2)).await, Err(Closed));
    });
    sleep(Duration::from_secs(1)).await;
    assert_eq!(fifo.len(), 1, "the second waits for room");
    fifo.close();
    assert_eq!(fifo.push(added("c", 3)).await, Err(Closed));
    tasks.join_next().await.unwrap().unwrap();

    assert_eq!(drain(&fifo), ["[Added(a@1)]"]);
    tasks.spawn(async move { assert!(waiting.pop_batch().await.is_none()) });
    tasks.join_next().await.unwrap().unwrap();
    assert!(fifo.pop_batch().await.is_none());
}

/// A consumer that waits is woken by a close.
#[tokio::test(start_paused = true)]
async fn closing_wakes_a_waiting_consumer() {
    let fifo = fifo(|_| {});
    let waiting = fifo.clone();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move { assert!(waiting.pop_batch().await.is_none()) });
    sleep(Duration::from_secs(1)).await;
    fifo.close();
    tasks.join_next().await.unwrap().unwrap();
}

/// Whoever waits for a picture that will never come learns so, but not before it is certain.
#[tokio::test(start_paused = true)]
async fn a_log_that_ends_without_a_picture_is_never_synced() {
    let fifo = fifo(|_| {});
    push(&fifo, [bookmark(1)]).await;
    let waiting = fifo.clone();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move { waiting.synced().await });
    sleep(Duration::from_secs(1)).await;
    fifo.close();
    sleep(Duration::from_secs(1)).await;
    assert!(tasks.try_join_next().is_none(), "something is still in");
    drain(&fifo);
    assert_eq!(tasks.join_next().await.unwrap().unwrap(), Err(Closed));
    assert_eq!(fifo.synced().await, Err(Closed));

    let fifo = self::fifo(|_| {});
    push(&fifo, [replaced(1, &[])]).await;
    fifo.close();
    let picture = pop(&fifo);
    assert!(fifo.synced().now_or_never().is_none());
    drop(picture);
    assert_eq!(fifo.synced().await, Ok(()), "it was let out and processed");
}

/// A full log holds up the one who fills it, and a push that was dropped has left nothing.
#[tokio::test(start_paused = true)]
async fn a_full_log_waits_for_its_consumer() {
    let fifo = fifo(|config| config.capacity = NonZeroUsize::new(2).unwrap());
    push(&fifo, [added("a", 1), added("b", 2)]).await;
    assert!(fifo.push(added("x", 3)).now_or_never().is_none());
    let pushing = fifo.clone();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move { pushing.push(added("c", 4)).await.unwrap() });
    sleep(Duration::from_secs(1)).await;
    assert_eq!(drain(&fifo), ["[Added(a@1), Added(b@2)]"]);
    tasks.join_next().await.unwrap().unwrap();
    assert_eq!(drain(&fifo), ["[Added(c@4)]"]);
}

fn compressing() -> Fifo {
    fifo(|config| config.compression = Compression::PerKey)
}

/// Answers to client-go's `TestDeltaFIFO_addUpdate` and `TestFIFO_detectLineJumpers`: a key keeps its
/// place, and its changes are one.
#[tokio::test]
async fn compression_merges_the_changes_of_a_key_in_its_place() {
    let fifo = compressing();
    push(
        &fifo,
        [
            added("a", 1),
            added("b", 2),
            updated("a", 3),
            updated("c", 4),
            updated("c", 5),
        ],
    )
    .await;
    let batch = pop(&fifo);
    assert_eq!(
        shown(&batch),
        "[Added(a@3), Added(b@2), Bookmark(3), Updated(c@5)]"
    );
    assert_eq!(batch.version(), Some(&ResourceVersion::from(5)));

    push(&fifo, [added("d", 6), deleted("d", 7)]).await;
    assert_eq!(drain(&fifo), ["[Deleted(d@7)]"]);
}

/// A version is reached only with everything before it, also where a change has overtaken others.
#[tokio::test]
async fn compression_keeps_versions_honest() {
    let fifo = fifo(|config| {
        config.compression = Compression::PerKey;
        config.batch = NonZeroUsize::MIN;
    });
    push(&fifo, [updated("a", 1), updated("b", 2), updated("a", 3)]).await;
    let versions: Vec<_> = std::iter::from_fn(|| {
        (!fifo.is_empty()).then(|| pop(&fifo).version().unwrap().to_string())
    })
    .collect();
    assert_eq!(
        versions,
        ["1", "2", "3"],
        "the first batch holds a@3 but not b@2"
    );
}

/// What must not be merged is not: other incarnations, what follows a deletion, and whatever is
/// divided by a picture or a resync.
#[tokio::test]
async fn compression_respects_lives_and_atomic_entries() {
    let fifo = compressing();
    push(&fifo, [updated("a", 1), deleted("a", 2), added("a", 3)]).await;
    assert_eq!(drain(&fifo), ["[Deleted(a@2)]", "[Added(a@3)]"]);

    push(
        &fifo,
        [
            updated("a", 4),
            Delta::Updated(incarnation("a", 5, "other")),
        ],
    )
    .await;
    assert_eq!(drain(&fifo), ["[Updated(a@4)]", "[Updated(a@5)]"]);

    push(
        &fifo,
        [
            updated("a", 6),
            Delta::Sync,
            updated("a", 7),
            replaced(8, &["a"]),
            updated("a", 9),
        ],
    )
    .await;
    assert_eq!(
        drain(&fifo),
        [
            "[Updated(a@6)]",
            "[Sync]",
            "[Updated(a@7)]",
            "[Replaced([a@8]@8)]",
            "[Updated(a@9)]"
        ]
    );
    // What was popped is not joined.
    push(&fifo, [updated("a", 10)]).await;
    drop(pop(&fifo));
    push(&fifo, [updated("a", 11)]).await;
    assert_eq!(drain(&fifo), ["[Updated(a@11)]"]);
}

/// With compression, a storm of changes to few keys stays small and holds nobody up.
#[tokio::test]
async fn compression_bounds_a_storm() {
    let fifo = fifo(|config| {
        config.compression = Compression::PerKey;
        config.capacity = NonZeroUsize::new(11).unwrap();
    });
    for version in 1..=10_000 {
        push(&fifo, [updated(&format!("o{}", version % 10), version)]).await;
    }
    assert_eq!(fifo.len(), 11, "ten keys and the version reached");
    assert_eq!(pop(&fifo).version(), Some(&ResourceVersion::from(10_000)));
}
