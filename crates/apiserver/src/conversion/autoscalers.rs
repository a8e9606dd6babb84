//! Autoscalers have two forms: `autoscaling/v1`, which knows CPU only, and `autoscaling/v2`.
//!
//! What the older form has no field for travels in annotations, as a real server does it.

use serde_json::{Map, Value, json};

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";
const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";

/// An autoscaler of `v1` as one of `v2`.
pub(super) fn to_v2(mut object: Value) -> Value {
    object["apiVersion"] = "autoscaling/v2".into();
    let mut carried = |name: &str| -> Option<Value> {
        let annotations = object
            .pointer_mut("/metadata/annotations")?
            .as_object_mut()?;
        let text = annotations.remove(name)?;
        serde_json::from_str(text.as_str()?).ok()
    };
    let metrics = carried(METRICS);
    let behavior = carried(BEHAVIOR);
    let current = carried(CURRENT_METRICS);
    let conditions = carried(CONDITIONS);
    drop_empty_annotations(&mut object);
    if let Some(spec) = object["spec"].as_object_mut() {
        let wanted = spec.remove("targetCPUUtilizationPercentage");
        let mut all: Vec<Value> = wanted
            .into_iter()
            .map(|percent| cpu("target", &percent))
            .collect();
        all.extend(
            metrics
                .iter()
                .filter_map(Value::as_array)
                .flatten()
                .cloned(),
        );
        if !all.is_empty() {
            spec.insert("metrics".to_owned(), all.into());
        }
        if let Some(behavior) = behavior {
            spec.insert("behavior".to_owned(), behavior);
        }
    }
    if let Some(status) = object["status"].as_object_mut() {
        let seen = status.remove("currentCPUUtilizationPercentage");
        let mut all: Vec<Value> = seen
            .into_iter()
            .map(|percent| cpu("current", &percent))
            .collect();
        all.extend(
            current
                .iter()
                .filter_map(Value::as_array)
                .flatten()
                .cloned(),
        );
        let all = if all.is_empty() {
            Value::Null
        } else {
            all.into()
        };
        status.insert("currentMetrics".to_owned(), all);
        if let Some(conditions) = conditions {
            status.insert("conditions".to_owned(), conditions);
        }
    }
    object
}

/// An autoscaler of `v2` as one of `v1`.
pub(super) fn to_v1(mut object: Value) -> Value {
    object["apiVersion"] = "autoscaling/v1".into();
    let mut carried: Vec<(&str, Value)> = Vec::new();
    if let Some(spec) = object["spec"].as_object_mut() {
        let (percent, others) = split_cpu(spec.remove("metrics"), "target");
        if let Some(percent) = percent {
            spec.insert("targetCPUUtilizationPercentage".to_owned(), percent);
        }
        carried.extend(others.map(|others| (METRICS, others)));
        carried.extend(spec.remove("behavior").map(|behavior| (BEHAVIOR, behavior)));
    }
    if let Some(status) = object["status"].as_object_mut() {
        let (percent, others) = split_cpu(status.remove("currentMetrics"), "current");
        if let Some(percent) = percent {
            status.insert("currentCPUUtilizationPercentage".to_owned(), percent);
        }
        carried.extend(others.map(|others| (CURRENT_METRICS, others)));
        carried.extend(
            status
                .remove("conditions")
                .map(|conditions| (CONDITIONS, conditions)),
        );
    }
    for (name, value) in carried {
        object["metadata"]["annotations"][name] = value.to_string().into();
    }
    object
}

/// A metric of the use of CPU in percent.
fn cpu(side: &str, percent: &Value) -> Value {
    let mut value = json!({"averageUtilization": percent});
    if side == "target" {
        value["type"] = "Utilization".into();
    }
    let mut resource = Map::new();
    resource.insert("name".to_owned(), "cpu".into());
    resource.insert(side.to_owned(), value);
    json!({"type": "Resource", "resource": resource})
}

/// The first use of CPU in percent among metrics, and the other metrics.
fn split_cpu(metrics: Option<Value>, side: &str) -> (Option<Value>, Option<Value>) {
    let Some(Value::Array(mut metrics)) = metrics else {
        return (None, None);
    };
    let position = metrics.iter().position(|metric| {
        metric["type"] == "Resource"
            && metric["resource"]["name"] == "cpu"
            && !metric["resource"][side]["averageUtilization"].is_null()
    });
    let percent = position
        .map(|position| metrics.remove(position)["resource"][side]["averageUtilization"].clone());
    (percent, (!metrics.is_empty()).then(|| metrics.into()))
}

fn drop_empty_annotations(object: &mut Value) {
    if let Some(metadata) = object["metadata"].as_object_mut()
        && metadata
            .get("annotations")
            .and_then(Value::as_object)
            .is_some_and(Map::is_empty)
    {
        metadata.remove("annotations");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_has_a_field_in_both_forms() {
        let old = json!({
            "apiVersion": "autoscaling/v1", "metadata": {"name": "h"},
            "spec": {"maxReplicas": 3, "targetCPUUtilizationPercentage": 50},
            "status": {"currentReplicas": 1, "desiredReplicas": 1},
        });
        let new = to_v2(old.clone());
        assert_eq!(
            new["spec"]["metrics"],
            json!([{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}])
        );
        assert_eq!(to_v1(new), old);
    }

    #[test]
    fn what_the_older_form_does_not_have_is_not_lost() {
        let new = json!({
            "apiVersion": "autoscaling/v2", "metadata": {"name": "h"},
            "spec": {
                "maxReplicas": 3, "behavior": {"scaleUp": {"selectPolicy": "Max"}},
                "metrics": [{"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}}],
            },
            "status": {"currentMetrics": null, "conditions": [{"type": "AbleToScale", "status": "True"}]},
        });
        let old = to_v1(new.clone());
        assert_eq!(old["spec"], json!({"maxReplicas": 3}));
        assert_eq!(to_v2(old), new);
    }
}
