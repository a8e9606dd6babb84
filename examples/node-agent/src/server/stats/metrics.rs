//! What pods use, as Prometheus reads it.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Summary;
use super::usage::{Cpu, Memory};

type Seconds = Counter<f64, AtomicU64>;

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

/// The metrics of `/metrics/resource`, as Prometheus reads them; without a summary, that there is none.
///
/// Answers to `NewResourceMetricsCollector` of Kubernetes 1.36, of whose metrics those of the node are
/// left out.
pub(in crate::server) fn metrics(summary: Option<&Summary>) -> String {
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

#[cfg(test)]
mod tests {
    use super::super::tests::sandbox;
    use super::super::{NodeUsage, PodUsage};
    use super::*;

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
