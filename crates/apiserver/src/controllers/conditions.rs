//! Conditions in the status of an object.

use jiff::Timestamp;
use serde_json::{Value, json};

/// A condition to set.
#[derive(Clone, Copy)]
pub(super) struct Condition<'a> {
    kind: &'a str,
    holds: bool,
    reason: &'a str,
    message: &'a str,
}

impl<'a> Condition<'a> {
    pub(super) fn new(kind: &'a str, holds: bool) -> Self {
        Self {
            kind,
            holds,
            reason: "",
            message: "",
        }
    }

    pub(super) fn why(self, reason: &'a str, message: &'a str) -> Self {
        Self {
            reason,
            message,
            ..self
        }
    }
}

/// Sets a condition; its time changes only when it begins or ends to hold.
pub(super) fn set_condition(object: &mut Value, condition: Condition<'_>, now: Timestamp) {
    let conditions = &mut object["status"]["conditions"];
    if !conditions.is_array() {
        *conditions = json!([]);
    }
    let Some(conditions) = conditions.as_array_mut() else {
        return;
    };
    let Condition {
        kind,
        holds,
        reason,
        message,
    } = condition;
    let place = conditions.iter().position(|held| held["type"] == kind);
    let place = place.unwrap_or_else(|| {
        conditions.push(json!({ "type": kind }));
        conditions.len() - 1
    });
    let held = &mut conditions[place];
    let status = if holds { "True" } else { "False" };
    if held["status"] != status {
        held["status"] = status.into();
        held["lastTransitionTime"] = time(now);
    }
    for (field, text) in [("reason", reason), ("message", message)] {
        match text {
            "" => {
                held.as_object_mut().and_then(|held| held.remove(field));
            }
            text => held[field] = text.into(),
        }
    }
}

/// Whether a condition of an object holds.
pub(super) fn has_condition(object: &Value, kind: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|held| held["type"] == kind && held["status"] == "True")
}

/// A time as objects carry it.
pub(super) fn time(time: Timestamp) -> Value {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into()
}
