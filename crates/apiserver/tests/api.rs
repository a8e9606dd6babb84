//! The server through the requests that clients send, in process and under paused time.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "api/seam.rs"]
mod seam;

#[path = "api/access.rs"]
mod access;
#[path = "api/concurrency.rs"]
mod concurrency;
#[path = "api/crud.rs"]
mod crud;
#[path = "api/definitions.rs"]
mod definitions;
#[path = "api/deletion.rs"]
mod deletion;
#[path = "api/discovery.rs"]
mod discovery;
#[path = "api/fan_out.rs"]
mod fan_out;
#[path = "api/faults.rs"]
mod faults;
#[path = "api/garbage.rs"]
mod garbage;
#[path = "api/kinds.rs"]
mod kinds;
#[path = "api/kubectl_requests.rs"]
mod kubectl_requests;
#[path = "api/kubelet.rs"]
mod kubelet;
#[path = "api/lists.rs"]
mod lists;
#[path = "api/metrics.rs"]
mod metrics;
#[path = "api/namespaces.rs"]
mod namespaces;
#[path = "api/patches.rs"]
mod patches;
#[path = "api/pods.rs"]
mod pods;
#[path = "api/refusals.rs"]
mod refusals;
#[path = "api/representations.rs"]
mod representations;
#[path = "api/schemas.rs"]
mod schemas;
#[path = "api/subresources.rs"]
mod subresources;
#[path = "api/tokens.rs"]
mod tokens;
#[path = "api/watches.rs"]
mod watches;
