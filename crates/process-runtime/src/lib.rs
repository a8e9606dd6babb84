//! A CRI v1 container runtime that runs containers as processes of the host.
//!
//! **There is no isolation.** A container here is a group of ordinary processes of the user who runs
//! the runtime: they see all files, all processes and all networks that the user sees, nothing is
//! confined or limited, and nothing is hidden from them.
//! The runtime is for development and tests of what drives container runtimes, where real processes
//! with real exit codes, signals, logs and commands are wanted, and neither root nor images are at
//! hand. It is never right for pods of somebody else.
//!
//! # Guarantees
//!
//! - **Nobody loses a container**: a shim, one small process for each, keeps log and exit code.
//!   Agent and runtime may be killed alone; a runtime that is opened on the same root directory
//!   finds what runs and what has ended meanwhile.
//! - **Nothing is left**: what a container leaves running when its process ends is killed, and a
//!   runtime that [ends on purpose](ProcessRuntime::shutdown) leaves no process and no file.
//! - **Nothing is half made**: a call that fails, on a full disk for example, leaves nothing that
//!   later calls trip over; a call that was begun is finished even if the caller goes away.
//! - **Nothing is written outside** the root directory, but logs to where the agent wants them.
//! - **Nothing is ignored silently**: what asks for more than a process of the user has is refused by
//!   name; what asks for confinement is accepted and told in the runtime's log.
//! - **Records that cannot be read** are set aside and reported; they stop nothing.
//!
//! # What a container sees
//!
//! | variable | is |
//! |---|---|
//! | `KUBEWRIGHT_ROOT` | a directory of the container's own, with its mounts as symbolic links: `$KUBEWRIGHT_ROOT/etc/hosts`. It is also the working directory and `HOME`, unless those are said, and `TMPDIR` is in it |
//! | `KUBEWRIGHT_POD_IP` | the address of the sandbox, of 127.0.0.0/8; not set in the network of the host. Whoever listens there, and not on all addresses, has its ports for itself |
//! | `KUBEWRIGHT_IMAGE` | the directory of the image |
//! | `KUBEWRIGHT_CONTAINER_ID`, `KUBEWRIGHT_SANDBOX_ID` | ids |
//!
//! # Images
//!
//! An image is a record: a name, a directory, and how processes are started from it.
//! `host` is always there: no command of its own, and the host's programs.
//! Others are [given](Options::images) to the runtime; pulling anything else is `NotFound`.
//!
//! # Example
//!
//! ```standalone_crate
//! use kubewright_cri::Runtime;
//! use kubewright_cri::v1::{
//!     ContainerConfig, ContainerMetadata, ImageSpec, PodSandboxConfig, PodSandboxMetadata,
//! };
//! use kubewright_process_runtime::{Options, ProcessRuntime, shim};
//!
//! fn main() {
//!     // This program is also the shim of its containers.
//!     shim::main_if_asked();
//!     tokio::runtime::Runtime::new().expect("a runtime").block_on(run()).expect("a container runs");
//! }
//!
//! async fn run() -> Result<(), Box<dyn std::error::Error>> {
//!     let root_dir = std::env::temp_dir().join(format!("process-runtime-{}", std::process::id()));
//!     let processes = ProcessRuntime::open(Options::new(&root_dir)).await?;
//!     let runtime = Runtime::in_process(processes.clone());
//!
//!     let pod = PodSandboxConfig {
//!         metadata: Some(PodSandboxMetadata { name: "web".to_owned(), ..Default::default() }),
//!         ..Default::default()
//!     };
//!     let sandbox = runtime.run_pod_sandbox(pod.clone(), "").await?;
//!     let container = ContainerConfig {
//!         metadata: Some(ContainerMetadata { name: "app".to_owned(), attempt: 0 }),
//!         image: Some(ImageSpec { image: "host".to_owned(), ..Default::default() }),
//!         command: vec!["sleep".to_owned(), "1000".to_owned()],
//!         ..Default::default()
//!     };
//!     let id = runtime.create_container(&sandbox, container, pod).await?;
//!     runtime.start_container(&id).await?;
//!
//!     let command = ["sh", "-c", "echo $KUBEWRIGHT_POD_IP"].map(str::to_owned);
//!     let answer = runtime.exec_sync(&id, command.into(), None).await?;
//!     assert!(answer.stdout.starts_with(b"127."));
//!
//!     processes.shutdown().await?;
//!     assert!(!root_dir.exists());
//!     Ok(())
//! }
//! ```
//!
//! # Features
//!
//! - `testing`: the module `testing`, which finds and kills the processes of a directory, for tests of
//!   programs that embed the runtime.

pub mod shim;

mod runtime;

mod address;
mod error;
mod image;
mod options;

mod services;
mod streams;

mod container;
mod core;
mod sandbox;

mod launch;
mod mounts;
mod policy;
mod process;
mod shim_client;
mod signal;

mod durable;
mod record;
mod store;

#[cfg(feature = "testing")]
pub mod testing;

pub use address::AddressRange;
pub use error::Error;
pub use image::ImageRecord;
pub use options::{Options, ShimProgram};
pub use runtime::ProcessRuntime;
pub use streams::Streams;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
