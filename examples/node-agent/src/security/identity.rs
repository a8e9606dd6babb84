use k8s_openapi::api::core::v1::{Container, Pod};

use super::SecurityError;
use crate::pod::described;

/// The user that an image is to run as, as the runtime tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ImageUser {
    /// A user by number.
    Uid(i64),
    /// A user by name, that only the image's own files know.
    Name(String),
    /// The image does not say, which is root.
    #[default]
    Unset,
}

/// Checks that a container which is not to run as root does not.
///
/// Without a user in the spec the image's counts; one that does not say its user runs as root, and
/// one that names it cannot be checked. Answers to kubelet's `verifyRunAsNonRoot`.
///
/// # Errors
///
/// If the container would run as root, or might.
pub fn verify_run_as_non_root(
    pod: &Pod,
    container: &Container,
    image_user: &ImageUser,
) -> Result<(), SecurityError> {
    let own = container.security_context.as_ref();
    let pods = pod.spec.as_ref();
    let pods = pods.and_then(|spec| spec.security_context.as_ref());
    let non_root = own
        .and_then(|context| context.run_as_non_root)
        .or_else(|| pods.and_then(|context| context.run_as_non_root));
    if non_root != Some(true) {
        return Ok(());
    }
    let user = own
        .and_then(|context| context.run_as_user)
        .or_else(|| pods.and_then(|context| context.run_as_user));
    let container = container.name.clone();
    match (user, image_user) {
        (Some(0), _) => Err(SecurityError::RunAsRoot {
            pod: described(pod),
            container,
        }),
        (Some(_), _) => Ok(()),
        (None, ImageUser::Uid(0) | ImageUser::Unset) => Err(SecurityError::ImageRunsAsRoot {
            pod: described(pod),
            container,
        }),
        (None, ImageUser::Uid(_)) => Ok(()),
        (None, ImageUser::Name(user)) => Err(SecurityError::ImageUserUnverifiable {
            user: user.clone(),
            pod: described(pod),
            container,
        }),
    }
}
