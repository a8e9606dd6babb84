use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, Volume};

/// The first kind of object that a pod refers to and that only an API server has.
///
/// Static pods must run without one, so that a reference in them is a mistake. Answers to the
/// feature `PreventStaticPodAPIReferences` of Kubernetes 1.36.
pub(super) fn first(pod: &Pod) -> Option<&'static str> {
    let spec = pod.spec.as_ref()?;
    let of = |present: bool, resource| present.then_some(resource);
    let named = |name: &Option<String>| name.as_ref().is_some_and(|name| !name.is_empty());
    of(named(&spec.service_account_name), "serviceaccounts")
        .or_else(|| of(refers_to_secret(spec), "secrets"))
        .or_else(|| of(refers_to_config_map(spec), "configmaps"))
        .or_else(|| {
            of(
                !spec
                    .resource_claims
                    .as_deref()
                    .unwrap_or_default()
                    .is_empty(),
                "resourceclaims",
            )
        })
        .or_else(|| volumes(spec).find_map(of_volume))
}

fn refers_to_secret(spec: &PodSpec) -> bool {
    let pulls = !spec
        .image_pull_secrets
        .as_deref()
        .unwrap_or_default()
        .is_empty();
    let in_environment = containers(spec).any(|container| {
        let all = container.env_from.iter().flatten();
        let each = container.env.iter().flatten();
        all.into_iter().any(|from| from.secret_ref.is_some())
            || each
                .filter_map(|variable| variable.value_from.as_ref())
                .any(|from| from.secret_key_ref.is_some())
    });
    let in_volume = volumes(spec).any(|volume| {
        volume.secret.is_some() || projected(volume).any(|source| source.secret.is_some())
    });
    pulls || in_environment || in_volume
}

fn refers_to_config_map(spec: &PodSpec) -> bool {
    let in_environment = containers(spec).any(|container| {
        let all = container.env_from.iter().flatten();
        let each = container.env.iter().flatten();
        all.into_iter().any(|from| from.config_map_ref.is_some())
            || each
                .filter_map(|variable| variable.value_from.as_ref())
                .any(|from| from.config_map_key_ref.is_some())
    });
    let in_volume = volumes(spec).any(|volume| {
        volume.config_map.is_some() || projected(volume).any(|source| source.config_map.is_some())
    });
    in_environment || in_volume
}

fn of_volume(volume: &Volume) -> Option<&'static str> {
    if volume.persistent_volume_claim.is_some() || volume.ephemeral.is_some() {
        return Some("persistentvolumeclaims");
    }
    if volume.csi.is_some() {
        return Some("csidrivers");
    }
    projected(volume).find_map(|source| {
        if source.service_account_token.is_some() {
            Some("serviceaccounts")
        } else if source.cluster_trust_bundle.is_some() {
            Some("clustertrustbundles")
        } else {
            None
        }
    })
}

fn containers(spec: &PodSpec) -> impl Iterator<Item = &Container> {
    spec.init_containers
        .iter()
        .flatten()
        .chain(&spec.containers)
}

fn volumes(spec: &PodSpec) -> impl Iterator<Item = &Volume> {
    spec.volumes.iter().flatten()
}

fn projected(
    volume: &Volume,
) -> impl Iterator<Item = &k8s_openapi::api::core::v1::VolumeProjection> {
    let projected = volume.projected.iter();
    projected.flat_map(|projected| projected.sources.iter().flatten())
}
