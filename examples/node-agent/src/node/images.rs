use k8s_openapi::api::core::v1::ContainerImage;
use kubewright_cri::v1::Image;

/// How many names of an image a node lists.
const MAX_NAMES: usize = 5;

/// The images of a node as its status lists them: the largest first, and no more than `limit`.
///
/// Answers to kubelet's `Images` setter.
pub fn node_images(mut images: Vec<Image>, limit: Option<usize>) -> Vec<ContainerImage> {
    images.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.id.cmp(&b.id)));
    images.truncate(limit.unwrap_or(usize::MAX));
    let images = images.into_iter().map(|image| {
        let names = image.repo_digests.into_iter().chain(image.repo_tags);
        let names: Vec<_> = names.take(MAX_NAMES).collect();
        ContainerImage {
            names: Some(names).filter(|names| !names.is_empty()),
            // Go leaves out what is zero, and so the API server does not have it.
            size_bytes: Some(i64::try_from(image.size).unwrap_or(i64::MAX))
                .filter(|size| *size != 0),
        }
    });
    images.collect()
}
