//! What the agent decides, as tables that name the tests of the kubelet that they answer to.

#![expect(
    clippy::unwrap_used,
    reason = "tables are made of helpers that are no tests themselves"
)]

mod fixtures;
mod pods;

mod backoff;
mod crash_loop;
mod init_containers;
mod killing;
mod labels;
mod pod_actions;

mod conditions;
mod container_statuses;
mod merging;
mod phase;
mod statuses;

mod admission;
mod container_gc;
mod preemption;
mod shutdown;

mod grace;
mod worker_properties;
mod worker_removal;
mod worker_updates;
mod workers;
