//! The agent itself: all parts put together, and what its program does with them.
//!
//! [`Dependencies`] are gathered first, and all that the agent asks of the world is among them.
//! [`Agent::new`] puts the parts together and does nothing; then its methods are kubelet's
//! `Bootstrap`: [`birth_cry`](Agent::birth_cry), [`bind`](Agent::bind) for its servers, and
//! [`run`](Agent::run) or [`run_once`](Agent::run_once).

mod bootstrap;
mod census;
mod cgroups;
mod dependencies;
mod error;
mod garbage;
mod handler;
mod host;
mod housekeeping;
mod lifecycle;
mod metrics;
mod mirrors;
mod modules;
mod node_view;
mod options;
mod parts;
mod pod_files;
mod pod_status;
mod run_once;
mod servers;
mod shutdown;
mod told;
mod volumes;

pub use bootstrap::Agent;
pub use census::Census;
pub use dependencies::Dependencies;
pub use error::AgentError;
pub use options::AgentOptions;
pub use run_once::{RunOnceError, RunPodResult};
pub use servers::Servers;

use node_view::NodeView;
