/// Why a container cannot be given the security context that it asks for.
///
/// The container waits with the reason `CreateContainerConfigError`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecurityError {
    /// It is not to run as root, and its spec says that it does.
    #[error("container's runAsUser breaks non-root policy (pod: {pod:?}, container: {container})")]
    RunAsRoot {
        /// The pod, as `name_namespace(uid)`.
        pod: String,
        /// The container.
        container: String,
    },
    /// It is not to run as root, and its image does.
    #[error(
        "container has runAsNonRoot and image will run as root (pod: {pod:?}, container: {container})"
    )]
    ImageRunsAsRoot {
        /// The pod, as `name_namespace(uid)`.
        pod: String,
        /// The container.
        container: String,
    },
    /// It is not to run as root, and the user of its image is a name, whose number nobody knows.
    #[error(
        "container has runAsNonRoot and image has non-numeric user ({user}), cannot verify user is \
         non-root (pod: {pod:?}, container: {container})"
    )]
    ImageUserUnverifiable {
        /// The user.
        user: String,
        /// The pod, as `name_namespace(uid)`.
        pod: String,
        /// The container.
        container: String,
    },
    /// A seccomp profile of the node without its path, or with one that leads out of the directory.
    #[error("localhostProfile must be a relative path if seccompProfile type is Localhost")]
    LocalhostProfile,
    /// A setting of the kernel that pods may not have.
    #[error("forbidden sysctl: {0:?} not allowed")]
    Sysctl(String),
    /// A field has a value that it cannot have.
    #[error("invalid {field} {value:?}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is in it.
        value: String,
    },
    /// Something that this agent does not do.
    #[error("{0} is not supported by this node agent")]
    Unsupported(&'static str),
}
