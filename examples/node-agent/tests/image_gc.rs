//! Which images go, and when; answers to `images/image_gc_manager_test.go`.

#![expect(
    clippy::unwrap_used,
    reason = "tables are made of helpers that are no tests themselves"
)]

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use kubewright_cri::testing::FakeRuntime;
use kubewright_cri::v1::Image;
use kubewright_cri::{Error, Runtime};
use node_agent::event::{EventReceiver, EventRecorder, node_reference};
use node_agent::gc::{FsUsage, ImageGc, ImageGcError, ImageGcPolicy, ImageHost, ImageRecords};
use parking_lot::Mutex;
use tokio::time::{Instant, advance, sleep};
use tokio_util::sync::CancellationToken;

fn image(id: &str, size: u64) -> Image {
    Image {
        id: id.to_owned(),
        size,
        ..Image::default()
    }
}

fn pinned(id: &str, size: u64) -> Image {
    Image {
        pinned: true,
        ..image(id, size)
    }
}

fn in_use(ids: &[&str]) -> HashSet<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

fn at(seconds: u64) -> Instant {
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    *BEGIN + Duration::from_secs(seconds)
}

const NONE: Duration = Duration::ZERO;

/// The ids of what could go.
fn unused(records: &ImageRecords, now: u64) -> Vec<String> {
    let unused = records.unused(NONE, at(now)).into_iter();
    unused.map(|image| image.id).collect()
}

#[test]
fn detect_images_initial_detect() {
    let mut records = ImageRecords::default();
    records.detect(&[image("a", 1), image("b", 2)], &in_use(&["b"]), at(0));
    assert_eq!(records.len(), 2);
    // What was there before the agent is old enough at once, and what is used stays.
    let old = records.unused(Duration::from_secs(3600), at(0));
    assert_eq!(old.len(), 1);
    assert_eq!((old[0].id.as_str(), old[0].size), ("a", 1));
}

#[test]
fn detect_images_with_new_image() {
    let mut records = ImageRecords::default();
    records.detect(&[image("a", 1)], &in_use(&[]), at(0));
    records.detect(&[image("a", 1), image("b", 2)], &in_use(&[]), at(10));
    let minute = Duration::from_secs(60);
    assert_eq!(records.unused(minute, at(69)).len(), 1);
    assert_eq!(records.unused(minute, at(70)).len(), 2);
}

/// Answers to `TestDetectImagesContainerStopped`: it was last used when it was last seen in use.
#[test]
fn detect_images_container_stopped() {
    let mut records = ImageRecords::default();
    let images = [image("a", 1), image("b", 1)];
    records.detect(&images, &in_use(&["a", "b"]), at(0));
    assert_eq!(unused(&records, 0), <[&str; 0]>::default());
    records.detect(&images, &in_use(&["a"]), at(10));
    records.detect(&images, &in_use(&[]), at(20));
    assert_eq!(unused(&records, 20), ["b", "a"]);
}

#[test]
fn detect_images_with_removed_images() {
    let mut records = ImageRecords::default();
    records.detect(&[image("a", 1), image("b", 1)], &in_use(&[]), at(0));
    records.detect(&[], &in_use(&[]), at(1));
    assert!(records.is_empty());
}

/// Answers to `TestDeleteUnusedImagesExemptSandboxImage` and the pinned images elsewhere.
#[test]
fn pinned_images_stay() {
    let mut records = ImageRecords::default();
    records.detect(&[pinned("pause", 1), image("a", 1)], &in_use(&[]), at(0));
    assert_eq!(unused(&records, 100), ["a"]);
    let day = Duration::from_secs(86_400);
    let outdated = records.outdated(day, at(0), at(100_000));
    assert_eq!(outdated.len(), 1);
}

#[test]
fn free_space_ties_broken_by_detected_time() {
    let mut records = ImageRecords::default();
    records.detect(&[image("z", 1)], &in_use(&["z"]), at(0));
    let images = [image("z", 1), image("a", 1)];
    records.detect(&images, &in_use(&["z", "a"]), at(10));
    records.detect(&images, &in_use(&[]), at(20));
    assert_eq!(unused(&records, 20), ["z", "a"]);
}

