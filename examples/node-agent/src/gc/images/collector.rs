use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kubewright_cri::Error;
use tokio::sync::Mutex;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::records::UnusedImage;
use super::{ImageGcPolicy, ImageHost, ImageRecords, InvalidPolicy};
use crate::event::EventRecorder;

/// How often images are collected, if nothing else is said.
const PERIOD: Duration = Duration::from_secs(300);

/// Removes images that nobody uses, when the disk is full or they are old. Cheap to clone; clones
/// share what they know of images, and collect one at a time.
///
/// Answers to `imageGCManager` of Kubernetes 1.36.
pub struct ImageGc<H> {
    collector: Arc<Mutex<Collector<H>>>,
    period: Duration,
}

/// What collects, by what it remembers of images.
#[derive(Debug)]
struct Collector<H> {
    host: H,
    policy: ImageGcPolicy,
    records: ImageRecords,
    events: EventRecorder,
    node: ObjectReference,
    /// When it first collected.
    began_at: Option<Instant>,
}

/// Images could not be collected as they should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageGcError {
    /// The runtime did not answer as it should.
    #[error(transparent)]
    Runtime(#[from] Error),
    /// The runtime does not say where its images are.
    #[error("the runtime names no file system of images")]
    NoFileSystem,
    /// How full the disk is cannot be read.
    #[error("{}", path.display())]
    Unreadable {
        /// Of what.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// The disk seems to hold nothing at all.
    #[error("invalid capacity 0 on image filesystem")]
    NoCapacity,
    /// There were not enough images that nobody uses.
    #[error(
        "Failed to garbage collect required amount of images. Attempted to free {wanted} bytes, but only found {freed} bytes eligible to free."
    )]
    NotEnough {
        /// How many bytes were to be freed.
        wanted: u64,
        /// How many were.
        freed: u64,
    },
    /// Some images could not be removed.
    #[error(
        "wanted to free {wanted} bytes, but freed {freed} bytes space with errors in image deletion: {errors}"
    )]
    NotRemoved {
        /// How many bytes were to be freed.
        wanted: u64,
        /// How many were.
        freed: u64,
        /// What the runtime says.
        errors: String,
    },
}

impl<H: ImageHost> ImageGc<H> {
    /// A collector of the images of a host. Events are about the node.
    ///
    /// # Errors
    ///
    /// If the policy contradicts itself.
    pub fn new(
        host: H,
        policy: ImageGcPolicy,
        events: EventRecorder,
        node: ObjectReference,
    ) -> Result<Self, InvalidPolicy> {
        policy.check()?;
        let collector = Collector {
            host,
            policy,
            records: ImageRecords::default(),
            events,
            node,
            began_at: None,
        };
        Ok(Self {
            collector: Arc::new(Mutex::new(collector)),
            period: PERIOD,
        })
    }

    /// Collects so often. Default: every 5 minutes.
    ///
    /// # Panics
    ///
    /// [`run`](Self::run) does if the period is zero.
    pub const fn every(mut self, period: Duration) -> Self {
        self.period = period;
        self
    }

    /// Collects in each period until the token is cancelled, the first time at once.
    ///
    /// The first failure in a row is only logged: the runtime may not know its disk yet.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops between two removals, or gives up the answer to one.
    pub async fn run(self, token: CancellationToken) {
        let work = async {
            let mut ticks = interval(self.period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut has_failed = false;
            loop {
                ticks.tick().await;
                let Err(error) = self.collect().await else {
                    has_failed = false;
                    continue;
                };
                tracing::warn!(%error, "images were not collected as they should");
                if has_failed {
                    let collector = self.collector.lock().await;
                    let node = &collector.node;
                    collector
                        .events
                        .warning(node, "ImageGCFailed", error.to_string());
                }
                has_failed = true;
            }
        };
        let _: Option<()> = token.run_until_cancelled(work).await;
    }

    /// Collects once.
    ///
    /// # Errors
    ///
    /// If the runtime fails, or there is less room than there should be in the end.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops between two removals, or gives up the answer to one.
    pub async fn collect(&self) -> Result<(), ImageGcError> {
        self.collector.lock().await.collect().await
    }

    /// Removes all images that nobody uses and that are as old as the policy asks for: there is no
    /// room at all. Returns how many bytes that frees.
    ///
    /// Answers to `DeleteUnusedImages`.
    ///
    /// # Errors
    ///
    /// If the runtime fails; images that cannot be removed are told of together.
    ///
    /// # Cancel safety
    ///
    /// As of [`collect`](Self::collect).
    pub async fn remove_unused(&self) -> Result<u64, ImageGcError> {
        self.collector.lock().await.remove_unused().await
    }
}

impl<H: ImageHost> Collector<H> {
    async fn collect(&mut self) -> Result<(), ImageGcError> {
        let now = Instant::now();
        let began_at = *self.began_at.get_or_insert(now);
        self.detect(now).await?;
        if let Some(max_age) = self.policy.max_age {
            for image in self.records.outdated(max_age, began_at, now) {
                if let Err(error) = self.remove(&image).await {
                    tracing::warn!(image = image.id, %error, "an old image cannot be removed");
                }
            }
        }
        if self.policy.high_threshold == 100 {
            return Ok(());
        }
        let usage = self.host.usage().await?;
        if usage.capacity == 0 {
            let error = ImageGcError::NoCapacity;
            self.events
                .warning(&self.node, "InvalidDiskCapacity", error.to_string());
            return Err(error);
        }
        let Some(wanted) = self.policy.to_free(usage.capacity, usage.available) else {
            return Ok(());
        };
        let images = self.records.unused(self.policy.min_age, now);
        let freed = self.remove_until(wanted, images).await?;
        if freed < wanted {
            let error = ImageGcError::NotEnough { wanted, freed };
            self.events
                .warning(&self.node, "FreeDiskSpaceFailed", error.to_string());
            return Err(error);
        }
        Ok(())
    }

    async fn remove_unused(&mut self) -> Result<u64, ImageGcError> {
        let now = Instant::now();
        self.detect(now).await?;
        let images = self.records.unused(self.policy.min_age, now);
        self.remove_until(u64::MAX, images).await
    }

    async fn detect(&mut self, now: Instant) -> Result<(), ImageGcError> {
        let images = self.host.images().await?;
        let in_use = self.host.in_use().await?;
        self.records.detect(&images, &in_use, now);
        Ok(())
    }

    async fn remove_until(
        &mut self,
        wanted: u64,
        images: Vec<UnusedImage>,
    ) -> Result<u64, ImageGcError> {
        let mut freed = 0_u64;
        let mut errors = Vec::new();
        for image in images {
            if freed >= wanted {
                break;
            }
            match self.remove(&image).await {
                Ok(()) => freed = freed.saturating_add(image.size),
                Err(error) => errors.push(error.to_string()),
            }
        }
        if errors.is_empty() {
            return Ok(freed);
        }
        let errors = errors.join("; ");
        Err(ImageGcError::NotRemoved {
            wanted,
            freed,
            errors,
        })
    }

    async fn remove(&mut self, image: &UnusedImage) -> Result<(), Error> {
        self.host.remove(&image.id).await?;
        self.records.remove(&image.id);
        tracing::info!(image = image.id, size = image.size, "an image was removed");
        Ok(())
    }
}

impl<H> Clone for ImageGc<H> {
    fn clone(&self) -> Self {
        Self {
            collector: Arc::clone(&self.collector),
            period: self.period,
        }
    }
}

impl<H> fmt::Debug for ImageGc<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageGc")
            .field("period", &self.period)
            .finish_non_exhaustive()
    }
}
