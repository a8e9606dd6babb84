//! Subresources: status, and what else hangs below an object.

use http::Method;

use crate::error::ApiError;
use crate::handler::{Answer, Exchange};

impl Exchange<'_> {
    pub(super) fn subresource(self, method: &Method) -> Result<Answer, ApiError> {
        let name = self.target.subresource.clone().unwrap_or_default();
        match (name.as_str(), method) {
            ("status", &Method::GET) => self.get(),
            ("status", &Method::PUT) => self.update(Some("status")),
            ("status", &Method::PATCH) => self.patch(Some("status")),
            ("finalize", &Method::PUT) => self.update(Some("finalize")),
            _ => Err(ApiError::unsupported(format!(
                "{method} of {}/{name}",
                self.target.resource.plural
            ))),
        }
    }
}
