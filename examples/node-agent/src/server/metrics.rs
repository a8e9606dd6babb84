use std::time::Duration;

use http::Method;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::server::route::PATHS;

/// In seconds, as Prometheus has them by default.
const BUCKETS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
const METHODS: [Method; 8] = [
    Method::OPTIONS,
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::TRACE,
    Method::CONNECT,
];
const OTHER: &str = "other";

/// What the servers count: `kubelet_http_requests_total`, `kubelet_http_inflight_requests` and
/// `kubelet_http_requests_duration_seconds`. Cheap to clone.
///
/// A request takes until its answer begins; what is streamed then is not counted.
#[derive(Clone, Debug)]
pub struct HttpMetrics {
    requests: Family<Labels, Counter>,
    in_flight: Family<Labels, Gauge>,
    durations: Family<Labels, Histogram>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Labels {
    method: String,
    path: String,
    server_type: &'static str,
    long_running: &'static str,
}

/// A request that is under way.
pub(super) struct InFlight<'m> {
    metrics: &'m HttpMetrics,
    labels: Labels,
    began: tokio::time::Instant,
}

impl Default for HttpMetrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            in_flight: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
        }
    }
}

impl HttpMetrics {
    /// Makes them part of a registry. What they are called begins with what is registered there.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "kubelet_http_requests",
            "Number of the http requests received since the server started",
            self.requests.clone(),
        );
        registry.register(
            "kubelet_http_inflight_requests",
            "Number of the inflight http requests",
            self.in_flight.clone(),
        );
        registry.register(
            "kubelet_http_requests_duration_seconds",
            "Duration in seconds to serve http requests",
            self.durations.clone(),
        );
    }

    pub(super) fn begin(&self, labels: Labels) -> InFlight<'_> {
        self.requests.get_or_create(&labels).inc();
        self.in_flight.get_or_create(&labels).inc();
        InFlight {
            metrics: self,
            labels,
            began: tokio::time::Instant::now(),
        }
    }
}

impl Labels {
    pub(super) fn of(method: &Method, path: &str, is_read_only: bool) -> Self {
        let bucket = bucket(path);
        let method = match METHODS.contains(method) {
            true => method.as_str(),
            false => OTHER,
        };
        Self {
            method: method.to_owned(),
            long_running: match bucket {
                "exec" | "attach" | "portForward" => "true",
                _ => "false",
            },
            path: bucket.to_owned(),
            server_type: if is_read_only {
                "readonly"
            } else {
                "readwrite"
            },
        }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let took: Duration = self.began.elapsed();
        let Self {
            metrics, labels, ..
        } = self;
        metrics.in_flight.get_or_create(labels).dec();
        metrics
            .durations
            .get_or_create(labels)
            .observe(took.as_secs_f64());
    }
}

/// The part of a path that requests are counted by.
fn bucket(path: &str) -> &str {
    let path = path.strip_prefix('/').unwrap_or(path);
    let root = match path.split_once('/') {
        Some(("metrics", rest)) if !rest.is_empty() => {
            let end = rest.find('/').unwrap_or(rest.len());
            &path[.."metrics/".len() + end]
        }
        Some((root, _)) => root,
        None => path,
    };
    let is_known = PATHS.iter().any(|known| {
        let rest = known[1..].strip_prefix(root);
        !root.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    if is_known { root } else { OTHER }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers to `TestMetricBuckets`.
    #[test]
    fn metric_buckets() {
        for (path, expected) in [
            ("/healthz", "healthz"),
            ("/healthz/", "healthz"),
            ("/healthz/log", "healthz"),
            ("/healthz/syncloop", "healthz"),
            ("/attach/podNamespace/podID/containerName", "attach"),
            ("/attach/podNamespace/podID/uid/containerName", "attach"),
            ("/configz", "configz"),
            (
                "/containerLogs/podNamespace/podID/containerName",
                "containerLogs",
            ),
            ("/debug/flags/v", "debug"),
            ("/debug/pprof/subpath", "debug"),
            ("/exec/podNamespace/podID/containerName", "exec"),
            ("/logs/", "logs"),
            ("/logs/logpath", "logs"),
            ("/metrics", "metrics"),
            ("/metrics/cadvisor", "metrics/cadvisor"),
            ("/metrics/probes", "metrics/probes"),
            ("/metrics/resource", "metrics/resource"),
            ("/pods/", "pods"),
            ("/portForward/podNamespace/podID", "portForward"),
            ("/run/podNamespace/podID/containerName", "run"),
            ("/runningpods/", "runningpods"),
            ("/stats/", "stats"),
            ("/stats/summary", "stats"),
            ("/statusz", "statusz"),
            ("/flagz", "flagz"),
            ("/junk", "other"),
            ("/healthzjunk", "other"),
            ("/", "other"),
        ] {
            assert_eq!(bucket(path), expected, "{path}");
        }
    }

    /// Answers to `TestMetricMethodBuckets`.
    #[test]
    fn metric_method_buckets() {
        let of = |method: &str| Labels::of(&method.parse().unwrap(), "/pods", true).method;
        for method in [
            "GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "TRACE", "CONNECT",
        ] {
            assert_eq!(of(method), method);
        }
        for method in ["WEIRD", "get", "PATCH"] {
            assert_eq!(of(method), "other");
        }
    }
}
