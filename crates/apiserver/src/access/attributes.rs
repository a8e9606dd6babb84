//! What a request does to what: that on which it is decided whether it may.

use http::Method;
use serde_json::Value;

use crate::error::ApiError;
use crate::request::Target;

use super::User;

/// What someone wants to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Attributes {
    Resource {
        verb: String,
        group: String,
        resource: String,
        /// Empty for the object itself.
        subresource: String,
        /// Empty for cluster-scoped kinds and for all namespaces.
        namespace: String,
        /// Empty for a collection, and for what is about to get a name.
        name: String,
    },
    /// A path that is about no resource.
    Path { verb: String, path: String },
}

impl Attributes {
    /// What a request to a resource does; `watch` is whether a read of it is a watch.
    pub(crate) fn of_request(method: &Method, target: &Target, watch: Watching) -> Self {
        let named = target.name.is_some();
        let verb = match (method.as_str(), named) {
            ("GET" | "HEAD", _) if watch == Watching::Yes => "watch",
            ("GET" | "HEAD", true) => "get",
            ("GET" | "HEAD", false) => "list",
            ("POST", _) => "create",
            ("PUT", _) => "update",
            ("PATCH", _) => "patch",
            ("DELETE", true) => "delete",
            ("DELETE", false) => "deletecollection",
            _ => "",
        };
        let owned = |text: &Option<String>| text.clone().unwrap_or_default();
        Self::Resource {
            verb: verb.to_owned(),
            group: target.resource.group.clone(),
            resource: target.resource.plural.clone(),
            subresource: owned(&target.subresource),
            namespace: owned(&target.namespace),
            name: owned(&target.name),
        }
    }

    /// What a request to a path that is about no resource does.
    pub(crate) fn of_path(method: &Method, path: &str) -> Self {
        Self::Path {
            verb: method.as_str().to_ascii_lowercase(),
            path: path.to_owned(),
        }
    }

    /// What the spec of a review asks about; `None` unless it asks about exactly one thing.
    pub(super) fn of_review(spec: &Value) -> Option<Self> {
        let (resource, path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
        let text = |from: &Value, field: &str| from[field].as_str().unwrap_or_default().to_owned();
        match (resource.is_object(), path.is_object()) {
            (true, false) => Some(Self::Resource {
                verb: text(resource, "verb"),
                group: text(resource, "group"),
                resource: text(resource, "resource"),
                subresource: text(resource, "subresource"),
                namespace: text(resource, "namespace"),
                name: text(resource, "name"),
            }),
            (false, true) => Some(Self::Path {
                verb: text(path, "verb"),
                path: text(path, "path"),
            }),
            _ => None,
        }
    }

    /// The namespace in which something is done; empty for none and for all.
    pub(super) fn namespace(&self) -> &str {
        match self {
            Self::Resource { namespace, .. } => namespace,
            Self::Path { .. } => "",
        }
    }

    /// 403 for `user`, who may not do this.
    pub(crate) fn forbidden(&self, user: &User) -> ApiError {
        let who = format!("User {:?} cannot", user.name);
        match self {
            Self::Path { verb, path } => {
                ApiError::forbidden_for("", "", "", &format!("{who} {verb} path {path:?}"))
            }
            Self::Resource {
                verb,
                group,
                resource,
                subresource,
                namespace,
                name,
            } => {
                let part = match subresource.as_str() {
                    "" => resource.clone(),
                    subresource => format!("{resource}/{subresource}"),
                };
                let place = match namespace.as_str() {
                    "" => "at the cluster scope".to_owned(),
                    namespace => format!("in the namespace {namespace:?}"),
                };
                let why = format!("{who} {verb} resource {part:?} in API group {group:?} {place}");
                ApiError::forbidden_for(group, resource, name, &why)
            }
        }
    }
}

/// Whether a read goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watching {
    No,
    Yes,
}
