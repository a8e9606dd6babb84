//! Selectors of workloads, and the templates that they must match.

use serde_json::Value;

use super::{immutable, text};
use crate::error::Cause;
use crate::path::Path;
use crate::selector::LabelSelector;

/// Whether a workload selects the pods that it makes.
pub(super) fn selects_template(
    new: &Value,
    old: Option<&Value>,
    kind: &str,
    causes: &mut Vec<Cause>,
) {
    let selector = &new["spec"]["selector"];
    let parsed = match LabelSelector::from_value(selector) {
        Ok(parsed) => Some(parsed),
        Err(why) => {
            causes.push(Cause::invalid("spec.selector", selector, why));
            None
        }
    };
    let is_empty = parsed.as_ref().is_some_and(LabelSelector::is_empty);
    if selector.is_object() && is_empty {
        causes.push(Cause::invalid(
            "spec.selector",
            selector,
            format!("empty selector is invalid for {kind}"),
        ));
    }
    let labels = &new["spec"]["template"]["metadata"]["labels"];
    let matches = parsed.is_some_and(|selector| selector.matches_labels(labels));
    // A selector that is missing selects nothing.
    let mismatch = !matches || !selector.is_object();
    if mismatch && !(selector.is_object() && is_empty) {
        causes.push(Cause::invalid(
            "spec.template.metadata.labels",
            labels,
            "`selector` does not match template `labels`",
        ));
    }
    if let Some(old) = old {
        immutable(new, old, "spec.selector", causes);
    }
    expressions(selector, Path::Root.field("spec").field("selector"), causes);
}

/// What is wrong with the parts of a selector.
fn expressions(selector: &Value, path: Path<'_>, causes: &mut Vec<Cause>) {
    let path = path.field("matchExpressions");
    for (index, expression) in super::items(&selector["matchExpressions"])
        .iter()
        .enumerate()
    {
        let path = path.index(index);
        let has_values = !super::items(&expression["values"]).is_empty();
        match text(&expression["operator"]) {
            "In" | "NotIn" if !has_values => causes.push(Cause::required(
                path.field("values"),
                "must be specified when `operator` is 'In' or 'NotIn'",
            )),
            "Exists" | "DoesNotExist" if has_values => causes.push(Cause::forbidden(
                path.field("values"),
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            )),
            _ => {}
        }
    }
}
