//! Where in an object something is: `spec.containers[0].image`.

use std::fmt;

/// A path into an object, built on the stack while the object is walked.
///
/// Shown as Kubernetes shows it: fields after a dot, indices and the keys of maps in brackets.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Path<'a> {
    Root,
    Field(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
    Key(&'a Path<'a>, &'a str),
}

impl<'a> Path<'a> {
    /// The field `name` of what is here.
    pub(crate) fn field(&'a self, name: &'a str) -> Self {
        Self::Field(self, name)
    }

    /// The item at `index` of the list that is here.
    pub(crate) fn index(&'a self, index: usize) -> Self {
        Self::Index(self, index)
    }

    /// The value under `key` of the map that is here.
    pub(crate) fn key(&'a self, key: &'a str) -> Self {
        Self::Key(self, key)
    }

    /// The fields alone, without indices and keys, as decoding errors name a place.
    pub(crate) fn fields(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Index(parent, _) | Self::Key(parent, _) => parent.fields(),
            Self::Field(parent, name) => {
                let parent = parent.fields();
                if parent.is_empty() {
                    (*name).to_owned()
                } else {
                    format!("{parent}.{name}")
                }
            }
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
            Self::Key(parent, key) => write!(f, "{parent}[{key}]"),
        }
    }
}

impl From<Path<'_>> for String {
    fn from(path: Path<'_>) -> Self {
        path.to_string()
    }
}

impl From<&Path<'_>> for String {
    fn from(path: &Path<'_>) -> Self {
        path.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_indices_and_keys_are_shown_as_kubernetes_shows_them() {
        let root = Path::Root;
        let spec = root.field("spec");
        let containers = spec.field("containers");
        let first = containers.index(0);
        let image = first.field("image");
        assert_eq!(image.to_string(), "spec.containers[0].image");
        assert_eq!(image.fields(), "spec.containers.image");
        let data = root.field("data");
        assert_eq!(data.key("a b").to_string(), "data[a b]");
        assert_eq!(root.to_string(), "");
    }
}
