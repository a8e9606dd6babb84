//! The shell under every order in which threads can enter its lock, by loom.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use loom::future::block_on;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use crate::{Drained, WorkQueue};

fn check(history: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(history);
}

struct Nobody;

impl Wake for Nobody {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn an_add_reaches_a_getter() {
    check(|| {
        let queue = WorkQueue::<u8>::default();
        let worker = queue.clone();
        let worker = thread::spawn(move || block_on(worker.get()).map(|item| *item));
        queue.add(1);
        assert_eq!(worker.join().unwrap(), Some(1));
    });
}

#[test]
fn two_adds_reach_two_getters() {
    check(|| {
        let queue = WorkQueue::<u8>::default();
        let workers = [queue.clone(), queue.clone()].map(|queue| {
            thread::spawn(move || block_on(queue.get()).map(std::mem::forget).is_some())
        });
        queue.add(1);
        queue.add(2);
        for worker in workers {
            assert!(worker.join().unwrap());
        }
    });
}

/// Fewer adds than are worth the queue's lock lie in the inbox while nobody waits, and more do not.
#[test]
fn adds_reach_a_getter_that_comes_while_they_are_collected() {
    check(|| {
        let queue = WorkQueue::<u8>::default();
        let producer = queue.clone();
        let producer = thread::spawn(move || [1, 2].map(|key| producer.add(key)));
        let other = queue.clone();
        let other = thread::spawn(move || other.add(3));
        for _ in 0..3 {
            assert!(block_on(queue.get()).map(std::mem::forget).is_some());
        }
        producer.join().unwrap();
        other.join().unwrap();
    });
}

#[test]
fn adds_before_a_shutdown_are_handed_out() {
    check(|| {
        let queue = WorkQueue::<u8>::default();
        queue.add(1);
        let worker = queue.clone();
        let worker = thread::spawn(move || {
            let mut keys = 0;
            while block_on(worker.get()).is_some() {
                keys += 1;
            }
            keys
        });
        queue.add(2);
        queue.shutdown();
        queue.add(3);
        assert_eq!(worker.join().unwrap(), 2);
    });
}

#[test]
fn a_dropped_getter_passes_its_notification_on() {
    check(|| {
        let queue = WorkQueue::<u8>::default();
        let fickle = queue.clone();
        let fickle = thread::spawn(move || {
            // Polls once and never again: it may take a key, be notified and dropped, or neither.
            let waker = Waker::from(Arc::new(Nobody));
            let mut get = pin!(fickle.get());
            match get.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(item) => item.map(std::mem::forget).is_some(),
                Poll::Pending => false,
            }
        });
        let producer = queue.clone();
        let producer = thread::spawn(move || {
            producer.add(1);
            producer.add(2);
        });
        // One key is left for this getter, come what may.
        assert!(block_on(queue.get()).is_some());
        producer.join().unwrap();
        let _ = fickle.join().unwrap();
    });
}

#[test]
fn a_key_is_never_in_two_hands_and_runs_once_more() {
    check(|| {
        let queue = WorkQueue::<u8>::default();
        queue.add(1);
        let hands = Arc::new(AtomicUsize::new(0));
        let runs = Arc::new(AtomicUsize::new(0));
        let workers = [queue.clone(), queue.clone()].map(|queue| {
            let (hands, runs) = (Arc::clone(&hands), Arc::clone(&runs));
            thread::spawn(move || {
                while let Some(item) = block_on(queue.get()) {
                    assert_eq!(hands.fetch_add(1, Ordering::SeqCst), 0);
                    if runs.fetch_add(1, Ordering::SeqCst) == 0 {
                        queue.add(*item);
                        queue.add(*item);
                        queue.shutdown();
                    }
                    hands.fetch_sub(1, Ordering::SeqCst);
                }
            })
        });
        for worker in workers {
            worker.join().unwrap();
        }
        assert_eq!(runs.load(Ordering::SeqCst), 2);
    });
}

#[test]
fn two_drains_return_when_the_last_item_is_done() {
    check(|| {
        let queue = WorkQueue::<u8>::default();
        queue.add(1);
        let item = queue.try_get().unwrap();
        let second = queue.clone();
        let second = thread::spawn(move || block_on(second.drain()));
        let worker = thread::spawn(move || drop(item));
        assert_eq!(block_on(queue.drain()), Drained::Complete);
        assert_eq!(second.join().unwrap(), Drained::Complete);
        worker.join().unwrap();
    });
}

#[test]
fn a_shutdown_aborts_a_drain() {
    check(|| {
        let queue = WorkQueue::<u8>::default();
        queue.add(1);
        let item = queue.try_get().unwrap();
        let drain = queue.clone();
        let drain = thread::spawn(move || block_on(drain.drain()));
        // A drain that begins after a shutdown would wait for the item.
        while !queue.is_shutting_down() {
            thread::yield_now();
        }
        queue.shutdown();
        assert_eq!(drain.join().unwrap(), Drained::Aborted);
        drop(item);
    });
}

#[test]
fn a_shutdown_ends_all_getters() {
    check(|| {
        let queue = WorkQueue::<u8>::default();
        let workers = [queue.clone(), queue.clone()]
            .map(|queue| thread::spawn(move || block_on(queue.get()).is_none()));
        queue.shutdown();
        for worker in workers {
            assert!(worker.join().unwrap());
        }
    });
}
