//! Which sandboxes and containers a list lets through.

use std::collections::BTreeMap;

use crate::v1;

pub(super) fn sandbox(
    filter: Option<&v1::PodSandboxFilter>,
    sandbox: &v1::PodSandboxStatus,
) -> bool {
    filter.is_none_or(|filter| {
        id(&filter.id, &sandbox.id)
            && filter
                .state
                .is_none_or(|state| state.state == sandbox.state)
            && labels(&filter.label_selector, &sandbox.labels)
    })
}

pub(super) fn container(
    filter: Option<&v1::ContainerFilter>,
    sandbox_id: &str,
    container: &v1::ContainerStatus,
) -> bool {
    filter.is_none_or(|filter| {
        id(&filter.id, &container.id)
            && id(&filter.pod_sandbox_id, sandbox_id)
            && filter
                .state
                .is_none_or(|state| state.state == container.state)
            && labels(&filter.label_selector, &container.labels)
    })
}

/// Ids may be shortened.
pub(super) fn id(wanted: &str, id: &str) -> bool {
    id.starts_with(wanted)
}

pub(super) fn labels(wanted: &BTreeMap<String, String>, labels: &BTreeMap<String, String>) -> bool {
    wanted
        .iter()
        .all(|(key, value)| labels.get(key) == Some(value))
}
