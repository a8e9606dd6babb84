use k8s_openapi::api::core::v1::{PodSpec, SecurityContext};

/// The one user that all containers of a pod run as; `None` if there is no such.
///
/// Answers to upstream's `FsUserFrom`.
pub fn fs_user(spec: &PodSpec) -> Option<u32> {
    let pods = spec.security_context.as_ref();
    let pods = pods.and_then(|context| context.run_as_user);
    let user = |context: &Option<SecurityContext>| {
        let own = context.as_ref().and_then(|context| context.run_as_user);
        own.or(pods)
    };
    let containers = spec.containers.iter();
    let containers = containers.chain(spec.init_containers.iter().flatten());
    let ephemeral = spec.ephemeral_containers.iter().flatten();
    let mut users = containers
        .map(|container| user(&container.security_context))
        .chain(ephemeral.map(|container| user(&container.security_context)));
    let first = users.next()??;
    if users.any(|user| user != Some(first)) {
        return None;
    }
    u32::try_from(first).ok()
}
