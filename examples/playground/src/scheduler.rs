//! A small scheduler: which pod goes to which node.
//!
//! ```text
//!  pods, nodes ──events──▶ keys of pending pods ──▶ place ──▶ bind, or tell why not
//! ```
//!
//! [`place`] decides, and is pure. [`Scheduler`] asks it for one pending pod after the other and
//! does what it says.
//! A pod that no node has room for waits: it is tried again when a node changes for the better, when
//! a pod goes, and after five minutes in any case.
//!
//! It looks at what the node agent's admission looks at, and by the same functions: what pods request
//! of what nodes have for them, ports of the host, the node selector and required node affinity, and
//! taints. Of the nodes that are left it takes the one with the most left over.
//! Preferences of pods and taints are not weighed.
//!
//! # What it refuses
//!
//! A pod that asks for what it does not know stays pending, and its event and condition name it:
//! required affinity to other pods, hard spread constraints, claims of volumes and of devices.
//!
//! Answers to kube-scheduler with the default profile, without preemption.

mod assumed;
mod bind;
mod driver;
mod filter;
mod logic;
mod pending;
mod place;
mod score;
mod unschedulable;

pub use driver::{Scheduler, SchedulerError};
pub use filter::is_ready;
pub use place::{NodeName, place};
pub use unschedulable::{Obstacle, Unschedulable};
