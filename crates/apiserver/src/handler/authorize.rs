//! Whether who sends a request may do what it asks.

use std::sync::Arc;

use http::Method;
use http::request::Parts;

use crate::access::{Attributes, Decision, Policy, User, Watching, decide};
use crate::core::Core;
use crate::error::ApiError;
use crate::request::{Query, Route, Target};
use crate::store::Stored;

impl Core {
    /// Who sends a request, if they may do what it asks.
    ///
    /// # Errors
    ///
    /// 403 if they may not.
    pub(super) fn authorize(&self, request: &Parts, route: &Route) -> Result<User, ApiError> {
        let user = User::of_request(request)?;
        if user.is_master() {
            return Ok(user);
        }
        let asked = match route {
            Route::Resource(target) => {
                let query = Query::parse(request.uri.query());
                let reads = request.method == Method::GET && target.subresource.is_none();
                let watches = target.watch || query.flag("watch").unwrap_or_default();
                let watching = match reads && watches {
                    true => Watching::Yes,
                    false => Watching::No,
                };
                let asked = Attributes::of_request(&request.method, target, watching);
                // A websocket is opened by a GET, and does what a POST does.
                if request.method == Method::GET && opens_stream(target) {
                    vec![
                        asked,
                        Attributes::of_request(&Method::POST, target, watching),
                    ]
                } else {
                    vec![asked]
                }
            }
            // That there is nothing is no secret.
            Route::Unknown => return Ok(user),
            Route::Other => vec![Attributes::of_path(&request.method, request.uri.path())],
        };
        let denied = asked
            .iter()
            .find(|asked| matches!(decide(self, &user, asked), Decision::Denied));
        match denied {
            None => Ok(user),
            Some(denied) => Err(denied.forbidden(&user)),
        }
    }
}

/// Whether a request is about a stream into a pod.
fn opens_stream(target: &Target) -> bool {
    let subresource = target.subresource.as_deref().unwrap_or_default();
    target.resource.qualified() == "pods"
        && matches!(subresource, "exec" | "attach" | "portforward")
}

impl Policy for Core {
    fn objects(&self, plural: &str, namespace: Option<&str>) -> Vec<Arc<Stored>> {
        let resources = self.registry.resources();
        let Some(resource) = resources.get("rbac.authorization.k8s.io", "v1", plural) else {
            return Vec::new();
        };
        let snapshot = self.store.snapshot(&resource.storage);
        snapshot.range(namespace, None).cloned().collect()
    }
}
