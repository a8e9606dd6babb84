//! A containerd of one's own, for tests and benches.
//!
//! [`Containerd::start`] gives a daemon with its own configuration, directories, socket and pod
//! network; [`Containerd::import`] gives it images that are made on the spot from the machine's
//! static busybox, since no registry is asked.
//! Several may run beside each other, if each has its own [`Options::subnet`] and what makes pods on
//! it a [`CgroupRoot`] of its own.
//!
//! # Guarantees
//!
//! - Nothing of it is outside of its directory, but the network devices and cgroups of its pods.
//! - [`Containerd::stop`] ends all pods, the daemon and its shims, and takes mounts and files away.
//! - [`Containerd::kill`] ends the daemon alone, as a crash would, and leaves containers running.
//!
//! # Example
//!
//! ```no_run
//! use kubewright_containerd::{Containerd, Image, Options};
//! use kubewright_cri::{Runtime, RuntimeOptions};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let containerd = Containerd::start(Options::default()).await?;
//! containerd.import(&[Image::busybox("localhost/echo:1").entrypoint(["/bin/echo"])]).await?;
//! let runtime = Runtime::connect(containerd.endpoint(), RuntimeOptions::default()).await?;
//! assert_eq!(runtime.version().await?.runtime_name, "containerd");
//! containerd.stop().await?;
//! # Ok(())
//! # }
//! ```

mod cgroup;
mod config;
mod daemon;
mod error;
mod image;
mod layout;
mod requirements;
mod shims;

pub use cgroup::CgroupRoot;
pub use config::Options;
pub use daemon::Containerd;
pub use error::Error;
pub use image::Image;
pub use requirements::Requirements;
