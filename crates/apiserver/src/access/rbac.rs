//! What roles and role bindings grant.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Attributes, User};
use crate::store::Stored;

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// With the binding that allows it; empty for administrators.
    Allowed {
        reason: String,
    },
    Denied,
}

/// Where the roles and bindings are.
pub(crate) trait Policy {
    /// The objects of a resource of `rbac.authorization.k8s.io`, in one namespace or without any.
    fn objects(&self, plural: &str, namespace: Option<&str>) -> Vec<Arc<Stored>>;
}

/// Something that a role allows, and why it concerns someone.
struct Grant {
    rule: Value,
    reason: String,
}

/// Decides whether `user` may do what `attributes` say.
pub(crate) fn decide(policy: &dyn Policy, user: &User, attributes: &Attributes) -> Decision {
    if user.is_master() {
        return Decision::Allowed {
            reason: String::new(),
        };
    }
    let granted = grants(policy, user, attributes.namespace());
    match granted
        .into_iter()
        .find(|grant| allows(&grant.rule, attributes))
    {
        Some(Grant { reason, .. }) => Decision::Allowed { reason },
        None => Decision::Denied,
    }
}

/// The rules that tell what `user` may do, in a namespace or, if it is empty, everywhere.
pub(super) fn rules(policy: &dyn Policy, user: &User, namespace: &str) -> Vec<Value> {
    if user.is_master() {
        return vec![
            json!({ "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"] }),
            json!({ "verbs": ["*"], "nonResourceURLs": ["*"] }),
        ];
    }
    grants(policy, user, namespace)
        .into_iter()
        .map(|grant| grant.rule)
        .collect()
}

fn grants(policy: &dyn Policy, user: &User, namespace: &str) -> Vec<Grant> {
    let mut grants = everyone(user);
    let mut bound = |plural: &str, namespace: Option<&str>| {
        for binding in policy.objects(plural, namespace) {
            let binding = binding.value();
            let own = namespace.unwrap_or_default();
            let subjects = binding["subjects"].as_array().into_iter().flatten();
            let Some(subject) = subjects.into_iter().find(|subject| is(user, subject, own)) else {
                continue;
            };
            let reason = why(&binding, subject, own);
            for rule in role_rules(policy, &binding["roleRef"], namespace) {
                let reason = reason.clone();
                grants.push(Grant { rule, reason });
            }
        }
    };
    bound("clusterrolebindings", None);
    if !namespace.is_empty() {
        bound("rolebindings", Some(namespace));
    }
    grants
}

/// What every cluster lets everyone do: find out what there is, and what they may do.
fn everyone(user: &User) -> Vec<Grant> {
    let mut rules = Vec::new();
    if user.is_authenticated() || user.is_in("system:unauthenticated") {
        rules.push(json!({
            "verbs": ["get"],
            "nonResourceURLs": ["/healthz", "/livez", "/readyz", "/version", "/version/"],
        }));
    }
    if user.is_authenticated() {
        rules.extend([
            json!({
                "verbs": ["get"],
                "nonResourceURLs": ["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*"],
            }),
            json!({
                "verbs": ["create"],
                "apiGroups": ["authorization.k8s.io"],
                "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
            }),
            json!({
                "verbs": ["create"],
                "apiGroups": ["authentication.k8s.io"],
                "resources": ["selfsubjectreviews"],
            }),
        ]);
    }
    let grant = |rule| Grant {
        rule,
        reason: "RBAC: allowed to everyone".to_owned(),
    };
    rules.into_iter().map(grant).collect()
}

/// Whether a subject of a binding is `user`; the binding is in `namespace`.
fn is(user: &User, subject: &Value, namespace: &str) -> bool {
    let text = |field: &str| subject[field].as_str().unwrap_or_default();
    match text("kind") {
        "User" => user.name == text("name"),
        "Group" => user.is_in(text("name")),
        "ServiceAccount" => {
            let own = match text("namespace") {
                "" => namespace,
                own => own,
            };
            user.is_service_account(own, text("name"))
        }
        _ => false,
    }
}

