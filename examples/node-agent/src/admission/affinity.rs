use k8s_openapi::api::core::v1::{
    Node, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod,
};

use super::Rejection;

/// A pod may be on nodes only that its selector and its required affinity match.
pub(super) fn check(pod: &Pod, node: &Node) -> Result<(), Rejection> {
    if matches_affinity(pod, node) {
        return Ok(());
    }
    Err(Rejection::predicate(
        "NodeAffinity",
        "node(s) didn't match Pod's node affinity/selector",
    ))
}

/// Whether the selector of a pod and its required affinity match a node.
///
/// Answers to upstream's `GetRequiredNodeAffinity`.
pub fn matches_affinity(pod: &Pod, node: &Node) -> bool {
    let Some(spec) = &pod.spec else {
        return true;
    };
    let mut selected = spec.node_selector.iter().flatten();
    let is_selected = selected.all(|(key, value)| label(node, key) == Some(value.as_str()));
    let affinity = spec.affinity.as_ref();
    let affinity = affinity.and_then(|affinity| affinity.node_affinity.as_ref());
    let required = affinity.and_then(|it| {
        it.required_during_scheduling_ignored_during_execution
            .as_ref()
    });
    is_selected && required.is_none_or(|selector| matches(selector, node))
}

/// One term has to match; none matches nothing.
fn matches(selector: &NodeSelector, node: &Node) -> bool {
    let mut terms = selector.node_selector_terms.iter();
    terms.any(|term| matches_term(term, node))
}

/// All parts of a term have to match; a term without any matches nothing.
fn matches_term(term: &NodeSelectorTerm, node: &Node) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    if expressions.is_empty() && fields.is_empty() {
        return false;
    }
    let mut expressions = expressions.iter();
    let mut fields = fields.iter();
    expressions.all(|it| holds(it, label(node, &it.key)))
        && fields.all(|it| match it.key.as_str() {
            "metadata.name" => holds(it, node.metadata.name.as_deref()),
            _ => false,
        })
}

fn holds(requirement: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let values = requirement.values.as_deref().unwrap_or_default();
    let is_in = value.is_some_and(|value| values.iter().any(|it| it == value));
    let compare = |is: fn(&i64, &i64) -> bool| {
        let [bound] = values else {
            return false;
        };
        let (value, bound) = (value.and_then(|it| it.parse().ok()), bound.parse().ok());
        value
            .zip(bound)
            .is_some_and(|(value, bound)| is(&value, &bound))
    };
    match requirement.operator.as_str() {
        "In" => is_in,
        "NotIn" => !is_in,
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => compare(i64::gt),
        "Lt" => compare(i64::lt),
        _ => false,
    }
}

fn label<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    let labels = node.metadata.labels.as_ref()?;
    labels.get(key).map(String::as_str)
}
