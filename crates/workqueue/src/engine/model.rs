//! The engine against a naive model that looks at every millisecond and searches lists.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::{Engine, Intake};
use crate::{Cause, ItemExponential, QueueStats, TokenBucket};

const KEYS: u8 = 5;
const EVERY: u64 = 20;
const BURST: u64 = 2;
const BASE: u64 = 4;
const MAX: u64 = 60;

#[derive(Debug, Clone, Copy)]
enum Op {
    Add(u8),
    AddAfter(u8, u64),
    AddRateLimited(u8),
    Forget(u8),
    Get,
    /// The run that began this many runs ago ends.
    Done(usize),
    Wait(u64),
    Close(Intake),
}

fn op() -> impl Strategy<Value = Op> {
    let key = 0..KEYS;
    prop_oneof![
        6 => key.clone().prop_map(Op::Add),
        4 => (key.clone(), 1..80_u64).prop_map(|(key, ms)| Op::AddAfter(key, ms)),
        5 => key.clone().prop_map(Op::AddRateLimited),
        2 => key.prop_map(Op::Forget),
        7 => Just(Op::Get),
        6 => (0..4_usize).prop_map(Op::Done),
        5 => (1..50_u64).prop_map(Op::Wait),
    ]
}

/// How many adds a run answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Adds(u32);

