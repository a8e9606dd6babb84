use tonic::{Request, Response, Status, async_trait};

use crate::ImageService;
use crate::testing::FakeRuntime;
use crate::v1;

#[async_trait]
impl ImageService for FakeRuntime {
    async fn list_images(
        &self,
        request: Request<v1::ListImagesRequest>,
    ) -> Result<Response<v1::ListImagesResponse>, Status> {
        let filter = request.into_inner().filter.and_then(|filter| filter.image);
        self.call("ListImages", "", |state, _| {
            let images = match filter.filter(|spec| !spec.image.is_empty()) {
                Some(spec) => state.image(&spec.image).into_iter().cloned().collect(),
                None => state.images.values().cloned().collect(),
            };
            Ok(Response::new(v1::ListImagesResponse { images }))
        })
        .await
    }

    async fn image_status(
        &self,
        request: Request<v1::ImageStatusRequest>,
    ) -> Result<Response<v1::ImageStatusResponse>, Status> {
        let name = name_of(request.into_inner().image)?;
        self.call("ImageStatus", &name, |state, _| {
            Ok(Response::new(v1::ImageStatusResponse {
                image: state.image(&name).cloned(),
                ..v1::ImageStatusResponse::default()
            }))
        })
        .await
    }

    async fn pull_image(
        &self,
        request: Request<v1::PullImageRequest>,
    ) -> Result<Response<v1::PullImageResponse>, Status> {
        let request = request.into_inner();
        let name = name_of(request.image.clone())?;
        self.call("PullImage", &name, |state, _| {
            state.pulls.push(request);
            let image_ref = state.pull(&name);
            Ok(Response::new(v1::PullImageResponse { image_ref }))
        })
        .await
    }

    async fn remove_image(
        &self,
        request: Request<v1::RemoveImageRequest>,
    ) -> Result<Response<v1::RemoveImageResponse>, Status> {
        let name = name_of(request.into_inner().image)?;
        self.call("RemoveImage", &name, |state, _| {
            state.remove_image(&name);
            Ok(Response::new(v1::RemoveImageResponse {}))
        })
        .await
    }

    async fn image_fs_info(
        &self,
        _: Request<v1::ImageFsInfoRequest>,
    ) -> Result<Response<v1::ImageFsInfoResponse>, Status> {
        self.call("ImageFsInfo", "", |state, _| {
            let used = state.images.values().map(|image| image.size).sum();
            let images = v1::FilesystemUsage {
                timestamp: state.nanoseconds(),
                fs_id: Some(v1::FilesystemIdentifier {
                    mountpoint: "/".to_owned(),
                }),
                used_bytes: Some(v1::UInt64Value { value: used }),
                inodes_used: Some(v1::UInt64Value { value: 0 }),
            };
            Ok(Response::new(v1::ImageFsInfoResponse {
                container_filesystems: vec![images.clone()],
                image_filesystems: vec![images],
            }))
        })
        .await
    }
}

fn name_of(image: Option<v1::ImageSpec>) -> Result<String, Status> {
    image
        .map(|spec| spec.image)
        .filter(|name| !name.is_empty())
        .ok_or_else(|| Status::invalid_argument("no image is named"))
}
