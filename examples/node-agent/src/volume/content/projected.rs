use k8s_openapi::api::core::v1::{
    PodSpec, ProjectedVolumeSource, ServiceAccountTokenProjection, VolumeProjection,
};

use super::object::{Selection, config_map, downward, secret};
use super::{ContentContext, Payload, ProjectedFile, fs_user, mode_bits};
use crate::objects::{ConfigMaps, Secrets, TokenReference, Tokens};
use crate::volume::VolumeError;

/// The content of a projected volume: that of all its sources, of which later ones win.
///
/// # Errors
///
/// If a source cannot be had, or is of a kind that this agent does not know.
pub fn projected_payload<O: ConfigMaps + Secrets + Tokens>(
    context: &ContentContext<'_, O>,
    source: &ProjectedVolumeSource,
) -> Result<Payload, VolumeError> {
    let mut payload = Payload::new();
    for projection in source.sources.iter().flatten() {
        payload.extend(one(context, projection, source.default_mode)?);
    }
    Ok(payload)
}

fn one<O: ConfigMaps + Secrets + Tokens>(
    context: &ContentContext<'_, O>,
    projection: &VolumeProjection,
    default_mode: Option<i32>,
) -> Result<Payload, VolumeError> {
    if let Some(source) = &projection.config_map {
        let selection = Selection {
            name: &source.name,
            items: source.items.as_deref(),
            optional: source.optional,
            default_mode,
        };
        config_map(context, &selection)
    } else if let Some(source) = &projection.secret {
        let selection = Selection {
            name: &source.name,
            items: source.items.as_deref(),
            optional: source.optional,
            default_mode,
        };
        secret(context, &selection)
    } else if let Some(source) = &projection.downward_api {
        let items = source.items.as_deref().unwrap_or_default();
        downward(context, items, default_mode)
    } else if let Some(source) = &projection.service_account_token {
        token(context, source, default_mode)
    } else if projection.cluster_trust_bundle.is_some() {
        Err(VolumeError::Unsupported("clusterTrustBundle".into()))
    } else if projection.pod_certificate.is_some() {
        Err(VolumeError::Unsupported("podCertificate".into()))
    } else {
        Ok(Payload::new())
    }
}

fn token<O: Tokens>(
    context: &ContentContext<'_, O>,
    source: &ServiceAccountTokenProjection,
    default_mode: Option<i32>,
) -> Result<Payload, VolumeError> {
    let pod = context.downward.pod;
    let token = context.objects.token(&TokenReference::of(pod, source))?;
    let no_spec = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&no_spec);
    let owner = fs_user(spec);
    let security = spec.security_context.as_ref();
    let fs_group = security.and_then(|context| context.fs_group);
    // A token is for its one user. Where the pod's files have a group, that is added afterwards.
    let mode = if owner.is_some() || fs_group.is_some() {
        0o600
    } else {
        mode_bits(None, default_mode)
    };
    let file = ProjectedFile {
        data: token.into_bytes(),
        mode,
        owner,
    };
    Ok(Payload::from([(source.path.clone(), file)]))
}
