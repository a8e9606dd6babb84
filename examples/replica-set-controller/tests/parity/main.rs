//! The unit tests of Kubernetes' own ReplicaSet controller, by their upstream names.
//!
//! Each test says which upstream test it answers to by its name: `TestUpdatePods` is
//! `test_update_pods`. None needs a server: the API calls are recorded, the caches are filled by
//! hand, the queue is looked at, and time is tokio's paused clock.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod api;
mod fixtures;
mod recorded;
mod rig;
mod stores;

mod assembly_test;
mod availability_test;
mod choosing_test;
mod claiming_test;
mod consistency_test;
mod controller_ref_manager_test;
mod controller_utils_test;
mod events_test;
mod expectations_test;
mod lookup_test;
mod ranking_test;
mod replica_set_test;
mod replica_set_utils_test;
mod scaling_test;
mod waiting_test;
