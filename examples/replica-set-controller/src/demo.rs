//! The controller at work on an embedded API server, for people to look at.
//!
//! A ReplicaSet of ten pods comes to life, and then goes on a [tour](Tour): it is scaled up, loses
//! pods, has one taken out of its hands, and is scaled down. Each step has a deadline and says what
//! it saw through the API.
//!
//! [`Stage`], [`View`] and [`Display`] show any set in that way.

mod display;
mod embedded;
mod picture;
mod sample;
mod stage;
mod tour;
mod view;

pub use display::Display;
pub use embedded::EmbeddedCluster;
pub use picture::{Picture, PodState, SeenPod};
pub use sample::{NAMESPACE, SAMPLE, sample};
pub use stage::{Failed, Stage, Step};
pub use tour::Tour;
pub use view::View;
