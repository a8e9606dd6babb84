use std::fmt;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ObjectReference, Secret};
use kubewright_cri::{Error, Runtime, v1};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::puller::{PullError, Pulled, Puller};
use super::{ImageName, Keyring};
use crate::config::{GoDuration, Rate};
use crate::event::EventRecorder;
use crate::pod::PodUid;
use crate::runtime::manager::rpc_error;
use crate::runtime::{ImageBackoff, ImageBackoffs, StartError};

/// The images of a node, and how they get there.
///
/// Answers to kubelet's `imageManager`. Plugins that give out credentials are not supported, nor is
/// it checked that a pod may use an image that another pod brought.
pub(in crate::runtime) struct ImageManager {
    images: Runtime,
    puller: Puller,
    backoffs: Mutex<ImageBackoffs>,
    events: EventRecorder,
}

/// An image that a container needs.
pub(in crate::runtime) struct ImageRequest<'a> {
    /// The pod's uid.
    pub(in crate::runtime) uid: &'a PodUid,
    /// The container, as events name it.
    pub(in crate::runtime) reference: &'a ObjectReference,
    /// The image, as the spec names it.
    pub(in crate::runtime) image: &'a str,
    /// When it is pulled.
    pub(in crate::runtime) policy: Option<&'a str>,
    /// What it may be pulled with.
    pub(in crate::runtime) pull_secrets: &'a [Arc<Secret>],
    /// Where the container will be.
    pub(in crate::runtime) sandbox: &'a v1::PodSandboxConfig,
}

/// An image on the node.
pub(in crate::runtime) struct EnsuredImage {
    /// What the runtime calls it.
    pub(in crate::runtime) id: String,
    /// What the runtime knows of it.
    pub(in crate::runtime) status: Option<v1::Image>,
}

impl ImageManager {
    pub(in crate::runtime) fn new(
        images: Runtime,
        events: EventRecorder,
        max_parallel: Option<u32>,
        rate: Option<Rate>,
    ) -> Self {
        Self {
            puller: Puller::new(images.clone(), max_parallel, rate),
            images,
            backoffs: Mutex::new(ImageBackoffs::default()),
            events,
        }
    }

    pub(in crate::runtime) fn collect_garbage(&self) {
        self.backoffs.lock().collect_garbage(Instant::now());
    }

    /// Sees to it that an image is on the node, by the policy of the container that needs it.
    ///
    /// Answers to kubelet's `EnsureImageExists`.
    pub(in crate::runtime) async fn ensure(
        &self,
        request: ImageRequest<'_>,
    ) -> Result<EnsuredImage, StartError> {
        let ImageRequest {
            image, reference, ..
        } = request;
        let parsed: ImageName = image.parse().map_err(|error| {
            let message = format!("Failed to apply default image tag {image:?}: {error}");
            self.warn(reference, "InspectFailed", "InvalidImageName", message)
        })?;
        let full = spec(&parsed.complete(image));
        let present = self.inspect(reference, &full).await?;
        let policy = match request.policy {
            Some(policy) if !policy.is_empty() => policy,
            _ => parsed.default_pull_policy(),
        };
        match (policy, present) {
            ("IfNotPresent" | "Never", Some(status)) => {
                let message = format!(
                    "Container image {image:?} already present on machine and can be accessed by \
                     the pod"
                );
                self.events.normal(reference, "Pulled", message);
                Ok(EnsuredImage {
                    id: status.id.clone(),
                    status: Some(status),
                })
            }
            ("Never", None) => {
                let message =
                    format!("Container image {image:?} is not present with pull policy of Never");
                let reason = "ErrImageNeverPull";
                Err(self.warn(reference, reason, reason, message))
            }
            _ => self.pull(&request, &parsed, &full).await,
        }
    }

