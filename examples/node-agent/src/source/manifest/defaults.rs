use k8s_openapi::api::core::v1::{
    Container, EmptyDirVolumeSource, HTTPGetAction, LifecycleHandler, Pod, PodSpec, Probe, Volume,
};

use crate::runtime::ImageName;

/// How a mounted file may be used, unless the manifest says otherwise: 0644.
const FILE_MODE: i32 = 0o644;

/// Fills in what the manifest leaves out, as the defaults of core/v1 have it; doing it twice
/// changes nothing more.
pub(super) fn fill(pod: &mut Pod) {
    let spec = pod.spec.get_or_insert_default();
    default(&mut spec.dns_policy, "ClusterFirst");
    default(&mut spec.restart_policy, "Always");
    default(&mut spec.scheduler_name, "default-scheduler");
    spec.security_context.get_or_insert_default();
    spec.termination_grace_period_seconds.get_or_insert(30);
    spec.enable_service_links.get_or_insert(true);
    // One thing under two names.
    if spec.service_account_name.is_none() {
        spec.service_account_name.clone_from(&spec.service_account);
    }
    spec.service_account.clone_from(&spec.service_account_name);
    let host_network = spec.host_network == Some(true);
    for container in containers(spec) {
        self::container(container);
        if host_network {
            // On the network of its node, a container's port is the node's port.
            for port in container.ports.iter_mut().flatten() {
                port.host_port.get_or_insert(port.container_port);
            }
        }
    }
    for volume in spec.volumes.iter_mut().flatten() {
        self::volume(volume);
    }
}

fn container(container: &mut Container) {
    default(
        &mut container.termination_message_path,
        "/dev/termination-log",
    );
    default(&mut container.termination_message_policy, "File");
    let image = container.image.as_deref().unwrap_or_default();
    let image: Result<ImageName, _> = image.parse();
    // Of one that is malformed nothing is ever pulled.
    let policy = image.map_or("IfNotPresent", |image| image.default_pull_policy());
    default(&mut container.image_pull_policy, policy);
    for port in container.ports.iter_mut().flatten() {
        default(&mut port.protocol, "TCP");
    }
    for variable in container.env.iter_mut().flatten() {
        if let Some(from) = &mut variable.value_from
            && let Some(field) = &mut from.field_ref
        {
            default(&mut field.api_version, "v1");
        }
    }
    let probes = [
        &mut container.liveness_probe,
        &mut container.readiness_probe,
        &mut container.startup_probe,
    ];
    for probe in probes.into_iter().flatten() {
        self::probe(probe);
    }
    if let Some(lifecycle) = &mut container.lifecycle {
        let hooks = [&mut lifecycle.post_start, &mut lifecycle.pre_stop];
        for LifecycleHandler { http_get, .. } in hooks.into_iter().flatten() {
            http_get.as_mut().map(request);
        }
    }
    // A container asks for what it is limited to, unless it says what it asks for.
    if let Some(resources) = &mut container.resources
        && let Some(limits) = &resources.limits
    {
        let requests = resources.requests.get_or_insert_default();
        for (name, quantity) in limits {
            requests
                .entry(name.clone())
                .or_insert_with(|| quantity.clone());
        }
    }
}

fn probe(probe: &mut Probe) {
    let numbers = [
        (&mut probe.timeout_seconds, 1),
        (&mut probe.period_seconds, 10),
        (&mut probe.success_threshold, 1),
        (&mut probe.failure_threshold, 3),
    ];
    for (number, default) in numbers {
        // Zero is as good as nothing here.
        if number.unwrap_or_default() == 0 {
            *number = Some(default);
        }
    }
    probe.http_get.as_mut().map(request);
    if let Some(call) = &mut probe.grpc {
        call.service.get_or_insert_default();
    }
}

fn request(request: &mut HTTPGetAction) {
    default(&mut request.path, "/");
    default(&mut request.scheme, "HTTP");
}

fn volume(volume: &mut Volume) {
    let bare = Volume {
        name: volume.name.clone(),
        ..Volume::default()
    };
    if *volume == bare {
        volume.empty_dir = Some(EmptyDirVolumeSource::default());
    }
    if let Some(path) = &mut volume.host_path {
        path.type_.get_or_insert_default();
    }
    if let Some(secret) = &mut volume.secret {
        secret.default_mode.get_or_insert(FILE_MODE);
    }
    if let Some(config_map) = &mut volume.config_map {
        config_map.default_mode.get_or_insert(FILE_MODE);
    }
    if let Some(fields) = &mut volume.downward_api {
        fields.default_mode.get_or_insert(FILE_MODE);
        for file in fields.items.iter_mut().flatten() {
            if let Some(field) = &mut file.field_ref {
                default(&mut field.api_version, "v1");
            }
        }
    }
    if let Some(projected) = &mut volume.projected {
        projected.default_mode.get_or_insert(FILE_MODE);
        for source in projected.sources.iter_mut().flatten() {
            let items = source.downward_api.iter_mut();
            for file in items.flat_map(|fields| fields.items.iter_mut().flatten()) {
                if let Some(field) = &mut file.field_ref {
                    default(&mut field.api_version, "v1");
                }
            }
        }
    }
}

fn containers(spec: &mut PodSpec) -> impl Iterator<Item = &mut Container> {
    let init = spec.init_containers.iter_mut().flatten();
    init.chain(&mut spec.containers)
}

/// Sets a text that is missing or empty.
fn default(text: &mut Option<String>, to: &str) {
    if text.as_deref().unwrap_or_default().is_empty() {
        *text = Some(to.to_owned());
    }
}
