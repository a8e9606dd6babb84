use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, DownwardAPIVolumeFile, DownwardAPIVolumeSource, KeyToPath,
    SecretVolumeSource,
};

use super::{ContentContext, Payload, ProjectedFile, mode_bits};
use crate::objects::{ConfigMaps, Secrets, unless_optional};
use crate::volume::VolumeError;

/// Which keys of an object go where.
pub(super) struct Selection<'a> {
    pub(super) name: &'a str,
    pub(super) items: Option<&'a [KeyToPath]>,
    pub(super) optional: Option<bool>,
    pub(super) default_mode: Option<i32>,
}

/// The content of a config map's volume.
///
/// # Errors
///
/// If the config map or a key of it is not there and not optional.
pub fn config_map_payload<O: ConfigMaps>(
    context: &ContentContext<'_, O>,
    source: &ConfigMapVolumeSource,
) -> Result<Payload, VolumeError> {
    let selection = Selection {
        name: &source.name,
        items: source.items.as_deref(),
        optional: source.optional,
        default_mode: source.default_mode,
    };
    config_map(context, &selection)
}

/// The content of a secret's volume.
///
/// # Errors
///
/// If the secret or a key of it is not there and not optional.
pub fn secret_payload<O: Secrets>(
    context: &ContentContext<'_, O>,
    source: &SecretVolumeSource,
) -> Result<Payload, VolumeError> {
    let selection = Selection {
        name: source.secret_name.as_deref().unwrap_or_default(),
        items: source.items.as_deref(),
        optional: source.optional,
        default_mode: source.default_mode,
    };
    secret(context, &selection)
}

/// The content of a volume of the downward API.
///
/// # Errors
///
/// If a field or resource is not offered.
pub fn downward_api_payload<O>(
    context: &ContentContext<'_, O>,
    source: &DownwardAPIVolumeSource,
) -> Result<Payload, VolumeError> {
    let items = source.items.as_deref().unwrap_or_default();
    downward(context, items, source.default_mode)
}

pub(super) fn config_map<O: ConfigMaps>(
    context: &ContentContext<'_, O>,
    selection: &Selection<'_>,
) -> Result<Payload, VolumeError> {
    let found = context
        .objects
        .config_map(context.namespace(), selection.name);
    let Some(map) = unless_optional(found, selection.optional)? else {
        return Ok(Payload::new());
    };
    let texts = map.data.iter().flatten();
    let texts = texts.map(|(key, text)| (&**key, text.as_bytes()));
    let bytes = map.binary_data.iter().flatten();
    let bytes = bytes.map(|(key, bytes)| (&**key, &*bytes.0));
    selection.take("configmap", "config", &texts.chain(bytes).collect())
}

pub(super) fn secret<O: Secrets>(
    context: &ContentContext<'_, O>,
    selection: &Selection<'_>,
) -> Result<Payload, VolumeError> {
    let found = context.objects.secret(context.namespace(), selection.name);
    let Some(secret) = unless_optional(found, selection.optional)? else {
        return Ok(Payload::new());
    };
    let bytes = secret.data.iter().flatten();
    let bytes = bytes.map(|(key, bytes)| (&**key, &*bytes.0));
    selection.take("secret", "secret", &bytes.collect())
}

pub(super) fn downward<O>(
    context: &ContentContext<'_, O>,
    items: &[DownwardAPIVolumeFile],
    default_mode: Option<i32>,
) -> Result<Payload, VolumeError> {
    let mut payload = Payload::new();
    for item in items {
        let value = match (&item.field_ref, &item.resource_field_ref) {
            (Some(field), _) => context.downward.field(&field.field_path)?,
            (None, Some(resource)) => context.downward.resource(resource, None)?,
            (None, None) => continue,
        };
        let file = ProjectedFile {
            data: value.into_bytes(),
            mode: mode_bits(item.mode, default_mode),
            owner: None,
        };
        payload.insert(item.path.clone(), file);
    }
    Ok(payload)
}

impl Selection<'_> {
    /// The keys that are selected, or all if none are.
    fn take(
        &self,
        kind: &'static str,
        key_kind: &'static str,
        data: &BTreeMap<&str, &[u8]>,
    ) -> Result<Payload, VolumeError> {
        let file = |data: &[u8], mode| ProjectedFile {
            data: data.to_owned(),
            mode: mode_bits(mode, self.default_mode),
            owner: None,
        };
        let mut payload = Payload::new();
        let items = self.items.unwrap_or_default();
        if items.is_empty() {
            let all = data.iter();
            payload.extend(all.map(|(key, data)| ((*key).to_owned(), file(data, None))));
        }
        for item in items {
            match data.get(&*item.key) {
                Some(data) => {
                    payload.insert(item.path.clone(), file(data, item.mode));
                }
                None if self.optional == Some(true) => {}
                None => {
                    return Err(VolumeError::NoKey {
                        kind,
                        key_kind,
                        key: item.key.clone(),
                    });
                }
            }
        }
        Ok(payload)
    }
}
