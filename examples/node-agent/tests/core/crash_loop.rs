//! How long crashed containers wait, whatever clocks show.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod};
use node_agent::moment::Moment;
use node_agent::pod::containers;
use node_agent::runtime::{CrashLoop, CrashLoopBackoff, ObservedPod};
use proptest::prelude::*;

use crate::fixtures::{State, after, at, base_pod, id, moment, running, set};

/// What a container that ends at once waits for, from end to end.
const WAITS: [i64; 8] = [0, 10, 20, 40, 80, 160, 300, 300];

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn first(pod: &Pod) -> Container {
    containers(pod).next().unwrap().spec.into_owned()
}

#[test]
fn do_back_off() {
    let pod = base_pod("Always");
    let mut spec = first(&pod);
    let mut observed = running(&pod);
    let mut crash_loop = CrashLoop::default();
    let mut now = 0;

    assert_eq!(
        crash_loop.try_start(&pod, &spec, &observed, moment(0)),
        Ok(None),
        "it never ended"
    );
    set(&mut observed.containers[0], State::Exited(1));
    for (number, delay) in WAITS.into_iter().enumerate() {
        observed.containers[0].id = id(&number.to_string());
        observed.containers[0].created_at = at(now);
        observed.containers[0].finished_at = Some(at(now));
        if delay > 0 {
            let held = crash_loop
                .try_start(&pod, &spec, &observed, moment(now))
                .unwrap_err();
            assert_eq!(
                (held.delay, held.expiry),
                (seconds(delay.unsigned_abs()), after(now + delay))
            );
            now += delay;
            crash_loop
                .try_start(&pod, &spec, &observed, moment(now - 1))
                .unwrap_err();
        }
        let next = WAITS.get(number + 1).copied().unwrap_or(300);
        assert_eq!(
            crash_loop.try_start(&pod, &spec, &observed, moment(now)),
            Ok(Some(seconds(next.unsigned_abs()))),
            "after {delay}"
        );
    }

    // It crashed after a while: the delay counts from there, in the same step.
    let crash = |observed: &mut ObservedPod, name: &str, lasted: i64| {
        observed.containers[0].id = id(name);
        observed.containers[0].finished_at = Some(at(now + lasted));
    };
    observed.containers[0].created_at = at(now);
    crash(&mut observed, "while", 600);
    let held = crash_loop
        .try_start(&pod, &spec, &observed, moment(now + 601))
        .unwrap_err();
    assert_eq!(held.expiry, after(now + 900));
    assert_eq!(
        held.to_string(),
        "back-off 5m0s restarting failed container=foo1 pod=foo_new(12345678)"
    );

    let image = spec.image.replace("newer".into());
    assert_eq!(
        crash_loop.try_start(&pod, &spec, &observed, moment(now + 601)),
        Ok(Some(seconds(10))),
        "another image"
    );
    spec.image = image;

    // It ran for more than twice the limit: what was is forgotten.
    crash(&mut observed, "long", 601);
    assert_eq!(
        crash_loop.try_start(&pod, &spec, &observed, moment(now + 602)),
        Ok(Some(seconds(10)))
    );
}

/// A node on which a container crashes again and again, and what its clocks show.
struct Node {
    pod: Pod,
    spec: Container,
    observed: ObservedPod,
    crash_loop: CrashLoop,
    agent: Hands,
    runtime: Hands,
    /// What the time really is.
    now: i64,
    started_at: i64,
    deaths: u32,
}

/// How far ahead a clock is at first, and by how much it is set at which time.
#[derive(Clone, Copy, Debug, Default)]
struct Hands {
    ahead: i64,
    jump: Option<(i64, i64)>,
}

impl Hands {
    fn show(self, time: i64) -> Timestamp {
        let jump = self.jump.filter(|(when, _)| time >= *when);
        at(time + self.ahead + jump.map_or(0, |(_, by)| by))
    }
}

impl Node {
    fn new(agent: Hands, runtime: Hands) -> Self {
        let pod = base_pod("Always");
        let mut observed = running(&pod);
        set(&mut observed.containers[0], State::Exited(1));
        Self {
            spec: first(&pod),
            pod,
            observed,
            crash_loop: CrashLoop::default(),
            agent,
            runtime,
            now: 0,
            started_at: 0,
            deaths: 0,
        }
    }

    /// The container runs for so long and crashes; the agent sees it a second later.
    fn crash(&mut self, lasts: i64) {
        let container = &mut self.observed.containers[0];
        self.deaths += 1;
        container.id = id(&self.deaths.to_string());
        container.created_at = self.runtime.show(self.started_at);
        self.now = self.started_at + lasts;
        container.finished_at = Some(self.runtime.show(self.now));
        self.now += 1;
    }

    fn try_start(&mut self) -> Result<Option<Duration>, CrashLoopBackoff> {
        let now = Moment {
            wall: self.agent.show(self.now),
            at: after(self.now),
        };
        let Self {
            pod,
            spec,
            observed,
            ..
        } = self;
        self.crash_loop.try_start(pod, spec, observed, now)
    }

    /// It is started as soon as it may be; how long that took since it was seen to have ended.
    fn restart(&mut self) -> i64 {
        let seen_at = self.now;
        let delay = loop {
            match self.try_start() {
                Ok(delay) => break delay,
                Err(held) => {
                    assert!(held.expiry > after(self.now) && held.delay <= seconds(300));
                    let left = held.expiry.duration_since(after(self.now));
                    self.now += i64::try_from(left.as_secs()).unwrap();
                }
            }
        };
        self.observed.containers[0].restart_delay = delay;
        self.started_at = self.now;
        self.now - seen_at
    }
}

