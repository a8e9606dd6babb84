//! The quality of service of a pod, which follows from what its containers ask for.

use std::collections::BTreeMap;

use kubewright_quantity::Quantity;
use serde_json::Value;

/// The resources that count.
const COUNTED: [&str; 2] = ["cpu", "memory"];

/// `Guaranteed`, `Burstable` or `BestEffort`.
pub(super) fn of(pod: &Value) -> &'static str {
    let spec = &pod["spec"];
    // What a pod says of itself as a whole counts instead of what its containers say.
    if spec["resources"].is_object() {
        return class(std::iter::once(&spec["resources"]));
    }
    let containers = ["containers", "initContainers"]
        .into_iter()
        .flat_map(|list| spec[list].as_array().into_iter().flatten());
    class(containers.map(|container| &container["resources"]))
}

fn class<'a>(all: impl Iterator<Item = &'a Value>) -> &'static str {
    let mut anything = false;
    let mut guaranteed = true;
    for resources in all {
        let requests = amounts(&resources["requests"]);
        let limits = amounts(&resources["limits"]);
        anything |= !requests.is_empty() || !limits.is_empty();
        guaranteed &= COUNTED.iter().all(|name| {
            let limit = limits.get(name);
            limit.is_some()
                && requests
                    .get(name)
                    .is_none_or(|request| Some(request) == limit)
        });
    }
    match (anything, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

/// The amounts of counted resources that are more than nothing.
fn amounts(list: &Value) -> BTreeMap<&'static str, Quantity> {
    COUNTED
        .into_iter()
        .filter_map(|name| {
            let quantity = Quantity::parse(list[name].as_str()?).ok()?;
            (!quantity.is_zero() && !quantity.is_negative()).then_some((name, quantity))
        })
        .collect()
}

#[cfg(test)]
#[expect(clippy::needless_pass_by_value, reason = "calls read better")]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(containers: Value, expected: &str) {
        assert_eq!(of(&json!({"spec": {"containers": containers}})), expected);
    }

    #[test]
    fn the_quality_follows_from_requests_and_limits() {
        check(json!([{}]), "BestEffort");
        check(
            json!([{"resources": {"requests": {"cpu": "0"}}}]),
            "BestEffort",
        );
        check(
            json!([{"resources": {"requests": {"cpu": "1"}}}]),
            "Burstable",
        );
        let full = json!({"resources": {
            "limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m", "memory": "1Gi"},
        }});
        check(json!([full]), "Guaranteed");
        check(json!([full, {}]), "Burstable");
        check(
            json!([{"resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}}]),
            "Burstable",
        );
    }
}
