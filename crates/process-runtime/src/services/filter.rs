//! Which sandboxes and containers a list lets through.

use std::collections::BTreeMap;

use kubewright_cri::v1;

use crate::container::Container;
use crate::sandbox::Sandbox;

pub(super) fn sandbox(filter: &v1::PodSandboxFilter, sandbox: &Sandbox) -> bool {
    sandbox.id().starts_with(&filter.id)
        && (filter.state).is_none_or(|state| state.state == sandbox.listed().state)
        && labels(&filter.label_selector, &sandbox.record.labels)
}

pub(super) fn container(filter: &v1::ContainerFilter, container: &Container) -> bool {
    container.id().starts_with(&filter.id)
        && (container.record.sandbox_id).starts_with(&filter.pod_sandbox_id)
        && (filter.state).is_none_or(|state| state.state() == container.state())
        && labels(&filter.label_selector, &container.record.labels)
}

pub(super) fn running_container(filter: &v1::ContainerStatsFilter, it: &Container) -> bool {
    it.started().is_some()
        && it.id().starts_with(&filter.id)
        && it.record.sandbox_id.starts_with(&filter.pod_sandbox_id)
        && labels(&filter.label_selector, &it.record.labels)
}

pub(super) fn ready_sandbox(filter: &v1::PodSandboxStatsFilter, sandbox: &Sandbox) -> bool {
    sandbox.is_ready()
        && sandbox.id().starts_with(&filter.id)
        && labels(&filter.label_selector, &sandbox.record.labels)
}

fn labels(wanted: &BTreeMap<String, String>, labels: &BTreeMap<String, String>) -> bool {
    wanted
        .iter()
        .all(|(key, value)| labels.get(key) == Some(value))
}
