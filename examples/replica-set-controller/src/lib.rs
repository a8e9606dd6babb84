//! The apps/v1 ReplicaSet controller of Kubernetes 1.36, written with kubewright.
//!
//! ```text
//!  sets, pods ──events──▶ handlers ──keys──▶ queue ──▶ sync ──┬─▶ claim: adopt, release
//!     ▲                       │                    ▲          ├─▶ scale: create, delete
//!     │                       └─▶ expectations ────┘          └─▶ status
//!     └────────────── API server ◀──────── Cluster ◀──────────────┘
//! ```
//!
//! [`Assembly`] is the controller with all it needs to run; [`ReplicaSetController`] is its logic,
//! which runs nothing by itself. Everything it does to the world goes through one seam, the trait
//! [`Cluster`]. What is decided is decided by plain functions and types: [`Claimant`],
//! [`DeletionOrder`], [`calculate_status`], [`slow_start_batch`].
//!
//! # Guarantees
//!
//! - A pod is created only if the set was read with all earlier creations and deletions in view, or
//!   after they have not shown for [`Config::expectations_timeout`].
//! - Another controller's pods are never touched.
//! - A set that is being deleted creates, deletes, adopts and releases nothing.
//! - What a failed sync did not get done is tried again, later each time.
//!
//! # Example
//!
//! ```
//! use k8s_openapi::api::apps::v1::ReplicaSet;
//! use kube_client::{Api, Client, api::PostParams};
//! use kubewright_apiserver::ApiServer;
//! use kubewright_clock::Clock;
//! use replica_set_controller::{Assembly, Config, demo::sample};
//! use tokio_util::sync::CancellationToken;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = ApiServer::new(Default::default())?;
//! let client = Client::new(server.service(), "default");
//! let controller = Assembly::new(&client, Config::default(), Clock::system())?;
//! let stop = CancellationToken::new();
//!
//! let use_it = async {
//!     let sets: Api<ReplicaSet> = Api::default_namespaced(client.clone());
//!     sets.create(&PostParams::default(), &sample(3)).await?;
//!     while sets.get("sample").await?.status.unwrap_or_default().replicas < 3 {
//!         tokio::time::sleep(std::time::Duration::from_millis(10)).await;
//!     }
//!     stop.cancel();
//!     Ok::<_, kube_client::Error>(())
//! };
//! let (ran, used) = tokio::join!(controller.run(stop.clone()), use_it);
//! ran?;
//! used?;
//! # Ok(())
//! # }
//! ```

mod assembly;
mod config;
mod controller;
mod gates;

mod handlers;
mod sync;

mod adoption;
mod claim;
mod owner;
mod roster;

mod names;
mod new_pod;
mod scaling;
mod slow_start;

mod colocation;
mod ranking;

mod availability;
mod condition;
mod status;

mod caches;
mod pod;
mod replica_set;
mod selector;
mod set_facts;
mod text;

mod cluster;
mod error;
mod event;
mod metrics;

pub mod connection;
pub mod demo;
pub mod program;

pub use assembly::{Assembly, AssemblyError, RunError};
pub use availability::{
    earliest_availability_check, is_available, min_next_availability_check, next_availability_check,
};
pub use caches::{Caches, Orphans};
pub use claim::{Claim, Claimant};
pub use cluster::{Cluster, LiveCluster, Written};
pub use colocation::colocation_ranks;
pub use condition::{
    REPLICA_FAILURE, get_condition, new_condition, remove_condition, set_condition,
};
pub use config::Config;
pub use controller::ReplicaSetController;
pub use error::{ClaimError, ClaimErrors, SyncError};
pub use event::{Answer, SetEvent};
pub use gates::{FeatureGates, InvalidGates};
pub use metrics::Metrics;
pub use new_pod::{InvalidTemplate, NewPod};
pub use owner::{API_VERSION, ControllerRef, KIND, OwnerPatch};
pub use pod::{POD_DELETION_COST, Phase, PodView, Readiness, Restarts};
pub use ranking::{Candidate, DeletionOrder};
pub use replica_set::{ReplicaSetView, Template};
pub use roster::Roster;
pub use scaling::pod_keys;
pub use selector::{InvalidSelector, Selector};
pub use set_facts::{Facts, SetFacts};
pub use slow_start::{SlowStart, slow_start_batch};
pub use status::{Observation, calculate_status, says_the_same};
pub use sync::{Scaling, Started};
