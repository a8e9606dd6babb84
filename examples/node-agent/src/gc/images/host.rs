use std::collections::HashSet;
use std::path::PathBuf;

use kubewright_cri::v1::{Image, ImageSpec};
use kubewright_cri::{Error, Runtime};

use super::ImageGcError;
use crate::node::FileSystem;
use crate::runtime::PodRuntime;

/// How full a file system is, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FsUsage {
    /// How much it holds.
    pub capacity: u64,
    /// How much of that is free.
    pub available: u64,
}

/// Where images are.
pub trait ImageHost: Send + Sync + 'static {
    /// All images.
    fn images(&self) -> impl Future<Output = Result<Vec<Image>, Error>> + Send;

    /// The ids of the images that containers are made of, dead or alive.
    fn in_use(&self) -> impl Future<Output = Result<HashSet<String>, Error>> + Send;

    /// Removes an image, under all of its names.
    fn remove(&self, id: &str) -> impl Future<Output = Result<(), Error>> + Send;

    /// How full the file system is that images are on.
    fn usage(&self) -> impl Future<Output = Result<FsUsage, ImageGcError>> + Send;
}

/// The images of a container runtime.
#[derive(Clone, Debug)]
pub struct CriImages<P> {
    images: Runtime,
    pods: P,
}

impl<P: PodRuntime> CriImages<P> {
    /// The images of this image service, used by the containers of that runtime.
    pub fn new(images: Runtime, pods: P) -> Self {
        Self { images, pods }
    }
}

impl<P: PodRuntime> ImageHost for CriImages<P> {
    async fn images(&self) -> Result<Vec<Image>, Error> {
        self.images.list_images(None).await
    }

    async fn in_use(&self) -> Result<HashSet<String>, Error> {
        let pods = self.pods.list_pods().await?;
        let containers = pods.iter().flat_map(|pod| &pod.containers);
        Ok(containers.map(|it| it.image_id.to_string()).collect())
    }

    async fn remove(&self, id: &str) -> Result<(), Error> {
        let image = ImageSpec {
            image: id.to_owned(),
            ..ImageSpec::default()
        };
        self.images.remove_image(image).await
    }

    async fn usage(&self) -> Result<FsUsage, ImageGcError> {
        let info = self.images.image_fs_info().await?;
        let of_images = info.image_filesystems.into_iter().next();
        let id = of_images.and_then(|usage| usage.fs_id);
        let mountpoint = id.map(|id| PathBuf::from(id.mountpoint));
        let mountpoint = mountpoint
            .filter(|path| !path.as_os_str().is_empty())
            .ok_or(ImageGcError::NoFileSystem)?;
        let read = tokio::task::spawn_blocking(move || {
            FileSystem::of(&mountpoint).map_err(|error| ImageGcError::Unreadable {
                path: mountpoint,
                error,
            })
        });
        let disk = read.await.map_err(|_| ImageGcError::NoFileSystem)??;
        Ok(FsUsage {
            capacity: disk.capacity,
            available: disk.available,
        })
    }
}
