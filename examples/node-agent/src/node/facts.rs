use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    DaemonEndpoint, Node, NodeAddress, NodeDaemonEndpoints, NodeSpec, NodeStatus, NodeSystemInfo,
    Taint,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Amount;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kubewright_cri::v1::Image;
use kubewright_quantity::Quantity;

use super::machine::architecture;
use super::{
    MachineInfo, NodeNews, Pressure, Reservations, allocatable, capacity, node_addresses,
    node_images, set_conditions,
};
use crate::config::Config;
use crate::resources::amounts;

/// Which kubelet the agent is like: what looks at versions of nodes knows of no other.
const KUBELET_VERSION: &str = concat!("v1.36.2+kubewright.", env!("CARGO_PKG_VERSION"));

pub(super) const HOSTNAME_LABEL: &str = "kubernetes.io/hostname";
pub(super) const OS_LABEL: &str = "kubernetes.io/os";
pub(super) const ARCH_LABEL: &str = "kubernetes.io/arch";
/// The labels of before Kubernetes 1.14, which kubelet sets still.
const BETA_OS_LABEL: &str = "beta.kubernetes.io/os";
const BETA_ARCH_LABEL: &str = "beta.kubernetes.io/arch";

/// All of a node that stays the same while the agent runs.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct NodeFacts {
    /// What the node is called, which is also its host name.
    pub node_name: String,
    /// Labels beside those that every node has.
    pub labels: BTreeMap<String, String>,
    /// Taints that it is registered with.
    pub taints: Vec<Taint>,
    /// What the machine is.
    pub machine: MachineInfo,
    /// How many pods it takes.
    pub max_pods: u32,
    /// What pods cannot have of it.
    pub reservations: Reservations,
    /// Where it is reached.
    pub addresses: Vec<NodeAddress>,
    /// The port of the agent's API; `None` if it has none.
    pub port: Option<u16>,
    /// How many images are listed; `None` for all.
    pub max_images: Option<usize>,
}

/// What a node is like at a time.
#[derive(Clone, Debug, Default)]
pub struct Observation {
    /// The images of the runtime.
    pub images: Vec<Image>,
    /// The name and version of the runtime, as `name://version`; `None` if it does not tell.
    pub runtime_version: Option<String>,
    /// How much room there is on the disk that pods write to, used or not, in bytes.
    pub storage: Option<u64>,
    /// What is getting short.
    pub pressures: Vec<Pressure>,
    /// What keeps it from taking pods.
    pub problems: Vec<String>,
}

impl NodeFacts {
    /// The facts of a node that is configured so, on this machine, reached at this address. The
    /// port is the configured one; of a port that was chosen, set it.
    pub fn of(config: &Config, machine: MachineInfo, node_ip: Option<IpAddr>) -> Self {
        Self {
            node_name: config.node_name.clone(),
            labels: config.node_labels.clone(),
            taints: config.taints.clone(),
            machine,
            max_pods: config.max_pods,
            reservations: Reservations::of(config),
            addresses: node_addresses(&config.node_name, node_ip),
            port: config.server.map(|server| server.port()),
            max_images: config.node_status_max_images,
        }
    }

    /// The labels of the node.
    pub(super) fn all_labels(&self) -> BTreeMap<String, String> {
        let architecture = architecture();
        let mut labels: BTreeMap<_, _> = [
            (HOSTNAME_LABEL, self.node_name.as_str()),
            (OS_LABEL, "linux"),
            (ARCH_LABEL, architecture),
            (BETA_OS_LABEL, "linux"),
            (BETA_ARCH_LABEL, architecture),
        ]
        .map(|(label, value)| (label.to_owned(), value.to_owned()))
        .into();
        labels.extend(self.labels.clone());
        labels
    }
}

