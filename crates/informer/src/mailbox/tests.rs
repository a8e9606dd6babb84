//! The merging rules, one by one and against a model that does not know them.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use k8s_openapi::api::core::v1::ConfigMap;
use kubewright_cache::{Certainty, Object};
use proptest::prelude::*;

use super::*;

fn object(key: &str, version: u32) -> Object<ConfigMap> {
    let json = serde_json::json!({
        "metadata": {"name": key, "uid": "u", "resourceVersion": version.to_string()},
    });
    Object::from_json(json.to_string().as_bytes()).unwrap()
}

/// Events of one key in short: `+1` added, `*1` added initially, `1>2` updated, `-2` deleted,
/// `?2` deleted by inference.
fn parse(text: &str) -> Event<ConfigMap> {
    let version = |text: &str| object("k", text.parse().unwrap());
    if let Some((old, new)) = text.split_once('>') {
        let (old, new) = (version(old), version(new));
        return Event::Updated { old, new };
    }
    let (sign, rest) = text.split_at(1);
    let object = version(rest);
    match sign {
        "+" => Event::Added {
            object,
            initial: Initial::No,
        },
        "*" => Event::Added {
            object,
            initial: Initial::Yes,
        },
        "-" => Event::Deleted {
            object,
            certainty: Certainty::Seen,
        },
        "?" => Event::Deleted {
            object,
            certainty: Certainty::Inferred,
        },
        _ => panic!("no event: {text}"),
    }
}

fn show(event: &Event<ConfigMap>) -> String {
    let version = |object: &Object<ConfigMap>| object.meta().resource_version().to_string();
    match event {
        Event::Added { object, initial } => {
            let sign = if *initial == Initial::Yes { '*' } else { '+' };
            format!("{sign}{}", version(object))
        }
        Event::Updated { old, new } => format!("{}>{}", version(old), version(new)),
        Event::Deleted { object, certainty } => {
            let sign = match certainty {
                Certainty::Seen => '-',
                Certainty::Inferred => '?',
            };
            format!("{sign}{}", version(object))
        }
    }
}

/// Posts events, taking one wherever the script says `take`; shows what is taken then and after.
fn check(mailbox: Mailbox, script: &str, expected: &str) {
    let mut inbox = Inbox::new(mailbox);
    let mut taken = Vec::new();
    let take = |inbox: &mut Inbox<ConfigMap>| {
        let event = inbox.take()?.event;
        inbox.handled(initial_additions(&event), Outcome::Returned);
        Some(show(&event))
    };
    for word in script.split_whitespace() {
        if word == "take" {
            taken.extend(take(&mut inbox));
        } else {
            inbox.post(parse(word), Instant::now());
        }
    }
    while let Some(event) = take(&mut inbox) {
        taken.push(event);
    }
    assert_eq!(taken.join(" "), expected, "of {script}");
    assert!(inbox.source_synced(), "all is settled after {script}");
}

#[test]
fn every_pair_of_pending_and_event() {
    for (script, expected) in [
        // Added, and what may follow.
        ("+1 1>2", "+2"),
        ("*1 1>2", "*2"),
        ("+1 -1", ""),
        ("*1 ?1", ""),
        // Updated, and what may follow.
        ("1>2 2>3", "1>3"),
        ("1>2 2>3 3>4", "1>4"),
        ("1>2 -3", "-3"),
        ("1>2 ?2", "?2"),
        // Deleted, and what may follow.
        ("-1 +2", "-1 +2"),
        ("?1 *2", "?1 *2"),
        // Deleted and added, and what may follow.
        ("-1 +2 2>3", "-1 +3"),
        ("?1 *2 2>3", "?1 *3"),
        ("?1 +2 -2", "?1"),
        ("-1 *2 -2", "-1"),
        ("-1 +2 -2 +3", "-1 +3"),
        // A resync joins whatever waits and changes nothing about it.
        ("+1 1>1", "+1"),
        ("1>2 2>2", "1>2"),
        ("1>1 1>2", "1>2"),
        // What a store never does still ends where the store is.
        ("+1 +2", "+2"),
        ("*1 *2", "*2"),
        ("1>2 +3", "1>3"),
        ("1>2 *3", "1>3"),
        ("-1 1>2", "-1 +2"),
        ("-1 ?1", "?1"),
        ("-1 +2 +3", "-1 +3"),
        ("-1 *2 *3", "-1 *3"),
    ] {
        check(Mailbox::Coalescing, script, expected);
    }
}

#[test]
fn what_was_handed_over_is_not_changed_any_more() {
    for (script, expected) in [
        ("+1 take -1", "+1 -1"),
        ("+1 take 1>2 2>3", "+1 1>3"),
        ("1>2 take 2>3", "1>2 2>3"),
        ("-1 take +2", "-1 +2"),
        // Of two facts one may be handed over and the other not.
        ("-1 +2 take 2>3", "-1 +3"),
        ("-1 +2 take -2", "-1"),
        ("-1 *2 take -2", "-1"),
        ("-1 +2 take take -2", "-1 +2 -2"),
    ] {
        check(Mailbox::Coalescing, script, expected);
    }
}

#[test]
fn lossless_keeps_everything() {
    let capacity = NonZeroUsize::new(1).unwrap();
    let script = "*1 1>2 2>2 -2 +3 ?3";
    check(Mailbox::Lossless { capacity }, script, script);
}

#[test]
fn lossless_counts_all_but_initial_additions() {
    let capacity = NonZeroUsize::new(2).unwrap();
    let mut inbox = Inbox::new(Mailbox::Lossless { capacity });
    for (event, full) in [("*1", false), ("1>2", false), ("*4", false), ("-2", true)] {
        inbox.post(parse(event), Instant::now());
        assert_eq!(inbox.is_full(), full, "after {event}");
    }
    for full in [true, false, false, false] {
        inbox.take();
        assert_eq!(inbox.is_full(), full);
    }
}

