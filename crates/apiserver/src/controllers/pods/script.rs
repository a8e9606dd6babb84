use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::Value;
use tracing::warn;

/// How pods live, and on which nodes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PodLife {
    /// The nodes that pods are assigned to, in turn; they need not exist as objects.
    ///
    /// Without nodes pods stay unassigned. Default: `node-1` to `node-3`.
    pub nodes: Vec<String>,
    /// What happens to a pod that nothing else is said about.
    pub script: PodScript,
    /// What is to be different for some pods, by code. Annotations count after it.
    ///
    /// Default: nothing.
    pub rule: Option<PodRule>,
}

/// What happens to a pod, and when.
///
/// Annotations of the pod, such as `kubewright.dev/ready-after: 1m 30s`, change it:
///
/// | annotation | value |
/// |---|---|
/// | `kubewright.dev/run-after` | a duration, or `never` |
/// | `kubewright.dev/ready-after` | a duration, or `never` |
/// | `kubewright.dev/exit-after` | a duration, or `never` |
/// | `kubewright.dev/exit-code` | a number; with `exit-after`. Default: 0 |
/// | `kubewright.dev/stop-after` | a duration |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PodScript {
    /// From being assigned to a node until the containers run; `None` for never.
    ///
    /// Default: 100 ms.
    pub run_after: Option<Duration>,
    /// From running until the containers are ready; `None` for never.
    ///
    /// Default: 100 ms.
    pub ready_after: Option<Duration>,
    /// How the containers end by themselves. Default: they do not.
    pub exit: Option<Exit>,
    /// From being deleted until the containers have ended, at most the pod's grace period.
    ///
    /// Default: 100 ms.
    pub stop_after: Duration,
}

/// The end of a pod's containers.
///
/// By `spec.restartPolicy` they are started again, or the pod becomes `Succeeded` or `Failed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Counted from when they began to run, each time anew.
    pub after: Duration,
    /// 0 for success.
    pub code: i32,
}

/// A function that changes the [`PodScript`] of a pod, given as its JSON.
///
/// It is asked whenever a pod changes, and must give the same script for the same pod.
#[derive(Clone)]
pub struct PodRule(Arc<Rule>);

type Rule = dyn Fn(&Value, &mut PodScript) + Send + Sync;

impl Default for PodLife {
    fn default() -> Self {
        Self {
            nodes: (1..=3).map(|number| format!("node-{number}")).collect(),
            script: PodScript::default(),
            rule: None,
        }
    }
}

impl Default for PodScript {
    fn default() -> Self {
        let moment = Duration::from_millis(100);
        Self {
            run_after: Some(moment),
            ready_after: Some(moment),
            exit: None,
            stop_after: moment,
        }
    }
}

impl PodLife {
    pub(super) fn script_of(&self, pod: &Value) -> PodScript {
        let mut script = self.script;
        if let Some(PodRule(rule)) = &self.rule {
            rule(pod, &mut script);
        }
        script.annotate(pod);
        script
    }
}

impl PodScript {
    fn annotate(&mut self, pod: &Value) {
        let Some(annotations) = pod["metadata"]["annotations"].as_object() else {
            return;
        };
        let annotation = |name: &str| annotations.get(&format!("kubewright.dev/{name}"))?.as_str();
        if let Some(delay) = annotation("run-after").and_then(delay) {
            self.run_after = delay;
        }
        if let Some(delay) = annotation("ready-after").and_then(delay) {
            self.ready_after = delay;
        }
        if let Some(Some(delay)) = annotation("stop-after").and_then(delay) {
            self.stop_after = delay;
        }
        if let Some(delay) = annotation("exit-after").and_then(delay) {
            let code = annotation("exit-code").map_or(Some(0), |code| code.parse().ok());
            self.exit = delay.zip(code).map(|(after, code)| Exit { after, code });
        }
    }
}

/// Reads a duration, or `never`; `None` for what is neither.
fn delay(text: &str) -> Option<Option<Duration>> {
    if text == "never" {
        return Some(None);
    }
    let duration = text.parse::<SignedDuration>().ok();
    let duration = duration.and_then(|duration| Duration::try_from(duration).ok());
    if duration.is_none() {
        warn!(text, "an annotation of a pod is no duration");
    }
    duration.map(Some)
}

impl PodRule {
    /// A rule from a function.
    ///
    /// ```
    /// use kubewright_apiserver::controllers::{PodLife, PodRule};
    ///
    /// let mut life = PodLife::default();
    /// // Pods of the app "broken" never become ready.
    /// life.rule = Some(PodRule::new(|pod, script| {
    ///     if pod["metadata"]["labels"]["app"] == "broken" {
    ///         script.ready_after = None;
    ///     }
    /// }));
    /// ```
    pub fn new(rule: impl Fn(&Value, &mut PodScript) + Send + Sync + 'static) -> Self {
        Self(Arc::new(rule))
    }
}

impl fmt::Debug for PodRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PodRule(..)")
    }
}
