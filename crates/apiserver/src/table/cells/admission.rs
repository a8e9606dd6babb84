//! What decides on requests: webhooks and policies.

use serde_json::Value;

use crate::table::subject::Subject;

pub(super) fn webhooks(o: &Subject<'_>) -> Vec<Value> {
    vec![o.name(), o.count("/webhooks").into(), o.age()]
}

pub(super) fn validating_policy(o: &Subject<'_>) -> Vec<Value> {
    policy(o, "/spec/validations")
}

pub(super) fn mutating_policy(o: &Subject<'_>) -> Vec<Value> {
    policy(o, "/spec/mutations")
}

fn policy(o: &Subject<'_>, rules: &str) -> Vec<Value> {
    let kind = match o.at("/spec/paramKind") {
        Value::Object(_) => {
            let part = |pointer: &str| o.text(pointer).unwrap_or_default();
            format!(
                "{}/{}",
                part("/spec/paramKind/apiVersion"),
                part("/spec/paramKind/kind")
            )
        }
        _ => "<unset>".to_owned(),
    };
    vec![o.name(), o.count(rules).into(), kind.into(), o.age()]
}

pub(super) fn binding(o: &Subject<'_>) -> Vec<Value> {
    let parameters = match (
        o.text("/spec/paramRef/name"),
        o.text("/spec/paramRef/namespace"),
    ) {
        (Some(name), Some(namespace)) => format!("{namespace}/{name}").into(),
        // Whether the parameters have a namespace cannot be told from here.
        (Some(name), None) => format!("*/{name}").into(),
        (None, _) if o.at("/spec/paramRef/selector").is_object() => {
            o.selector("/spec/paramRef/selector")
        }
        (None, _) => "<unset>".into(),
    };
    vec![
        o.name(),
        o.text_or("/spec/policyName", ""),
        parameters,
        o.age(),
    ]
}
