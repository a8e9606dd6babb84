use std::fmt;

use bytes::Bytes;
use http::header::USER_AGENT;
use http::{Method, Request, StatusCode};
use serde::Deserialize;

use crate::registry::Resources;
use crate::request::{Query, Route};

/// One request of a client, and what became of it.
///
/// Displays as `patch replicasets/status default/web: 200`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Call {
    /// What was asked for.
    pub verb: Verb,
    /// The API group; empty for the core group and for other paths.
    pub group: String,
    /// The plural of the resource, or the path if it names no resource.
    pub resource: String,
    /// The subresource, if one was asked for.
    pub subresource: Option<String>,
    /// The namespace; none for cluster-scoped resources and for all namespaces.
    pub namespace: Option<String>,
    /// The name of the object, if the request is about one.
    ///
    /// A rule sees the name that the client gave; a recording also names that the server generated.
    pub name: Option<String>,
    /// The query as it was sent.
    pub query: Option<String>,
    /// The `User-Agent` header.
    pub user_agent: Option<String>,
    /// The body as it was sent.
    pub body: Bytes,
    /// The code of the answer; none before there is one, and for a request or an answer that was lost.
    pub code: Option<StatusCode>,
}

/// What a request asks for, named as Kubernetes names it in rules and audit logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Verb {
    /// One object.
    Get,
    /// The objects of a collection.
    List,
    /// The changes of one object or of a collection.
    Watch,
    /// A new object.
    Create,
    /// Another state of an object, all of it.
    Update,
    /// Another state of an object, as a difference.
    Patch,
    /// The end of one object.
    Delete,
    /// The end of the objects of a collection.
    DeleteCollection,
}

impl Verb {
    /// Whether the request is meant to change something.
    pub fn is_write(self) -> bool {
        !matches!(self, Self::Get | Self::List | Self::Watch)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Call {
    pub(super) fn of(request: &Request<Bytes>, resources: &Resources) -> Self {
        let path = request.uri().path();
        let query = request.uri().query();
        let agent = request.headers().get(USER_AGENT);
        let mut call = Self {
            verb: Verb::Get,
            group: String::new(),
            resource: path.to_owned(),
            subresource: None,
            namespace: None,
            name: None,
            query: query.map(str::to_owned),
            user_agent: agent.and_then(|agent| Some(agent.to_str().ok()?.to_owned())),
            body: request.body().clone(),
            code: None,
        };
        let mut watch = Query::parse(query).flag("watch").unwrap_or_default();
        let mut collection = false;
        if let Route::Resource(target) = Route::parse(path, resources) {
            watch |= target.watch;
            collection = target.name.is_none();
            call.group.clone_from(&target.resource.group);
            call.resource.clone_from(&target.resource.plural);
            call.subresource = target.subresource;
            call.namespace = target.namespace;
            call.name = target.name;
        } else {
            watch = false;
        }
        call.verb = match *request.method() {
            Method::POST => Verb::Create,
            Method::PUT => Verb::Update,
            Method::PATCH => Verb::Patch,
            Method::DELETE if collection => Verb::DeleteCollection,
            Method::DELETE => Verb::Delete,
            _ if watch => Verb::Watch,
            _ if collection => Verb::List,
            _ => Verb::Get,
        };
        if call.verb == Verb::Create && collection {
            call.name = name_in(&call.body);
        }
        call
    }

    /// Whether the request is meant to change something.
    pub fn is_write(&self) -> bool {
        self.verb.is_write()
    }

    /// Takes note of the answer.
    pub(super) fn answered(&mut self, code: StatusCode, body: Option<&Bytes>) {
        self.code = Some(code);
        if self.verb == Verb::Create && self.name.is_none() && code.is_success() {
            self.name = body.and_then(|body| name_in(body));
        }
    }

    /// `pods`, or `pods/status`.
    pub(super) fn target(&self) -> String {
        match &self.subresource {
            None => self.resource.clone(),
            Some(subresource) => format!("{}/{subresource}", self.resource),
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.target())?;
        match (self.namespace.as_deref(), self.name.as_deref()) {
            (None, None) => {}
            (None, Some(name)) => write!(f, " {name}")?,
            (Some(namespace), None) => write!(f, " {namespace}/")?,
            (Some(namespace), Some(name)) => write!(f, " {namespace}/{name}")?,
        }
        match self.code {
            Some(code) => write!(f, ": {}", code.as_u16()),
            None => write!(f, ": lost"),
        }
    }
}

/// `metadata.name` of an object in JSON.
fn name_in(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Object {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    struct Metadata {
        name: String,
    }
    let object: Object = serde_json::from_slice(body).ok()?;
    Some(object.metadata.name).filter(|name| !name.is_empty())
}
