//! Which container of a pod a request means.

use serde_json::Value;

use crate::error::ApiError;

/// The container that is meant: the one that is named, or else the only one.
///
/// # Errors
///
/// 400 if there is none of that name, or none is named and there are several.
pub(crate) fn container<'a>(pod: &'a Value, named: Option<&'a str>) -> Result<&'a str, ApiError> {
    let names = |list: &str| -> Vec<&'a str> {
        let containers = pod["spec"][list].as_array().into_iter().flatten();
        containers
            .map(|container| text(&container["name"]))
            .collect()
    };
    let pod_name = text(&pod["metadata"]["name"]);
    if let Some(named) = named {
        let known = ["containers", "initContainers", "ephemeralContainers"]
            .into_iter()
            .any(|list| names(list).contains(&named));
        return match known {
            true => Ok(named),
            false => Err(ApiError::bad_request(format!(
                "container {named} is not valid for pod {pod_name}"
            ))),
        };
    }
    let containers = names("containers");
    if let [only] = containers.as_slice() {
        return Ok(only);
    }
    let mut why = format!("a container name must be specified for pod {pod_name}");
    if !containers.is_empty() {
        why.push_str(&format!(", choose one of: [{}]", containers.join(" ")));
        let init = names("initContainers");
        if !init.is_empty() {
            why.push_str(&format!(
                " or one of the init containers: [{}]",
                init.join(" ")
            ));
        }
    }
    Err(ApiError::bad_request(why))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
