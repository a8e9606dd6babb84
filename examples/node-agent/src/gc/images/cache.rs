use std::cmp::Reverse;
use std::sync::Arc;

use kubewright_cri::v1::Image;
use parking_lot::Mutex;

/// The images of the node as they were last listed, largest first: what the node's status tells.
///
/// Cheap to clone; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct ImageCache {
    images: Arc<Mutex<Arc<[Image]>>>,
}

impl ImageCache {
    /// The images, largest first.
    pub fn images(&self) -> Arc<[Image]> {
        Arc::clone(&self.images.lock())
    }

    pub(super) fn set(&self, mut images: Vec<Image>) {
        images.sort_by_key(|image| Reverse(image.size));
        *self.images.lock() = images.into();
    }
}
