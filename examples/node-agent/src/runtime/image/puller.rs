use std::time::Duration;

use kubewright_cri::{Error, Runtime, v1};
use kubewright_workqueue::TokenBucket;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::config::Rate;
use crate::runtime::manager::rpc_error;

/// Pulls images, so many at once and so many a second.
///
/// Answers to kubelet's `serialImagePuller` and `parallelImagePuller`: one that pulls serially has
/// one slot.
pub(super) struct Puller {
    images: Runtime,
    /// As many as may be pulled at once; `None` for any number. Who waits longest comes first.
    slots: Option<Semaphore>,
    /// `None` for any number a second.
    bucket: Mutex<Option<TokenBucket>>,
}

/// An image that was pulled.
pub(super) struct Pulled {
    /// What the runtime calls it.
    pub(super) id: String,
    /// How long that took, without the wait for other images.
    pub(super) took: Duration,
}

/// Why an image was not pulled. Its text is what kubelet's events have.
#[derive(Debug, thiserror::Error)]
pub(super) enum PullError {
    #[error("pull QPS exceeded")]
    TooOften,
    #[error("{}", told(.0))]
    Runtime(Vec<Error>),
}

impl Puller {
    pub(super) fn new(images: Runtime, max_parallel: Option<u32>, rate: Option<Rate>) -> Self {
        let slots = max_parallel.map(|slots| {
            // Nothing could ever be pulled with none.
            let slots = usize::try_from(slots.max(1)).unwrap_or(usize::MAX);
            Semaphore::new(slots.min(Semaphore::MAX_PERMITS))
        });
        Self {
            images,
            slots,
            bucket: Mutex::new(rate.and_then(Rate::bucket)),
        }
    }

    /// Pulls an image with the first credentials that will do, or with none if there are none.
    pub(super) async fn pull(
        &self,
        image: &v1::ImageSpec,
        credentials: Vec<v1::AuthConfig>,
        sandbox: &v1::PodSandboxConfig,
    ) -> Result<Pulled, PullError> {
        let _slot = match &self.slots {
            Some(slots) => slots.acquire().await.ok(),
            None => None,
        };
        let start = Instant::now();
        let attempts = match credentials.is_empty() {
            true => vec![None],
            false => credentials.into_iter().map(Some).collect(),
        };
        let mut failures = Vec::new();
        for auth in attempts {
            if !self.may_ask() {
                return Err(PullError::TooOften);
            }
            let pulled = self
                .images
                .pull_image(image.clone(), auth, Some(sandbox.clone()));
            match pulled.await {
                Ok(id) => {
                    let took = start.elapsed();
                    return Ok(Pulled { id, took });
                }
                Err(error) => failures.push(error),
            }
        }
        Err(PullError::Runtime(failures))
    }

    /// Whether the runtime may be asked once more now, which then counts.
    fn may_ask(&self) -> bool {
        let mut bucket = self.bucket.lock();
        let bucket = bucket.as_mut();
        bucket.is_none_or(|bucket| bucket.try_take(Instant::now()))
    }
}

fn told(errors: &[Error]) -> String {
    let mut told: Vec<_> = errors.iter().map(rpc_error).collect();
    told.dedup();
    match &*told {
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    }
}
