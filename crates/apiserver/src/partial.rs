//! The metadata of objects alone: what clients ask for who need no more.

use serde_json::{Value, json};

use crate::error::ApiError;
use crate::representation::MetaVersion;

/// The metadata of one object.
pub(crate) fn object(version: MetaVersion, object: &Value) -> Value {
    let metadata = match &object["metadata"] {
        Value::Null => json!({}),
        metadata => metadata.clone(),
    };
    of_metadata(version, metadata)
}

/// An object that is nothing but this metadata, such as a bookmark.
pub(crate) fn of_metadata(version: MetaVersion, metadata: Value) -> Value {
    let mut object = json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": version.api_version(),
    });
    object["metadata"] = metadata;
    object
}

/// The metadata of the objects of a list.
pub(crate) fn list(version: MetaVersion, metadata: &Value, items: Vec<Value>) -> Value {
    let mut list = json!({
        "kind": "PartialObjectMetadataList",
        "apiVersion": version.api_version(),
        "metadata": metadata,
    });
    list["items"] = items.into();
    list
}

/// 406 for who asks for the metadata of one object where there is a list.
pub(crate) fn not_one() -> ApiError {
    ApiError::not_acceptable(
        "you requested PartialObjectMetadata, but the requested object is a list",
    )
}

/// 406 for who asks for the metadata of a list where there is one object.
pub(crate) fn not_a_list() -> ApiError {
    ApiError::not_acceptable(
        "you requested PartialObjectMetadataList, but the requested object is not a list",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_metadata_is_left() {
        let whole = json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a", "labels": {"l": "1"}}, "spec": {}});
        let part = object(MetaVersion::V1, &whole);
        assert_eq!(
            part,
            json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
                   "metadata": {"name": "a", "labels": {"l": "1"}}})
        );
        let metadata = json!({"resourceVersion": "7"});
        assert_eq!(
            list(MetaVersion::V1Beta1, &metadata, vec![part.clone()]),
            json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1beta1",
                   "metadata": metadata, "items": [part]})
        );
    }
}
