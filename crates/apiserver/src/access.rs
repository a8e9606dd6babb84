//! Who asks, and what they may do.
//!
//! Whoever reaches the server is its administrator, who may do everything, unless the listener says
//! that it is a service account. An administrator can
//! take the part of someone else (`kubectl --as`), who may do what the roles and role bindings
//! in the server grant, and is told so by reviews (`kubectl auth can-i`).

mod attributes;
mod rbac;
mod review;
mod user;

pub(crate) use attributes::{Attributes, Watching};
pub(crate) use rbac::{Decision, Policy, decide};
pub(crate) use review::answer;
pub(crate) use user::User;
