//! Random histories: whatever happens to a source and to its handlers, each is told a true story.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kubewright_cache::{SourceError, Uid};
use kubewright_informer::{Event, HandlerConfig, Initial, ObjectKey, Registration, async_handler};
use parking_lot::Mutex;
use proptest::prelude::*;
use tokio::sync::Semaphore;

use crate::rig::{Rig, Thing, key, lossless, resynced, settle, thing};

#[derive(Clone, Debug)]
enum Step {
    Put(u8),
    Delete(u8),
    PutUnseen(u8),
    DeleteUnseen(u8),
    /// The object's text becomes unreadable.
    Spoil(u8),
    Bookmark,
    /// The watch ends: by 410, 429, 500, a break, or in peace.
    Break(u8),
    Start,
    /// A handler comes, of one of three kinds; it handles so many events before it gets stuck.
    Join(u8, u8),
    /// One of the handlers goes.
    Leave(u8),
    /// One of the handlers handles so many events more.
    LetThrough(u8, u8),
    Sleep(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let name = 0..6_u8;
    let step = prop_oneof![
        8 => name.clone().prop_map(Step::Put),
        4 => name.clone().prop_map(Step::Delete),
        1 => name.clone().prop_map(Step::PutUnseen),
        1 => name.clone().prop_map(Step::DeleteUnseen),
        1 => name.prop_map(Step::Spoil),
        1 => Just(Step::Bookmark),
        2 => (0..5_u8).prop_map(Step::Break),
        2 => Just(Step::Start),
        3 => (0..3_u8, 0..20_u8).prop_map(|(kind, permits)| Step::Join(kind, permits)),
        1 => any::<u8>().prop_map(Step::Leave),
        3 => (any::<u8>(), 1..6_u8).prop_map(|(handler, events)| Step::LetThrough(handler, events)),
        4 => (0..3000_u16).prop_map(Step::Sleep),
    ];
    prop::collection::vec(step, 1..80)
}

/// What a handler knows of an object.
type Known = (Uid, String);

/// What a handler that believes every event knows; it panics when one makes no sense.
#[derive(Default)]
struct Believer {
    known: BTreeMap<ObjectKey, Known>,
    /// Whether it was told of something that is not initial.
    is_past_initial: bool,
}

impl Believer {
    fn hear(&mut self, event: &Event<Thing>) {
        let known = |object: &kubewright_informer::Object<Thing>| {
            let meta = object.meta();
            (meta.uid().clone(), meta.resource_version().to_string())
        };
        match event {
            Event::Added { object, initial } => {
                let before = self.known.insert(object.key().clone(), known(object));
                assert_eq!(before, None, "{event:?} is told twice");
                self.is_past_initial |= *initial == Initial::No;
            }
            Event::Updated { old, new } => {
                let before = self.known.insert(new.key().clone(), known(new));
                assert_eq!(before, Some(known(old)), "{event:?} does not follow");
            }
            Event::Deleted { object, .. } => {
                let before = self.known.remove(object.key());
                let before = before.map(|(uid, _)| uid);
                assert_eq!(before.as_ref(), Some(object.meta().uid()), "{event:?}");
            }
        }
    }
}

struct Handler {
    registration: Registration,
    believer: Arc<Mutex<Believer>>,
    permits: Arc<Semaphore>,
}

impl Handler {
    fn join(rig: &Rig, kind: u8, permits: u8) -> Self {
        let believer = Arc::<Mutex<Believer>>::default();
        let permits = Arc::new(Semaphore::new(permits.into()));
        let (believes, waits) = (Arc::clone(&believer), Arc::clone(&permits));
        let handler = async_handler(move |event: Event<Thing>| {
            let (believer, permits) = (Arc::clone(&believes), Arc::clone(&waits));
            async move {
                permits.acquire().await.unwrap().forget();
                believer.lock().hear(&event);
            }
        });
        let config = match kind {
            0 => HandlerConfig::default(),
            1 => resynced(2),
            _ => lossless(3),
        };
        Self {
            registration: rig.informer.add_handler(handler, config).unwrap(),
            believer,
            permits,
        }
    }
}

fn fail(rig: &Rig, kind: u8) {
    let message = String::new;
    match kind {
        0 => {
            rig.source.compact();
            rig.source
                .fail_watches(|| SourceError::Expired { message: message() });
        }
        1 => rig.source.fail_watches(|| SourceError::TooManyRequests {
            retry_after: None,
            message: message(),
        }),
        2 => rig
            .source
            .fail_watches(|| SourceError::Internal { message: message() }),
        3 => rig
            .source
            .fail_watches(|| SourceError::Transport("reset".into())),
        _ => rig.source.end_watches(),
    }
}

fn named(name: u8) -> String {
    format!("t{name}")
}

async fn live(steps: Vec<Step>) {
    let mut rig = Rig::new(&["t0", "t1"]);
    let mut started = false;
    let mut handlers = vec![Handler::join(&rig, 0, 0), Handler::join(&rig, 2, 255)];
    for step in steps {
        match step {
            Step::Put(name) => drop(rig.put(&named(name))),
            Step::Delete(name) => drop(rig.source.delete(&key(&named(name)))),
            Step::PutUnseen(name) => rig.put_unseen(&named(name)),
            Step::DeleteUnseen(name) => drop(rig.source.delete_unseen(&key(&named(name)))),
            Step::Spoil(name) => {
                let name = named(name);
                let text = format!(r#"{{"metadata": {{"name": "{name}", "labels": 5}}}}"#);
                rig.source.apply_raw(&key(&name), text);
            }
            Step::Bookmark => rig.source.bookmark(),
            Step::Break(kind) => fail(&rig, kind),
            Step::Start => {
                if !std::mem::replace(&mut started, true) {
                    rig.start();
                }
            }
            Step::Join(kind, permits) => handlers.push(Handler::join(&rig, kind, permits)),
            Step::Leave(handler) => {
                if !handlers.is_empty() {
                    let gone = handlers.swap_remove(usize::from(handler) % handlers.len());
                    gone.permits.add_permits(1);
                    let heard = gone.registration.status().handled;
                    gone.registration.remove().await;
                    gone.permits.add_permits(1000);
                    settle().await;
                    let after = gone.registration.status().handled;
                    assert!(after <= heard + 1, "at most the one in its hands");
                    assert_eq!(gone.registration.status().panicked, 0);
                }
            }
            Step::LetThrough(handler, events) => {
                if !handlers.is_empty() {
                    let handler = &handlers[usize::from(handler) % handlers.len()];
                    handler.permits.add_permits(events.into());
                }
            }
            Step::Sleep(milliseconds) => {
                tokio::time::sleep(Duration::from_millis(milliseconds.into())).await;
            }
        }
        for handler in &handlers {
            let Handler {
                registration,
                believer,
                ..
            } = handler;
            // What is initial comes first, so one that knows more has handled all of it.
            assert!(registration.has_synced() || !believer.lock().is_past_initial);
        }
    }
    if !started {
        rig.start();
    }
    for handler in &handlers {
        handler.permits.add_permits(100_000);
    }
    // What was not told needs a list to be found; what was spoilt needs to be whole.
    tokio::time::sleep(Duration::from_secs(90)).await;
    for name in 0..6 {
        rig.source.apply(thing(&named(name)));
    }
    rig.source.delete(&key("t3"));
    rig.relist().await;
    tokio::time::sleep(Duration::from_secs(90)).await;
    let store: BTreeMap<_, _> = rig
        .informer
        .store()
        .snapshot()
        .iter()
        .map(|object| {
            let meta = object.meta();
            let known = (meta.uid().clone(), meta.resource_version().to_string());
            (object.key().clone(), known)
        })
        .collect();
    assert_eq!(store.len(), 5);
    for handler in &handlers {
        assert_eq!(handler.registration.status().panicked, 0);
        assert!(handler.registration.has_synced());
        assert_eq!(handler.believer.lock().known, store);
    }
    rig.stop().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Answers to client-go's `TestHammerController`, in every order that is drawn: handlers of all
    /// kinds, that come, get stuck and go, believe at the end what the store holds.
    #[test]
    fn every_handler_is_told_a_true_story(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(live(steps));
    }
}
