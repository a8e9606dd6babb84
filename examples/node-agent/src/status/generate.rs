use std::net::IpAddr;

use k8s_openapi::api::core::v1::{ContainerStatus, HostIP, Pod, PodIP, PodStatus};

use super::StartFailures;
use super::conditions::{
    DISRUPTION_TARGET, containers_ready_condition, disruption_condition, find_condition,
    initialized_condition, is_owned, ready_condition, ready_to_start_containers_condition,
    scheduled_condition,
};
use super::containers::container_statuses;
use super::phase::{Course, pod_phase};
use super::probed::apply_probes;
use crate::pod::{ContainerKind, FAILED, is_host_network, is_phase_terminal};
use crate::probe::ProbeResults;
use crate::runtime::ObservedPod;

/// All that a status is made of.
#[derive(Clone, Copy)]
#[expect(
    missing_debug_implementations,
    reason = "what probes say may come from a closure, and nobody prints it all"
)]
pub struct StatusInputs<'a> {
    /// The pod, with the status that its source has.
    pub pod: &'a Pod,
    /// What the runtime says of it.
    pub observed: &'a ObservedPod,
    /// The status that was settled last; that of the source if there was none.
    pub previous: &'a PodStatus,
    /// Whether its containers may still be started.
    pub course: Course,
    /// Why containers could not be started.
    pub failures: &'a StartFailures,
    /// What probes came to.
    pub probes: &'a dyn ProbeResults,
    /// Why the agent itself ends the pod, if it does.
    pub eviction: Option<&'a Eviction>,
    /// The quality of service that the pod is in.
    pub qos_class: &'a str,
    /// The addresses of the node, the first one of the family that comes first; empty if unknown.
    pub host_ips: &'a [IpAddr],
}

/// Why the agent ends a pod: too long a life, too little room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Eviction {
    /// In a word.
    pub reason: String,
    /// For people.
    pub message: String,
    /// What the condition `DisruptionTarget` tells people: whoever owns the pod may count it as
    /// none of its failures. Without one the end is the pod's own doing.
    pub disruption: Option<String>,
}

/// The status of a pod.
///
/// A pod never leaves a terminal phase: neither for what its containers say, which may well end with
/// 0 when the agent ends them, nor for a later reason to end it. Conditions of others are kept.
/// Answers to kubelet's `generateAPIPodStatus`, which holds it to that only once the API server has
/// the phase.
pub fn api_status(inputs: &StatusInputs<'_>) -> PodStatus {
    let StatusInputs { pod, previous, .. } = *inputs;
    let source = pod.status.clone().unwrap_or_default();
    let mut phases = [&source, previous].into_iter();
    let end = phases.find_map(|it| it.phase.clone().filter(|it| is_phase_terminal(Some(it))));
    let inputs = &StatusInputs {
        eviction: inputs.eviction.filter(|_| end.is_none()),
        ..*inputs
    };
    let mut status = PodStatus {
        observed_generation: pod.metadata.generation,
        qos_class: Some(inputs.qos_class.into()).filter(|class: &String| !class.is_empty()),
        ..Default::default()
    };
    set_containers(inputs, &mut status);
    set_phase(inputs, &source, end, &mut status);
    set_conditions(inputs, &source, &mut status);
    set_addresses(inputs, &mut status);
    status.host_ip = status.host_ip.or_else(|| previous.host_ip.clone());
    status.host_ips = status.host_ips.or_else(|| previous.host_ips.clone());
    status
}

fn set_containers(inputs: &StatusInputs<'_>, status: &mut PodStatus) {
    let StatusInputs {
        pod,
        observed,
        previous,
        failures,
        ..
    } = *inputs;
    let of = |kinds: &[_], previous: &Option<Vec<_>>| {
        let previous = previous.as_deref().unwrap_or_default();
        let mut statuses = container_statuses(pod, kinds, observed, previous, failures);
        apply_probes(pod, observed, previous, inputs.probes, &mut statuses);
        Some(statuses).filter(|statuses| !statuses.is_empty())
    };
    let init = [ContainerKind::Init, ContainerKind::Sidecar];
    status.init_container_statuses = of(&init, &previous.init_container_statuses);
    status.container_statuses = of(&[ContainerKind::Regular], &previous.container_statuses);
    let ephemeral = &previous.ephemeral_container_statuses;
    status.ephemeral_container_statuses = of(&[ContainerKind::Ephemeral], ephemeral);
}

