//! The waiting side under every kind of history: no wake-up is lost.
//!
//! A history here is one of whole operations. What threads can do beyond that, between the locks of
//! two operations, is in `interleavings`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::{DrainLook, Effects, Look, State};
use crate::engine::{Engine, Id, Intake};
use crate::inbox::{Add, Inbox};
use crate::waiters::Seat;
use crate::{ItemExponential, TokenBucket};

const GETTERS: usize = 4;
const DRAINS: usize = 2;

#[derive(Debug, Clone, Copy)]
enum Op {
    Add(u8),
    AddAfter(u8, u64),
    AddRateLimited(u8),
    /// A getter is polled, woken or not.
    Poll(usize),
    /// Its future is dropped.
    Leave(usize),
    /// The oldest run ends.
    Done,
    Wait(u64),
    PollDrain(usize),
    LeaveDrain(usize),
    Shutdown,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..4_u8).prop_map(Op::Add),
        4 => (0..4_u8, 1..40_u64).prop_map(|(key, ms)| Op::AddAfter(key, ms)),
        4 => (0..4_u8).prop_map(Op::AddRateLimited),
        12 => (0..GETTERS).prop_map(Op::Poll),
        4 => (0..GETTERS).prop_map(Op::Leave),
        6 => Just(Op::Done),
        5 => (1..30_u64).prop_map(Op::Wait),
    ]
}

fn ending() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => op(),
        3 => (0..DRAINS).prop_map(Op::PollDrain),
        1 => (0..DRAINS).prop_map(Op::LeaveDrain),
        1 => Just(Op::Shutdown),
    ]
}

#[derive(Debug, Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[derive(Debug, Default)]
struct Task {
    seat: Option<Seat>,
    woken: Arc<Flag>,
    /// The alarm of a getter.
    until: Option<Instant>,
    /// The ticket of a drain.
    ticket: Option<u64>,
}

impl Task {
    fn is_woken(&self, now: Instant) -> bool {
        self.woken.0.load(Ordering::Relaxed) || self.until.is_some_and(|until| until <= now)
    }

    fn waker(&self) -> Waker {
        // As a task that moves between `select!` branches would, it comes with a new waker each time.
        Waker::from(Arc::clone(&self.woken))
    }
}

struct World {
    inbox: Inbox<u8, ()>,
    state: State<u8, ()>,
    now: Instant,
    getters: Vec<Task>,
    drains: Vec<Task>,
    running: Vec<Id>,
}

impl World {
    fn new() -> Self {
        let bucket = TokenBucket::new(Duration::from_millis(15), 1).unwrap();
        let limiter = ItemExponential::new(Duration::from_millis(3), Duration::from_millis(30));
        let engine = Engine::new(Box::new(limiter.unwrap()), Some(bucket));
        Self {
            inbox: Inbox::new(),
            state: State::new(engine),
            now: Instant::now(),
            getters: (0..GETTERS).map(|_| Task::default()).collect(),
            drains: (0..DRAINS).map(|_| Task::default()).collect(),
            running: Vec::new(),
        }
    }

    /// As `Shared::enter` does it.
    fn enter<T>(&mut self, change: impl FnOnce(&mut Self, &mut Effects) -> T) -> T {
        let mut effects = Effects::default();
        self.state.advance(self.now, &mut effects);
        self.state
            .take_in(|batch| self.inbox.take(batch), &mut effects);
        let result = change(self, &mut effects);
        if let Some(eager) = self.state.settle(&mut effects) {
            assert!(!self.inbox.set_eager(eager), "nobody adds meanwhile");
        }
        effects.wake.wake();
        result
    }

    fn apply(&mut self, op: Op) {
        if let Op::Add(key) = op {
            let add = Add {
                hash: u64::from(key),
                key,
                cause: (),
                at: None,
            };
            let waited_for = self.inbox.push(add);
            if waited_for {
                self.enter(|_, _| ());
            }
        } else {
            self.apply_inside(op);
        }
        self.check(op);
    }

