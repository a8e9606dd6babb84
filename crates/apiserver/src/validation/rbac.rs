//! Roles and bindings.

use serde_json::Value;

use super::{immutable, items, text};
use crate::error::Cause;
use crate::path::Path;
use crate::resource::Resource;

const GROUP: &str = "rbac.authorization.k8s.io";

pub(super) fn check(
    resource: &Resource,
    new: &Value,
    old: Option<&Value>,
    causes: &mut Vec<Cause>,
) {
    match resource.kind.as_str() {
        "Role" | "ClusterRole" => rules(resource, new, causes),
        _ => binding(new, old, causes),
    }
}

fn rules(resource: &Resource, role: &Value, causes: &mut Vec<Cause>) {
    let path = Path::Root.field("rules");
    for (index, rule) in items(&role["rules"]).iter().enumerate() {
        let path = path.index(index);
        let is_empty = |field: &str| items(&rule[field]).is_empty();
        if is_empty("nonResourceURLs") {
            if is_empty("apiGroups") {
                causes.push(Cause::required(
                    path.field("apiGroups"),
                    "resource rules must supply at least one api group",
                ));
            }
            if is_empty("resources") {
                causes.push(Cause::required(
                    path.field("resources"),
                    "resource rules must supply at least one resource",
                ));
            }
        } else if resource.namespaced {
            causes.push(Cause::invalid(
                path.field("nonResourceURLs"),
                &rule["nonResourceURLs"],
                "namespaced rules cannot apply to non-resource URLs",
            ));
        }
    }
}

fn binding(new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    if let Some(old) = old {
        if new["roleRef"] != old["roleRef"] {
            immutable(new, old, "roleRef", causes);
            if let Some(cause) = causes.last_mut() {
                cause.message = cause
                    .message
                    .replace("field is immutable", "cannot change roleRef");
            }
        }
    } else if new["roleRef"]["apiGroup"] != GROUP {
        causes.push(Cause::not_supported(
            "roleRef.apiGroup",
            &new["roleRef"]["apiGroup"],
            &[GROUP],
        ));
    }
    if !matches!(text(&new["roleRef"]["kind"]), "Role" | "ClusterRole" | "") {
        causes.push(Cause::not_supported(
            "roleRef.kind",
            &new["roleRef"]["kind"],
            &["Role", "ClusterRole"],
        ));
    }
    let path = Path::Root.field("subjects");
    for (index, subject) in items(&new["subjects"]).iter().enumerate() {
        let path = path.index(index);
        match text(&subject["kind"]) {
            "ServiceAccount" => {
                if text(&subject["namespace"]).is_empty() && new["kind"] == "ClusterRoleBinding" {
                    causes.push(Cause::required(path.field("namespace"), ""));
                }
            }
            "User" | "Group" | "" => {}
            other => causes.push(Cause::not_supported(
                path.field("kind"),
                &other.into(),
                &["ServiceAccount", "User", "Group"],
            )),
        }
    }
}
