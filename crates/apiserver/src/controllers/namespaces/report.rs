//! What a namespace that is being deleted tells of what remains in it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::controllers::conditions::{Condition, set_condition};

/// How much of each resource remains, and how much is held by which finalizer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    resources: BTreeMap<String, usize>,
    finalizers: BTreeMap<String, usize>,
}

impl Report {
    pub(super) fn count<'a>(
        &mut self,
        resource: String,
        finalizers: impl Iterator<Item = &'a str>,
    ) {
        *self.resources.entry(resource).or_default() += 1;
        for finalizer in finalizers {
            *self.finalizers.entry(finalizer.to_owned()).or_default() += 1;
        }
    }

    /// Sets the conditions that upstream's controller sets.
    pub(super) fn write(&self, namespace: &mut Value, now: Timestamp) {
        let fine = [
            (
                "NamespaceDeletionDiscoveryFailure",
                "ResourcesDiscovered",
                "All resources successfully discovered",
            ),
            (
                "NamespaceDeletionGroupVersionParsingFailure",
                "ParsedGroupVersions",
                "All legacy kube types successfully parsed",
            ),
            (
                "NamespaceDeletionContentFailure",
                "ContentDeleted",
                "All content successfully deleted, may be waiting on finalization",
            ),
        ];
        for (kind, reason, message) in fine {
            set_condition(
                namespace,
                Condition::new(kind, false).why(reason, message),
                now,
            );
        }
        let remaining = list(&self.resources, |resource, count| {
            format!("{resource} has {count} resource instances")
        });
        let condition = Condition::new("NamespaceContentRemaining", !remaining.is_empty());
        let remaining = format!("Some resources are remaining: {remaining}");
        let condition = match self.resources.is_empty() {
            false => condition.why("SomeResourcesRemain", &remaining),
            true => condition.why("ContentRemoved", "All content successfully removed"),
        };
        set_condition(namespace, condition, now);
        let held = list(&self.finalizers, |finalizer, count| {
            format!("{finalizer} in {count} resource instances")
        });
        let condition = Condition::new("NamespaceFinalizersRemaining", !held.is_empty());
        let held = format!("Some content in the namespace has finalizers remaining: {held}");
        let condition = match self.finalizers.is_empty() {
            false => condition.why("SomeFinalizersRemain", &held),
            true => condition.why(
                "ContentHasNoFinalizers",
                "All content-preserving finalizers finished",
            ),
        };
        set_condition(namespace, condition, now);
    }
}

fn list(counts: &BTreeMap<String, usize>, show: impl Fn(&str, usize) -> String) -> String {
    let shown: Vec<String> = counts
        .iter()
        .map(|(name, count)| show(name, *count))
        .collect();
    shown.join(", ")
}
