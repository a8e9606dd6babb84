//! Configuration, identities and leases.

use serde_json::Value;

use crate::table::age;
use crate::table::subject::Subject;

/// For kinds of which only name and age are shown.
pub(super) fn aged(o: &Subject<'_>) -> Vec<Value> {
    vec![o.name(), o.age()]
}

pub(super) fn config_map(o: &Subject<'_>) -> Vec<Value> {
    vec![
        o.name(),
        (o.count("/data") + o.count("/binaryData")).into(),
        o.age(),
    ]
}

pub(super) fn secret(o: &Subject<'_>) -> Vec<Value> {
    vec![
        o.name(),
        o.text_or("/type", ""),
        o.count("/data").into(),
        o.age(),
    ]
}

pub(super) fn lease(o: &Subject<'_>) -> Vec<Value> {
    vec![o.name(), o.text_or("/spec/holderIdentity", ""), o.age()]
}

pub(super) fn role_binding(o: &Subject<'_>) -> Vec<Value> {
    let role = format!(
        "{}/{}",
        o.first_text(&["/roleRef/kind"]),
        o.first_text(&["/roleRef/name"])
    );
    let subjects = |kind: &str| -> Value {
        let names: Vec<String> = o
            .list("/subjects")
            .iter()
            .filter(|subject| subject["kind"] == kind)
            .map(|subject| {
                let text = |field: &str| subject[field].as_str().unwrap_or_default();
                match kind {
                    "ServiceAccount" => format!("{}/{}", text("namespace"), text("name")),
                    _ => text("name").to_owned(),
                }
            })
            .collect();
        names.join(", ").into()
    };
    vec![
        o.name(),
        role.into(),
        o.age(),
        subjects("User"),
        subjects("Group"),
        subjects("ServiceAccount"),
    ]
}

pub(super) fn signing_request(o: &Subject<'_>) -> Vec<Value> {
    let mut status = match (o.condition("Denied"), o.condition("Approved")) {
        (Some(_), _) => "Denied",
        (None, Some(_)) => "Approved",
        (None, None) => "Pending",
    }
    .to_owned();
    if o.condition("Failed").is_some() {
        status.push_str(",Failed");
    }
    if o.text("/status/certificate").is_some() {
        status.push_str(",Issued");
    }
    let duration = o.at("/spec/expirationSeconds").as_i64().map(age::duration);
    vec![
        o.name(),
        o.age(),
        o.text_or("/spec/signerName", "<none>"),
        o.text_or("/spec/username", ""),
        duration.unwrap_or_else(|| "<none>".to_owned()).into(),
        status.into(),
    ]
}
