//! Under whose identity and with which rights containers run.

mod context;
mod error;
mod identity;
mod namespaces;
mod paths;
mod sandbox;
mod seccomp;
mod sysctl;

pub use context::ContainerSecurity;
pub use error::SecurityError;
pub use identity::{ImageUser, verify_run_as_non_root};
pub use namespaces::{NamespaceMode, Namespaces};
pub use paths::{masked_paths, readonly_paths};
pub use sandbox::{SandboxSecurity, SupplementalGroups, SupplementalGroupsPolicy};
pub use seccomp::{SeccompProfile, SeccompSettings};
pub use sysctl::sysctls;
