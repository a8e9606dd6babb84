//! The rate limiters by themselves.

use std::time::Duration;

use kubewright_workqueue::{
    ConfigError, FastSlow, ItemExponential, MaxOf, MaxWait, RateLimiter, TokenBucket,
};
use proptest::prelude::*;
use tokio::time::Instant;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn exponential(base: Duration, max: Duration) -> ItemExponential<&'static str> {
    ItemExponential::new(base, max).expect("the test gives base below max")
}

/// What `limiter` says to the failures of `key`, one after the other, in milliseconds.
fn delays<const N: usize>(
    limiter: &mut dyn RateLimiter<&'static str>,
    key: &'static str,
) -> [u128; N] {
    std::array::from_fn(|_| limiter.when(&key).as_millis())
}

/// client-go `TestItemExponentialFailureRateLimiter`.
#[test]
fn test_item_exponential_failure_rate_limiter() {
    let mut limiter = exponential(ms(1), ms(1000));
    assert_eq!(delays(&mut limiter, "one"), [1, 2, 4, 8, 16]);
    assert_eq!(limiter.num_requeues(&"one"), 5);
    assert_eq!(delays(&mut limiter, "two"), [1, 2]);
    assert_eq!(limiter.num_requeues(&"two"), 2);
    limiter.forget(&"one");
    assert_eq!(limiter.num_requeues(&"one"), 0);
    assert_eq!(limiter.num_requeues(&"two"), 2);
    assert_eq!(delays(&mut limiter, "one"), [1]);
}

/// client-go `TestItemExponentialFailureRateLimiterOverFlow`.
#[test]
fn test_item_exponential_failure_rate_limiter_over_flow() {
    let mut limiter = exponential(ms(1), Duration::from_secs(1000));
    assert_eq!(delays(&mut limiter, "one"), [1, 2, 4, 8, 16, 32]);
    let _: [u128; 1000] = delays(&mut limiter, "overflow");
    assert_eq!(limiter.when(&"overflow"), Duration::from_secs(1000));

    let hours = Duration::from_secs(1000 * 3600);
    let mut limiter = exponential(Duration::from_secs(60), hours);
    assert_eq!(delays(&mut limiter, "two"), [60_000, 120_000, 240_000]);
    let _: [u128; 1000] = delays(&mut limiter, "overflow");
    assert_eq!(limiter.when(&"overflow"), hours);

    let mut limiter = exponential(Duration::from_nanos(1), Duration::MAX);
    let _: [u128; 1000] = delays(&mut limiter, "overflow");
    assert_eq!(limiter.when(&"overflow"), Duration::MAX);

    let mut limiter = exponential(Duration::ZERO, ms(1));
    let _: [u128; 1000] = delays(&mut limiter, "overflow");
    assert_eq!(limiter.when(&"overflow"), Duration::ZERO);
}

/// client-go `TestItemFastSlowRateLimiter`.
#[test]
fn test_item_fast_slow_rate_limiter() {
    let mut limiter = FastSlow::new(ms(5), ms(10_000), 3);
    assert_eq!(delays(&mut limiter, "one"), [5, 5, 5, 10_000, 10_000]);
    assert_eq!(limiter.num_requeues(&"one"), 5);
    assert_eq!(delays(&mut limiter, "two"), [5, 5]);
    assert_eq!(limiter.num_requeues(&"two"), 2);
    limiter.forget(&"one");
    assert_eq!(limiter.num_requeues(&"one"), 0);
    assert_eq!(delays(&mut limiter, "one"), [5]);
}

/// client-go `TestMaxOfRateLimiter`.
#[test]
fn test_max_of_rate_limiter() {
    let both: [Box<dyn RateLimiter<_>>; 2] = [
        Box::new(FastSlow::new(ms(5), ms(3000), 3)),
        Box::new(exponential(ms(1), ms(1000))),
    ];
    let mut limiter = MaxOf::new(both);
    assert_eq!(delays(&mut limiter, "one"), [5, 5, 5, 3000, 3000]);
    assert_eq!(limiter.num_requeues(&"one"), 5);
    assert_eq!(delays(&mut limiter, "two"), [5, 5]);
    assert_eq!(limiter.num_requeues(&"two"), 2);
    limiter.forget(&"one");
    assert_eq!(limiter.num_requeues(&"one"), 0);
    assert_eq!(delays(&mut limiter, "one"), [5]);
}

/// client-go `TestWithMaxWaitRateLimiter`.
#[test]
fn test_with_max_wait_rate_limiter() {
    /// The first hundred calls, of whatever key, are quick.
    struct Step(u32);
    impl RateLimiter<&'static str> for Step {
        fn when(&mut self, _: &&'static str) -> Duration {
            self.0 += 1;
            if self.0 <= 100 { ms(5) } else { ms(1_000_000) }
        }
        fn forget(&mut self, _: &&'static str) {}
        fn num_requeues(&self, _: &&'static str) -> u32 {
            0
        }
    }
    let mut limiter = MaxWait::new(Step(0), ms(500_000));
    assert_eq!(delays(&mut limiter, "any"), [5; 100]);
    assert_eq!(delays(&mut limiter, "any"), [500_000; 100]);
}

#[test]
fn limiters_that_cannot_work_are_refused() {
    assert!(matches!(
        ItemExponential::<u32>::new(ms(2), ms(1)),
        Err(ConfigError::Backoff { .. })
    ));
    for (every, burst) in [
        (Duration::ZERO, 1),
        (ms(1), 0),
        (Duration::MAX, 1),
        (Duration::MAX, 2),
        (Duration::from_secs(1 << 32), 1),
    ] {
        assert_eq!(
            TokenBucket::new(every, burst).err(),
            Some(ConfigError::Bucket { every, burst })
        );
    }
}

proptest! {
    /// A bucket against one that is refilled nanosecond by nanosecond, so to speak.
    #[test]
    fn a_bucket_gives_what_it_has(
        every in 1..50_u64,
        burst in 1..6_u32,
        waits in prop::collection::vec(0..200_u64, 1..100),
    ) {
        let mut bucket = TokenBucket::new(ms(every), burst).unwrap();
        let full = every * u64::from(burst);
        let (mut level, mut now) = (full, Instant::now());
        for wait in waits {
            now += ms(wait);
            level = (level + wait).min(full);
            let there_is_one = level >= every;
            prop_assert_eq!(bucket.available_at().is_none_or(|at| at <= now), there_is_one);
            prop_assert_eq!(bucket.try_take(now), there_is_one);
            if there_is_one {
                level -= every;
            }
        }
    }
}
