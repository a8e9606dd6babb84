//! POST, PUT, PATCH and DELETE.

use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::body;
use crate::core::{Deleted, Page, Replaced};
use crate::error::ApiError;
use crate::fields;
use crate::handler::{Answer, Exchange, encode};
use crate::patch::{self, PatchType};
use crate::request::{DeleteOptions, ListOptions, WriteOptions};
use crate::resource::Origin;
use crate::strategy;

impl Exchange<'_> {
    pub(super) fn create(self) -> Result<Answer, ApiError> {
        if !self.target.resource.has_verb("get") {
            return self.review();
        }
        let view = self.view()?;
        let options = WriteOptions::parse(&self.query, "CreateOptions")?;
        let (object, warnings) = self.decode(options)?;
        let resource = &self.target.resource;
        let written = self
            .core
            .create(resource, self.target.namespace(), object, options)?;
        let answer = encode::object(StatusCode::CREATED, &view, resource, &written)?;
        Ok(answer.with_warnings(warnings))
    }

    pub(super) fn update(self, subresource: Option<&str>) -> Result<Answer, ApiError> {
        let view = self.view()?;
        let options = WriteOptions::parse(&self.query, "UpdateOptions")?;
        let (object, warnings) = self.decode(options)?;
        let resource = &self.target.resource;
        let key = self.key()?;
        let replaced = self
            .core
            .replace(resource, &key, subresource, options, object)?;
        let (code, written) = match replaced {
            Replaced::Created(object) => (StatusCode::CREATED, object),
            Replaced::Updated(object) => (StatusCode::OK, object),
        };
        let answer = encode::object(code, &view, resource, &written)?;
        Ok(answer.with_warnings(warnings))
    }

    pub(super) fn patch(self, subresource: Option<&str>) -> Result<Answer, ApiError> {
        let view = self.view()?;
        let options = WriteOptions::parse(&self.query, "PatchOptions")?;
        let resource = &self.target.resource;
        let (kind, patch) = self.decode_patch()?;
        let text = String::from_utf8_lossy(&self.body);
        let mut warnings = Vec::new();
        let written =
            self.core
                .update(resource, &self.key()?, subresource, options, |current| {
                    let mut new = patch::apply(kind, resource, current, patch.clone())?;
                    warnings =
                        fields::check_patched(resource, &mut new, options.field_validation, &text)?;
                    warnings.extend(strategy::review(resource, &mut new));
                    Ok(new)
                })?;
        let answer = encode::object(StatusCode::OK, &view, resource, &written)?;
        Ok(answer.with_warnings(warnings))
    }

    pub(super) fn delete(self) -> Result<Answer, ApiError> {
        let view = self.view()?;
        let options = self.delete_options()?;
        let resource = &self.target.resource;
        let deleted = self.core.delete(resource, &self.key()?, &options)?;
        let object = match deleted {
            Deleted::Gone(object) if !strategy::rules(resource).delete_returns_object => {
                let mut details = json!({
                    "name": object.key().name(),
                    "kind": resource.plural,
                    "uid": object.uid(),
                });
                if !resource.group.is_empty() {
                    details["group"] = resource.group.as_str().into();
                }
                let status = json!({
                    "kind": "Status",
                    "apiVersion": "v1",
                    "metadata": {},
                    "status": "Success",
                    "details": details,
                });
                return Ok(Answer::value(StatusCode::OK, view.representation, &status));
            }
            Deleted::Gone(object) | Deleted::Pending(object) => object,
        };
        encode::object(StatusCode::OK, &view, resource, &object)
    }

    pub(super) fn delete_collection(self) -> Result<Answer, ApiError> {
        let view = self.view()?;
        let list_options = ListOptions::parse(&self.query, false)?;
        let options = self.delete_options()?;
        let resource = &self.target.resource;
        let page = self
            .core
            .list(resource, &self.filter(&list_options)?, &list_options)?;
        for object in &page.items {
            match self.core.delete(resource, object.key(), &options) {
                // Someone else was faster.
                Err(missing) if missing.code() == StatusCode::NOT_FOUND => {}
                deleted => {
                    deleted?;
                }
            }
        }
        let page = Page {
            continue_token: None,
            remaining: None,
            ..page
        };
        encode::list(&view, resource, page)
    }

    /// The object in the body, its fields checked, and warnings about it.
    pub(super) fn decode(&self, options: WriteOptions) -> Result<(Value, Vec<String>), ApiError> {
        let body = body::decode(self.header(&CONTENT_TYPE), &self.body)?;
        let mut object = body.value;
        let resource = &self.target.resource;
        let mut warnings = fields::check(
            resource,
            &mut object,
            options.field_validation,
            &body.duplicates,
        )?;
        warnings.extend(strategy::review(resource, &mut object));
        Ok((object, warnings))
    }

    /// The patch in the body, and of what kind it is.
    pub(super) fn decode_patch(&self) -> Result<(PatchType, Value), ApiError> {
        let content_type = self.header(&CONTENT_TYPE).unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if media_type == "application/apply-patch+yaml" {
            return Err(ApiError::unsupported("server-side apply"));
        }
        let resource = &self.target.resource;
        let kind = PatchType::of(media_type, resource).ok_or_else(|| match resource.origin {
            Origin::BuiltIn { .. } => ApiError::unknown_patch_type(),
            Origin::Custom(_) => ApiError::unsupported_media_type(&[
                "application/json-patch+json",
                "application/merge-patch+json",
                "application/apply-patch+yaml",
            ]),
        })?;
        Ok((kind, body::decode_json(&self.body)?.value))
    }

    fn delete_options(&self) -> Result<DeleteOptions, ApiError> {
        let body = match self.body.is_empty() {
            true => None,
            false => Some(body::decode(self.header(&CONTENT_TYPE), &self.body)?.value),
        };
        DeleteOptions::parse(&self.query, body.as_ref())
    }
}