    async fn pull(
        &self,
        request: &ImageRequest<'_>,
        parsed: &ImageName,
        full: &v1::ImageSpec,
    ) -> Result<EnsuredImage, StartError> {
        let ImageRequest {
            uid,
            image,
            reference,
            ..
        } = *request;
        let waits = self.backoffs.lock().try_pull(uid, image, Instant::now());
        if let Err(backoff) = waits {
            let message = format!("Back-off pulling image {image:?}");
            self.events.normal(reference, "BackOff", message);
            return Err(backoff.into());
        }
        let message = format!("Pulling image {image:?}");
        self.events.normal(reference, "Pulling", message);
        let start = Instant::now();
        let pulled = match Keyring::new(request.pull_secrets) {
            Ok(keyring) => {
                let credentials = keyring.lookup(&parsed.repository);
                let pulled = self.puller.pull(full, credentials, request.sandbox);
                pulled.await.map_err(|error| judged(image, &error))
            }
            Err(error) => Err((error.to_string(), ("ErrImagePull", error.to_string()))),
        };
        let Pulled { id, took } = pulled.map_err(|(told, (reason, message))| {
            let cause = format!("{reason}: {message}");
            let now = Instant::now();
            self.backoffs.lock().failed(uid, image, cause, now);
            let told = format!("Failed to pull image {image:?}: {told}");
            self.events.warning(reference, "Failed", told);
            StartError::new(reason, message)
        })?;
        let waited = start.elapsed();
        let status = self.inspect(reference, full).await?;
        let message = format!(
            "Successfully pulled image {image:?} in {} ({} including waiting). Image size: {} \
             bytes.",
            GoDuration::truncated_to_millis(took),
            GoDuration::truncated_to_millis(waited),
            status.as_ref().map_or(0, |status| status.size)
        );
        self.events.normal(reference, "Pulled", message);
        Ok(EnsuredImage { id, status })
    }

    async fn inspect(
        &self,
        reference: &ObjectReference,
        image: &v1::ImageSpec,
    ) -> Result<Option<v1::Image>, StartError> {
        let status = self.images.image_status(image.clone()).await;
        status.map_err(|error| {
            let cause = rpc_error(&error);
            let message = format!("Failed to inspect image {:?}: {cause}", image.image);
            self.warn(reference, "InspectFailed", "ImageInspectError", message)
        })
    }

    /// Tells of a failure, and makes it one.
    fn warn(
        &self,
        reference: &ObjectReference,
        event: &str,
        reason: &'static str,
        message: String,
    ) -> StartError {
        self.events.warning(reference, event, message.clone());
        StartError::new(reason, message)
    }
}

impl From<ImageBackoff> for StartError {
    fn from(backoff: ImageBackoff) -> Self {
        Self {
            reason: "ImagePullBackOff",
            message: backoff.to_string(),
            expiry: Some(backoff.expiry),
        }
    }
}

fn spec(image: &str) -> v1::ImageSpec {
    v1::ImageSpec {
        image: image.to_owned(),
        ..v1::ImageSpec::default()
    }
}

/// What is told of a pull that failed, and what the container waits with. Runtimes say in words
/// that registries cannot be reached or signatures are not good.
fn judged(image: &str, error: &PullError) -> (String, (&'static str, String)) {
    const KNOWN: [(&str, &str); 2] = [
        ("RegistryUnavailable", "the registry is unavailable"),
        (
            "SignatureValidationFailed",
            "the signature validation failed",
        ),
    ];
    let told = error.to_string();
    let said = match error {
        PullError::Runtime(errors) => errors.last().map(Error::message).unwrap_or_default(),
        PullError::TooOften => "",
    };
    for (reason, because) in KNOWN {
        if let Some(rest) = said.strip_prefix(reason) {
            let message = format!("image pull failed for {image} because {because}{rest}");
            return (told, (reason, message));
        }
    }
    (told.clone(), ("ErrImagePull", told))
}

impl fmt::Debug for ImageManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageManager")
            .field("backoffs", &self.backoffs)
            .finish_non_exhaustive()
    }
}
