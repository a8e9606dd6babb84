use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

use jiff::Timestamp;
use kubewright_cri::v1::{
    self, ContainerStats, CpuUsage, FilesystemUsage, MemoryUsage, NetworkUsage, UInt64Value,
};
use kubewright_cri::{Error, Runtime};
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde::Serialize;

use crate::runtime::PodRecord;

/// What the pods of a node use, as the runtime tells it: the `Summary` of `stats/v1alpha1`.
///
/// What the whole node uses is not told.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    node: NodeUsage,
    pods: Vec<PodUsage>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct NodeUsage {
    node_name: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct PodUsage {
    pod_ref: PodReference,
    containers: Vec<ContainerUsage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu: Option<Cpu>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<Memory>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<Network>,
    #[serde(rename = "process_stats", skip_serializing_if = "Option::is_none")]
    processes: Option<Processes>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct PodReference {
    name: String,
    namespace: String,
    uid: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ContainerUsage {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu: Option<Cpu>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<Memory>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rootfs: Option<Filesystem>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Cpu {
    time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_nano_cores: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_core_nano_seconds: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Memory {
    time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    available_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    working_set_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rss_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    page_faults: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    major_page_faults: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Network {
    time: Timestamp,
    #[serde(flatten)]
    default_interface: Option<Interface>,
    interfaces: Vec<Interface>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Interface {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rx_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rx_errors: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tx_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tx_errors: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Filesystem {
    time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    used_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inodes_used: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct Processes {
    #[serde(skip_serializing_if = "Option::is_none")]
    process_count: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PodLabels {
    namespace: String,
    pod: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ContainerLabels {
    container: String,
    namespace: String,
    pod: String,
}

/// Asks a runtime what the pods of a node use. One that knows nothing of sandboxes is asked for
/// containers alone.
///
/// # Errors
///
/// Those of the calls.
///
/// # Cancel safety
///
/// Dropping the future forgets the question.
pub async fn summary(runtime: &Runtime, node: &str) -> Result<Summary, Error> {
    let pods = match runtime.list_pod_sandbox_stats(None).await {
        Ok(sandboxes) => sandboxes.iter().filter_map(PodUsage::of_sandbox).collect(),
        Err(error) if error.is_unimplemented() => {
            of_containers(&runtime.list_container_stats(None).await?)
        }
        Err(error) => return Err(error),
    };
    Ok(Summary {
        node: NodeUsage {
            node_name: node.to_owned(),
        },
        pods,
    })
}

/// The metrics of `/metrics/resource`, as Prometheus reads them; without a summary, that there is none.
///
/// Answers to `NewResourceMetricsCollector` of Kubernetes 1.36, of whose metrics those of the node are
/// left out.
pub(super) fn metrics(summary: Option<&Summary>) -> String {
    let mut registry = Registry::default();
    let errors: Gauge = Gauge::default();
    errors.set(i64::from(summary.is_none()));
    registry.register(
        "resource_scrape_error",
        "1 if there was an error while getting container metrics, 0 otherwise",
        errors,
    );
    let pods = summary.map(|summary| summary.pods.as_slice());
    let pods = pods.unwrap_or_default();
    let seconds = |cpu: Option<&Cpu>| cpu?.usage_core_nano_seconds.map(|nanos| nanos as f64 / 1e9);
    let bytes = |memory: Option<&Memory>| memory?.working_set_bytes;

    let pod_cpu = Family::<PodLabels, Seconds>::default();
    let pod_memory = Family::<PodLabels, Gauge>::default();
    let container_cpu = Family::<ContainerLabels, Seconds>::default();
    let container_memory = Family::<ContainerLabels, Gauge>::default();
    for pod in pods {
        let labels = PodLabels {
            namespace: pod.pod_ref.namespace.clone(),
            pod: pod.pod_ref.name.clone(),
        };
        if let Some(seconds) = seconds(pod.cpu.as_ref()) {
            pod_cpu.get_or_create(&labels).inc_by(seconds);
        }
        if let Some(bytes) = bytes(pod.memory.as_ref()) {
            pod_memory.get_or_create(&labels).set(bytes.cast_signed());
        }
        for container in &pod.containers {
            let labels = ContainerLabels {
                container: container.name.clone(),
                namespace: labels.namespace.clone(),
                pod: labels.pod.clone(),
            };
            if let Some(seconds) = seconds(container.cpu.as_ref()) {
                container_cpu.get_or_create(&labels).inc_by(seconds);
            }
            if let Some(bytes) = bytes(container.memory.as_ref()) {
                container_memory
                    .get_or_create(&labels)
                    .set(bytes.cast_signed());
            }
        }
    }
    registry.register(
        "container_cpu_usage_seconds",
        "Cumulative cpu time consumed by the container in core-seconds",
        container_cpu,
    );
    registry.register(
        "container_memory_working_set_bytes",
        "Current working set of the container in bytes",
        container_memory,
    );
    registry.register(
        "pod_cpu_usage_seconds",
        "Cumulative cpu time consumed by the pod in core-seconds",
        pod_cpu,
    );
    registry.register(
        "pod_memory_working_set_bytes",
        "Current working set of the pod in bytes",
        pod_memory,
    );
    let mut out = String::new();
    text::encode(&mut out, &registry).expect("writing to a string does not fail");
    out
}

type Seconds = Counter<f64, AtomicU64>;

impl PodUsage {
    fn of_sandbox(sandbox: &v1::PodSandboxStats) -> Option<Self> {
        let metadata = sandbox.attributes.as_ref()?.metadata.as_ref()?;
        let linux = sandbox.linux.clone().unwrap_or_default();
        Some(Self {
            pod_ref: PodReference {
                name: metadata.name.clone(),
                namespace: metadata.namespace.clone(),
                uid: metadata.uid.clone(),
            },
            containers: linux
                .containers
                .iter()
                .filter_map(ContainerUsage::of)
                .collect(),
            cpu: linux.cpu.as_ref().map(Cpu::of),
            memory: linux.memory.as_ref().map(Memory::of),
            network: linux.network.as_ref().map(Network::of),
            processes: linux.process.map(|process| Processes {
                process_count: number(process.process_count.as_ref()),
            }),
        })
    }
}

fn of_containers(containers: &[ContainerStats]) -> Vec<PodUsage> {
    let mut pods = BTreeMap::<PodReference, Vec<ContainerUsage>>::new();
    for container in containers {
        let labels = container.attributes.as_ref().map(|of| &of.labels);
        let record = labels.and_then(|labels| PodRecord::read(|label| labels.get(label)));
        let (Some(pod), Some(usage)) = (record, ContainerUsage::of(container)) else {
            continue;
        };
        let reference = PodReference {
            name: pod.name.name.to_string(),
            namespace: pod.name.namespace.to_string(),
            uid: pod.uid.to_string(),
        };
        pods.entry(reference).or_default().push(usage);
    }
    let pods = pods.into_iter().map(|(pod_ref, containers)| PodUsage {
        pod_ref,
        containers,
        ..PodUsage::default()
    });
    pods.collect()
}

impl ContainerUsage {
    fn of(container: &ContainerStats) -> Option<Self> {
        let metadata = container.attributes.as_ref()?.metadata.as_ref()?;
        Some(Self {
            name: metadata.name.clone(),
            cpu: container.cpu.as_ref().map(Cpu::of),
            memory: container.memory.as_ref().map(Memory::of),
            rootfs: container.writable_layer.as_ref().map(Filesystem::of),
        })
    }
}

impl Cpu {
    fn of(usage: &CpuUsage) -> Self {
        Self {
            time: time(usage.timestamp),
            usage_nano_cores: number(usage.usage_nano_cores.as_ref()),
            usage_core_nano_seconds: number(usage.usage_core_nano_seconds.as_ref()),
        }
    }
}

impl Memory {
    fn of(usage: &MemoryUsage) -> Self {
        Self {
            time: time(usage.timestamp),
            available_bytes: number(usage.available_bytes.as_ref()),
            usage_bytes: number(usage.usage_bytes.as_ref()),
            working_set_bytes: number(usage.working_set_bytes.as_ref()),
            rss_bytes: number(usage.rss_bytes.as_ref()),
            page_faults: number(usage.page_faults.as_ref()),
            major_page_faults: number(usage.major_page_faults.as_ref()),
        }
    }
}

impl Network {
    fn of(usage: &NetworkUsage) -> Self {
        Self {
            time: time(usage.timestamp),
            default_interface: usage.default_interface.as_ref().map(Interface::of),
            interfaces: usage.interfaces.iter().map(Interface::of).collect(),
        }
    }
}

impl Interface {
    fn of(usage: &v1::NetworkInterfaceUsage) -> Self {
        Self {
            name: usage.name.clone(),
            rx_bytes: number(usage.rx_bytes.as_ref()),
            rx_errors: number(usage.rx_errors.as_ref()),
            tx_bytes: number(usage.tx_bytes.as_ref()),
            tx_errors: number(usage.tx_errors.as_ref()),
        }
    }
}

impl Filesystem {
    fn of(usage: &FilesystemUsage) -> Self {
        Self {
            time: time(usage.timestamp),
            used_bytes: number(usage.used_bytes.as_ref()),
            inodes_used: number(usage.inodes_used.as_ref()),
        }
    }
}

fn number(value: Option<&UInt64Value>) -> Option<u64> {
    value.map(|value| value.value)
}

fn time(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(nanoseconds)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use kubewright_cri::v1::{
        ContainerAttributes, ContainerMetadata, LinuxPodSandboxStats, NetworkInterfaceUsage,
        PodSandboxAttributes, PodSandboxMetadata, PodSandboxStats, ProcessUsage,
    };
    use serde_json::json;

    use super::*;

    fn of(value: u64) -> Option<UInt64Value> {
        Some(UInt64Value { value })
    }

    fn cpu(seconds: u64) -> Option<CpuUsage> {
        Some(CpuUsage {
            timestamp: 1_000_000_000,
            usage_core_nano_seconds: of(seconds * 1_000_000_000),
            ..CpuUsage::default()
        })
    }

    fn memory(bytes: u64) -> Option<MemoryUsage> {
        Some(MemoryUsage {
            timestamp: 1_000_000_000,
            working_set_bytes: of(bytes),
            ..MemoryUsage::default()
        })
    }

    fn container() -> ContainerStats {
        let label = |key: &str, value: &str| (format!("io.kubernetes.pod.{key}"), value.to_owned());
        let labels = [
            label("name", "p"),
            label("namespace", "n"),
            label("uid", "u"),
        ];
        ContainerStats {
            attributes: Some(ContainerAttributes {
                metadata: Some(ContainerMetadata {
                    name: "c".to_owned(),
                    attempt: 0,
                }),
                labels: labels.into(),
                ..ContainerAttributes::default()
            }),
            cpu: cpu(2),
            memory: memory(512),
            writable_layer: None,
        }
    }

    fn sandbox() -> PodSandboxStats {
        PodSandboxStats {
            attributes: Some(PodSandboxAttributes {
                metadata: Some(PodSandboxMetadata {
                    name: "p".to_owned(),
                    namespace: "n".to_owned(),
                    uid: "u".to_owned(),
                    attempt: 0,
                }),
                ..PodSandboxAttributes::default()
            }),
            linux: Some(LinuxPodSandboxStats {
                cpu: cpu(3),
                memory: memory(1024),
                network: Some(NetworkUsage {
                    timestamp: 0,
                    default_interface: Some(NetworkInterfaceUsage {
                        name: "eth0".to_owned(),
                        rx_bytes: of(7),
                        ..NetworkInterfaceUsage::default()
                    }),
                    interfaces: vec![],
                }),
                process: Some(ProcessUsage {
                    timestamp: 0,
                    process_count: of(4),
                }),
                containers: vec![container()],
            }),
        }
    }

    #[test]
    fn what_a_sandbox_uses_is_told_in_the_words_of_the_summary() {
        let usage = PodUsage::of_sandbox(&sandbox()).unwrap();
        let time = "1970-01-01T00:00:01Z";
        let expected = json!({
            "podRef": {"name": "p", "namespace": "n", "uid": "u"},
            "cpu": {"time": time, "usageCoreNanoSeconds": 3_000_000_000_u64},
            "memory": {"time": time, "workingSetBytes": 1024},
            "network": {
                "time": "1970-01-01T00:00:00Z", "name": "eth0", "rxBytes": 7, "interfaces": [],
            },
            "process_stats": {"process_count": 4},
            "containers": [{
                "name": "c",
                "cpu": {"time": time, "usageCoreNanoSeconds": 2_000_000_000_u64},
                "memory": {"time": time, "workingSetBytes": 512},
            }],
        });
        assert_eq!(serde_json::to_value(usage).unwrap(), expected);
    }

    #[test]
    fn containers_are_put_to_their_pods_by_their_labels() {
        let nobodys = ContainerStats::default();
        let pods = of_containers(&[container(), nobodys, container()]);
        assert_eq!(pods.len(), 1);
        assert_eq!(pods[0].pod_ref.uid, "u");
        assert_eq!(pods[0].containers.len(), 2);
    }

    #[test]
    fn resource_metrics_are_those_of_the_summary() {
        let summary = Summary {
            node: NodeUsage::default(),
            pods: vec![PodUsage::of_sandbox(&sandbox()).unwrap()],
        };
        let text = metrics(Some(&summary));
        for line in [
            "resource_scrape_error 0",
            "container_cpu_usage_seconds_total{container=\"c\",namespace=\"n\",pod=\"p\"} 2.0",
            "container_memory_working_set_bytes{container=\"c\",namespace=\"n\",pod=\"p\"} 512",
            "pod_cpu_usage_seconds_total{namespace=\"n\",pod=\"p\"} 3.0",
            "pod_memory_working_set_bytes{namespace=\"n\",pod=\"p\"} 1024",
        ] {
            assert!(
                text.lines().any(|written| written == line),
                "{line}: {text}"
            );
        }
        assert!(metrics(None).contains("resource_scrape_error 1\n"));
    }
}