const HOURS: i64 = 3600;

#[test]
fn clocks_that_disagree_or_are_set_change_no_delay() {
    let right = Hands::default();
    let ahead = |hours| Hands {
        ahead: hours * HOURS,
        jump: None,
    };
    let jump = |when, hours| Hands {
        ahead: 0,
        jump: Some((when, hours * HOURS)),
    };
    let mut cases = vec![("all is right", right, right)];
    for hours in [2, -2, 24 * 365] {
        cases.push(("the agent's is another", ahead(hours), right));
        cases.push(("the runtime's is another", right, ahead(hours)));
        cases.push(("both are wrong", ahead(hours), ahead(hours)));
        // While it runs, between its end and that it is seen, and while it waits.
        for when in [100, 107, 108, 120] {
            cases.push(("the agent's is set", jump(when, hours), right));
            cases.push(("the machine's is set", jump(when, hours), jump(when, hours)));
        }
    }
    for (case, agent, runtime) in cases {
        let mut node = Node::new(agent, runtime);
        let mut waits = Vec::new();
        for _ in WAITS {
            node.crash(5);
            waits.push(node.restart());
        }
        // The second in which nobody saw the end counts, or does not.
        let expected = WAITS.map(|wait| (wait - 1).max(0)..=wait);
        let are_right = waits
            .iter()
            .zip(&expected)
            .all(|(wait, expected)| expected.contains(wait));
        assert!(are_right, "{case}: {agent:?} {runtime:?}: {waits:?}");
    }
}

proptest! {
    /// Whatever happens to clocks: no wait is longer than from when the end was seen, and none is
    /// shorter but by what the container ran, which is for nothing if the runtime tells the truth or
    /// has the clock of the agent.
    #[test]
    fn waits_are_bounded(
        ahead in (-100_000..100_000_i64, -100_000..100_000_i64),
        jumps in (0..600_i64, -100_000..100_000_i64, 0..600_i64, -100_000..100_000_i64),
        is_one_clock in any::<bool>(),
        is_steady in any::<bool>(),
        lasts in 0..60_i64,
    ) {
        let agent = Hands { ahead: ahead.0, jump: Some((jumps.0, jumps.1)) };
        let jump = Some((jumps.2, jumps.3)).filter(|_| !is_steady);
        let runtime = if is_one_clock { agent } else { Hands { ahead: ahead.1, jump } };
        let mut node = Node::new(agent, runtime);
        let slack = if is_one_clock || is_steady { 1 } else { lasts + 1 };
        for expected in WAITS {
            node.crash(lasts);
            let wait = node.restart();
            prop_assert!(wait <= expected && wait >= (expected - slack).max(0), "{wait} {expected}");
        }
    }
}

#[test]
fn an_agent_that_is_started_again_goes_on_from_there() {
    // How far ahead the new agent's clock is, and the time until the container may start.
    for (hours, left) in [(0, 49), (-2, 80), (2, 0), (24 * 365, 0)] {
        let mut node = Node::new(Hands::default(), Hands::default());
        for _ in 0..4 {
            node.crash(5);
            node.restart();
        }
        node.crash(5);
        assert_eq!(node.try_start().unwrap_err().delay, seconds(80));
        node.now += 30;
        node.crash_loop = CrashLoop::default();
        node.agent.ahead = hours * HOURS;
        assert_eq!(node.restart(), left, "{hours} h");
        // It was counted, once.
        node.crash(5);
        assert_eq!(
            node.try_start().unwrap_err().delay,
            seconds(160),
            "{hours} h"
        );
    }
}

#[test]
fn what_another_agent_has_left_is_taken_for_what_it_is() {
    type Change = fn(&mut Node);
    let cases: [(&str, Change, u64); 5] = [
        ("as it is", |_| {}, 79),
        (
            "another limit",
            |it| it.crash_loop = CrashLoop::new(seconds(1), seconds(30)),
            29,
        ),
        (
            "another image",
            |it| it.spec.image = Some("newer".into()),
            0,
        ),
        ("it ran for long", |it| it.crash(601), 0),
        (
            "a kubelet's",
            |it| it.observed.containers[0].restart_delay = None,
            0,
        ),
    ];
    for (case, change, left) in cases {
        let mut node = Node::new(Hands::default(), Hands::default());
        node.crash(5);
        node.observed.containers[0].restart_delay = Some(seconds(80));
        change(&mut node);
        let left_now = match node.try_start() {
            Ok(_) => Duration::ZERO,
            Err(held) => held.expiry.duration_since(after(node.now)),
        };
        assert_eq!(left_now, seconds(left), "{case}");
    }
}

#[test]
fn what_is_over_is_forgotten() {
    let mut node = Node::new(Hands::default(), Hands::default());
    node.crash(5);
    node.restart();
    node.crash_loop.collect_garbage(after(node.now + 900));
    assert_eq!(node.crash_loop.len(), 1);
    node.crash_loop.collect_garbage(after(node.now + 901));
    assert!(node.crash_loop.is_empty());
}

#[test]
fn a_start_that_comes_to_nothing_counts_and_is_not_another_end() {
    let mut node = Node::new(Hands::default(), Hands::default());
    node.crash(5);
    assert_eq!(node.try_start(), Ok(Some(seconds(10))));
    // The image could not be pulled, and the clock is set; the end stays where it was.
    node.agent.ahead = -HOURS;
    let held = node.try_start().unwrap_err();
    let ended_at = node.now - 1;
    assert_eq!(held.expiry, after(ended_at + 10));
    assert_eq!(node.observed.containers[0].finished_at, Some(at(ended_at)));
}
