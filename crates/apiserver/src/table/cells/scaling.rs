//! How many of what there may be: autoscalers, budgets, quotas and claims.

use serde_json::Value;

use crate::table::subject::{Subject, plain};

pub(super) fn disruption_budget(o: &Subject<'_>) -> Vec<Value> {
    let bound = |pointer: &str| -> Value {
        match o.at(pointer) {
            Value::Null => "N/A".into(),
            bound => plain(bound).into(),
        }
    };
    vec![
        o.name(),
        bound("/spec/minAvailable"),
        bound("/spec/maxUnavailable"),
        o.int("/status/disruptionsAllowed").into(),
        o.age(),
    ]
}

pub(super) fn autoscaler(o: &Subject<'_>) -> Vec<Value> {
    let target = ["/spec/scaleTargetRef/kind", "/spec/scaleTargetRef/name"]
        .map(|p| o.text(p).unwrap_or_default());
    vec![
        o.name(),
        target.join("/").into(),
        targets(o).into(),
        match o.at("/spec/minReplicas") {
            Value::Null => "<unset>".into(),
            replicas => plain(replicas).into(),
        },
        o.int("/spec/maxReplicas").into(),
        o.int("/status/currentReplicas").into(),
        o.age(),
    ]
}

/// What is measured and what it should be, of the first two metrics.
fn targets(o: &Subject<'_>) -> String {
    // The first version of the kind knows one metric.
    if let Some(target) = o.at("/spec/targetCPUUtilizationPercentage").as_i64() {
        let current = o.at("/status/currentCPUUtilizationPercentage").as_i64();
        return format!("cpu: {}/{target}%", percent(current));
    }
    let current = o.list("/status/currentMetrics");
    let all: Vec<String> = o
        .list("/spec/metrics")
        .iter()
        .enumerate()
        .map(|(index, spec)| metric(spec, current.get(index).unwrap_or(&Value::Null)))
        .collect();
    match all.as_slice() {
        [] => "<none>".to_owned(),
        [first, second, _, ..] => format!("{first}, {second} + {} more...", all.len() - 2),
        few => few.join(", "),
    }
}

fn metric(spec: &Value, status: &Value) -> String {
    let field = match spec["type"].as_str() {
        Some("External") => "external",
        Some("Pods") => "pods",
        Some("Object") => "object",
        Some("Resource") => "resource",
        Some("ContainerResource") => "containerResource",
        _ => return "<unknown type>".to_owned(),
    };
    let (target, current) = (&spec[field]["target"], &status[field]["current"]);
    let known = |value: &Value| match value {
        Value::Null => "<unknown>".to_owned(),
        value => plain(value),
    };
    let average = !target["averageValue"].is_null();
    let name = spec[field]["name"].as_str().unwrap_or_default();
    match (field, average) {
        ("resource" | "containerResource", true) => {
            format!(
                "{name}: {}/{}",
                known(&current["averageValue"]),
                plain(&target["averageValue"])
            )
        }
        ("resource" | "containerResource", false) => {
            let current = percent(current["averageUtilization"].as_i64());
            match target["averageUtilization"].as_i64() {
                Some(target) => format!("{name}: {current}/{target}%"),
                None => format!("{name}: {current}/<auto>"),
            }
        }
        ("pods", _) => format!(
            "{}/{}",
            known(&current["averageValue"]),
            plain(&target["averageValue"])
        ),
        (_, true) => format!(
            "{}/{} (avg)",
            known(&current["averageValue"]),
            plain(&target["averageValue"])
        ),
        (_, false) => format!("{}/{}", known(&current["value"]), plain(&target["value"])),
    }
}

fn percent(value: Option<i64>) -> String {
    value.map_or_else(|| "<unknown>".to_owned(), |value| format!("{value}%"))
}

pub(super) fn priority_class(o: &Subject<'_>) -> Vec<Value> {
    vec![
        o.name(),
        o.int("/value").into(),
        o.flag("/globalDefault").into(),
        o.age(),
        o.text_or("/preemptionPolicy", ""),
    ]
}

pub(super) fn resource_quota(o: &Subject<'_>) -> Vec<Value> {
    let (mut requests, mut limits) = (Vec::new(), Vec::new());
    for (resource, hard) in o.at("/status/hard").as_object().into_iter().flatten() {
        let used = match &o.at("/status/used")[resource] {
            Value::Null => "0".to_owned(),
            used => plain(used),
        };
        let column = match resource.starts_with("limits.") {
            true => &mut limits,
            false => &mut requests,
        };
        column.push(format!("{resource}: {used}/{}", plain(hard)));
    }
    vec![
        o.name(),
        requests.join(", ").into(),
        limits.join(", ").into(),
        o.age(),
    ]
}

pub(super) fn resource_claim(o: &Subject<'_>) -> Vec<Value> {
    let mut states = Vec::new();
    if o.is_deleted() {
        states.push("deleted");
    }
    match (o.at("/status/allocation").is_null(), o.is_deleted()) {
        (true, false) => states.push("pending"),
        (true, true) => {}
        (false, _) => states.push("allocated"),
    }
    if !o.at("/status/allocation").is_null() && o.count("/status/reservedFor") > 0 {
        states.push("reserved");
    }
    vec![o.name(), states.join(",").into(), o.age()]
}

pub(super) fn resource_slice(o: &Subject<'_>) -> Vec<Value> {
    vec![
        o.name(),
        o.text_or("/spec/nodeName", ""),
        o.text_or("/spec/driver", ""),
        o.text_or("/spec/pool/name", ""),
        o.age(),
    ]
}
