//! What the agent decides, as tables that name the tests of the kubelet that they answer to.

mod fixtures;

mod init_containers;
mod pod_actions;