/// `end` is the terminal phase that the pod has come to before, if it has.
fn set_phase(
    inputs: &StatusInputs<'_>,
    source: &PodStatus,
    end: Option<String>,
    status: &mut PodStatus,
) {
    let (pod, previous) = (inputs.pod, inputs.previous);
    let of_containers = || pod_phase(pod, &init_and_regular(status), inputs.course);
    let phase = end.unwrap_or_else(|| of_containers().to_owned());
    if Some(&phase) == previous.phase.as_ref() {
        let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        status.reason = text(&previous.reason).or(text(&source.reason));
        status.message = text(&previous.message).or(text(&source.message));
    }
    status.phase = Some(phase);
    if let Some(eviction) = inputs.eviction {
        status.phase = Some(FAILED.into());
        status.reason = Some(eviction.reason.clone());
        status.message = Some(eviction.message.clone());
    }
}

fn set_conditions(inputs: &StatusInputs<'_>, source: &PodStatus, status: &mut PodStatus) {
    let (pod, previous) = (inputs.pod, inputs.previous);
    let kept = source.conditions.iter().flatten();
    let mut conditions: Vec<_> = kept.filter(|it| !is_owned(&it.type_)).cloned().collect();
    let disruption = inputs.eviction.and_then(|it| it.disruption.as_deref());
    let target = match disruption {
        Some(message) => Some(disruption_condition(pod, message)),
        // It is of one event, and nothing that is seen later tells of it.
        None => find_condition(previous, DISRUPTION_TARGET).cloned(),
    };
    if let Some(target) = target {
        conditions.retain(|it| it.type_ != DISRUPTION_TARGET);
        conditions.push(target);
    }
    let phase = status.phase.as_deref().unwrap_or_default();
    let statuses = init_and_regular(status);
    let statuses = Some(statuses.as_slice());
    let ready = ready_condition(pod, statuses, &conditions, phase);
    conditions.extend([
        ready_to_start_containers_condition(pod, inputs.observed),
        initialized_condition(pod, statuses, phase),
        ready,
        containers_ready_condition(pod, statuses, phase),
        scheduled_condition(pod),
    ]);
    status.conditions = Some(conditions);
}

/// The first address of the node's first family, and the first one of the other.
fn set_addresses(inputs: &StatusInputs<'_>, status: &mut PodStatus) {
    let StatusInputs {
        pod,
        observed,
        previous,
        host_ips,
        ..
    } = *inputs;
    let is_ipv6_first = host_ips.first().is_some_and(IpAddr::is_ipv6);
    let of_family = |is_ipv6| observed.ips.iter().find(move |ip| ip.is_ipv6() == is_ipv6);
    let own = [is_ipv6_first, !is_ipv6_first]
        .into_iter()
        .filter_map(of_family);
    let mut pod_ips: Vec<_> = own.map(ToString::to_string).collect();

    if !host_ips.is_empty() {
        let ips = host_ips
            .iter()
            .take(2)
            .map(|ip| HostIP { ip: ip.to_string() });
        let ips: Vec<_> = ips.collect();
        status.host_ip = ips.first().map(|ip| ip.ip.clone());
        status.host_ips = Some(ips);
    }
    if is_host_network(pod) {
        // What was told once stays; a node of two families may still add the second.
        let told = previous.pod_ips.iter().flatten();
        pod_ips = told.map(|ip| ip.ip.clone()).collect();
        let mut addresses = host_ips.iter().take(2).map(ToString::to_string);
        if pod_ips.is_empty() {
            pod_ips.extend(addresses.next());
        }
        if let [one] = pod_ips.as_slice() {
            let is_ipv6 = one.contains(':');
            let other = host_ips.iter().find(|ip| ip.is_ipv6() != is_ipv6);
            pod_ips.extend(other.map(ToString::to_string));
        }
    }
    status.pod_ip = pod_ips.first().cloned();
    let pod_ips: Vec<_> = pod_ips.into_iter().map(|ip| PodIP { ip }).collect();
    status.pod_ips = Some(pod_ips).filter(|ips| !ips.is_empty());
}

/// The statuses of all containers that decide what a pod is like.
pub(super) fn init_and_regular(status: &PodStatus) -> Vec<ContainerStatus> {
    let init = status.init_container_statuses.iter().flatten();
    let regular = status.container_statuses.iter().flatten();
    init.chain(regular).cloned().collect()
}
