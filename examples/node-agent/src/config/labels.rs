//! Maps and lists as flags write them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Taint;

use crate::names;
use crate::node::DEFAULT_LABELS;

/// Whose labels agents may give their nodes besides those that all nodes have.
const AGENTS: [&str; 2] = ["kubelet.kubernetes.io", "node.kubernetes.io"];

/// What a flag is that cannot be read.
type Refusal = String;

/// Reads `a=b,c=d`, or with another separator in between, such as `memory.available<100Mi`.
pub(super) fn pairs(text: &str, separator: char) -> Result<BTreeMap<String, String>, Refusal> {
    let pairs = text
        .split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| match pair.split_once(separator) {
        Some((key, value)) if !key.is_empty() => {
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err(format!("{pair:?} is not of the form key{separator}value")),
    });
    pairs.collect()
}

/// Fails with all that is wrong with the labels of a node.
///
/// Answers to the part of `ValidateKubeletFlags` that is about labels, of Kubernetes 1.36.
pub(super) fn check_node_labels(labels: &BTreeMap<String, String>) -> Result<(), Vec<Refusal>> {
    let refuse = |key: &str, problem: &str| format!("invalid node label {key:?}: {problem}");
    let mut refused = Vec::new();
    for (key, value) in labels {
        if is_reserved(key) {
            let problem = format!(
                "in the 'kubernetes.io' and 'k8s.io' namespaces labels of --node-labels must begin \
                 with an allowed prefix ({}) or be in the specifically allowed set ({})",
                AGENTS.join(", "),
                DEFAULT_LABELS.join(", "),
            );
            refused.push(refuse(key, &problem));
        }
        let problems = [names::qualified(key), names::label_value(value)];
        let problems = problems.into_iter().flatten();
        refused.extend(problems.map(|problem| refuse(key, problem)));
    }
    match refused.is_empty() {
        true => Ok(()),
        false => Err(refused),
    }
}

/// Whether a label belongs to Kubernetes, and is not one that an agent may give its node.
fn is_reserved(key: &str) -> bool {
    let Some((namespace, _)) = key.split_once('/') else {
        return false;
    };
    let is_in = |domain: &&str| {
        let rest = namespace.strip_suffix(*domain);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    ["kubernetes.io", "k8s.io"].iter().any(is_in)
        && !AGENTS.iter().any(is_in)
        && !DEFAULT_LABELS.contains(&key)
}

/// Reads `key=value:effect`, of which the value may be left out, separated by commas.
pub(super) fn taints(text: &str) -> Result<Vec<Taint>, Refusal> {
    let taints = text
        .split(',')
        .map(str::trim)
        .filter(|taint| !taint.is_empty());
    taints.map(taint).collect()
}

/// Reads `name:value`, of which there may be many for one name.
pub(super) fn headers(flags: &[String]) -> Result<BTreeMap<String, Vec<String>>, Refusal> {
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for flag in flags.iter().flat_map(|flag| flag.split(',')) {
        let (name, value) = flag
            .split_once(':')
            .ok_or_else(|| format!("{flag:?} is not of the form name:value"))?;
        let values = headers.entry(name.trim().to_owned()).or_default();
        values.push(value.trim().to_owned());
    }
    Ok(headers)
}

fn taint(text: &str) -> Result<Taint, Refusal> {
    let (pair, effect) = text
        .rsplit_once(':')
        .ok_or_else(|| format!("invalid taint spec: {text}"))?;
    let (key, value) = match pair.split_once('=') {
        Some((key, value)) => (key, Some(value.to_owned())),
        None => (pair, None),
    };
    Ok(Taint {
        key: key.to_owned(),
        value,
        effect: effect.to_owned(),
        ..Taint::default()
    })
}