#[test]
fn a_closed_inbox_drops_what_waits_and_takes_nothing_in() {
    let capacity = NonZeroUsize::new(1).unwrap();
    for mailbox in [Mailbox::Coalescing, Mailbox::Lossless { capacity }] {
        let mut inbox = Inbox::new(mailbox);
        inbox.post(parse("+1"), Instant::now());
        assert_eq!(inbox.close(), 1);
        inbox.post(parse("1>2"), Instant::now());
        assert!(inbox.take().is_none());
        assert_eq!((inbox.len(), inbox.is_full()), (0, false));
        assert_eq!(inbox.close(), 0, "closing again drops nothing");
        assert_eq!(inbox.counts().dropped, 1);
    }
}

/// What a handler was told of a key, and what it should be told next, by comparing states.
#[derive(Default)]
struct Model {
    keys: BTreeMap<u8, KeyModel>,
    /// Keys with something to tell, in the order in which that came to be.
    line: Vec<u8>,
    /// Initial additions in the handler's hands.
    in_hand: usize,
}

#[derive(Clone, Default)]
struct KeyModel {
    /// What the handler was told last.
    told: Option<u32>,
    /// What the store holds.
    now: Option<u32>,
    /// The last state of the object the handler was told of, if that is gone.
    death: Option<u32>,
    /// Whether an addition yet to be told is initial.
    initial: bool,
}

impl Model {
    /// The store changes: the version comes, or the object goes. Says what the store announces.
    fn change(&mut self, key: u8, version: Option<u32>, initial: bool) -> Option<Event<ConfigMap>> {
        let name = format!("k{key}");
        let model = self.keys.entry(key).or_default();
        let before = std::mem::replace(&mut model.now, version);
        let event = match (before, version) {
            (None, None) => return None,
            (None, Some(new)) => {
                model.initial = initial;
                Event::Added {
                    object: object(&name, new),
                    initial: if initial { Initial::Yes } else { Initial::No },
                }
            }
            (Some(old), Some(new)) => Event::Updated {
                old: object(&name, old),
                new: object(&name, new),
            },
            (Some(old), None) => {
                model.initial = false;
                if model.told.is_some() && model.death.is_none() {
                    model.death = Some(old);
                }
                Event::Deleted {
                    object: object(&name, old),
                    certainty: Certainty::Seen,
                }
            }
        };
        self.line
            .retain(|other| *other != key || model.is_pending());
        if model.is_pending() && !self.line.contains(&key) {
            self.line.push(key);
        }
        Some(event)
    }

    /// The next event that the handler should be told.
    fn take(&mut self) -> Option<String> {
        let key = *self.line.first()?;
        let model = self.keys.get_mut(&key).expect("a waiting key is known");
        let shown = if let Some(death) = model.death.take() {
            model.told = None;
            format!("-{death}")
        } else {
            let now = model.now.expect("what waits is not a death");
            let initial = std::mem::take(&mut model.initial);
            self.in_hand = usize::from(initial);
            match model.told.replace(now) {
                None if initial => format!("*{now}"),
                None => format!("+{now}"),
                Some(told) => format!("{told}>{now}"),
            }
        };
        if !model.is_pending() {
            self.line.remove(0);
        }
        Some(format!("k{key} {shown}"))
    }

    fn outstanding(&self) -> usize {
        self.in_hand + self.keys.values().filter(|key| key.initial).count()
    }
}

impl KeyModel {
    /// Versions never repeat, so something is to be told exactly if the states differ.
    fn is_pending(&self) -> bool {
        self.death.is_some() || self.told != self.now
    }
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8),
    Remove(u8),
    Take,
    SourceSynced,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..4u8).prop_map(Step::Put),
        3 => (0..4u8).prop_map(Step::Remove),
        3 => Just(Step::Take),
        1 => Just(Step::SourceSynced),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn coalescing_tells_the_difference_between_told_and_now(
        steps in proptest::collection::vec(step(), 0..80),
    ) {
        let mut inbox = Inbox::new(Mailbox::Coalescing);
        let mut model = Model::default();
        let (mut source_synced, mut synced) = (false, false);
        let steps = steps.into_iter().chain(std::iter::repeat_n(Step::Take, 8));
        for (version, step) in (1..).zip(steps) {
            match step {
                Step::Put(key) => {
                    if let Some(event) = model.change(key, Some(version), !source_synced) {
                        synced |= inbox.post(event, Instant::now());
                    }
                }
                Step::Remove(key) => {
                    if let Some(event) = model.change(key, None, false) {
                        synced |= inbox.post(event, Instant::now());
                    }
                }
                Step::Take => {
                    let taken = inbox.take().map(|taken| taken.event);
                    let shown = taken.as_ref().map(|event| format!("{} {}", event.key(), show(event)));
                    prop_assert_eq!(shown, model.take());
                    if let Some(event) = taken {
                        prop_assert_eq!(synced, source_synced && model.outstanding() == 0);
                        synced |= inbox.handled(initial_additions(&event), Outcome::Returned);
                        model.in_hand = 0;
                    }
                }
                Step::SourceSynced => {
                    source_synced = true;
                    synced |= inbox.source_synced();
                }
            }
            prop_assert_eq!(inbox.len(), model.line.len());
            prop_assert_eq!(synced, source_synced && model.outstanding() == 0);
            let alive = model.keys.values().filter(|key| key.told.or(key.now).is_some()).count();
            prop_assert!(inbox.len() <= alive, "no more entries than keys somebody knows");
        }
        prop_assert_eq!(inbox.len(), 0, "eight takes empty four keys");
    }
}
