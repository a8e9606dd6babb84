use std::collections::BTreeMap;
use std::fmt;

/// Why no node can take a pod, in upstream's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unschedulable {
    /// There is no node.
    #[error("no nodes available to schedule pods")]
    NoNodes,
    /// There are nodes, and something speaks against each.
    #[error("0/{nodes} nodes are available: {}.", in_words(obstacles))]
    NoneFits {
        /// How many there are.
        nodes: usize,
        /// What speaks against how many of them.
        obstacles: BTreeMap<Obstacle, usize>,
    },
    /// The pod asks for what this scheduler does not know.
    #[error("this scheduler does not know what to make of {0}")]
    Unsupported(&'static str),
}

/// What speaks against one node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Obstacle {
    /// It is not to take further pods.
    Unschedulable,
    /// It is tainted, and the pod does not tolerate that.
    Taint,
    /// The pod wants other nodes.
    Affinity,
    /// Another pod has a port of the host that this one wants.
    Ports,
    /// It has as many pods as it takes.
    TooManyPods,
    /// Too little of a resource is left.
    Insufficient(String),
}

impl Unschedulable {
    pub(super) fn none_fits(nodes: usize, against: Vec<Obstacle>) -> Self {
        let mut obstacles = BTreeMap::new();
        for obstacle in against {
            *obstacles.entry(obstacle).or_default() += 1;
        }
        Self::NoneFits { nodes, obstacles }
    }
}

/// Sorted as text, the number first, as upstream's `FitError` does.
fn in_words(obstacles: &BTreeMap<Obstacle, usize>) -> String {
    let words = obstacles
        .iter()
        .map(|(obstacle, count)| format!("{count} {obstacle}"));
    let mut words: Vec<_> = words.collect();
    words.sort();
    words.join(", ")
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unschedulable => "node(s) were unschedulable",
            Self::Taint => "node(s) had untolerated taint(s)",
            Self::Affinity => "node(s) didn't match Pod's node affinity/selector",
            Self::Ports => "node(s) didn't have free ports for the requested pod ports",
            Self::TooManyPods => "Too many pods",
            Self::Insufficient(resource) => return write!(f, "Insufficient {resource}"),
        })
    }
}
