use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kubewright_cache::{Labels, Metadata, Object, ObjectKey};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::selector::{InvalidSelector, Selector};
use crate::text::Text;

/// What the controller looks at in a ReplicaSet.
///
/// Reading it passes once over the set's JSON. The template is kept as the bytes the server
/// sent: pods are made of them unchanged, so that a pod also gets those fields of its template
/// that are younger than this program.
#[derive(Debug)]
pub struct ReplicaSetView<'a> {
    object: &'a Object<ReplicaSet>,
    spec: Spec<'a>,
    status: ReplicaSetStatus,
}

impl<'a> ReplicaSetView<'a> {
    /// Reads a set from `body`, which is that of `object`.
    ///
    /// # Errors
    ///
    /// The JSON error, if the body is no ReplicaSet.
    pub fn new(object: &'a Object<ReplicaSet>, body: &'a str) -> Result<Self, serde_json::Error> {
        let body: Body<'a> = serde_json::from_str(body)?;
        Ok(Self {
            object,
            spec: body.spec.unwrap_or_default(),
            status: body.status.unwrap_or_default(),
        })
    }

    /// The set in the cache.
    pub const fn object(&self) -> &'a Object<ReplicaSet> {
        self.object
    }

    /// The set's metadata.
    pub fn meta(&self) -> &'a Metadata {
        self.object.meta()
    }

    /// The set's key.
    pub fn key(&self) -> &'a ObjectKey {
        self.object.key()
    }

    /// How many pods are wanted. Default: 1.
    pub fn replicas(&self) -> usize {
        usize::try_from(self.spec.replicas.unwrap_or(1)).unwrap_or_default()
    }

    /// How long a pod has to be ready to count as available. Default: zero.
    pub fn min_ready(&self) -> Duration {
        let seconds = self.spec.min_ready_seconds.unwrap_or_default();
        Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
    }

    /// Which pods are the set's.
    ///
    /// # Errors
    ///
    /// [`InvalidSelector`] if it makes no sense; a server lets none such in.
    pub fn selector(&self) -> Result<Selector, InvalidSelector> {
        Selector::new(self.spec.selector.as_ref())
    }

    /// The status as the cache has it.
    pub const fn status(&self) -> &ReplicaSetStatus {
        &self.status
    }

    /// The template of the set's pods.
    ///
    /// # Errors
    ///
    /// The JSON error, if it is no pod template.
    pub fn template(&self) -> Result<Template<'a>, serde_json::Error> {
        match self.spec.template {
            Some(template) => serde_json::from_str(template.get()),
            None => Ok(Template::default()),
        }
    }
}

/// A pod template.
#[derive(Debug, Default, Deserialize)]
pub struct Template<'a> {
    #[serde(borrow)]
    metadata: Option<TemplateMetadata<'a>>,
    #[serde(borrow)]
    pub(crate) spec: Option<&'a RawValue>,
}

/// The metadata that a template gives its pods.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct TemplateMetadata<'a> {
    #[serde(borrow, default)]
    pub(crate) labels: Option<BTreeMap<Text<'a>, Text<'a>>>,
    #[serde(borrow)]
    pub(crate) annotations: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) finalizers: Option<&'a RawValue>,
}

impl<'a> Template<'a> {
    pub(crate) fn metadata(&self) -> Option<&TemplateMetadata<'a>> {
        self.metadata.as_ref()
    }

    /// Whether `labels` have all that the template gives its pods, with the same values.
    pub fn labels_are_in(&self, labels: Labels<'_>) -> bool {
        let wanted = self
            .metadata()
            .and_then(|metadata| metadata.labels.as_ref());
        let mut wanted = wanted.into_iter().flatten();
        wanted.all(|(key, value)| labels.get(key) == Some(value))
    }
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    spec: Option<Spec<'a>>,
    status: Option<ReplicaSetStatus>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec<'a> {
    replicas: Option<i32>,
    min_ready_seconds: Option<i32>,
    selector: Option<LabelSelector>,
    #[serde(borrow)]
    template: Option<&'a RawValue>,
}
