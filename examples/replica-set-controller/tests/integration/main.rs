//! The controller against the embedded API server, in process and under paused time.
//!
//! `parity_test` has the integration tests of Kubernetes' own ReplicaSet controller
//! (`test/integration/replicaset`), by their upstream names in snake case.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod lab;
mod wire;

mod cluster_test;
mod crash_test;
mod parity_test;
mod rbac_test;
