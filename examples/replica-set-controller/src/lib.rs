//! The apps/v1 ReplicaSet controller of Kubernetes 1.36, written with kubewright.

mod adoption;
mod assembly;
mod availability;
mod caches;
mod claim;
mod cluster;
mod colocation;
mod condition;
mod config;
pub mod connection;
mod controller;
pub mod demo;
mod error;
mod event;
mod gates;
mod handlers;
mod metrics;
mod names;
mod new_pod;
mod owner;
mod pod;
mod ranking;
mod replica_set;
mod roster;
mod scaling;
mod selector;
mod set_facts;
mod slow_start;
mod status;
mod sync;
mod text;

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
