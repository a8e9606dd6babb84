use kubewright_cri::v1;
use kubewright_cri::{ImageService, Request, Response, Status, async_trait};

use crate::ProcessRuntime;
use crate::image::ImageRecord;
use crate::image::name::Name;

#[async_trait]
impl ImageService for ProcessRuntime {
    async fn list_images(
        &self,
        request: Request<v1::ListImagesRequest>,
    ) -> Result<Response<v1::ListImagesResponse>, Status> {
        let filter = request.into_inner().filter.and_then(|filter| filter.image);
        let images = self.core.images.lock();
        let images = match filter.filter(|spec| !spec.image.is_empty()) {
            Some(spec) => images.get(&spec.image).into_iter().map(listed).collect(),
            None => images.iter().map(listed).collect(),
        };
        Ok(Response::new(v1::ListImagesResponse { images }))
    }

    async fn image_status(
        &self,
        request: Request<v1::ImageStatusRequest>,
    ) -> Result<Response<v1::ImageStatusResponse>, Status> {
        let name = name_of(request.into_inner().image)?;
        let image = self.core.images.lock().get(&name).map(listed);
        Ok(Response::new(v1::ImageStatusResponse {
            image,
            ..v1::ImageStatusResponse::default()
        }))
    }

    async fn pull_image(
        &self,
        request: Request<v1::PullImageRequest>,
    ) -> Result<Response<v1::PullImageResponse>, Status> {
        let name = name_of(request.into_inner().image)?;
        match self.core.images.lock().pull(&name) {
            Some(image_ref) => Ok(Response::new(v1::PullImageResponse { image_ref })),
            None => {
                let full = name.parse().map_or(name, |full: Name| full.to_string());
                Err(Status::not_found(format!(
                    "failed to pull and unpack image {full:?}: not found: \
                     the process runtime has the image host, and those it was started with"
                )))
            }
        }
    }

    async fn remove_image(
        &self,
        request: Request<v1::RemoveImageRequest>,
    ) -> Result<Response<v1::RemoveImageResponse>, Status> {
        let name = name_of(request.into_inner().image)?;
        self.core.images.lock().remove(&name);
        Ok(Response::new(v1::RemoveImageResponse {}))
    }

    async fn image_fs_info(
        &self,
        _: Request<v1::ImageFsInfoRequest>,
    ) -> Result<Response<v1::ImageFsInfoResponse>, Status> {
        let usage = self.core.file_system().map_err(|error| {
            Status::unknown(format!("failed to look at the file system: {error}"))
        })?;
        Ok(Response::new(v1::ImageFsInfoResponse {
            container_filesystems: vec![usage.clone()],
            image_filesystems: vec![usage],
        }))
    }
}

/// An image has no size: nothing was brought onto the node for it, and nothing is won when it goes.
/// So it is pinned: those who make room leave it.
fn listed((name, record): (&Name, &ImageRecord)) -> v1::Image {
    v1::Image {
        id: name.id(),
        repo_tags: vec![name.to_string()],
        spec: Some(v1::ImageSpec {
            image: record.name.clone(),
            ..v1::ImageSpec::default()
        }),
        pinned: true,
        ..v1::Image::default()
    }
}

fn name_of(image: Option<v1::ImageSpec>) -> Result<String, Status> {
    image
        .map(|spec| spec.image)
        .filter(|name| !name.is_empty())
        .ok_or_else(|| Status::invalid_argument("no image is named"))
}
