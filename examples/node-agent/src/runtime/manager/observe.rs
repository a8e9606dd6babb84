use std::cmp::Reverse;
use std::net::IpAddr;
use std::sync::Arc;

use futures::future::{try_join, try_join_all};
use kubewright_cri::{Error, v1};

use super::RuntimeManager;
use super::list::{first_given, state, timestamp};
use crate::pod::{PodName, PodUid};
use crate::runtime::labels::POD_UID;
use crate::runtime::termination_message::termination_message;
use crate::runtime::{
    ContainerId, ContainerRecord, ObservedContainer, ObservedPod, ObservedSandbox, RuntimeState,
};

impl RuntimeManager {
    /// What the runtime knows of one pod. What vanishes while it is asked is left out.
    pub(super) async fn observe_pod(
        &self,
        uid: &PodUid,
        name: &PodName,
    ) -> Result<ObservedPod, Error> {
        let runtime_name = self.runtime_name().await?;
        let (sandboxes, containers) = try_join(
            self.observe_sandboxes(uid),
            self.observe_containers(uid, &runtime_name),
        )
        .await?;
        let newest = sandboxes.first().filter(|sandbox| sandbox.is_ready);
        Ok(ObservedPod {
            uid: uid.clone(),
            name: name.clone(),
            ips: newest.map_or_else(Vec::new, |sandbox| sandbox.ips.clone()),
            sandboxes,
            containers,
        })
    }

    async fn observe_sandboxes(&self, uid: &PodUid) -> Result<Vec<ObservedSandbox>, Error> {
        let runtime = &self.inner.runtime;
        let listed = self.sandboxes_of(uid).await?;
        let statuses = listed.iter().map(|sandbox| async {
            match runtime.pod_sandbox_status(&sandbox.id).await {
                Ok(answer) => Ok(answer.status),
                Err(error) if error.is_not_found() => Ok(None),
                Err(error) => Err(error),
            }
        });
        let statuses = try_join_all(statuses).await?.into_iter().flatten();
        let mut sandboxes: Vec<_> = statuses.map(observed_sandbox).collect();
        sandboxes.sort_by_key(|sandbox| Reverse((sandbox.attempt, sandbox.created_at)));
        Ok(sandboxes)
    }

    pub(super) async fn sandboxes_of(&self, uid: &PodUid) -> Result<Vec<v1::PodSandbox>, Error> {
        let filter = v1::PodSandboxFilter {
            label_selector: of_pod(uid),
            ..v1::PodSandboxFilter::default()
        };
        self.inner.runtime.list_pod_sandbox(Some(filter)).await
    }

    async fn observe_containers(
        &self,
        uid: &PodUid,
        runtime_name: &Arc<str>,
    ) -> Result<Vec<ObservedContainer>, Error> {
        let runtime = &self.inner.runtime;
        let filter = v1::ContainerFilter {
            label_selector: of_pod(uid),
            ..v1::ContainerFilter::default()
        };
        let listed = runtime.list_containers(Some(filter)).await?;
        let statuses = listed.iter().map(|container| async {
            match runtime.container_status(&container.id).await {
                Ok(status) => Ok(Some(status)),
                Err(error) if error.is_not_found() => Ok(None),
                Err(error) => Err(error),
            }
        });
        let statuses = try_join_all(statuses).await?.into_iter().flatten();
        let observed = statuses.filter_map(|status| observed_container(runtime_name, &status));
        let mut containers: Vec<_> = observed.collect();
        containers
            .sort_by_key(|container| Reverse((container.restart_count, container.created_at)));
        Ok(containers)
    }
}

fn of_pod(uid: &PodUid) -> std::collections::BTreeMap<String, String> {
    [(POD_UID.to_owned(), uid.to_string())].into()
}

fn observed_sandbox(status: v1::PodSandboxStatus) -> ObservedSandbox {
    let options = status.linux.as_ref();
    let options = options
        .and_then(|linux| linux.namespaces.as_ref())
        .and_then(|namespaces| namespaces.options.as_ref());
    let is_host_network =
        options.is_some_and(|options| options.network() == v1::NamespaceMode::Node);
    ObservedSandbox {
        attempt: status.metadata.as_ref().map_or(0, |data| data.attempt),
        is_ready: status.state() == v1::PodSandboxState::SandboxReady,
        is_host_network,
        lacks_address: status.network.as_ref().is_some_and(|it| it.ip.is_empty()),
        ips: sandbox_ips(&status),
        created_at: timestamp(status.created_at),
        id: status.id.into(),
    }
}