/// Answers to `TestGarbageCollectImageMaxAge` and `..MaxAgeDisabled`: by when it was last used,
/// or, if never, by when it came.
#[test]
fn garbage_collect_image_max_age() {
    let mut records = ImageRecords::default();
    let images = [image("a", 1), image("b", 1)];
    let minute = Duration::from_secs(60);
    records.detect(&images, &in_use(&["b"]), at(0));
    let ids = |now| {
        let outdated = records.outdated(minute, at(0), at(now)).into_iter();
        outdated.map(|image| image.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(60), <[&str; 0]>::default());
    assert_eq!(ids(61), ["a"]);
    records.detect(&images, &in_use(&[]), at(90));
    let ids = |now| {
        let outdated = records.outdated(minute, at(0), at(now)).into_iter();
        outdated.map(|image| image.id).collect::<Vec<_>>()
    };
    // `b` was last seen in use at 0, since nobody used it at 90.
    assert_eq!(ids(90), ["a", "b"]);
}

#[test]
fn validate_image_gc_policy() {
    let check = |high, low| {
        let mut policy = ImageGcPolicy::default();
        (policy.high_threshold, policy.low_threshold) = (high, low);
        policy.check().map_err(|error| error.to_string())
    };
    assert_eq!(check(85, 80), Ok(()));
    assert_eq!(check(100, 0), Ok(()));
    let range = "invalid threshold 101, must be in range [0-100]";
    assert_eq!(check(101, 80), Err(range.into()));
    assert_eq!(check(85, 101), Err(range.into()));
    let crossed = "LowThresholdPercent 80 can not be higher than HighThresholdPercent 70";
    assert_eq!(check(70, 80), Err(crossed.into()));
}

#[test]
fn how_much_is_to_be_freed() {
    let mut policy = ImageGcPolicy::default();
    (policy.high_threshold, policy.low_threshold) = (90, 80);
    for (capacity, available, expected) in [
        (1000, 1000, None),
        (1000, 110, None),
        // Parts of a percent of free space do not count.
        (1000, 101, Some(99)),
        (1000, 100, Some(100)),
        (1000, 50, Some(150)),
        (1000, 0, Some(200)),
        // More is free than there is: then all is.
        (1000, 2000, None),
        (u64::MAX, 0, Some(u64::MAX / 5)),
    ] {
        assert_eq!(policy.to_free(capacity, available), expected);
    }
}

/// A host of images by a script.
#[derive(Clone, Default)]
struct Host {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    images: Vec<Image>,
    in_use: HashSet<String>,
    usage: Option<FsUsage>,
    /// These cannot be removed.
    stuck: HashSet<String>,
    removed: Vec<String>,
}

impl ImageHost for Host {
    async fn images(&self) -> Result<Vec<Image>, Error> {
        Ok(self.state.lock().images.clone())
    }

    async fn in_use(&self) -> Result<HashSet<String>, Error> {
        Ok(self.state.lock().in_use.clone())
    }

    async fn remove(&self, id: &str) -> Result<(), Error> {
        if self.state.lock().stuck.contains(id) {
            let fake = FakeRuntime::default();
            fake.go_away();
            let runtime = Runtime::in_process(fake);
            return runtime.remove_container(id).await;
        }
        let mut state = self.state.lock();
        state.images.retain(|image| image.id != id);
        state.removed.push(id.to_owned());
        Ok(())
    }

    async fn usage(&self) -> Result<FsUsage, ImageGcError> {
        self.state.lock().usage.ok_or(ImageGcError::NoFileSystem)
    }
}

struct Rig {
    host: Host,
    collector: ImageGc<Host>,
    events: EventReceiver,
}

/// A collector with thresholds of 90 and 80 percent, and images of 450 bytes.
fn rig(images: &[&str], available: u64, max_age: Option<Duration>) -> Rig {
    let mut policy = ImageGcPolicy::default();
    (policy.high_threshold, policy.low_threshold) = (90, 80);
    policy.min_age = Duration::from_secs(60);
    policy.max_age = max_age;
    let host = Host::default();
    {
        let mut state = host.state.lock();
        state.images = images.iter().map(|id| image(id, 450)).collect();
        let capacity = 1000;
        state.usage = Some(FsUsage {
            capacity,
            available,
        });
    }
    let (recorder, events) = EventRecorder::channel(8);
    let node = node_reference("n");
    let collector = ImageGc::new(host.clone(), policy, recorder, node).unwrap();
    Rig {
        host,
        collector,
        events,
    }
}

impl Rig {
    fn removed(&self) -> Vec<String> {
        self.host.state.lock().removed.clone()
    }

    /// The next event, if there is one.
    fn event(&mut self) -> Option<(String, String)> {
        let event = self.events.try_recv().ok()?;
        Some((event.reason, event.message))
    }
}

/// Answers to `TestGarbageCollectBelowLowThreshold`.
#[tokio::test(start_paused = true)]
async fn garbage_collect_below_low_threshold() {
    let rig = rig(&["a", "b"], 400, None);
    rig.collector.collect().await.unwrap();
    assert_eq!(rig.removed(), <[&str; 0]>::default());
}

/// Answers to `TestGarbageCollectCadvisorFailure`.
#[tokio::test(start_paused = true)]
async fn garbage_collect_without_statistics() {
    let mut rig = rig(&["a"], 0, None);
    rig.host.state.lock().usage = None;
    let error = rig.collector.collect().await.unwrap_err();
    assert!(matches!(error, ImageGcError::NoFileSystem), "{error}");
    rig.host.state.lock().usage = Some(FsUsage {
        capacity: 0,
        available: 0,
    });
    rig.collector.collect().await.unwrap_err();
    let expected = (
        "InvalidDiskCapacity".into(),
        "invalid capacity 0 on image filesystem".into(),
    );
    assert_eq!(rig.event(), Some(expected));
    assert_eq!(rig.removed(), <[&str; 0]>::default());
}

/// Answers to `TestGarbageCollectBelowSuccess` and `TestFreeSpaceRemoveByLeastRecentlyUsed`: the
/// least recently used go, and no more than has to.
#[tokio::test(start_paused = true)]
async fn garbage_collect_below_success() {
    let mut rig = rig(&["a", "b", "c"], 500, None);
    rig.host.state.lock().in_use = in_use(&["a", "b", "c"]);
    rig.collector.collect().await.unwrap();
    advance(Duration::from_secs(10)).await;
    rig.host.state.lock().in_use = in_use(&["a", "c"]);
    rig.collector.collect().await.unwrap();
    advance(Duration::from_secs(10)).await;
    {
        let mut state = rig.host.state.lock();
        state.in_use = in_use(&["c"]);
        state.usage = Some(FsUsage {
            capacity: 1000,
            available: 50,
        });
    }
    rig.collector.collect().await.unwrap();
    assert_eq!(rig.removed(), ["b"]);
    assert_eq!(rig.event(), None);
}

/// Answers to `TestGarbageCollectNotEnoughFreed`.
#[tokio::test(start_paused = true)]
async fn garbage_collect_not_enough_freed() {
    let mut rig = rig(&["a"], 0, None);
    rig.host.state.lock().images[0].size = 50;
    let error = rig.collector.collect().await.unwrap_err().to_string();
    let expected = "Failed to garbage collect required amount of images. Attempted to free 200 bytes, but only found 50 bytes eligible to free.";
    assert_eq!(error, expected);
    assert_eq!(
        rig.event(),
        Some(("FreeDiskSpaceFailed".into(), expected.into()))
    );
    assert_eq!(rig.removed(), ["a"]);
}

/// Answers to `TestGarbageCollectImageNotOldEnough`.
#[tokio::test(start_paused = true)]
async fn garbage_collect_image_not_old_enough() {
    let rig = rig(&[], 0, None);
    rig.collector.collect().await.unwrap_err();
    rig.host.state.lock().images = vec![image("young", 450)];
    rig.collector.collect().await.unwrap_err();
    advance(Duration::from_secs(59)).await;
    rig.collector.collect().await.unwrap_err();
    assert_eq!(rig.removed(), <[&str; 0]>::default());
    advance(Duration::from_secs(1)).await;
    rig.collector.collect().await.unwrap();
    assert_eq!(rig.removed(), ["young"]);
}

#[tokio::test(start_paused = true)]
async fn an_image_that_cannot_be_removed_is_told_of_and_others_go() {
    let rig = rig(&["a", "b"], 0, None);
    rig.host.state.lock().stuck = in_use(&["a"]);
    let error = rig.collector.collect().await.unwrap_err().to_string();
    let expected =
        "wanted to free 200 bytes, but freed 450 bytes space with errors in image deletion: ";
    assert!(error.starts_with(expected), "{error}");
    assert_eq!(rig.removed(), ["b"]);
}

/// Answers to `TestDeleteUnusedImagesRemoveAllUnusedImages`.
#[tokio::test(start_paused = true)]
async fn delete_unused_images_remove_all_unused_images() {
    let rig = rig(&["a", "b", "c"], 1000, None);
    rig.host.state.lock().in_use = in_use(&["b"]);
    assert_eq!(rig.collector.remove_unused().await.unwrap(), 900);
    assert_eq!(rig.removed(), ["a", "c"]);
}

/// However little room there is, an image that was just pulled is there for the container that wants
/// it; and its age is known from the looks of all clones.
#[tokio::test(start_paused = true)]
async fn delete_unused_images_leaves_young_ones() {
    let rig = rig(&["old"], 1000, None);
    let periodic = rig.collector.clone();
    periodic.collect().await.unwrap();
    rig.host.state.lock().images.push(image("young", 450));
    assert_eq!(rig.collector.remove_unused().await.unwrap(), 450);
    advance(Duration::from_secs(59)).await;
    periodic.collect().await.unwrap();
    assert_eq!(rig.collector.remove_unused().await.unwrap(), 0);
    assert_eq!(rig.removed(), ["old"]);
    advance(Duration::from_secs(1)).await;
    assert_eq!(rig.collector.remove_unused().await.unwrap(), 450);
    assert_eq!(rig.removed(), ["old", "young"]);
}

/// Old images go though there is room, and not before the agent is as old.
#[tokio::test(start_paused = true)]
async fn old_images_go_though_there_is_room() {
    let rig = rig(&["a", "b"], 1000, Some(Duration::from_secs(600)));
    rig.host.state.lock().in_use = in_use(&["b"]);
    rig.collector.collect().await.unwrap();
    advance(Duration::from_secs(600)).await;
    rig.collector.collect().await.unwrap();
    assert_eq!(rig.removed(), <[&str; 0]>::default());
    advance(Duration::from_secs(1)).await;
    rig.collector.collect().await.unwrap();
    assert_eq!(rig.removed(), ["a"]);
}

/// The second failure in a row is told.
#[tokio::test(start_paused = true)]
async fn it_collects_every_five_minutes() {
    let Rig {
        host,
        collector,
        mut events,
    } = rig(&["a"], 0, None);
    host.state.lock().in_use = in_use(&["a"]);
    let token = CancellationToken::new();
    let look = async {
        sleep(Duration::from_secs(1)).await;
        assert_eq!(events.try_recv().unwrap().reason, "FreeDiskSpaceFailed");
        assert!(events.try_recv().is_err(), "the first failure is not told");
        sleep(Duration::from_secs(298)).await;
        assert!(events.try_recv().is_err());
        sleep(Duration::from_secs(10)).await;
        assert_eq!(events.try_recv().unwrap().reason, "FreeDiskSpaceFailed");
        assert_eq!(events.try_recv().unwrap().reason, "ImageGCFailed");
        host.state.lock().in_use.clear();
        sleep(Duration::from_secs(300)).await;
        assert!(events.try_recv().is_err());
        token.cancel();
    };
    tokio::join!(collector.run(token.clone()), look);
    assert_eq!(host.state.lock().removed, ["a"]);
}
