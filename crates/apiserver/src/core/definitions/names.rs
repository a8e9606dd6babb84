//! The names of a definition: taken by whoever comes first.

use serde_json::{Value, json};

use super::set_condition;
use crate::registry::Resources;
use crate::resource::StorageId;

/// Why the names of a definition are not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Conflict {
    reason: &'static str,
    message: String,
}

/// What stands against the names of `definition` in its group.
pub(super) fn conflict(
    served: &Resources,
    storage: &StorageId,
    definition: &Value,
) -> Option<Conflict> {
    let others = || {
        served
            .iter()
            .filter(|other| other.group == storage.group && other.storage != *storage)
    };
    let names = &definition["spec"]["names"];
    let text = |field: &str| names[field].as_str().unwrap_or_default();
    let taken = |name: &str| {
        others().any(|other| {
            other.plural == name
                || other.singular == name
                || other.short_names.iter().any(|short| short == name)
        })
    };
    let kind_taken =
        |kind: &str| others().any(|other| other.kind == kind || other.list_kind == kind);
    let in_use = |reason, name: &str| Conflict {
        reason,
        message: format!("{name:?} is already in use"),
    };
    for (reason, name) in [
        ("PluralConflict", text("plural")),
        ("SingularConflict", text("singular")),
    ] {
        if !name.is_empty() && taken(name) {
            return Some(in_use(reason, name));
        }
    }
    let short_names = names["shortNames"].as_array().into_iter().flatten();
    for name in short_names.filter_map(Value::as_str) {
        if taken(name) {
            return Some(in_use("ShortNamesConflict", name));
        }
    }
    for (reason, kind) in [
        ("KindConflict", text("kind")),
        ("ListKindConflict", text("listKind")),
    ] {
        if !kind.is_empty() && kind_taken(kind) {
            return Some(in_use(reason, kind));
        }
    }
    None
}

/// Writes into the status of a definition what became of its names.
pub(super) fn set_status(definition: &mut Value, conflict: Option<&Conflict>, now: &Value) {
    match conflict {
        None => {
            definition["status"]["acceptedNames"] = definition["spec"]["names"].clone();
            set_condition(
                definition,
                now,
                "NamesAccepted",
                "True",
                "NoConflicts",
                "no conflicts found",
            );
            set_condition(
                definition,
                now,
                "Established",
                "True",
                "InitialNamesAccepted",
                "the initial names have been accepted",
            );
        }
        Some(conflict) => {
            if !definition["status"]["acceptedNames"].is_object() {
                definition["status"]["acceptedNames"] = json!({ "plural": "", "kind": "" });
            }
            set_condition(
                definition,
                now,
                "NamesAccepted",
                "False",
                conflict.reason,
                &conflict.message,
            );
            let established =
                definition["status"]["conditions"]
                    .as_array()
                    .is_some_and(|conditions| {
                        conditions.iter().any(|known| {
                            known["type"] == "Established" && known["status"] == "True"
                        })
                    });
            // What is served stays served.
            if !established {
                set_condition(
                    definition,
                    now,
                    "Established",
                    "False",
                    "NotAccepted",
                    "not all names are accepted",
                );
            }
        }
    }
}
