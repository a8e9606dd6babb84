//! Images.

use super::{Call, Runtime};
use crate::Error;
use crate::v1;

#[expect(
    clippy::missing_errors_doc,
    reason = "the errors of all calls are told at the type"
)]
impl Runtime {
    /// The images on the node that a filter lets through; without one, all of them.
    pub async fn list_images(
        &self,
        filter: Option<v1::ImageFilter>,
    ) -> Result<Vec<v1::Image>, Error> {
        let call = self.call("ListImages");
        let request = call.request(v1::ListImagesRequest { filter })?;
        let answer = call.answer(self.images().list_images(request)).await?;
        Ok(answer.images)
    }

    /// An image on the node; `None` if it is not there.
    pub async fn image_status(&self, image: v1::ImageSpec) -> Result<Option<v1::Image>, Error> {
        let call = self.call("ImageStatus");
        let request = call.request(v1::ImageStatusRequest {
            image: Some(image),
            verbose: false,
        })?;
        let answer = call.answer(self.images().image_status(request)).await?;
        Ok(answer.image)
    }

    /// Brings an image onto the node, and answers what the runtime calls it.
    ///
    /// It takes as long as it takes: a caller that wants a limit sets its own.
    pub async fn pull_image(
        &self,
        image: v1::ImageSpec,
        auth: Option<v1::AuthConfig>,
        sandbox: Option<v1::PodSandboxConfig>,
    ) -> Result<String, Error> {
        let call = Call::unlimited("PullImage");
        let request = call.request(v1::PullImageRequest {
            image: Some(image),
            auth,
            sandbox_config: sandbox,
        })?;
        let answer = call.answer(self.images().pull_image(request)).await?;
        let image_ref = Some(answer.image_ref).filter(|image| !image.is_empty());
        call.promised(image_ref, "image_ref")
    }

    /// Removes an image, under all of its names. May be repeated.
    pub async fn remove_image(&self, image: v1::ImageSpec) -> Result<(), Error> {
        let call = self.call("RemoveImage");
        let request = call.request(v1::RemoveImageRequest { image: Some(image) })?;
        call.answer(self.images().remove_image(request)).await?;
        Ok(())
    }

    /// What the file systems of images and of containers hold.
    pub async fn image_fs_info(&self) -> Result<v1::ImageFsInfoResponse, Error> {
        let call = self.call("ImageFsInfo");
        let request = call.request(v1::ImageFsInfoRequest {})?;
        call.answer(self.images().image_fs_info(request)).await
    }
}
