//! GET, LIST and watch.

use http::StatusCode;

use crate::core::{Filter, not_a_version};
use crate::error::ApiError;
use crate::handler::{Answer, Exchange, encode};
use crate::request::ListOptions;
use crate::response::ResponseBody;
use crate::store::Key;

impl Exchange<'_> {
    /// The key of the object that the path names.
    pub(super) fn key(&self) -> Result<Key, ApiError> {
        match self.target.name.as_deref() {
            Some(name) if !name.is_empty() && !name.contains(['/', '%']) => {
                Ok(Key::new(self.target.namespace(), name))
            }
            _ => Err(ApiError::bad_request("the path names no object")),
        }
    }

    pub(super) fn get(self) -> Result<Answer, ApiError> {
        let view = self.view()?;
        if let Some(version) = self.query.get("resourceVersion") {
            let asked: u64 = version
                .parse()
                .map_err(|_| ApiError::unclassified(not_a_version(version)))?;
            let current = self.core.store.revision();
            if asked > current {
                return Err(ApiError::too_large_resource_version(asked, current));
            }
        }
        let object = self.core.get(&self.target.resource, &self.key()?)?;
        encode::object(StatusCode::OK, &view, &self.target.resource, &object)
    }

    pub(super) fn list_or_watch(self) -> Result<Answer, ApiError> {
        let options = ListOptions::parse(&self.query, self.target.watch)?;
        if options.watch {
            return self.allow("watch")?.open_watch(&options);
        }
        let view = self.view()?;
        let page = self
            .core
            .list(&self.target.resource, &self.filter(&options)?, &options)?;
        encode::list(&view, &self.target.resource, page)
    }

    /// A watch of one object, by one of the old `/watch/` paths.
    pub(super) fn watch(self) -> Result<Answer, ApiError> {
        let mut options = ListOptions::parse(&self.query, true)?;
        let name = format!("metadata.name={}", self.key()?.name());
        options.field_selector = Some(match options.field_selector {
            Some(selector) => format!("{selector},{name}"),
            None => name,
        });
        self.open_watch(&options)
    }

    fn open_watch(self, options: &ListOptions) -> Result<Answer, ApiError> {
        let view = self.event_view()?;
        let content_type = view.representation.encoding.content_type();
        let resource = &self.target.resource;
        let encoder = encode::watch(view, resource)?;
        let events = self
            .core
            .watch(resource, self.filter(options)?, options, encoder)?;
        Ok(Answer::new(
            StatusCode::OK,
            content_type,
            ResponseBody::stream(events),
        ))
    }

    pub(super) fn filter(&self, options: &ListOptions) -> Result<Filter, ApiError> {
        Filter::new(
            &self.target.resource,
            self.target.namespace.as_deref(),
            options,
        )
    }
}
