mod metrics;
mod usage;

use std::collections::BTreeMap;

use kubewright_cri::v1::{ContainerStats, PodSandboxStats};
use kubewright_cri::{Error, Runtime};
use serde::Serialize;

use crate::runtime::PodRecord;
use usage::{Cpu, Filesystem, Memory, Network, Processes};

pub(super) use metrics::metrics;

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

impl PodUsage {
    fn of_sandbox(sandbox: &PodSandboxStats) -> Option<Self> {
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
            processes: linux.process.as_ref().map(Processes::of),
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

#[cfg(test)]
mod tests {
    use kubewright_cri::v1::{
        ContainerAttributes, ContainerMetadata, CpuUsage, LinuxPodSandboxStats, MemoryUsage,
        NetworkInterfaceUsage, NetworkUsage, PodSandboxAttributes, PodSandboxMetadata,
        ProcessUsage, UInt64Value,
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

    pub(super) fn sandbox() -> PodSandboxStats {
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
}