    fn apply_inside(&mut self, op: Op) {
        self.enter(|world, effects| match op {
            Op::Add(_) => unreachable!("it does not always enter"),
            Op::AddAfter(key, ms) => {
                let at = world.now + Duration::from_millis(ms);
                world.state.engine.add_after(u64::from(key), key, at);
            }
            Op::AddRateLimited(key) => {
                world
                    .state
                    .engine
                    .add_rate_limited(u64::from(key), key, world.now);
                world.state.advance(world.now, effects);
            }
            Op::Poll(getter) => {
                let task = &mut world.getters[getter];
                task.woken.0.store(false, Ordering::Relaxed);
                let waker = task.waker();
                let look = world
                    .state
                    .look(&mut task.seat, &waker, Some(world.now), effects);
                match look {
                    Look::Item(item) => {
                        world.running.push(item.id);
                        *task = Task::default();
                    }
                    Look::Finished => {
                        assert!(world.state.engine.is_finished());
                        *task = Task::default();
                    }
                    // A getter that is told no time leaves its alarm as it was; it goes off in vain.
                    Look::Wait { until } => task.until = until,
                }
            }
            Op::Leave(getter) => {
                let mut task = std::mem::take(&mut world.getters[getter]);
                world.state.leave(&mut task.seat, effects);
            }
            Op::Done => {
                if !world.running.is_empty() {
                    let id = world.running.remove(0);
                    world.state.engine.done(id, None);
                }
            }
            Op::Wait(ms) => world.now += Duration::from_millis(ms),
            Op::PollDrain(drain) => {
                let task = &mut world.drains[drain];
                task.woken.0.store(false, Ordering::Relaxed);
                if task.ticket.is_none() {
                    let all_but_one = if drain == 0 {
                        Intake::Closed
                    } else {
                        Intake::Draining
                    };
                    world.state.engine.close(all_but_one);
                    task.ticket = Some(world.state.drain_ticket());
                }
                let ticket = task.ticket.unwrap();
                let waker = task.waker();
                let look = world.state.drained(ticket, &mut task.seat, &waker, effects);
                if look != DrainLook::Wait {
                    *task = Task::default();
                }
            }
            Op::LeaveDrain(drain) => {
                let mut task = std::mem::take(&mut world.drains[drain]);
                world.state.leave_drain(&mut task.seat, effects);
            }
            Op::Shutdown => {
                world.state.engine.close(Intake::Closed);
                world.state.abort_drains(effects);
            }
        });
    }

    fn waiting(&self) -> impl Iterator<Item = &Task> {
        self.getters.iter().filter(|task| task.seat.is_some())
    }

    fn check(&self, op: Op) {
        let engine = &self.state.engine;
        let collected = self.inbox.len();
        let waiting = self.waiting().count();
        let woken = self
            .waiting()
            .filter(|task| task.is_woken(self.now))
            .count();
        assert!(
            collected == 0 || woken == waiting,
            "{collected} adds lie about after {op:?}"
        );
        let wanted = if engine.is_finished() {
            waiting
        } else {
            engine.len().min(waiting)
        };
        assert!(
            woken >= wanted,
            "{woken} of {waiting} woken for {wanted} keys after {op:?}"
        );
        if let Some(next) = engine.next_deadline()
            && waiting > 0
        {
            let kept = self
                .waiting()
                .any(|task| task.is_woken(self.now) || task.until.is_some_and(|at| at <= next));
            assert!(kept, "nobody looks at the next deadline after {op:?}");
        }
        for drain in self.drains.iter().filter(|task| task.seat.is_some()) {
            let over = engine.is_empty() || drain.ticket != Some(self.state.drain_ticket());
            assert!(
                !over || drain.is_woken(self.now),
                "a drain sleeps on after {op:?}"
            );
        }
    }

    /// Polls whoever is woken until nobody is, ending each run at once.
    fn run(&mut self) {
        loop {
            let woken = |tasks: &[Task], now| {
                let is_next = |task: &Task| task.seat.is_some() && task.is_woken(now);
                tasks.iter().position(is_next)
            };
            if !self.running.is_empty() {
                self.apply(Op::Done);
            } else if let Some(getter) = woken(&self.getters, self.now) {
                let mut had = self.running.len();
                self.apply(Op::Poll(getter));
                // A worker comes back for more, until it waits or the queue is finished.
                while self.running.len() > had {
                    had = self.running.len();
                    self.apply(Op::Poll(getter));
                }
            } else if let Some(drain) = woken(&self.drains, self.now) {
                self.apply(Op::PollDrain(drain));
            } else {
                return;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_wake_up_is_lost(
        ops in prop::collection::vec(op(), 0..80),
        ending in prop::collection::vec(ending(), 0..40),
    ) {
        let mut world = World::new();
        for op in ops.into_iter().chain(ending) {
            world.apply(op);
        }
        // From here on only woken tasks run, as under an executor. All work gets done.
        let had_getters = world.waiting().count() > 0;
        for _ in 0..100 {
            world.run();
            world.apply(Op::Wait(5));
        }
        let stats = world.state.engine.stats();
        if had_getters {
            prop_assert_eq!(stats.ready + stats.delayed + stats.awaiting_token, 0, "{:?}", stats);
        }
    }
}
