//! The tests of `controller_utils_test.go` about the order in which pods are deleted.

use jiff::{Span, Timestamp};
use k8s_openapi::api::core::v1::{Container, PodSpec, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use replica_set_controller::{Candidate, DeletionOrder, FeatureGates, POD_DELETION_COST, PodView};

use crate::fixtures::{
    Owned, foo_bar, labels, names, new_pod, now, object, ready_condition, restarted,
};

/// A pod as deletion ranks it.
#[derive(Clone, Default)]
struct Ranked {
    name: &'static str,
    node: Option<&'static str>,
    phase: &'static str,
    /// Ready, and since when.
    ready: Option<Option<Timestamp>>,
    restarts: i32,
    sidecar_restarts: i32,
    created: Option<Timestamp>,
    cost: Option<&'static str>,
    /// None, as long as ties are to be seen as ties.
    uid: Option<&'static str>,
}

impl Ranked {
    fn new(name: &'static str, node: Option<&'static str>, phase: &'static str) -> Self {
        Self {
            name,
            node,
            phase,
            ..Self::default()
        }
    }

    fn running(name: &'static str, since: Option<Timestamp>) -> Self {
        Self {
            ready: Some(since),
            ..Self::new(name, Some("node"), "Running")
        }
    }

    fn view(&self) -> PodView {
        let mut pod = new_pod(self.name, &foo_bar(1), self.phase, Owned::Yes);
        pod.metadata.uid = self.uid.map(Into::into);
        pod.metadata.creation_timestamp = self.created.map(Time);
        let cost = self.cost.map(|cost| labels([(POD_DELETION_COST, cost)]));
        pod.metadata.annotations = cost;
        pod.spec = Some(PodSpec {
            node_name: self.node.map(Into::into),
            init_containers: Some(vec![Container {
                name: "sidecar".into(),
                restart_policy: Some("Always".into()),
                ..Container::default()
            }]),
            ..PodSpec::default()
        });
        pod.status = Some(PodStatus {
            phase: Some(self.phase.into()),
            conditions: self.ready.map(|since| vec![ready_condition("True", since)]),
            container_statuses: Some(vec![restarted("main", self.restarts), restarted("b", 0)]),
            init_container_statuses: Some(vec![
                restarted("sidecar", self.sidecar_restarts),
                restarted("setup", 1000),
            ]),
            ..PodStatus::default()
        });
        PodView::new(object(&pod))
    }
}

fn hours_ago(hours: i64) -> Timestamp {
    now() - Span::new().hours(hours)
}

fn month_ago() -> Timestamp {
    hours_ago(28 * 24)
}

#[test]
fn test_sorting_active_pods() {
    let order: Vec<_> = [
        Ranked::new("unscheduled", None, "Pending"),
        Ranked::new("scheduledButPending", Some("bar"), "Pending"),
        Ranked::new("unknownPhase", Some("foo"), "Unknown"),
        Ranked::new("runningButNotReady", Some("foo"), "Running"),
        Ranked {
            restarts: 3,
            ..Ranked::running("runningNoLastTransitionTime", None)
        },
        Ranked {
            restarts: 3,
            ..Ranked::running("runningWithLastTransitionTime", Some(now()))
        },
        Ranked {
            restarts: 3,
            ..Ranked::running("runningLongerTime", Some(month_ago()))
        },
        Ranked {
            restarts: 2,
            created: Some(now()),
            ..Ranked::running("lowerContainerRestartCount", Some(month_ago()))
        },
        Ranked {
            restarts: 2,
            created: Some(month_ago()),
            ..Ranked::running("oldest", Some(month_ago()))
        },
    ]
    .iter()
    .map(Ranked::view)
    .collect();

    let mut random = fastrand::Rng::with_seed(7);
    for logarithmic in [true, false] {
        let mut gates = FeatureGates::default();
        gates.logarithmic_scale_down = logarithmic;
        for _ in 0..20 {
            let mut shuffled = order.clone();
            random.shuffle(&mut shuffled);
            let sorted = DeletionOrder::new(&gates, now());
            let sorted = sorted.first(&shuffled, &[], order.len() - 1);
            assert_eq!(names(sorted), names(&order[..order.len() - 1]));
        }
    }
}

#[test]
fn test_sorting_active_pods_with_ranks() {
    let unscheduled = Ranked::new("unscheduled", None, "Pending");
    let pending = Ranked::new("pending", Some("node"), "Pending");
    let unknown = Ranked::new("unknown-phase", Some("node"), "Unknown");
    let not_ready = Ranked::new("not-ready", Some("node"), "Running");
    let no_time = Ranked::running("ready-no-last-transition-time", None);
    let ready = |name, since, created| Ranked {
        created: Some(created),
        ..Ranked::running(name, Some(since))
    };
    let ready_now = ready("ready-now", now(), now());
    let ready_then = ready("ready-then", month_ago(), month_ago());
    let restarts = Ranked {
        restarts: 9001,
        ..ready("ready-high-restarts", now(), now())
    };
    let side_restarts = Ranked {
        sidecar_restarts: 9001,
        ..restarts.clone()
    };
    let only_side_restarts = Ranked {
        sidecar_restarts: 9002,
        ..ready_now.clone()
    };
    let created_then = ready("ready-now-created-then", now(), month_ago());
    let cost = |name, cost| Ranked {
        cost: Some(cost),
        ..ready(name, now(), month_ago())
    };
    let (low_cost, high_cost) = (cost("low", "10"), cost("high", "100"));
    let (negative, malformed) = (cost("negative", "-1"), cost("malformed", "+5"));
    let unscheduled_for = |hours| Ranked {
        created: Some(hours_ago(hours)),
        ..unscheduled.clone()
    };
    let on_no_node = |name, hours| Ranked {
        node: None,
        ..ready(name, hours_ago(hours), month_ago())
    };
    let ready_2_hours = on_no_node("ready-2-hours", 2);
    let ready_5_hours = on_no_node("ready-5-hours", 5);
    let ready_8_hours = on_no_node("ready-8-hours", 8);

    let defaults = FeatureGates::default();
    let mut without_cost = FeatureGates::default();
    without_cost.pod_deletion_cost = false;
    let mut linear = FeatureGates::default();
    linear.logarithmic_scale_down = false;
    let compare = |gates: &FeatureGates, one: (&Ranked, usize), other: (&Ranked, usize)| {
        let (a, b) = (one.0.view(), other.0.view());
        let candidate = |pod, rank| Candidate { pod, rank };
        DeletionOrder::new(gates, now()).compare(candidate(&a, one.1), candidate(&b, other.1))
    };

    for (one, other) in [
        (&unscheduled, &unscheduled),
        (&pending, &pending),
        (&unknown, &unknown),
        (&not_ready, &not_ready),
        (&created_then, &created_then),
        (&ready_now, &ready_now),
        (&ready_then, &ready_then),
        (&restarts, &restarts),
        (&unscheduled_for(5), &unscheduled_for(8)),
        (&ready_5_hours, &ready_8_hours),
        (&malformed, &created_then),
    ] {
        let order = compare(&defaults, (one, 1), (other, 1));
        assert!(order.is_eq(), "{} and {}", one.name, other.name);
    }

    for (gates, lesser, greater) in [
        (&defaults, (&unscheduled, 1), (&pending, 2)),
        (&defaults, (&unscheduled, 2), (&pending, 1)),
        (&defaults, (&pending, 1), (&unknown, 2)),
        (&defaults, (&unknown, 1), (&not_ready, 2)),
        (&defaults, (&not_ready, 1), (&no_time, 1)),
        (&defaults, (&no_time, 1), (&ready_now, 1)),
        (&defaults, (&ready_now, 2), (&no_time, 1)),
        (&defaults, (&ready_now, 1), (&ready_then, 1)),
        (&defaults, (&ready_now, 2), (&ready_then, 1)),
        (&defaults, (&restarts, 1), (&ready_now, 1)),
        (&defaults, (&side_restarts, 1), (&restarts, 1)),
        (&defaults, (&restarts, 1), (&only_side_restarts, 1)),
        (&defaults, (&only_side_restarts, 1), (&ready_now, 1)),
        (&defaults, (&ready_now, 2), (&restarts, 1)),
        (&defaults, (&ready_now, 1), (&created_then, 1)),
        (&defaults, (&created_then, 2), (&ready_now, 1)),
        (&defaults, (&low_cost, 2), (&high_cost, 1)),
        (&defaults, (&low_cost, 1), (&high_cost, 2)),
        (&defaults, (&negative, 1), (&malformed, 2)),
        (&without_cost, (&high_cost, 2), (&low_cost, 1)),
        (&defaults, (&ready_2_hours, 1), (&ready_5_hours, 1)),
        (&linear, (&ready_5_hours, 1), (&ready_8_hours, 1)),
        (&linear, (&unscheduled_for(5), 1), (&unscheduled_for(8), 1)),
    ] {
        let case = format!(
            "{lesser} before {greater}",
            lesser = lesser.0.name,
            greater = greater.0.name
        );
        assert!(compare(gates, lesser, greater).is_lt(), "{case}");
        assert!(
            compare(gates, greater, lesser).is_gt(),
            "{case}, the other way round"
        );
    }
}

#[test]
fn among_pods_of_about_the_same_age_the_uid_decides() {
    let ready = |uid, hours| Ranked {
        uid: Some(uid),
        ..Ranked::running(uid, Some(hours_ago(hours)))
    };
    let created = |uid, hours| Ranked {
        uid: Some(uid),
        created: Some(hours_ago(hours)),
        ..Ranked::new(uid, None, "Pending")
    };
    let mut linear = FeatureGates::default();
    linear.logarithmic_scale_down = false;
    for (case, older, younger) in [
        ("ready", ready("a", 8), ready("b", 5)),
        ("created", created("a", 8), created("b", 5)),
    ] {
        let (older, younger) = (older.view(), younger.view());
        let compare = |gates: &FeatureGates, one, other| {
            let candidate = |pod| Candidate { pod, rank: 1 };
            DeletionOrder::new(gates, now()).compare(candidate(one), candidate(other))
        };
        let by_uid = compare(&FeatureGates::default(), &older, &younger);
        assert!(by_uid.is_lt(), "{case}: a before b");
        let back = compare(&FeatureGates::default(), &younger, &older);
        assert!(back.is_gt(), "{case}: b after a");
        assert!(compare(&linear, &younger, &older).is_lt(), "{case}: by age");
    }
}
