//! What the API server is told of the machine.
//!
//! [`MachineInfo`] is what the machine is, [`NodeFacts`] what its node is made of, and
//! [`RuntimeHealth`] how its runtime is; all that is decided from them is pure.
//! [`NodeReporter`] registers the node and keeps its status, [`NodeLease`] its lease, and
//! [`NodeWatch`] knows what the API server has of it.

mod addresses;
mod conditions;
mod events;
mod facts;
mod file_system;
mod health;
mod images;
mod lease;
mod machine;
mod observer;
mod pressure;
mod registration;
mod report;
mod reporter;
mod resources;
mod watch;

pub use addresses::{Loopback, NodeIpError, detect_node_ip, node_addresses, validate_node_ip};
pub use conditions::{READY, set_conditions};
pub use events::NodeNews;
pub use facts::{NodeFacts, Observation, initial_node, update_status};
pub use file_system::FileSystem;
pub use health::{RuntimeHealth, RuntimeSync};
pub use images::node_images;
pub use lease::{LEASE_NAMESPACE, LeaseConfig, NodeLease, renewed};
pub use machine::{MachineError, MachineInfo};
pub use observer::{CriObserver, NodeObserver};
pub use pressure::{NodePressure, Pressure};
pub(crate) use registration::DEFAULT_LABELS;
pub use registration::{RegistrationError, reconcile_node, try_register};
pub use report::{ReportSchedule, status_has_changed};
pub use reporter::{NodeReporter, ReporterConfig, TellPodCidrs};
pub use resources::{Reservations, allocatable, capacity};
pub use watch::NodeWatch;