/// The node as it is registered.
///
/// Answers to kubelet's `initialNode`.
pub fn initial_node(facts: &NodeFacts, observation: &Observation, now: Timestamp) -> Node {
    let mut node = Node {
        metadata: ObjectMeta {
            name: Some(facts.node_name.clone()),
            labels: Some(facts.all_labels()),
            ..Default::default()
        },
        spec: Some(NodeSpec {
            taints: Some(facts.taints.clone()).filter(|taints| !taints.is_empty()),
            ..Default::default()
        }),
        status: None,
    };
    update_status(&mut node, facts, observation, now);
    node
}

/// Says in a node's status what it is and what it is like. Returns what people are to be told, once
/// the status is written.
///
/// What others have in it, such as conditions and resources of their own, stays.
/// Answers to kubelet's `setNodeStatus`.
pub fn update_status(
    node: &mut Node,
    facts: &NodeFacts,
    observation: &Observation,
    now: Timestamp,
) -> Vec<NodeNews> {
    let name = node.metadata.name.clone().unwrap_or_default();
    let status = node.status.get_or_insert_default();
    let mut news = Vec::new();

    let boot_id = &facts.machine.boot_id;
    let before = status.node_info.as_ref().map(|info| info.boot_id.clone());
    if before.is_some_and(|before| !before.is_empty() && before != *boot_id) {
        news.push(NodeNews::rebooted(&name, boot_id));
    }
    if !facts.addresses.is_empty() {
        status.addresses = Some(facts.addresses.clone());
    }
    set_resources(status, facts, observation);
    status.node_info = Some(node_info(facts, observation, status.node_info.as_ref()));
    status.daemon_endpoints = facts.port.map(|port| NodeDaemonEndpoints {
        kubelet_endpoint: Some(DaemonEndpoint { port: port.into() }),
    });
    status.images = Some(node_images(observation.images.clone(), facts.max_images));
    news.extend(set_conditions(
        node,
        now,
        &observation.pressures,
        &observation.problems,
    ));
    news
}

fn set_resources(status: &mut NodeStatus, facts: &NodeFacts, observation: &Observation) {
    let own = capacity(&facts.machine, observation.storage, facts.max_pods);
    let mut all = amounts(status.capacity.as_ref());
    all.retain(|resource, _| !resource.starts_with("hugepages-"));
    all.extend(own);
    let left = allocatable(&all, &facts.reservations);
    status.allocatable = Some(list(left, status.allocatable.take()));
    status.capacity = Some(list(all, status.capacity.take()));
}

/// A list of amounts as the API has it. One that is the same as before is written as before: the
/// API server has its own way of writing it, and that is no news.
fn list(
    amounts: BTreeMap<String, Quantity>,
    before: Option<BTreeMap<String, Amount>>,
) -> BTreeMap<String, Amount> {
    let mut before = before.unwrap_or_default();
    let amounts = amounts.into_iter().map(|(resource, amount)| {
        let written = before.remove(&resource);
        let written = written.filter(|written| written.0.parse() == Ok(amount));
        let written = written.unwrap_or_else(|| Amount(amount.to_string()));
        (resource, written)
    });
    amounts.collect()
}

fn node_info(
    facts: &NodeFacts,
    observation: &Observation,
    before: Option<&NodeSystemInfo>,
) -> NodeSystemInfo {
    let machine = facts.machine.clone();
    let told_before = before.map(|info| info.container_runtime_version.clone());
    let told_before = told_before.filter(|version| !version.is_empty());
    let runtime_version = observation.runtime_version.clone().or(told_before);
    NodeSystemInfo {
        architecture: machine.architecture,
        boot_id: machine.boot_id,
        container_runtime_version: runtime_version.unwrap_or_else(|| "unknown://Unknown".into()),
        kernel_version: machine.kernel_version,
        // Nothing is told of what is not there: upstream does not fill it any more.
        kube_proxy_version: String::new(),
        kubelet_version: KUBELET_VERSION.into(),
        machine_id: machine.machine_id,
        operating_system: "linux".into(),
        os_image: machine.os_image,
        system_uuid: machine.system_uuid,
        swap: None,
    }
}
