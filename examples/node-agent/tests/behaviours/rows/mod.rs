//! The behaviours by what they are about.

mod conditions;
mod downward_volumes;
mod empty_dirs;
mod endings;
mod environment;
mod ephemeral;
mod hooks;
mod hosts;
mod housekeeping;
mod init;
mod lifetime;
mod mounted;
mod node;
mod object_volumes;
mod probes;
mod restart;
mod running;
mod security;
mod sidecar_ends;
mod sidecars;
mod static_pods;
mod streams;
mod tokens;

use crate::table::Row;

/// All of them, in order.
pub(crate) fn all() -> Vec<Row> {
    let mut rows = Vec::new();
    rows.extend(running::rows());
    rows.extend(endings::rows());
    rows.extend(hosts::rows());
    rows.extend(empty_dirs::rows());
    rows.extend(object_volumes::rows());
    rows.extend(downward_volumes::rows());
    rows.extend(tokens::rows());
    rows.extend(environment::rows());
    rows.extend(hooks::rows());
    rows.extend(init::rows());
    rows.extend(probes::rows());
    rows.extend(conditions::rows());
    rows.extend(ephemeral::rows());
    rows.extend(housekeeping::rows());
    rows.extend(lifetime::rows());
    rows.extend(node::rows());
    rows.extend(restart::rows());
    rows.extend(security::rows());
    rows.extend(sidecars::rows());
    rows.extend(sidecar_ends::rows());
    rows.extend(static_pods::rows());
    rows.extend(streams::rows());
    rows.sort_by_key(|row| row.number);
    rows
}
