use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The name of an object within its kind: `namespace/name`, or `name` for cluster-scoped kinds.
///
/// Cheap to clone: one reference-counted string.
///
/// # Guarantees
///
/// - Keys order as their text does, so all keys of a namespace are neighbours.
/// - `Hash`, `Eq` and `Ord` agree with those of the text, hence `Borrow<str>`.
///
/// # Example
///
/// ```
/// use kubewright_cache::ObjectKey;
///
/// let key = ObjectKey::namespaced("default", "web-0");
/// assert_eq!((key.namespace(), key.name()), (Some("default"), "web-0"));
/// assert_eq!(key.to_string(), "default/web-0");
/// assert_eq!("node-1".parse(), Ok(ObjectKey::cluster("node-1")));
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(Arc<str>);

impl ObjectKey {
    /// The key of an object in a namespace.
    ///
    /// An empty `namespace` means none, as everywhere in Kubernetes.
    ///
    /// # Assumptions
    ///
    /// Neither part holds a `/`, which no Kubernetes name can.
    pub fn namespaced(namespace: &str, name: &str) -> Self {
        if namespace.is_empty() {
            return Self::cluster(name);
        }
        debug_assert!(!namespace.contains('/') && !name.contains('/'));
        // Put together on the stack, where any valid key finds room, so that there is one
        // allocation.
        let mut buffer = [0; 320];
        let length = namespace.len() + 1 + name.len();
        let Some(buffer) = buffer.get_mut(..length) else {
            return Self(format!("{namespace}/{name}").into());
        };
        buffer[..namespace.len()].copy_from_slice(namespace.as_bytes());
        buffer[namespace.len()] = b'/';
        buffer[namespace.len() + 1..].copy_from_slice(name.as_bytes());
        match std::str::from_utf8(buffer) {
            Ok(text) => Self(text.into()),
            Err(_) => unreachable!("two texts with a slash between them are a text"),
        }
    }

    /// The key of a cluster-scoped object.
    pub fn cluster(name: &str) -> Self {
        Self(name.into())
    }

    /// The namespace, if the object has one.
    pub fn namespace(&self) -> Option<&str> {
        self.split().0
    }

    /// The name within the namespace or cluster.
    pub fn name(&self) -> &str {
        self.split().1
    }

    /// The whole text, `namespace/name` or `name`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn split(&self) -> (Option<&str>, &str) {
        match self.0.split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, &self.0),
        }
    }
}

impl Borrow<str> for ObjectKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for ObjectKey {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl FromStr for ObjectKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let valid = match text.split_once('/') {
            Some((namespace, name)) => {
                !namespace.is_empty() && !name.is_empty() && !name.contains('/')
            }
            None => !text.is_empty(),
        };
        if valid {
            Ok(Self(text.into()))
        } else {
            Err(InvalidKey(text.into()))
        }
    }
}

/// A text that is neither `namespace/name` nor `name`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither `namespace/name` nor `name`")]
pub struct InvalidKey(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_namespace_are_neighbours() {
        let mut keys = [
            ObjectKey::namespaced("a-b", "x"),
            ObjectKey::namespaced("a", "z"),
            ObjectKey::namespaced("a0", "x"),
            ObjectKey::namespaced("a", "b"),
            ObjectKey::namespaced("a.b", "x"),
        ];
        keys.sort();
        let order: Vec<_> = keys.iter().map(ObjectKey::as_str).collect();
        assert_eq!(order, ["a-b/x", "a.b/x", "a/b", "a/z", "a0/x"]);
    }

    #[test]
    fn malformed_keys_are_refused() {
        for text in ["", "/", "a/", "/b", "a/b/c"] {
            assert_eq!(text.parse::<ObjectKey>(), Err(InvalidKey(text.into())));
        }
    }

    #[test]
    fn keys_have_any_length() {
        let (namespace, name) = ("n".repeat(63), "x".repeat(253));
        for extra in ["", "yyyy"] {
            let name = format!("{name}{extra}");
            let key = ObjectKey::namespaced(&namespace, &name);
            assert_eq!((key.namespace(), key.name()), (Some(&*namespace), &*name));
        }
    }

    #[test]
    fn an_empty_namespace_means_none() {
        assert_eq!(ObjectKey::namespaced("", "n").namespace(), None);
    }
}