fn why(binding: &Value, subject: &Value, namespace: &str) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = text(&binding["metadata"]["name"]);
    let binding_name = match namespace {
        "" => format!("ClusterRoleBinding {name:?}"),
        namespace => format!("RoleBinding {:?}", format!("{name}/{namespace}")),
    };
    let role = &binding["roleRef"];
    let subject_name = match subject["namespace"].as_str() {
        Some(namespace) if !namespace.is_empty() => {
            format!("{}/{namespace}", text(&subject["name"]))
        }
        _ => text(&subject["name"]),
    };
    format!(
        "RBAC: allowed by {binding_name} of {} {:?} to {} {subject_name:?}",
        text(&role["kind"]),
        text(&role["name"]),
        text(&subject["kind"]),
    )
}

/// The rules of the role that a binding names; none if there is no such role.
fn role_rules(policy: &dyn Policy, role: &Value, namespace: Option<&str>) -> Vec<Value> {
    let (plural, namespace) = match role["kind"].as_str() {
        Some("ClusterRole") => ("clusterroles", None),
        Some("Role") if namespace.is_some() => ("roles", namespace),
        _ => return Vec::new(),
    };
    let roles = policy.objects(plural, namespace);
    let found = roles
        .iter()
        .map(|found| found.value())
        .find(|found| found["metadata"]["name"] == role["name"]);
    let rules = found.and_then(|found| found["rules"].as_array().cloned());
    rules.unwrap_or_default()
}

