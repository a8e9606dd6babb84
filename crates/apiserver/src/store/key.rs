//! The name of an object within its resource, in the order that lists follow.

use std::borrow::Borrow;
use std::fmt::{self, Display};
use std::sync::Arc;

/// Where an object stands in its resource: `namespace/name`, or `name` where the kind has no namespaces.
///
/// Ordered by these bytes, as the keys of etcd are, so that lists of this server and of a real one
/// follow the same order. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key(Arc<str>);

impl Key {
    /// The key of `name` in `namespace`, which is empty for cluster-scoped kinds.
    pub(crate) fn new(namespace: &str, name: &str) -> Self {
        if namespace.is_empty() {
            Self(name.into())
        } else {
            Self([namespace, "/", name].concat().into())
        }
    }

    /// A place in the order, whether an object is there or not.
    pub(super) fn at(place: &str) -> Self {
        Self(place.into())
    }

    /// The namespace; empty for cluster-scoped kinds.
    pub(crate) fn namespace(&self) -> &str {
        self.0
            .split_once('/')
            .map_or("", |(namespace, _)| namespace)
    }

    pub(crate) fn name(&self) -> &str {
        self.0.split_once('/').map_or(&*self.0, |(_, name)| name)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_key() {
        let pod = Key::new("default", "web-1");
        assert_eq!((pod.namespace(), pod.name()), ("default", "web-1"));
        let node = Key::new("", "node-1");
        assert_eq!((node.namespace(), node.name()), ("", "node-1"));
    }

    #[test]
    fn keys_follow_the_order_of_their_bytes() {
        // '-' is less than '/', so the objects of "a-b" come before those of "a".
        assert!(Key::new("a-b", "x") < Key::new("a", "x"));
        assert!(Key::new("a", "x") < Key::new("b", "a"));
    }
}
