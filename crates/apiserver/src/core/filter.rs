//! Which objects of a resource a request is about.

use std::sync::Arc;

use crate::error::ApiError;
use crate::request::ListOptions;
use crate::resource::Resource;
use crate::selector::{FieldSelector, LabelSelector};
use crate::store::{Change, Event, Stored};

/// The objects of a namespace, or of all, that selectors pick.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    /// `None` for all namespaces, and for kinds without.
    pub(crate) namespace: Option<String>,
    labels: Option<LabelSelector>,
    fields: Option<FieldSelector>,
}

/// What an event is to someone who sees only what a filter lets through.
#[derive(Clone, Debug)]
pub(crate) enum Seen<'a> {
    Added(&'a Arc<Stored>),
    Modified(&'a Arc<Stored>),
    /// With the last state that was seen.
    Deleted(&'a Arc<Stored>),
}

impl Filter {
    /// The objects that the selectors of `options` pick.
    ///
    /// # Errors
    ///
    /// 400 for a selector that cannot be read or is not supported by `resource`.
    pub(crate) fn new(
        resource: &Resource,
        namespace: Option<&str>,
        options: &ListOptions,
    ) -> Result<Self, ApiError> {
        let labels = options.label_selector.as_deref().map(LabelSelector::parse);
        let fields = options
            .field_selector
            .as_deref()
            .map(|text| FieldSelector::parse(resource, text));
        Ok(Self {
            namespace: namespace.map(str::to_owned),
            labels: labels.transpose()?.filter(|labels| !labels.is_empty()),
            fields: fields.transpose()?.filter(|fields| !fields.is_empty()),
        })
    }

    /// Whether selectors leave out objects of the namespace.
    pub(crate) fn is_selective(&self) -> bool {
        self.labels.is_some() || self.fields.is_some()
    }

    /// The one name that an object must have, if the field selector asks for one.
    pub(crate) fn name(&self) -> Option<&str> {
        self.fields.as_ref()?.exact("metadata.name")
    }

    /// Whether selectors pick the object; its namespace is not looked at.
    pub(crate) fn selects(&self, object: &Stored) -> bool {
        let value = object.value();
        self.labels
            .as_ref()
            .is_none_or(|labels| labels.matches(value))
            && self
                .fields
                .as_ref()
                .is_none_or(|fields| fields.matches(value))
    }

    /// What an event is to someone behind the filter; `None` if it is not seen.
    ///
    /// An object that leaves the selection is deleted, one that enters it is added.
    pub(crate) fn see<'a>(&self, event: &'a Event) -> Option<Seen<'a>> {
        let before = event.change.before();
        let after = event.change.after();
        let key = before.or(after)?.key();
        if let Some(namespace) = &self.namespace
            && key.namespace() != namespace
        {
            return None;
        }
        if !self.is_selective() {
            return Some(match &event.change {
                Change::Added(after) => Seen::Added(after),
                Change::Modified { after, .. } => Seen::Modified(after),
                Change::Deleted(before) => Seen::Deleted(before),
            });
        }
        let before = before.filter(|before| self.selects(before));
        let after = after.filter(|after| self.selects(after));
        match (before, after) {
            (None, None) => None,
            (None, Some(after)) => Some(Seen::Added(after)),
            (Some(_), Some(after)) => Some(Seen::Modified(after)),
            (Some(before), None) => Some(Seen::Deleted(before)),
        }
    }
}
