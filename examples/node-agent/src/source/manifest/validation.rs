use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, Volume};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::names;
use crate::source::manifest::{FieldError, ManifestError};

mod container;
mod probe;

/// The problems found so far.
struct Problems {
    found: Vec<FieldError>,
}

/// Holds a pod to the rules of pods, as far as the agent counts on them.
///
/// All problems are told, by the fields they are in and in the words of an API server.
pub(super) fn check(pod: &Pod) -> Result<(), ManifestError> {
    let mut problems = Problems { found: Vec::new() };
    metadata(&pod.metadata, &mut problems);
    match &pod.spec {
        Some(spec) => self::spec(spec, &mut problems),
        None => problems.required("spec"),
    }
    if problems.found.is_empty() {
        Ok(())
    } else {
        Err(ManifestError::Invalid(problems.found))
    }
}

fn metadata(metadata: &ObjectMeta, problems: &mut Problems) {
    let name = metadata.name.as_deref().unwrap_or_default();
    problems.name("metadata.name", name, names::subdomain);
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    problems.name("metadata.namespace", namespace, names::label);
    let uid = metadata.uid.as_deref().unwrap_or_default();
    problems.name("metadata.uid", uid, names::uid);
    labels("metadata.labels", metadata.labels.as_ref(), problems);
    for key in metadata.annotations.iter().flat_map(BTreeMap::keys) {
        if let Some(problem) = names::qualified(&key.to_lowercase()) {
            problems.invalid("metadata.annotations", key, problem);
        }
    }
}

fn labels(field: &str, labels: Option<&BTreeMap<String, String>>, problems: &mut Problems) {
    for (key, value) in labels.into_iter().flatten() {
        if let Some(problem) = names::qualified(key) {
            problems.invalid(field, key, problem);
        }
        if let Some(problem) = names::label_value(value) {
            problems.invalid(field, value, problem);
        }
    }
}

fn spec(spec: &PodSpec, problems: &mut Problems) {
    let volumes = volumes(spec, problems);
    if spec.containers.is_empty() {
        problems.required("spec.containers");
    }
    let mut taken = BTreeSet::new();
    let init = spec.init_containers.as_deref().unwrap_or_default();
    for (list, containers) in [("initContainers", init), ("containers", &spec.containers)] {
        for (index, container) in containers.iter().enumerate() {
            let field = format!("spec.{list}[{index}]");
            container::check(
                &field,
                container,
                list == "initContainers",
                &volumes,
                problems,
            );
            if !container.name.is_empty() && !taken.insert(container.name.as_str()) {
                problems.duplicate(&format!("{field}.name"), &container.name);
            }
        }
    }
    host_ports(spec, problems);
    if spec
        .ephemeral_containers
        .as_ref()
        .is_some_and(|list| !list.is_empty())
    {
        problems.forbidden("spec.ephemeralContainers", "cannot be set on create");
    }
    problems.one_of(
        "spec.restartPolicy",
        spec.restart_policy.as_deref(),
        &["Always", "Never", "OnFailure"],
    );
    problems.one_of(
        "spec.dnsPolicy",
        spec.dns_policy.as_deref(),
        &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"],
    );
    let nameservers = spec
        .dns_config
        .as_ref()
        .and_then(|dns| dns.nameservers.as_ref());
    if spec.dns_policy.as_deref() == Some("None") && nameservers.is_none_or(Vec::is_empty) {
        problems.required("spec.dnsConfig.nameservers");
    }
    if let Some(seconds) = spec.active_deadline_seconds
        && !(1..=i64::from(i32::MAX)).contains(&seconds)
    {
        problems.range(
            "spec.activeDeadlineSeconds",
            seconds,
            1,
            i64::from(i32::MAX),
        );
    }
    problems.not_negative(
        "spec.terminationGracePeriodSeconds",
        spec.termination_grace_period_seconds,
    );
    for (field, name) in [
        ("spec.hostname", &spec.hostname),
        ("spec.subdomain", &spec.subdomain),
    ] {
        match name.as_deref() {
            None | Some("") => {}
            Some(name) => problems.name(field, name, names::label),
        }
    }
    labels("spec.nodeSelector", spec.node_selector.as_ref(), problems);
}

