//! The apps/v1 ReplicaSet controller.