impl Cause for Adds {
    fn merge(&mut self, later: Self) {
        self.0 += later.0;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Then {
    Run,
    Queue,
}

#[derive(Debug)]
struct Model {
    ms: u64,
    ready: Vec<(u8, u32)>,
    processing: Vec<u8>,
    rerun: BTreeMap<u8, u32>,
    /// (at, order in which it was set, key, what then)
    deadlines: BTreeSet<(u64, u64, u8, Then)>,
    set: u64,
    line: Vec<u8>,
    /// In milliseconds of refill.
    tokens: u64,
    failures: BTreeMap<u8, u32>,
    intake: Intake,
    became_due: usize,
}

impl Model {
    fn new() -> Self {
        Self {
            ms: 0,
            ready: Vec::new(),
            processing: Vec::new(),
            rerun: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            set: 0,
            line: Vec::new(),
            tokens: BURST * EVERY,
            failures: BTreeMap::new(),
            intake: Intake::Open,
            became_due: 0,
        }
    }

    fn due(&mut self, key: u8, adds: u32) {
        if let Some(queued) = self.ready.iter_mut().find(|(other, _)| *other == key) {
            queued.1 += adds;
        } else if let Some(rerun) = self.rerun.get_mut(&key) {
            *rerun += adds;
        } else {
            self.became_due += 1;
            if self.processing.contains(&key) {
                self.rerun.insert(key, adds);
            } else {
                self.ready.push((key, adds));
            }
        }
    }

    fn set_deadline(&mut self, key: u8, at: u64, then: Then) {
        let of_key = |&&(_, _, other, other_then): &&_| (other, other_then) == (key, then);
        if let Some(&standing) = self.deadlines.iter().find(of_key) {
            if standing.0 <= at {
                return;
            }
            self.deadlines.remove(&standing);
        }
        self.set += 1;
        self.deadlines.insert((at, self.set, key, then));
    }

    fn drop_retry(&mut self, key: u8) {
        self.line.retain(|&other| other != key);
        self.deadlines
            .retain(|&(_, _, other, then)| other != key || then == Then::Run);
    }

    fn meet(&mut self, key: u8) {
        self.drop_retry(key);
        self.deadlines.retain(|&(_, _, other, _)| other != key);
        self.due(key, 0);
    }

    fn look(&mut self) {
        while let Some(&first) = self.deadlines.first().filter(|first| first.0 <= self.ms) {
            self.deadlines.remove(&first);
            match first.3 {
                Then::Run => self.meet(first.2),
                Then::Queue => self.line.push(first.2),
            }
        }
        while self.tokens >= EVERY && !self.line.is_empty() {
            self.tokens -= EVERY;
            let key = self.line.remove(0);
            self.meet(key);
        }
    }

    fn apply(&mut self, op: Op) -> Option<(u8, u32)> {
        let open = self.intake == Intake::Open;
        match op {
            Op::Add(key) if open => self.due(key, 1),
            Op::AddAfter(key, ms) if open => self.set_deadline(key, self.ms + ms, Then::Run),
            Op::AddRateLimited(key) if open => {
                let failures = self.failures.entry(key).or_default();
                let delay = (BASE << (*failures).min(10)).min(MAX);
                *failures += 1;
                let queued = self.ready.iter().any(|&(other, _)| other == key);
                if !queued && !self.rerun.contains_key(&key) && !self.line.contains(&key) {
                    self.set_deadline(key, self.ms + delay, Then::Queue);
                }
            }
            Op::Add(_) | Op::AddAfter(..) | Op::AddRateLimited(_) => {}
            Op::Forget(key) => {
                self.failures.remove(&key);
            }
            Op::Get if self.ready.is_empty() => {}
            Op::Get => {
                let (key, adds) = self.ready.remove(0);
                self.drop_retry(key);
                self.processing.push(key);
                return Some((key, adds));
            }
            Op::Done(ago) if ago < self.processing.len() => {
                let key = self.processing.remove(self.processing.len() - 1 - ago);
                if let Some(adds) = self.rerun.remove(&key) {
                    self.ready.push((key, adds));
                }
            }
            Op::Done(_) => {}
            Op::Wait(ms) => {
                for _ in 0..ms {
                    self.ms += 1;
                    self.tokens = (self.tokens + 1).min(BURST * EVERY);
                    self.look();
                }
            }
            Op::Close(intake) => {
                self.intake = self.intake.max(intake);
                if self.intake == Intake::Closed {
                    self.deadlines.clear();
                    self.line.clear();
                }
            }
        }
        None
    }

    fn stats(&self) -> QueueStats {
        QueueStats {
            ready: self.ready.len(),
            processing: self.processing.len(),
            rerun: self.rerun.len(),
            delayed: self.deadlines.len(),
            awaiting_token: self.line.len(),
        }
    }

    fn is_finished(&self) -> bool {
        let stats = self.stats();
        self.intake != Intake::Open
            && stats.ready + stats.rerun + stats.delayed + stats.awaiting_token == 0
    }

    fn is_empty(&self) -> bool {
        self.stats() == QueueStats::default()
    }
}

fn check(ops: &[Op]) {
    let limiter = ItemExponential::new(Duration::from_millis(BASE), Duration::from_millis(MAX));
    let bucket = TokenBucket::new(
        Duration::from_millis(EVERY),
        u32::try_from(BURST).expect("it is small"),
    );
    let mut engine = Engine::new(
        Box::new(limiter.expect("4 is below 60")),
        Some(bucket.expect("neither is zero")),
    );
    let mut model = Model::new();
    let start = Instant::now();
    let mut became_due = 0;
    let mut running = Vec::new();
    for &op in ops {
        let now = start + Duration::from_millis(model.ms);
        let hash = |key: u8| u64::from(key % 2); // every other key collides
        let mut handed_out = None;
        match op {
            Op::Add(key) => {
                became_due += usize::from(engine.add(hash(key), key, Adds(1), Some(now)));
            }
            Op::AddAfter(key, ms) => {
                engine.add_after(hash(key), key, now + Duration::from_millis(ms));
            }
            Op::AddRateLimited(key) => {
                engine.add_rate_limited(hash(key), key, now);
            }
            Op::Forget(key) => engine.forget(&key),
            Op::Get => {
                if let Some(item) = engine.pop(Some(now)) {
                    let same_key = |&(_, key): &_| key == item.key;
                    assert!(!running.iter().any(same_key), "two runs of {}", item.key);
                    running.push((item.id, item.key));
                    handed_out = Some((item.key, item.cause.0));
                }
            }
            Op::Done(ago) if ago < running.len() => {
                let (id, _) = running.remove(running.len() - 1 - ago);
                engine.done(id, Some(now));
            }
            Op::Done(_) => {}
            Op::Wait(ms) => became_due += engine.advance(now + Duration::from_millis(ms)),
            Op::Close(intake) => engine.close(intake),
        }
        assert_eq!(handed_out, model.apply(op), "after {op:?}");
        assert_eq!(engine.stats(), model.stats(), "after {op:?}");
        assert_eq!(engine.is_finished(), model.is_finished(), "after {op:?}");
        assert_eq!(engine.is_empty(), model.is_empty(), "after {op:?}");
        assert_eq!(became_due, model.became_due, "after {op:?}");
        for key in 0..KEYS {
            let failures = model.failures.get(&key).copied().unwrap_or(0);
            assert_eq!(engine.num_requeues(&key), failures, "after {op:?}");
        }
        let next = engine.next_deadline();
        let now = start + Duration::from_millis(model.ms);
        assert!(next.is_none_or(|next| next > now), "{next:?} is past");
    }
    finish(
        &mut engine,
        &mut running,
        start + Duration::from_millis(model.ms),
    );
}

/// However a history ends: closed and worked off, the engine is empty, and its memory is given back.
fn finish(engine: &mut Engine<u8, Adds>, running: &mut Vec<(super::Id, u8)>, mut now: Instant) {
    let began = now;
    engine.close(Intake::Draining);
    while !engine.is_empty() {
        now += Duration::from_secs(1);
        engine.advance(now);
        for (id, _) in running.drain(..) {
            engine.done(id, Some(now));
        }
        running.extend(engine.pop(Some(now)).map(|item| (item.id, item.key)));
        assert!(
            now - began < Duration::from_secs(1000),
            "it never empties: {:?}",
            engine.stats()
        );
    }
    assert!(engine.is_finished());
    assert_eq!(engine.stats(), QueueStats::default());
    assert_eq!(engine.next_deadline(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_engine_does_what_the_model_does(ops in prop::collection::vec(op(), 0..120)) {
        check(&ops);
    }

    #[test]
    fn also_when_it_is_closed_meanwhile(
        before in prop::collection::vec(op(), 0..60),
        first in prop_oneof![Just(Intake::Draining), Just(Intake::Closed)],
        between in prop::collection::vec(op(), 0..30),
        second in prop_oneof![Just(Intake::Draining), Just(Intake::Closed)],
        after in prop::collection::vec(op(), 0..30),
    ) {
        let ops = [before, vec![Op::Close(first)], between, vec![Op::Close(second)], after];
        check(&ops.concat());
    }

    /// One look after a long time sees what a look at every millisecond would have seen.
    #[test]
    fn a_late_look_misses_nothing(
        ops in prop::collection::vec(op(), 0..60),
        ms in 100..2000_u64,
        after in prop::collection::vec(op(), 0..20),
    ) {
        check(&[ops, vec![Op::Wait(ms)], after].concat());
    }
}

#[test]
fn an_engine_that_empties_after_many_keys_gives_its_memory_back() {
    let mut engine = Engine::<u32, ()>::new(Box::new(ItemExponential::default()), None);
    let now = Instant::now();
    for key in 0..10_000 {
        engine.add(u64::from(key), key, (), None);
        engine.add_after(u64::from(key), key, now + Duration::from_secs(1));
    }
    for _ in 0..2 {
        while let Some(item) = engine.pop(None) {
            engine.done(item.id, None);
        }
        engine.advance(now + Duration::from_secs(1));
    }
    assert!(engine.is_empty());
    assert_eq!(engine.entries.capacity(), 0);
    assert_eq!(engine.ready.capacity(), 0);
    engine.add(7, 7, (), None);
    assert_eq!(engine.pop(None).map(|item| item.key), Some(7));
}
