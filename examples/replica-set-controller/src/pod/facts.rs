//! Reads the few values of a pod's body that the controller looks at.

use serde::Deserialize;

use crate::pod::{Phase, Readiness, Restarts};
use crate::text::Text;

#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) node: Option<Box<str>>,
    pub(super) phase: Phase,
    pub(super) readiness: Readiness,
    pub(super) restarts: Restarts,
}

impl Facts {
    pub(super) fn read(body: &str) -> Result<Self, serde_json::Error> {
        let Body { spec, status } = serde_json::from_str(body)?;
        let (spec, status) = (spec.unwrap_or_default(), status.unwrap_or_default());
        Ok(Self {
            node: spec
                .node_name
                .as_deref()
                .filter(|node| !node.is_empty())
                .map(Into::into),
            phase: Phase::from(status.phase.as_deref()),
            readiness: status.readiness(),
            restarts: Restarts {
                containers: most(list(&status.container_statuses)),
                sidecars: most(
                    list(&status.init_container_statuses)
                        .iter()
                        .filter(|status| {
                            let mut init_containers = list(&spec.init_containers).iter();
                            init_containers.any(|it| it.is_sidecar() && it.name == status.name)
                        }),
                ),
            },
        })
    }

    pub(super) fn unreadable() -> Self {
        Self {
            node: None,
            phase: Phase::Unknown,
            readiness: Readiness::default(),
            restarts: Restarts::default(),
        }
    }
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    spec: Option<Spec<'a>>,
    #[serde(borrow)]
    status: Option<Status<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec<'a> {
    #[serde(borrow)]
    node_name: Option<Text<'a>>,
    #[serde(borrow)]
    init_containers: Option<Vec<InitContainer<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InitContainer<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    restart_policy: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    #[serde(borrow)]
    phase: Option<Text<'a>>,
    #[serde(borrow)]
    conditions: Option<Vec<Condition<'a>>>,
    #[serde(borrow)]
    container_statuses: Option<Vec<ContainerStatus<'a>>>,
    #[serde(borrow)]
    init_container_statuses: Option<Vec<ContainerStatus<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Condition<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    status: Option<Text<'a>>,
    #[serde(borrow)]
    last_transition_time: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerStatus<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    restart_count: Option<i32>,
}

impl InitContainer<'_> {
    fn is_sidecar(&self) -> bool {
        self.restart_policy.as_deref() == Some("Always")
    }
}

impl Status<'_> {
    fn readiness(&self) -> Readiness {
        let mut conditions = list(&self.conditions).iter();
        match conditions.find(|condition| condition.kind.as_deref() == Some("Ready")) {
            Some(ready) if ready.status.as_deref() == Some("True") => {
                let since = ready.last_transition_time.as_deref();
                Readiness::Ready {
                    since: since.and_then(|time| time.parse().ok()),
                }
            }
            _ => Readiness::NotReady,
        }
    }
}

fn list<T>(items: &Option<Vec<T>>) -> &[T] {
    items.as_deref().unwrap_or_default()
}

/// The highest restart count; zero if there are no containers.
fn most<'a>(statuses: impl IntoIterator<Item = &'a ContainerStatus<'a>>) -> i32 {
    let counts = statuses
        .into_iter()
        .filter_map(|status| status.restart_count);
    counts.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_there() {
        let facts = Facts::read(
            r#"{
                "spec": {
                    "nodeName": "node-1",
                    "containers": [{"name": "main"}],
                    "initContainers": [
                        {"name": "setup"},
                        {"name": "proxy", "restartPolicy": "Always"}
                    ]
                },
                "status": {
                    "phase": "Running",
                    "conditions": [
                        {"type": "Initialized", "status": "True"},
                        {"type": "Ready", "status": "True",
                         "lastTransitionTime": "2026-01-01T00:00:00Z"}
                    ],
                    "containerStatuses": [{"restartCount": 1}, {"restartCount": 3}],
                    "initContainerStatuses": [
                        {"name": "setup", "restartCount": 9},
                        {"name": "proxy", "restartCount": 2}
                    ]
                }
            }"#,
        );
        let facts = facts.unwrap();
        assert_eq!(facts.node.as_deref(), Some("node-1"));
        assert_eq!(facts.phase, Phase::Running);
        let since = Some("2026-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(facts.readiness, Readiness::Ready { since });
        let restarts = Restarts {
            containers: 3,
            sidecars: 2,
        };
        assert_eq!(facts.restarts, restarts);
    }

    #[test]
    fn what_is_absent_null_or_escaped_is_fine() {
        for body in [
            "{}",
            r#"{"spec":null,"status":null}"#,
            r#"{"spec":{"nodeName":""},"status":{"phase":null,"conditions":null}}"#,
        ] {
            let facts = Facts::read(body).unwrap();
            assert_eq!((facts.node, facts.phase), (None, Phase::Other));
            assert_eq!(facts.readiness, Readiness::NotReady);
        }
        let escaped = Facts::read(r#"{"status":{"phase":"R\u0075nning"}}"#).unwrap();
        assert_eq!(escaped.phase, Phase::Running);
    }

    #[test]
    fn nonsense_is_an_error() {
        assert!(Facts::read(r#"{"spec":{"nodeName":7}}"#).is_err());
    }
}