/// The names of the pod's volumes.
fn volumes<'a>(spec: &'a PodSpec, problems: &mut Problems) -> BTreeSet<&'a str> {
    let mut taken = BTreeSet::new();
    for (index, volume) in spec.volumes.iter().flatten().enumerate() {
        let field = format!("spec.volumes[{index}]");
        let name = format!("{field}.name");
        problems.name(&name, &volume.name, names::label);
        if !volume.name.is_empty() && !taken.insert(volume.name.as_str()) {
            problems.duplicate(&name, &volume.name);
        }
        match sources(volume) {
            0 => problems.required(&field),
            1 => {}
            _ => problems.forbidden(&field, "may not specify more than 1 volume type"),
        }
        if let Some(path) = &volume.host_path {
            host_path(&format!("{field}.hostPath"), &path.path, problems);
        }
    }
    taken
}

/// How many kinds of volume a volume says it is: the fields beside its name.
fn sources(volume: &Volume) -> usize {
    let fields = serde_json::to_value(volume).ok();
    let fields = fields.as_ref().and_then(serde_json::Value::as_object);
    fields.map_or(0, |fields| {
        fields.keys().filter(|key| *key != "name").count()
    })
}

fn host_path(field: &str, path: &str, problems: &mut Problems) {
    let field = format!("{field}.path");
    if path.is_empty() {
        problems.required(&field);
    } else if path.split('/').any(|part| part == "..") {
        problems.invalid(&field, path, "must not contain '..'");
    }
}

/// Two containers cannot have one port of the node.
fn host_ports(spec: &PodSpec, problems: &mut Problems) {
    let mut taken = BTreeSet::new();
    for (index, container) in spec.containers.iter().enumerate() {
        for (at, port) in container.ports.iter().flatten().enumerate() {
            let Some(number) = port.host_port.filter(|number| *number != 0) else {
                continue;
            };
            let address = port.host_ip.as_deref().unwrap_or_default();
            let protocol = port.protocol.as_deref().unwrap_or_default();
            if !taken.insert((protocol, address, number)) {
                let field = format!("spec.containers[{index}].ports[{at}].hostPort");
                problems.duplicate(&field, &format!("{protocol}/{address}/{number}"));
            }
        }
    }
}

impl Problems {
    fn push(&mut self, field: &str, problem: String) {
        self.found.push(FieldError {
            field: field.to_owned(),
            problem,
        });
    }

    fn required(&mut self, field: &str) {
        self.push(field, "Required value".to_owned());
    }

    fn duplicate(&mut self, field: &str, value: &str) {
        self.push(field, format!("Duplicate value: {value:?}"));
    }

    fn forbidden(&mut self, field: &str, why: &str) {
        self.push(field, format!("Forbidden: {why}"));
    }

    fn not_found(&mut self, field: &str, value: &str) {
        self.push(field, format!("Not found: {value:?}"));
    }

    fn invalid(&mut self, field: &str, value: &str, why: &str) {
        self.push(field, format!("Invalid value: {value:?}: {why}"));
    }

    /// A name that must be there, and be well-formed.
    fn name(&mut self, field: &str, name: &str, check: fn(&str) -> Option<&'static str>) {
        if name.is_empty() {
            self.required(field);
        } else if let Some(problem) = check(name) {
            self.invalid(field, name, problem);
        }
    }

    fn one_of(&mut self, field: &str, value: Option<&str>, supported: &[&str]) {
        match value {
            None | Some("") => self.required(field),
            Some(value) if supported.contains(&value) => {}
            Some(value) => {
                let supported: Vec<String> =
                    supported.iter().map(|value| format!("{value:?}")).collect();
                let supported = supported.join(", ");
                self.push(
                    field,
                    format!("Unsupported value: {value:?}: supported values: {supported}"),
                );
            }
        }
    }

    fn not_negative(&mut self, field: &str, value: Option<impl Into<i64>>) {
        if let Some(value) = value.map(Into::into)
            && value < 0
        {
            let why = "must be greater than or equal to 0";
            self.push(field, format!("Invalid value: {value}: {why}"));
        }
    }

    fn range(&mut self, field: &str, value: i64, from: i64, to: i64) {
        if !(from..=to).contains(&value) {
            let why = format!("must be between {from} and {to}, inclusive");
            self.push(field, format!("Invalid value: {value}: {why}"));
        }
    }

    fn port(&mut self, field: &str, number: i32) {
        self.range(field, i64::from(number), 1, 65535);
    }
}

/// A container of a list that is not the init containers', or that goes on running beside them.
fn may_be_probed(container: &Container, init: bool) -> bool {
    !init || container.restart_policy.as_deref() == Some("Always")
}
