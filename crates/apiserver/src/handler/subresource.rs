//! What hangs below an object: its status, its scale, and what can be done to it.

use http::{Method, StatusCode};
use serde_json::json;

use crate::access;
use crate::error::ApiError;
use crate::handler::{Answer, Exchange};
use crate::request::WriteOptions;

impl Exchange<'_> {
    pub(super) fn subresource(self, method: &Method) -> Result<Answer, ApiError> {
        let resource = &self.target.resource;
        let name = self.target.subresource.clone().unwrap_or_default();
        let Some(subresource) = resource.subresource(&name) else {
            return Err(ApiError::not_found(resource, self.key()?.name()));
        };
        let verb = match *method {
            Method::GET => "get",
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE => "delete",
            _ => return Err(ApiError::method_not_allowed()),
        };
        if !subresource.verbs.iter().any(|known| known == verb) {
            return Err(ApiError::method_not_allowed());
        }
        #[cfg(feature = "listener")]
        if let Some(answer) = self.forward(method, &name) {
            return answer;
        }
        // A subresource that shows the object itself is the object, of which a part can be written.
        let shows_object = subresource.kind == resource.kind && name != "log";
        match (name.as_str(), verb) {
            (_, "get") if shows_object => self.get(),
            (_, "update") if shows_object => self.update(Some(&name)),
            (_, "patch") if shows_object => self.patch(Some(&name)),
            ("scale", "get") => self.get_scale(),
            ("scale", "update") => self.update_scale(),
            ("scale", "patch") => self.patch_scale(),
            ("binding", "create") => self.bind_pod(),
            ("eviction", "create") => self.evict_pod(),
            ("log", "get") => self.pod_log(),
            ("token", "create") => self.create_token(),
            _ => Err(ApiError::unsupported(format!(
                "{method} of {}/{name}",
                resource.plural
            ))),
        }
    }

    /// Answers an object that is a question, such as whether someone may do something.
    pub(super) fn review(self) -> Result<Answer, ApiError> {
        let resource = &self.target.resource;
        match (resource.group.as_str(), resource.plural.as_str()) {
            ("", "bindings") => self.bind_pod(),
            ("authentication.k8s.io", "tokenreviews") => self.review_token(),
            _ => {
                let options = WriteOptions::parse(&self.query, "CreateOptions")?;
                let (review, warnings) = self.decode(options)?;
                let namespace = self.target.namespace.as_deref();
                let now = self.core.now();
                let answer =
                    access::answer(resource, namespace, review, &self.user, self.core, now)?;
                let answer = Answer::value(StatusCode::CREATED, self.representation()?, &answer);
                Ok(answer.with_warnings(warnings))
            }
        }
    }

    /// The answer that says that something was done.
    pub(super) fn done(&self, code: StatusCode) -> Result<Answer, ApiError> {
        let status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "code": code.as_u16(),
        });
        Ok(Answer::value(code, self.representation()?, &status))
    }
}
