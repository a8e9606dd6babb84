use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, ResourceRequirements};
use kubewright_quantity::Quantity;

use crate::names;
use crate::source::manifest::validation::{Problems, may_be_probed, probe};

pub(super) fn check(
    field: &str,
    container: &Container,
    init: bool,
    volumes: &BTreeSet<&str>,
    problems: &mut Problems,
) {
    let at = |name: &str| format!("{field}.{name}");
    problems.name(&at("name"), &container.name, names::label);
    match container.image.as_deref() {
        None | Some("") => problems.required(&at("image")),
        Some(image) if image.trim() != image => {
            problems.invalid(
                &at("image"),
                image,
                "must not have leading or trailing whitespace",
            );
        }
        Some(_) => {}
    }
    problems.one_of(
        &at("imagePullPolicy"),
        container.image_pull_policy.as_deref(),
        &["Always", "IfNotPresent", "Never"],
    );
    problems.one_of(
        &at("terminationMessagePolicy"),
        container.termination_message_policy.as_deref(),
        &["FallbackToLogsOnError", "File"],
    );
    match (init, container.restart_policy.as_deref()) {
        (_, None) | (true, Some("Always")) => {}
        (true, policy) => problems.one_of(&at("restartPolicy"), policy, &["Always"]),
        (false, Some(_)) => {
            problems.forbidden(
                &at("restartPolicy"),
                "may not be set for non-init containers",
            );
        }
    }
    ports(field, container, problems);
    environment(field, container, problems);
    mounts(field, container, volumes, problems);
    if let Some(resources) = &container.resources {
        self::resources(&at("resources"), resources, problems);
    }
    let probed = may_be_probed(container, init);
    for (name, probe) in [
        ("livenessProbe", &container.liveness_probe),
        ("readinessProbe", &container.readiness_probe),
        ("startupProbe", &container.startup_probe),
    ] {
        match probe {
            Some(_) if !probed => problems.forbidden(
                &at(name),
                "may not be set for init containers without restartPolicy=Always",
            ),
            Some(probe) => probe::check(&at(name), probe, name != "readinessProbe", problems),
            None => {}
        }
    }
    match &container.lifecycle {
        Some(_) if !probed => problems.forbidden(
            &at("lifecycle"),
            "may not be set for init containers without restartPolicy=Always",
        ),
        Some(lifecycle) => {
            for (name, hook) in [
                ("postStart", &lifecycle.post_start),
                ("preStop", &lifecycle.pre_stop),
            ] {
                if let Some(hook) = hook {
                    probe::hook(&at(&format!("lifecycle.{name}")), hook, problems);
                }
            }
        }
        None => {}
    }
}

fn ports(field: &str, container: &Container, problems: &mut Problems) {
    let mut taken = BTreeSet::new();
    for (index, port) in container.ports.iter().flatten().enumerate() {
        let at = |name: &str| format!("{field}.ports[{index}].{name}");
        if let Some(name) = port.name.as_deref().filter(|name| !name.is_empty()) {
            problems.name(&at("name"), name, names::port);
            if !taken.insert(name) {
                problems.duplicate(&at("name"), name);
            }
        }
        problems.port(&at("containerPort"), port.container_port);
        if let Some(number) = port.host_port.filter(|number| *number != 0) {
            problems.port(&at("hostPort"), number);
        }
        problems.one_of(
            &at("protocol"),
            port.protocol.as_deref(),
            &["SCTP", "TCP", "UDP"],
        );
    }
}

fn environment(field: &str, container: &Container, problems: &mut Problems) {
    for (index, variable) in container.env.iter().flatten().enumerate() {
        let at = |name: &str| format!("{field}.env[{index}].{name}");
        problems.name(&at("name"), &variable.name, names::variable);
        let value = variable.value.as_deref().unwrap_or_default();
        let Some(from) = &variable.value_from else {
            continue;
        };
        if !value.is_empty() {
            problems.invalid(
                &at("valueFrom"),
                "",
                "may not be specified when `value` is not empty",
            );
        }
        let given = usize::from(from.field_ref.is_some())
            + usize::from(from.resource_field_ref.is_some())
            + usize::from(from.config_map_key_ref.is_some())
            + usize::from(from.secret_key_ref.is_some())
            + usize::from(from.file_key_ref.is_some());
        if given != 1 {
            let why = "must specify exactly one of: `fieldRef`, `resourceFieldRef`, \
                       `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`";
            problems.invalid(&at("valueFrom"), "", why);
        }
    }
}

fn mounts(field: &str, container: &Container, volumes: &BTreeSet<&str>, problems: &mut Problems) {
    let mut taken = BTreeSet::new();
    for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
        let at = |name: &str| format!("{field}.volumeMounts[{index}].{name}");
        if mount.name.is_empty() {
            problems.required(&at("name"));
        } else if !volumes.contains(mount.name.as_str()) {
            problems.not_found(&at("name"), &mount.name);
        }
        if mount.mount_path.is_empty() {
            problems.required(&at("mountPath"));
        } else if !taken.insert(mount.mount_path.as_str()) {
            problems.invalid(&at("mountPath"), &mount.mount_path, "must be unique");
        }
        for (name, path) in [
            ("subPath", &mount.sub_path),
            ("subPathExpr", &mount.sub_path_expr),
        ] {
            let Some(path) = path.as_deref().filter(|path| !path.is_empty()) else {
                continue;
            };
            if path.starts_with('/') {
                problems.invalid(&at(name), path, "must be a relative path");
            } else if path.split('/').any(|part| part == "..") {
                problems.invalid(&at(name), path, "must not contain '..'");
            }
        }
    }
}

fn resources(field: &str, resources: &ResourceRequirements, problems: &mut Problems) {
    let mut limits = std::collections::BTreeMap::new();
    for (name, limit) in resources.limits.iter().flatten() {
        let field = format!("{field}.limits[{name}]");
        if let Some(limit) = quantity(&field, &limit.0, problems) {
            limits.insert(name, limit);
        }
    }
    for (name, request) in resources.requests.iter().flatten() {
        let field = format!("{field}.requests[{name}]");
        let Some(asked) = quantity(&field, &request.0, problems) else {
            continue;
        };
        if let Some(limit) = limits.get(name)
            && asked > *limit
        {
            let why = format!("must be less than or equal to {name} limit of {limit}");
            problems.invalid(&field, &request.0, &why);
        }
    }
}

fn quantity(field: &str, text: &str, problems: &mut Problems) -> Option<Quantity> {
    match Quantity::parse(text) {
        Ok(quantity) if quantity.is_negative() => {
            problems.invalid(field, text, "must be greater than or equal to 0");
            None
        }
        Ok(quantity) => Some(quantity),
        Err(error) => {
            problems.invalid(field, text, &error.to_string());
            None
        }
    }
}
