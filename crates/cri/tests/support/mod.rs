//! Pods that tests are about.

use kubewright_cri::v1;
use kubewright_cri::{Error, Runtime};

pub(crate) fn sandbox(name: &str) -> v1::PodSandboxConfig {
    v1::PodSandboxConfig {
        metadata: Some(v1::PodSandboxMetadata {
            name: name.to_owned(),
            uid: format!("uid-of-{name}"),
            namespace: "default".to_owned(),
            attempt: 0,
        }),
        log_directory: format!("/var/log/pods/{name}"),
        labels: [("pod".to_owned(), name.to_owned())].into(),
        ..v1::PodSandboxConfig::default()
    }
}

pub(crate) fn image(name: &str) -> v1::ImageSpec {
    v1::ImageSpec {
        image: name.to_owned(),
        ..v1::ImageSpec::default()
    }
}

pub(crate) fn container(name: &str) -> v1::ContainerConfig {
    v1::ContainerConfig {
        metadata: Some(v1::ContainerMetadata {
            name: name.to_owned(),
            attempt: 0,
        }),
        image: Some(image("busybox")),
        log_path: format!("{name}/0.log"),
        labels: [("container".to_owned(), name.to_owned())].into(),
        ..v1::ContainerConfig::default()
    }
}

/// A sandbox and a container in it that runs, by their ids.
pub(crate) async fn run(
    runtime: &Runtime,
    pod: &str,
    name: &str,
) -> Result<(String, String), Error> {
    let sandbox_id = runtime.run_pod_sandbox(sandbox(pod), "").await?;
    runtime.pull_image(image("busybox"), None, None).await?;
    let id = runtime
        .create_container(&sandbox_id, container(name), sandbox(pod))
        .await?;
    runtime.start_container(&id).await?;
    Ok((sandbox_id, id))
}
