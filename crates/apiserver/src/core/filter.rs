//! Which objects of a resource a request is about.

use std::sync::Arc;

use crate::error::ApiError;
use crate::request::ListOptions;
use crate::resource::Resource;
use crate::selector::{FieldSelector, LabelSelector};
use crate::store::{Change, Event, Key, Snapshot, Stored};

/// The objects of a namespace, or of all, that selectors pick.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    /// `None` for all namespaces, and for kinds without.
    namespace: Option<String>,
    labels: Option<LabelSelector>,
    fields: Option<FieldSelector>,
    /// The one object that can be picked, if the field selector names one.
    single: Option<Key>,
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
        let fields = fields.transpose()?.filter(|fields| !fields.is_empty());
        let name = fields
            .as_ref()
            .and_then(|fields| fields.exact("metadata.name"));
        let single = match namespace {
            Some(namespace) => name.map(|name| Key::new(namespace, name)),
            None if resource.namespaced => None,
            None => name.map(|name| Key::new("", name)),
        };
        Ok(Self {
            namespace: namespace.map(str::to_owned),
            labels: labels.transpose()?.filter(|labels| !labels.is_empty()),
            single,
            fields,
        })
    }

    /// Whether selectors leave out objects of the namespace.
    pub(crate) fn is_selective(&self) -> bool {
        self.labels.is_some() || self.fields.is_some()
    }

    /// The objects in which selectors have a choice, in order; those at `from` and after it.
    pub(crate) fn candidates<'a>(
        &self,
        snapshot: &'a Snapshot,
        from: Option<&str>,
    ) -> impl Iterator<Item = &'a Arc<Stored>> + use<'a> {
        let (single, range) = match &self.single {
            Some(key) => (snapshot.get(key), None),
            None => (None, Some(snapshot.range(self.namespace.as_deref(), from))),
        };
        single.into_iter().chain(range.into_iter().flatten())
    }

    /// Whether selectors pick the object; its namespace is not looked at.
    pub(crate) fn selects(&self, object: &Stored) -> bool {
        let labels = self.labels.as_ref();
        let fields = self.fields.as_ref();
        labels.is_none_or(|labels| labels.matches_labels(object.labels()))
            && fields.is_none_or(|fields| fields.matches(object))
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
