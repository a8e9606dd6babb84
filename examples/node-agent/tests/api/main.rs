//! What the agent and the API server, which is the embedded one in process, have to say to each
//! other: statuses, mirror pods, the node, its lease, and events. Under paused time.

#![expect(
    clippy::unwrap_used,
    reason = "scenes are made of helpers that are no tests themselves"
)]

mod clients;
mod events;
mod machine;
mod mirror_client;
mod node_lease;
mod node_reporter;
mod node_status;
mod runtime_health;
mod status_containers;
mod status_manager;
mod status_outages;
mod world;
