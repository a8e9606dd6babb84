use std::borrow::Cow;

use k8s_openapi::api::core::v1::{Container, EphemeralContainer, Pod};

/// What a container is in its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContainerKind {
    /// It runs to its end before the next one is started.
    Init,
    /// An init container that keeps running: one with restart policy `Always`.
    Sidecar,
    /// One of those that the pod is there for.
    Regular,
    /// Added to a pod that exists; it is never restarted.
    Ephemeral,
}

/// A container of a pod's spec, and what it is there.
#[derive(Clone, Debug)]
pub struct PodContainer<'a> {
    /// What it is in its pod.
    pub kind: ContainerKind,
    /// Where it stands among those of its list, from 0.
    pub index: usize,
    /// What is asked for; an ephemeral container written as one of the others.
    pub spec: Cow<'a, Container>,
}

/// All containers of a pod: init containers and sidecars, regular ones, ephemeral ones, each in the
/// order of the spec.
pub fn containers(pod: &Pod) -> impl Iterator<Item = PodContainer<'_>> {
    let spec = pod.spec.as_ref();
    let init = spec.and_then(|spec| spec.init_containers.as_deref());
    let regular = spec.map(|spec| spec.containers.as_slice());
    let ephemeral = spec.and_then(|spec| spec.ephemeral_containers.as_deref());

    let init = init.unwrap_or_default().iter().enumerate();
    let init = init.map(|(index, container)| PodContainer {
        kind: if is_sidecar(container) {
            ContainerKind::Sidecar
        } else {
            ContainerKind::Init
        },
        index,
        spec: Cow::Borrowed(container),
    });
    let regular = regular.unwrap_or_default().iter().enumerate();
    let regular = regular.map(|(index, container)| PodContainer {
        kind: ContainerKind::Regular,
        index,
        spec: Cow::Borrowed(container),
    });
    let ephemeral = ephemeral.unwrap_or_default().iter().enumerate();
    let ephemeral = ephemeral.map(|(index, container)| PodContainer {
        kind: ContainerKind::Ephemeral,
        index,
        spec: Cow::Owned(as_container(container)),
    });
    init.chain(regular).chain(ephemeral)
}

/// Whether an init container is to keep running.
pub fn is_sidecar(init_container: &Container) -> bool {
    init_container.restart_policy.as_deref() == Some("Always")
}

impl PodContainer<'_> {
    /// Whether it keeps its pod from being initialized.
    pub fn is_init(&self) -> bool {
        matches!(self.kind, ContainerKind::Init | ContainerKind::Sidecar)
    }
}

/// An ephemeral container as one of the others; which container it looks at is lost.
fn as_container(container: &EphemeralContainer) -> Container {
    let container = container.clone();
    Container {
        args: container.args,
        command: container.command,
        env: container.env,
        env_from: container.env_from,
        image: container.image,
        image_pull_policy: container.image_pull_policy,
        lifecycle: container.lifecycle,
        liveness_probe: container.liveness_probe,
        name: container.name,
        ports: container.ports,
        readiness_probe: container.readiness_probe,
        resize_policy: container.resize_policy,
        resources: container.resources,
        restart_policy: container.restart_policy,
        restart_policy_rules: container.restart_policy_rules,
        security_context: container.security_context,
        startup_probe: container.startup_probe,
        stdin: container.stdin,
        stdin_once: container.stdin_once,
        termination_message_path: container.termination_message_path,
        termination_message_policy: container.termination_message_policy,
        tty: container.tty,
        volume_devices: container.volume_devices,
        volume_mounts: container.volume_mounts,
        working_dir: container.working_dir,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_come_in_the_order_in_which_they_start() {
        let pod: Pod = serde_json::from_value(serde_json::json!({"spec": {
            "initContainers": [{"name": "i"}, {"name": "s", "restartPolicy": "Always"}],
            "containers": [{"name": "a"}, {"name": "b"}],
            "ephemeralContainers": [{"name": "e", "image": "debug", "tty": true}],
        }}))
        .unwrap();
        let seen: Vec<_> = containers(&pod)
            .map(|c| (c.kind, c.index, c.spec.name.clone()))
            .collect();
        let expected = [
            (ContainerKind::Init, 0, "i"),
            (ContainerKind::Sidecar, 1, "s"),
            (ContainerKind::Regular, 0, "a"),
            (ContainerKind::Regular, 1, "b"),
            (ContainerKind::Ephemeral, 0, "e"),
        ];
        assert_eq!(
            seen,
            expected.map(|(kind, index, name)| (kind, index, name.to_owned()))
        );
        let last = containers(&pod).last().unwrap();
        assert_eq!(last.spec.image.as_deref(), Some("debug"));
        assert_eq!(last.spec.tty, Some(true));
    }
}
