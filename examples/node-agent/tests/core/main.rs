//! What the agent decides, as tables that name the tests of the kubelet that they answer to.

mod fixtures;

mod backoff;
mod init_containers;
mod killing;
mod labels;
mod pod_actions;
