use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::names::pod_name_prefix;
use crate::owner::ControllerRef;
use crate::replica_set::{ReplicaSetView, Template};
use crate::text::Text;

/// A pod to be created, as the JSON that is sent.
///
/// All pods of one set are created from the same bytes, since the server completes their names.
/// Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPod {
    body: Bytes,
}

impl NewPod {
    /// A pod of `set`, made of its template.
    ///
    /// Labels, annotations, finalizers and spec are those of the template; the name is generated
    /// from the set's name; the only owner is the set.
    ///
    /// # Errors
    ///
    /// [`InvalidTemplate`] if the result would not be a pod of the set.
    pub fn of(set: &ReplicaSetView<'_>) -> Result<Self, InvalidTemplate> {
        let template = set.template()?;
        let owner = ControllerRef::to(set.object()).ok_or(InvalidTemplate::IncompleteOwner)?;
        Self::from_template(&template, set.meta().name(), &owner)
    }

    fn from_template(
        template: &Template<'_>,
        set: &str,
        owner: &ControllerRef,
    ) -> Result<Self, InvalidTemplate> {
        let metadata = template.metadata().ok_or(InvalidTemplate::NoLabels)?;
        let labels = metadata.labels.as_ref().filter(|labels| !labels.is_empty());
        let pod = Body {
            api_version: "v1",
            kind: "Pod",
            metadata: BodyMetadata {
                generate_name: pod_name_prefix(set),
                labels: labels.ok_or(InvalidTemplate::NoLabels)?,
                annotations: metadata.annotations,
                finalizers: metadata.finalizers,
                owner_references: [owner],
            },
            spec: template.spec,
        };
        let body = serde_json::to_vec(&pod).expect("strings and valid JSON always serialise");
        Ok(Self { body: body.into() })
    }

    /// The JSON of the pod.
    pub const fn body(&self) -> &Bytes {
        &self.body
    }
}

/// Why no pod can be made of a template.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTemplate {
    /// A pod without labels would match no selector.
    #[error("unable to create pods, no labels")]
    NoLabels,
    /// The set has no uid, so nothing can refer to it.
    #[error("the set that is to own the pod has no uid or no name")]
    IncompleteOwner,
    /// The template is no JSON of a pod template.
    #[error("the pod template cannot be read")]
    Unreadable(#[from] serde_json::Error),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: BodyMetadata<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spec: Option<&'a RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BodyMetadata<'a> {
    generate_name: String,
    labels: &'a BTreeMap<Text<'a>, Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finalizers: Option<&'a RawValue>,
    owner_references: [&'a ControllerRef; 1],
}
