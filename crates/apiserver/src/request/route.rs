//! From the path of a request to the resource it is about.

use std::borrow::Cow;
use std::sync::Arc;

use percent_encoding::percent_decode_str;

use crate::registry::Resources;
use crate::resource::{Origin, Resource};

/// What a path is about.
#[derive(Debug)]
pub(crate) enum Route {
    /// Objects of a resource.
    Resource(Target),
    /// A resource that a served group does not have.
    Unknown,
    /// Something else: discovery, health, version, OpenAPI, or nothing at all.
    Other,
}

/// The objects that a path names.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) resource: Arc<Resource>,
    /// `None` for cluster-scoped kinds, and for all namespaces.
    pub(crate) namespace: Option<String>,
    /// `None` for a collection.
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
    /// Whether the path is one of the old `/watch/` paths.
    pub(crate) watch: bool,
}

impl Target {
    /// The namespace; empty for cluster-scoped kinds and for all namespaces.
    pub(crate) fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or_default()
    }
}

impl Route {
    /// What clients of a deprecated version are told with every answer.
    pub(crate) fn deprecation(&self) -> Option<String> {
        match self {
            Self::Resource(target) => match &target.resource.origin {
                Origin::Custom(version) => version.deprecation_warning.clone(),
                Origin::BuiltIn { .. } => None,
            },
            Self::Unknown | Self::Other => None,
        }
    }

    /// Reads a path.
    pub(crate) fn parse(path: &str, resources: &Resources) -> Self {
        let segments: Vec<Cow<'_, str>> = path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .map(|segment| percent_decode_str(segment).decode_utf8_lossy())
            .collect();
        let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
        let (group, version, rest) = match segments.as_slice() {
            ["api", version, rest @ ..] if !rest.is_empty() => ("", *version, rest),
            ["apis", group, version, rest @ ..] if !rest.is_empty() => (*group, *version, rest),
            _ => return Self::Other,
        };
        let (watch, rest) = match rest {
            ["watch", rest @ ..] if !rest.is_empty() => (true, rest),
            rest => (false, rest),
        };
        let find = |plural: &str| resources.get(group, version, plural);
        let (namespace, plural, rest) = match rest {
            // What follows a namespace is one of its subresources only if no resource has that name.
            ["namespaces", namespace, plural, rest @ ..] if find(plural).is_some() => {
                (Some(*namespace), *plural, rest)
            }
            [plural, rest @ ..] => (None, *plural, rest),
            [] => return Self::Other,
        };
        let Some(resource) = find(plural) else {
            return match resources
                .iter()
                .any(|known| known.group == group && is_built_in(known))
            {
                true => Self::Unknown,
                false => Self::Other,
            };
        };
        let (name, subresource) = match rest {
            [] => (None, None),
            [name] => (Some(*name), None),
            [name, subresource] => (Some(*name), Some(*subresource)),
            // Only proxies have paths of their own below them.
            [name, subresource, ..] => (Some(*name), Some(*subresource)),
        };
        // What a custom resource lacks below its objects is said to be an object that is not found.
        let known = subresource
            .is_none_or(|name| resource.subresource(name).is_some() || !is_built_in(resource));
        let scoped = namespace.is_none_or(|_| resource.namespaced)
            && (namespace.is_some() || name.is_none() || !resource.namespaced);
        if !known || !scoped {
            return match is_built_in(resource) {
                true => Self::Unknown,
                false => Self::Other,
            };
        }
        Self::Resource(Target {
            resource: Arc::clone(resource),
            namespace: namespace.map(str::to_owned),
            name: name.map(str::to_owned),
            subresource: subresource.map(str::to_owned),
            watch,
        })
    }
}

fn is_built_in(resource: &Resource) -> bool {
    matches!(resource.origin, Origin::BuiltIn { .. })
}
