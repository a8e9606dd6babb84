//! Defaults of horizontal pod autoscalers.

use serde_json::{Value, json};

use super::fill::{fill, given, is_empty};

/// Those of the version that the object is in: `v1` has no field for most of them.
pub(crate) fn autoscaler(object: &mut Value) {
    let is_v1 = object["apiVersion"] == "autoscaling/v1";
    let spec = &mut object["spec"];
    fill(spec, "minReplicas", 1);
    if is_v1 {
        return;
    }
    if is_empty(&spec["metrics"]) {
        spec["metrics"] = json!([{
            "type": "Resource",
            "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
        }]);
    }
    if let Some(behavior) = given(spec, "behavior") {
        fill(behavior, "scaleUp", json!({}));
        let up = &mut behavior["scaleUp"];
        fill(up, "stabilizationWindowSeconds", 0);
        fill(up, "selectPolicy", "Max");
        fill(
            up,
            "policies",
            json!([
                {"type": "Pods", "value": 4, "periodSeconds": 15},
                {"type": "Percent", "value": 100, "periodSeconds": 15},
            ]),
        );
        fill(behavior, "scaleDown", json!({}));
        let down = &mut behavior["scaleDown"];
        fill(down, "selectPolicy", "Max");
        fill(
            down,
            "policies",
            json!([{"type": "Percent", "value": 100, "periodSeconds": 15}]),
        );
    }
}
