//! Pods with probes, their statuses, and answers by a script.

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use node_agent::moment::Moment;
use node_agent::probe::{Answer, Ask, ProbeError, ProbeKind, Question};
use node_agent::runtime::ContainerId;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::Instant;

/// How long anything real may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// A point in time, in seconds since the clocks of tests start.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_704_067_200 + seconds).unwrap()
}

/// The same by both clocks.
pub(crate) fn moment(seconds: i64) -> Moment {
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    Moment {
        wall: at(seconds),
        at: *BEGIN + Duration::from_secs(seconds.unsigned_abs()),
    }
}

pub(crate) fn id(id: &str) -> ContainerId {
    ContainerId {
        runtime: "test".into(),
        id: id.into(),
    }
}

/// A pod of one container with this probe of this kind.
pub(crate) fn pod_with(kind: ProbeKind, probe: Value) -> Pod {
    let mut pod = json!({
        "metadata": {"name": "web", "namespace": "ns", "uid": "7"},
        "spec": {
            "restartPolicy": "Always",
            "containers": [{"name": "c", "ports": [{"name": "http", "containerPort": 80}]}],
        },
    });
    pod["spec"]["containers"][0][field(kind)] = probe;
    serde_json::from_value(pod).unwrap()
}

/// What a probe of this kind is called in a spec.
pub(crate) fn field(kind: ProbeKind) -> &'static str {
    match kind {
        ProbeKind::Liveness => "livenessProbe",
        ProbeKind::Readiness => "readinessProbe",
        ProbeKind::Startup => "startupProbe",
    }
}

/// A status of the pod in which its container runs since `at(0)`; `started` is for probes of the
/// other kinds than startup.
pub(crate) fn running(container: &str, started: bool) -> PodStatus {
    of_running(container, started, 0)
}

/// A status of the pod in which its container was started at that time, and has succeeded in that.
pub(crate) fn running_since(container: &str, seconds: i64) -> PodStatus {
    of_running(container, true, seconds)
}

fn of_running(container: &str, started: bool, since: i64) -> PodStatus {
    status(&json!({
        "name": "c",
        "containerID": format!("test://{container}"),
        "state": {"running": {"startedAt": at(since).to_string()}},
        "started": started,
    }))
}

/// A status of the pod with this status of its container.
pub(crate) fn status(container: &Value) -> PodStatus {
    let container = json!({
        "ready": false, "restartCount": 0, "image": "", "imageID": "",
    })
    .as_object()
    .unwrap()
    .clone()
    .into_iter()
    .chain(container.as_object().unwrap().clone())
    .collect::<serde_json::Map<_, _>>();
    serde_json::from_value(json!({
        "phase": "Running", "podIP": "127.0.0.1", "containerStatuses": [container],
    }))
    .unwrap()
}

/// Answers by a script; the last answer stays.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    answers: Arc<Mutex<VecDeque<Result<Answer, ProbeError>>>>,
    asked: Arc<Mutex<Vec<Question>>>,
}

impl Script {
    pub(crate) fn of(answers: impl IntoIterator<Item = Result<Answer, ProbeError>>) -> Self {
        Self {
            answers: Arc::new(Mutex::new(answers.into_iter().collect())),
            asked: Arc::default(),
        }
    }

    pub(crate) fn always(answer: Answer) -> Self {
        Self::of([Ok(answer)])
    }

    pub(crate) fn set(&self, answer: Answer) {
        *self.answers.lock() = [Ok(answer)].into();
    }

    /// From now on there is no answer, and whoever asks panics.
    pub(crate) fn crash(&self) {
        self.answers.lock().clear();
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.lock().len()
    }

    pub(crate) fn questions(&self) -> Vec<Question> {
        self.asked.lock().clone()
    }
}

impl Ask for Script {
    async fn ask(&self, question: &Question) -> Result<Answer, ProbeError> {
        self.asked.lock().push(question.clone());
        let mut answers = self.answers.lock();
        if answers.len() > 1 {
            answers.pop_front().unwrap()
        } else {
            answers.front().unwrap().clone()
        }
    }
}

pub(crate) fn good() -> Answer {
    Answer::Success(String::new())
}

pub(crate) fn bad() -> Answer {
    Answer::Failure("no".to_owned())
}
