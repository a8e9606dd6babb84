use http::Method;

/// What a request would do, in the terms that access is granted in: a verb, and subresources of the
/// node.
///
/// Answers to `GetRequestAttributes` of Kubernetes 1.36, where access is fine-grained.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Attributes {
    /// `get`, `create`…; empty for a method that has none.
    pub verb: &'static str,
    /// What is asked for in the first place.
    pub subresource: &'static str,
    /// What gives access to it too, if anything else does.
    pub fallback: Option<&'static str>,
}

impl Attributes {
    /// Those of a request.
    pub fn of(method: &Method, path: &str) -> Self {
        let verb = match *method {
            Method::POST => "create",
            Method::GET => "get",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE => "delete",
            _ => "",
        };
        let own = |subresource| (subresource, None);
        let finer = |subresource| (subresource, Some("proxy"));
        let first = path.split('/').nth(1).unwrap_or_default();
        let (subresource, fallback) = match first {
            "pods" | "runningpods" => finer("pods"),
            "healthz" => finer("healthz"),
            "configz" => finer("configz"),
            "stats" => own("stats"),
            "metrics" => own("metrics"),
            // As the subresource of pods is called.
            "logs" => own("log"),
            "checkpoint" => own("checkpoint"),
            "statusz" => own("statusz"),
            "flagz" => own("configz"),
            _ => own("proxy"),
        };
        Self {
            verb,
            subresource,
            fallback,
        }
    }

    /// The subresources, any of which gives access.
    pub fn subresources(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.subresource).chain(self.fallback)
    }
}
