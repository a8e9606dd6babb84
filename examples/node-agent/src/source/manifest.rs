//! Static pods: what a manifest says, and what the agent makes of it.
//!
//! A manifest is a v1 Pod in YAML or JSON. It gets the defaults that an API server would give it, an
//! identity that follows from its content and its place, and is held to the rules of pods: there is
//! no API server in between that would do this.

mod defaults;
mod error;
mod references;
mod validation;

use std::path::Path;

use k8s_openapi::List;
use k8s_openapi::api::core::v1::{Pod, Toleration};
use md5::{Digest as _, Md5};
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use error::{FieldError, ManifestError};

use crate::pod::CONFIG_HASH;
use crate::yaml;

/// Makes the static pods of one node out of manifests.
///
/// # Identity
///
/// Unless the manifest gives one, the uid is a hash of what the manifest says, of where it is, and,
/// for a file, of the node. So a changed manifest is another pod, and one that is read again, by the
/// same agent or the next, is the same. Defaults are not in the hash: they may change with the
/// agent's version, and that is no reason to restart a pod.
///
/// The name is that of the manifest and the node's, so that the mirror pods of one manifest on many
/// nodes do not collide.
#[derive(Clone, Debug)]
pub struct Manifests {
    node_name: String,
}

/// Where a manifest is.
enum Place<'a> {
    File(&'a Path),
    Url(&'a str),
}

impl Manifests {
    /// The manifests of this node.
    pub fn new(node_name: impl Into<String>) -> Self {
        Self {
            node_name: node_name.into(),
        }
    }

    /// The pod of a file, which tolerates whatever befalls its node.
    ///
    /// # Errors
    ///
    /// When it is not one valid pod, or needs an API server to run.
    pub fn from_file(&self, path: &Path, content: &[u8]) -> Result<Pod, ManifestError> {
        let document = yaml::read(content)?;
        self.complete(pod(document)?, &Place::File(path))
    }

    /// The pods that a URL has: one, or a `PodList`.
    ///
    /// # Errors
    ///
    /// When it is neither, or if any of them is not valid or needs an API server to run.
    pub fn from_url(&self, url: &str, content: &[u8]) -> Result<Vec<Pod>, ManifestError> {
        let document = yaml::read(content)?;
        let place = Place::Url(url);
        if document["kind"] != "PodList" && document["kind"] != "List" {
            return Ok(vec![self.complete(pod(document)?, &place)?]);
        }
        let list: List<Pod> = typed(document, "PodList")?;
        let pods = list.items.into_iter();
        pods.map(|pod| self.complete(pod, &place)).collect()
    }

    fn complete(&self, mut pod: Pod, place: &Place<'_>) -> Result<Pod, ManifestError> {
        let name = match &pod.metadata.name {
            Some(name) if !name.is_empty() => name.clone(),
            _ => return Err(ManifestError::Nameless),
        };
        if pod.metadata.uid.as_deref().unwrap_or_default().is_empty() {
            pod.metadata.uid = Some(self.uid(&pod, place)?);
        }
        defaults::fill(&mut pod);
        let metadata = &mut pod.metadata;
        metadata.name = Some(format!("{name}-{}", self.node_name.to_lowercase()));
        if metadata.namespace.as_deref().unwrap_or_default().is_empty() {
            metadata.namespace = Some("default".to_owned());
        }
        let hash = metadata.uid.clone().unwrap_or_default();
        let annotations = metadata.annotations.get_or_insert_default();
        annotations.insert(CONFIG_HASH.to_owned(), hash);
        let spec = pod.spec.get_or_insert_default();
        spec.node_name = Some(self.node_name.clone());
        if let Place::File(_) = place {
            tolerate_no_execute(spec.tolerations.get_or_insert_default());
        }
        let status = pod.status.get_or_insert_default();
        status.phase = Some("Pending".to_owned());
        validation::check(&pod)?;
        match references::first(&pod) {
            Some(resource) => Err(ManifestError::References(resource)),
            None => Ok(pod),
        }
    }

    fn uid(&self, pod: &Pod, place: &Place<'_>) -> Result<String, ManifestError> {
        let mut hash = Md5::new();
        hash.update(serde_json::to_vec(pod).map_err(ManifestError::NotWritable)?);
        match place {
            Place::File(path) => {
                hash.update(format!("host:{}", self.node_name));
                hash.update("file:");
                hash.update(path.as_os_str().as_encoded_bytes());
            }
            Place::Url(url) => hash.update(format!("url:{url}")),
        }
        let bytes = hash.finalize();
        Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

fn pod(document: Value) -> Result<Pod, ManifestError> {
    typed(document, "Pod")
}

fn typed<T: DeserializeOwned>(document: Value, kind: &'static str) -> Result<T, ManifestError> {
    let text = |field: &str| document[field].as_str().unwrap_or_default().to_owned();
    let (api_version, found) = (text("apiVersion"), text("kind"));
    // Tools write a list of pods under both names.
    let named = found == kind || (kind == "PodList" && found == "List");
    if api_version != "v1" || !named {
        return Err(ManifestError::NotAPod {
            api_version,
            kind: found,
        });
    }
    let mut document = document;
    document["kind"] = kind.into();
    serde_json::from_value(document).map_err(ManifestError::NotOfItsType)
}

/// A static pod stays where it is whatever befalls its node.
fn tolerate_no_execute(tolerations: &mut Vec<Toleration>) {
    let whatever = Toleration {
        operator: Some("Exists".to_owned()),
        effect: Some("NoExecute".to_owned()),
        ..Toleration::default()
    };
    if !tolerations.contains(&whatever) {
        tolerations.push(whatever);
    }
}
