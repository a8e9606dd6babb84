//! What happens in a cluster beside its API: the work of controllers that the server itself does not do.
//!
//! A bare API server keeps what it is given: dependents outlive their owners, namespaces that are
//! deleted stay `Terminating`, pods are `Pending` for ever. [`Controllers`] does what the
//! controllers of a cluster do about that: it collects garbage, empties namespaces, gives every
//! namespace its default service account, and lets pods run by a script.
//!
//! Each of them is an engine: a synchronous state machine that is shown every change of every
//! resource, in the order of their commits, and decides on one write at a time. What an engine
//! knows it can learn again from the objects, so that one that fell behind the remembered history
//! begins anew. Writes carry the uid, and where it matters the resource version, that they were
//! decided on: a decision that is out of date fails and is made again.
//!
//! # Guarantees
//!
//! - One write per [`Controllers::step`], and the same writes in the same order for the same
//!   sequence of requests: there is no chance in here, and time is tokio's.
//! - Work is proportional to what changes: 10,000 pods of one owner take 10,000 writes, and no scan of all for each.

mod accounts;
mod action;
mod backlog;
mod collector;
mod conditions;
mod config;
mod driver;
mod feed;
mod namespaces;
mod pods;

use std::sync::Arc;

use tokio::time::Instant;

use self::action::Action;
use self::backlog::{Backlog, Ticket};
pub use self::config::{Controller, ControllersConfig, UnknownController};
pub use self::driver::{Controllers, Step};
use self::feed::Seen;
pub use self::pods::{Exit, PodLife, PodRule, PodScript};
use crate::registry::Resources;

/// A controller without its surroundings: it is shown changes and asked what to do about them.
trait Engine: Send + Sync {
    /// Takes note of a change, and asks for attention to what it concerns.
    fn observe(&mut self, seen: &Seen, now: Instant, backlog: &mut Backlog);

    /// Takes note that other resources are served than before.
    fn resources_changed(&mut self, _resources: &Arc<Resources>, _backlog: &mut Backlog) {}

    /// Says what to do about something that attention was asked for.
    ///
    /// The write comes back as a change if it succeeds. If it fails because its premise is out of
    /// date, or for an unexpected reason, the same is asked again later.
    fn decide(&mut self, ticket: &Ticket, now: Instant) -> Verdict;
}

/// What an engine wants.
enum Verdict {
    /// Nothing, until something changes.
    Rest,
    /// To be asked again at that time.
    Later(Instant),
    Act(Action),
}
