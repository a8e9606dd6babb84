use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, ContainerPort, LifecycleHandler, Pod};
use serde_json::Error as JsonError;

use super::PodRecord;
use super::pod::owner_labels;
use crate::config::GoDuration;
use crate::runtime::container_hash;

pub(in crate::runtime) const CONTAINER_NAME: &str = "io.kubernetes.container.name";

const HASH: &str = "io.kubernetes.container.hash";
const RESTART_COUNT: &str = "io.kubernetes.container.restartCount";
/// Kubelet writes no such thing, and leaves it alone.
const RESTART_DELAY: &str = "node-agent.kubewright/restart-delay";
const TERMINATION_MESSAGE_PATH: &str = "io.kubernetes.container.terminationMessagePath";
const TERMINATION_MESSAGE_POLICY: &str = "io.kubernetes.container.terminationMessagePolicy";
const PRE_STOP_HANDLER: &str = "io.kubernetes.container.preStopHandler";
const PORTS: &str = "io.kubernetes.container.ports";
const DELETION_GRACE: &str = "io.kubernetes.pod.deletionGracePeriod";
const TERMINATION_GRACE: &str = "io.kubernetes.pod.terminationGracePeriod";

/// What an agent wrote on a container that it started.
///
/// The last five are for a container whose pod is gone from all sources, so that it is still ended
/// as its spec asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct ContainerRecord {
    /// Whose it is.
    pub pod: PodRecord,
    /// Its name in the pod's spec.
    pub name: Arc<str>,
    /// The hash of what it was made from.
    pub hash: u64,
    /// How often a container of this name was restarted before it.
    pub restart_count: u32,
    /// How long the next one is to wait after the end of this one, if it has to.
    pub restart_delay: Option<Duration>,
    /// Where it leaves its last words.
    pub termination_message_path: Option<String>,
    /// Where its last words are looked for.
    pub termination_message_policy: Option<String>,
    /// What is to be run before it is stopped.
    pub pre_stop: Option<LifecycleHandler>,
    /// Its ports, by which a hook may name them.
    pub ports: Vec<ContainerPort>,
    /// The pod's `deletionGracePeriodSeconds`.
    pub deletion_grace_seconds: Option<i64>,
    /// The pod's `terminationGracePeriodSeconds`.
    pub termination_grace_seconds: Option<i64>,
}

/// What is written on a container cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("annotation {key} is unreadable: {value:?}")]
pub struct UnreadableRecord {
    /// Which annotation.
    pub key: &'static str,
    /// What it says.
    pub value: String,
}

/// The labels of a container.
pub fn container_labels(pod: &Pod, container: &Container) -> BTreeMap<String, String> {
    let name = (CONTAINER_NAME.to_owned(), container.name.clone());
    owner_labels(pod).into_iter().chain([name]).collect()
}

/// The annotations of a container.
///
/// # Errors
///
/// The hook or the ports have no JSON.
pub fn container_annotations(
    pod: &Pod,
    container: &Container,
    restart_count: u32,
    restart_delay: Option<Duration>,
) -> Result<BTreeMap<String, String>, JsonError> {
    let lifecycle = container.lifecycle.as_ref();
    let pre_stop = lifecycle.and_then(|lifecycle| lifecycle.pre_stop.as_ref());
    let pre_stop = pre_stop.map(serde_json::to_string).transpose()?;
    let ports = container.ports.as_ref().filter(|ports| !ports.is_empty());
    let ports = ports.map(serde_json::to_string).transpose()?;
    let seconds = |seconds: Option<i64>| seconds.map(|seconds| seconds.to_string());
    let delay = restart_delay.map(|delay| GoDuration::truncated_to_millis(delay).to_string());
    let spec = pod.spec.as_ref();
    let termination_grace = spec.and_then(|spec| spec.termination_grace_period_seconds);

    let path = container.termination_message_path.clone();
    let policy = container.termination_message_policy.clone();
    let annotations = [
        (HASH, Some(format!("{:x}", container_hash(container)))),
        (RESTART_COUNT, Some(restart_count.to_string())),
        (RESTART_DELAY, delay),
        (TERMINATION_MESSAGE_PATH, Some(path.unwrap_or_default())),
        (TERMINATION_MESSAGE_POLICY, Some(policy.unwrap_or_default())),
        (PRE_STOP_HANDLER, pre_stop),
        (PORTS, ports),
        (
            DELETION_GRACE,
            seconds(pod.metadata.deletion_grace_period_seconds),
        ),
        (TERMINATION_GRACE, seconds(termination_grace)),
    ];
    let present = annotations
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Ok(present.collect())
}

impl ContainerRecord {
    /// Reads the labels and annotations of a container; `None` if it is nobody's that the agent
    /// knows.
    ///
    /// # Errors
    ///
    /// An annotation says what no agent wrote. A missing one says nothing.
    pub fn read<S: AsRef<str>>(
        label: impl Fn(&str) -> Option<S>,
        annotation: impl Fn(&str) -> Option<S>,
    ) -> Result<Option<Self>, UnreadableRecord> {
        let Some(pod) = PodRecord::read(&label) else {
            return Ok(None);
        };
        let Some(name) = label(CONTAINER_NAME) else {
            return Ok(None);
        };
        let read = Annotations(|key: &str| Some(annotation(key)?.as_ref().to_owned()));
        let hash = read.parsed(HASH, |text| u64::from_str_radix(text, 16).ok())?;
        Ok(Some(Self {
            pod,
            name: name.as_ref().into(),
            hash: hash.unwrap_or_default(),
            restart_count: read.number(RESTART_COUNT)?.unwrap_or_default(),
            restart_delay: read
                .parsed(RESTART_DELAY, |text| text.parse::<GoDuration>().ok()?.get())?,
            termination_message_path: read.text(TERMINATION_MESSAGE_PATH),
            termination_message_policy: read.text(TERMINATION_MESSAGE_POLICY),
            pre_stop: read.parsed(PRE_STOP_HANDLER, |text| serde_json::from_str(text).ok())?,
            ports: read
                .parsed(PORTS, |text| serde_json::from_str(text).ok())?
                .unwrap_or_default(),
            deletion_grace_seconds: read.number(DELETION_GRACE)?,
            termination_grace_seconds: read.number(TERMINATION_GRACE)?,
        }))
    }
}

/// Annotations by their keys.
struct Annotations<F>(F);

impl<F: Fn(&str) -> Option<String>> Annotations<F> {
    fn text(&self, key: &'static str) -> Option<String> {
        (self.0)(key).filter(|text| !text.is_empty())
    }

    fn number<T: FromStr>(&self, key: &'static str) -> Result<Option<T>, UnreadableRecord> {
        self.parsed(key, |text| text.parse().ok())
    }

    fn parsed<T>(
        &self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, UnreadableRecord> {
        let Some(value) = self.text(key) else {
            return Ok(None);
        };
        match parse(&value) {
            Some(parsed) => Ok(Some(parsed)),
            None => Err(UnreadableRecord { key, value }),
        }
    }
}
