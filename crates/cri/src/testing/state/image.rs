use super::State;
use crate::v1;

impl State {
    /// An image by its id, or by any of its names.
    pub(in crate::testing) fn image(&self, name: &str) -> Option<&v1::Image> {
        self.images.values().find(|image| is(image, name))
    }

    /// An image of a name, made if it is not there.
    pub(in crate::testing) fn pull(&mut self, name: &str) -> String {
        if let Some(image) = self.image(name) {
            return image.id.clone();
        }
        let id = format!("sha256:{}", self.new_id());
        let image = v1::Image {
            id: id.clone(),
            repo_tags: vec![name.to_owned()],
            size: 1 << 20,
            spec: Some(v1::ImageSpec {
                image: name.to_owned(),
                ..v1::ImageSpec::default()
            }),
            ..v1::Image::default()
        };
        self.images.insert(id.clone(), image);
        id
    }

    pub(in crate::testing) fn remove_image(&mut self, name: &str) {
        self.images.retain(|_, image| !is(image, name));
    }
}

fn is(image: &v1::Image, name: &str) -> bool {
    image.id == name
        || image
            .repo_tags
            .iter()
            .chain(&image.repo_digests)
            .any(|tag| tag == name)
}