fn allows(rule: &Value, attributes: &Attributes) -> bool {
    let list = |field: &str| {
        let items = rule[field].as_array().into_iter().flatten();
        items.filter_map(Value::as_str)
    };
    let has = |field: &str, wanted: &str| list(field).any(|item| item == "*" || item == wanted);
    match attributes {
        Attributes::Path { verb, path } => {
            has("verbs", verb)
                && list("nonResourceURLs").any(|url| match url.strip_suffix('*') {
                    Some(start) => path.starts_with(start),
                    None => url == path,
                })
        }
        Attributes::Resource {
            verb,
            group,
            resource,
            subresource,
            name,
            ..
        } => {
            let named = match subresource.as_str() {
                "" => has("resources", resource),
                subresource => {
                    has("resources", &format!("{resource}/{subresource}"))
                        || list("resources")
                            .any(|item| item.strip_prefix("*/") == Some(subresource))
                }
            };
            has("verbs", verb)
                && has("apiGroups", group)
                && named
                && (list("resourceNames").next().is_none()
                    || list("resourceNames").any(|item| item == name))
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::store::Key;

    /// Roles and bindings in a list, told apart by `kind`.
    pub(in crate::access) struct Objects(pub(in crate::access) Vec<Value>);

    impl Policy for Objects {
        fn objects(&self, plural: &str, namespace: Option<&str>) -> Vec<Arc<Stored>> {
            let of_kind = |object: &&Value| {
                let kind = format!("{}s", object["kind"].as_str().unwrap().to_lowercase());
                kind == plural && object["metadata"]["namespace"].as_str() == namespace
            };
            let objects = self.0.iter().filter(of_kind);
            let stored = |object: &Value| {
                let name = object["metadata"]["name"].as_str().unwrap();
                Arc::new(Stored::new(
                    Key::new(namespace.unwrap_or_default(), name),
                    1,
                    object.clone(),
                ))
            };
            objects.map(stored).collect()
        }
    }

    pub(in crate::access) fn policy() -> Objects {
        Objects(vec![
            json!({"kind": "Role", "metadata": {"name": "reader", "namespace": "ns"}, "rules": [
                {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods", "pods/log"]},
                {"verbs": ["update"], "apiGroups": ["apps"], "resources": ["*/scale"], "resourceNames": ["web"]},
            ]}),
            json!({"kind": "ClusterRole", "metadata": {"name": "nodes"}, "rules": [
                {"verbs": ["*"], "apiGroups": ["*"], "resources": ["nodes"]},
                {"verbs": ["get"], "nonResourceURLs": ["/metrics", "/debug/*"]},
            ]}),
            json!({"kind": "RoleBinding", "metadata": {"name": "b", "namespace": "ns"},
                   "roleRef": {"kind": "Role", "name": "reader"},
                   "subjects": [{"kind": "User", "name": "jane"}, {"kind": "ServiceAccount", "name": "sa"}]}),
            json!({"kind": "ClusterRoleBinding", "metadata": {"name": "c"},
                   "roleRef": {"kind": "ClusterRole", "name": "nodes"},
                   "subjects": [{"kind": "Group", "name": "ops"}]}),
            json!({"kind": "RoleBinding", "metadata": {"name": "d", "namespace": "ns"},
                   "roleRef": {"kind": "ClusterRole", "name": "missing"}, "subjects": [{"kind": "User", "name": "jane"}]}),
        ])
    }

    pub(in crate::access) fn user(name: &str, groups: &[&str]) -> User {
        User {
            name: name.to_owned(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            ..User::default()
        }
    }

    /// `verb group resource/subresource namespace/name`, with `core` for no group, or `verb /path`.
    pub(in crate::access) fn attributes(what: &str) -> Attributes {
        let owned = |text: &str| text.to_owned();
        match what.split(' ').collect::<Vec<_>>().as_slice() {
            [verb, path] => Attributes::Path {
                verb: owned(verb),
                path: owned(path),
            },
            [verb, group, resource, object] => {
                let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
                let (namespace, name) = object.split_once('/').unwrap();
                Attributes::Resource {
                    verb: owned(verb),
                    group: group.replace("core", ""),
                    resource: owned(resource),
                    subresource: owned(subresource),
                    namespace: owned(namespace),
                    name: owned(name),
                }
            }
            _ => panic!("{what}"),
        }
    }

    fn check(user: &User, allowed: &[&str], denied: &[&str]) {
        let may = |what: &str| decide(&policy(), user, &attributes(what)) != Decision::Denied;
        for what in allowed {
            assert!(may(what), "{what}");
        }
        for what in denied {
            assert!(!may(what), "{what}");
        }
    }

    #[test]
    fn a_role_binding_grants_in_its_namespace() {
        for user in [user("jane", &[]), user("system:serviceaccount:ns:sa", &[])] {
            check(
                &user,
                &[
                    "get core pods ns/p",
                    "list core pods ns/",
                    "get core pods/log ns/p",
                    "update apps deployments/scale ns/web",
                ],
                &[
                    "get core pods other/p",
                    "list core pods /",
                    "delete core pods ns/p",
                    "get core pods/exec ns/p",
                    "get apps pods ns/p",
                    "update apps deployments ns/web",
                    "update apps deployments/scale ns/other",
                ],
            );
        }
        check(
            &user("system:serviceaccount:other:sa", &[]),
            &[],
            &["get core pods ns/p"],
        );
    }

    #[test]
    fn a_cluster_role_binding_grants_everywhere() {
        check(
            &user("kim", &["ops"]),
            &[
                "delete core nodes /n",
                "get any.example.com nodes ns/n",
                "get /metrics",
                "get /debug/x",
            ],
            &[
                "get core nodes/proxy /n",
                "post /metrics",
                "get /debug",
                "get core pods ns/p",
            ],
        );
    }

    #[test]
    fn everyone_may_find_out_and_administrators_may_all() {
        let known = user("x", &["system:authenticated"]);
        let basic = [
            "get /apis/apps/v1",
            "create authorization.k8s.io selfsubjectaccessreviews /",
            "get /healthz",
        ];
        check(
            &known,
            &basic,
            &[
                "get /metrics",
                "create authorization.k8s.io subjectaccessreviews /",
            ],
        );
        check(
            &user("system:anonymous", &["system:unauthenticated"]),
            &["get /healthz"],
            &basic[..2],
        );
        check(
            &User::administrator(),
            &[
                "delete core nodes /n",
                "get /metrics",
                "any any any any/any",
            ],
            &[],
        );
    }

    #[test]
    fn a_decision_says_which_binding_allows_it() {
        let reason = |user: &User, what: &str| decide(&policy(), user, &attributes(what));
        assert_eq!(
            reason(&user("jane", &[]), "get core pods ns/p"),
            Decision::Allowed {
                reason: "RBAC: allowed by RoleBinding \"b/ns\" of Role \"reader\" to User \"jane\""
                    .to_owned()
            }
        );
        assert_eq!(
            reason(&user("kim", &["ops"]), "get core nodes /n"),
            Decision::Allowed {
                reason: "RBAC: allowed by ClusterRoleBinding \"c\" of ClusterRole \"nodes\" to Group \"ops\"".to_owned()
            }
        );
    }
}