/// The addresses of a sandbox, the primary one first. What is not an address is left out.
pub(super) fn sandbox_ips(status: &v1::PodSandboxStatus) -> Vec<IpAddr> {
    let Some(network) = &status.network else {
        return Vec::new();
    };
    let primary = Some(&network.ip).filter(|ip| !ip.is_empty());
    let additional = network.additional_ips.iter().map(|ip| &ip.ip);
    let ips = primary.into_iter().chain(additional).filter_map(|ip| {
        let read = ip.parse();
        if read.is_err() {
            tracing::warn!(
                sandbox = status.id,
                ip,
                "an address of a sandbox is unreadable"
            );
        }
        read.ok()
    });
    ips.collect()
}

/// A container as the runtime describes it; `None` if it is nobody's that the agent knows.
///
/// Answers to kubelet's `toKubeContainerStatus`.
pub(super) fn observed_container(
    runtime: &Arc<str>,
    status: &v1::ContainerStatus,
) -> Option<ObservedContainer> {
    let record = read_record(status)?;
    let state = state(status.state());
    let time = |nanoseconds: i64| (nanoseconds > 0).then(|| timestamp(nanoseconds));
    let was_started = matches!(state, RuntimeState::Running | RuntimeState::Exited);
    let has_ended = state == RuntimeState::Exited;
    let mut message = status.message.clone();
    if has_ended && let Some(words) = termination_message(status, &record) {
        if !message.is_empty() {
            message.push_str(": ");
        }
        message.push_str(&words);
    }
    let image = status.image.clone().unwrap_or_default();
    Some(ObservedContainer {
        id: ContainerId {
            runtime: runtime.clone(),
            id: status.id.as_str().into(),
        },
        name: record.name,
        state,
        created_at: timestamp(status.created_at),
        started_at: time(status.started_at).filter(|_| was_started),
        finished_at: time(status.finished_at).filter(|_| has_ended),
        exit_code: if has_ended { status.exit_code } else { 0 },
        image: first_given([image.user_specified_image, image.image]),
        image_id: first_given([status.image_ref.clone(), status.image_id.clone()]),
        hash: record.hash,
        restart_count: record.restart_count,
        restart_delay: record.restart_delay,
        reason: status.reason.clone(),
        message,
    })
}

/// What is written on a container. What cannot be read is told, and counts as not written.
pub(super) fn read_record(status: &v1::ContainerStatus) -> Option<ContainerRecord> {
    let mut unreadable = Vec::new();
    loop {
        let annotation = |key: &str| {
            let is_readable = !unreadable.contains(&key);
            status.annotations.get(key).filter(|_| is_readable)
        };
        match ContainerRecord::read(|key| status.labels.get(key), annotation) {
            Ok(record) => return record,
            Err(error) => {
                tracing::warn!(container = status.id, %error, "an annotation is left out");
                unreadable.push(error.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(ip: &str, additional: &[&str]) -> ObservedSandbox {
        let additional = additional.iter().map(|ip| v1::PodIp { ip: (*ip).into() });
        observed_sandbox(v1::PodSandboxStatus {
            network: Some(v1::PodSandboxNetworkStatus {
                ip: ip.into(),
                additional_ips: additional.collect(),
            }),
            ..v1::PodSandboxStatus::default()
        })
    }

    #[test]
    fn an_address_that_cannot_be_read_costs_no_other() {
        let cases: [(_, &[_], &[_], _); 5] = [
            ("10.0.0.1", &["fd00::1"], &["10.0.0.1", "fd00::1"], false),
            (
                "10.0.0.1",
                &["fd00::1/64", "10.0.0.2"],
                &["10.0.0.1", "10.0.0.2"],
                false,
            ),
            ("nowhere", &["fd00::1"], &["fd00::1"], false),
            ("nowhere", &[], &[], false),
            ("", &[], &[], true),
        ];
        for (ip, additional, expected, lacks_address) in cases {
            let observed = observed(ip, additional);
            let read: Vec<_> = observed.ips.iter().map(ToString::to_string).collect();
            assert_eq!(read, expected, "{ip} {additional:?}");
            assert_eq!(observed.lacks_address, lacks_address, "{ip}");
        }
        let silent = observed_sandbox(v1::PodSandboxStatus::default());
        assert!(!silent.lacks_address, "it is not said whether it has one");
    }
}
