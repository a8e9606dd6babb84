//! Custom resources: what a `CustomResourceDefinition` adds to the server.

use serde_json::Value;

use crate::error::Cause;
use crate::resource::Resource;
use crate::schema::Schema;

/// One version of a custom resource, as its definition describes it.
#[derive(Clone, Debug)]
pub(crate) struct CustomVersion {
    pub(crate) schema: Schema,
    /// The version in which objects are stored.
    pub(crate) storage_version: String,
    /// The text of the `Warning` header for requests to a deprecated version.
    pub(crate) deprecation_warning: Option<String>,
    /// `additionalPrinterColumns`, as the definition has them.
    pub(crate) columns: Vec<Value>,
    /// The JSON paths by which objects can be selected, such as `.spec.color`.
    pub(crate) selectable_fields: Vec<String>,
    /// Where the scale subresource finds its values.
    pub(crate) scale: Option<ScalePaths>,
    /// The schema as the definition has it, for OpenAPI.
    pub(crate) open_api: Value,
}

/// The paths of a scale subresource, such as `.spec.replicas`.
#[derive(Clone, Debug)]
pub(crate) struct ScalePaths {
    pub(crate) spec_replicas: String,
    pub(crate) status_replicas: String,
    pub(crate) label_selector: Option<String>,
}

/// The resources that a valid definition adds, one for each served version.
pub(crate) fn resources_of(_crd: &Value) -> Result<Vec<Resource>, Vec<Cause>> {
    Ok(Vec::new())
}
