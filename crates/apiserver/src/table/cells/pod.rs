//! Pods and pod templates.

use serde_json::Value;

use crate::table::age;
use crate::table::subject::Subject;

pub(super) fn template(o: &Subject<'_>) -> Vec<Value> {
    let [names, images] = o.containers("/template");
    vec![
        o.name(),
        names,
        images,
        o.labels("/template/metadata/labels"),
    ]
}

pub(super) fn pod(o: &Subject<'_>) -> Vec<Value> {
    let summary = Summary::of(o);
    let gates = o.list("/spec/readinessGates");
    let open = |gate: &&Value| o.has_condition(gate["conditionType"].as_str().unwrap_or_default());
    vec![
        o.name(),
        format!("{}/{}", summary.ready, summary.total).into(),
        summary.status.into(),
        match &summary.last_restart {
            Some(time) if summary.restarts > 0 => format!(
                "{} ({} ago)",
                summary.restarts,
                age::since(Some(time), o.now)
            )
            .into(),
            _ => summary.restarts.to_string().into(),
        },
        o.age(),
        o.text_or("/status/podIPs/0/ip", "<none>"),
        o.text_or("/spec/nodeName", "<none>"),
        o.text_or("/status/nominatedNodeName", "<none>"),
        match gates {
            [] => "<none>".into(),
            gates => format!("{}/{}", gates.iter().filter(open).count(), gates.len()).into(),
        },
    ]
}

/// How a pod is, in a few words.
#[derive(Default)]
struct Summary {
    ready: usize,
    total: usize,
    status: String,
    restarts: i64,
    /// When a container last ended and was started again.
    last_restart: Option<String>,
}

impl Summary {
    fn of(o: &Subject<'_>) -> Self {
        let phase = o.text("/status/phase").unwrap_or_default();
        let sidecars: Vec<&Value> = o
            .list("/spec/initContainers")
            .iter()
            .filter(|container| container["restartPolicy"] == "Always")
            .map(|container| &container["name"])
            .collect();
        let gated = o
            .condition("PodScheduled")
            .is_some_and(|condition| condition["reason"] == "SchedulingGated");
        let mut summary = Self {
            total: o.list("/spec/containers").len() + sidecars.len(),
            status: match gated {
                true => "SchedulingGated",
                false => o.text("/status/reason").unwrap_or(phase),
            }
            .to_owned(),
            ..Self::default()
        };
        let initializing = summary.count_init(o, &sidecars);
        if !initializing || o.has_condition("Initialized") {
            // The restarts of containers that are done are of no interest any more.
            (summary.restarts, summary.last_restart) = (0, None);
            let statuses = o.list("/status/initContainerStatuses").iter();
            for status in statuses.filter(|status| sidecars.contains(&&status["name"])) {
                summary.count_restarts(status);
            }
            summary.count_containers(o);
        }
        let lost = o.text("/status/reason") == Some("NodeLost");
        if o.is_deleted() && lost {
            "Unknown".clone_into(&mut summary.status);
        } else if o.is_deleted() && !matches!(phase, "Succeeded" | "Failed") {
            "Terminating".clone_into(&mut summary.status);
        }
        summary
    }

    /// Counts init containers up to the first that is not done; whether there is one.
    fn count_init(&mut self, o: &Subject<'_>, sidecars: &[&Value]) -> bool {
        let total = o.list("/spec/initContainers").len();
        for (index, status) in o.list("/status/initContainerStatuses").iter().enumerate() {
            self.count_restarts(status);
            let state = &status["state"];
            let terminated = &state["terminated"];
            if terminated.is_object() && terminated["exitCode"].as_i64().unwrap_or(0) == 0 {
                continue;
            }
            if sidecars.contains(&&status["name"]) && status["started"] == true {
                self.ready += usize::from(status["ready"] == true);
                continue;
            }
            self.status = if terminated.is_object() {
                format!("Init:{}", why_terminated(terminated))
            } else {
                match state["waiting"]["reason"].as_str() {
                    Some(reason) if !matches!(reason, "" | "PodInitializing") => {
                        format!("Init:{reason}")
                    }
                    _ => format!("Init:{index}/{total}"),
                }
            };
            return true;
        }
        false
    }

    /// Counts the containers; the first that is not running gives the pod its status.
    fn count_containers(&mut self, o: &Subject<'_>) {
        let mut running = false;
        for status in o.list("/status/containerStatuses").iter().rev() {
            self.count_restarts(status);
            let state = &status["state"];
            let waiting = state["waiting"]["reason"].as_str().unwrap_or_default();
            if !waiting.is_empty() {
                waiting.clone_into(&mut self.status);
            } else if state["terminated"].is_object() {
                self.status = why_terminated(&state["terminated"]);
            } else if status["ready"] == true && state["running"].is_object() {
                running = true;
                self.ready += 1;
            }
        }
        if self.status == "Completed" && running {
            self.status = match o.has_condition("Ready") {
                true => "Running",
                false => "NotReady",
            }
            .to_owned();
        }
    }

    fn count_restarts(&mut self, status: &Value) {
        self.restarts += status["restartCount"].as_i64().unwrap_or_default();
        let ended = status["lastState"]["terminated"]["finishedAt"].as_str();
        // Times of one format sort as text.
        if ended > self.last_restart.as_deref() {
            self.last_restart = ended.map(str::to_owned);
        }
    }
}

fn why_terminated(terminated: &Value) -> String {
    let number = |field: &str| terminated[field].as_i64().unwrap_or_default();
    match (terminated["reason"].as_str(), number("signal")) {
        (Some(reason), _) if !reason.is_empty() => reason.to_owned(),
        (_, 0) => format!("ExitCode:{}", number("exitCode")),
        (_, signal) => format!("Signal:{signal}"),
    }
}
