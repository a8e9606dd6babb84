//! Field selectors: `metadata.name=a,spec.nodeName!=b`.

use std::borrow::Cow;

use serde_json::Value;

use crate::error::ApiError;
use crate::resource::{Origin, Resource};
use crate::store::Stored;

/// A conjunction of requirements on fields; the empty one selects everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct FieldSelector {
    terms: Vec<Term>,
}

#[derive(Clone, Debug)]
struct Term {
    label: String,
    field: Field,
    comparison: Comparison,
    value: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Comparison {
    Equals,
    NotEquals,
}

/// Where the value of a field label stands in an object.
#[derive(Clone, Debug)]
struct Field {
    /// The first of these places that holds something counts.
    paths: Vec<Vec<String>>,
    /// The value if none does.
    default: &'static str,
    /// Where the value is known without decoding the object, if it is.
    kept: Option<Kept>,
}

/// Fields that are kept beside the JSON of an object.
#[derive(Clone, Copy, Debug)]
enum Kept {
    Name,
    Namespace,
    NodeName,
    Phase,
}

impl FieldSelector {
    /// Reads the text of a `fieldSelector` parameter.
    ///
    /// # Errors
    ///
    /// 400 if it is none, or if `resource` cannot be selected by one of the fields.
    pub(crate) fn parse(resource: &Resource, text: &str) -> Result<Self, ApiError> {
        let mut terms = Vec::new();
        for term in split_unescaped(text) {
            if term.is_empty() {
                continue;
            }
            let (label, comparison, value) = operator(term).ok_or_else(|| {
                ApiError::bad_request(format!(
                    "invalid selector: '{text}'; can't understand '{term}'"
                ))
            })?;
            let field = Field::of(resource, label)?;
            terms.push(Term {
                label: label.to_owned(),
                field,
                comparison,
                value: unescape(value)?,
            });
        }
        Ok(Self { terms })
    }

    /// Whether it selects everything.
    pub(crate) fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether it selects an object, which is decoded only if what is kept beside its JSON does
    /// not tell.
    pub(crate) fn matches(&self, object: &Stored) -> bool {
        let told = |term: &Term| term.field.kept.map(|kept| term.accepts(kept.of(object)));
        self.terms.iter().all(|term| told(term).unwrap_or(true)) && {
            let mut untold = self.terms.iter().filter(|term| term.field.kept.is_none());
            match untold.next() {
                None => true,
                Some(first) => {
                    let value = object.value();
                    let accepts = |term: &Term| term.accepts(&term.field.value(&value));
                    accepts(first) && untold.all(accepts)
                }
            }
        }
    }

    /// The one value that the field `label` must have, if it must have one.
    pub(crate) fn exact(&self, label: &str) -> Option<&str> {
        self.terms
            .iter()
            .find(|term| term.label == label && term.comparison == Comparison::Equals)
            .map(|term| term.value.as_str())
    }
}

impl Term {
    fn accepts(&self, value: &str) -> bool {
        (value == self.value) == (self.comparison == Comparison::Equals)
    }
}

impl Kept {
    /// The field at a path, if it is one of those.
    fn at(path: &str) -> Option<Self> {
        match path {
            "metadata.name" => Some(Self::Name),
            "metadata.namespace" => Some(Self::Namespace),
            "spec.nodeName" => Some(Self::NodeName),
            "status.phase" => Some(Self::Phase),
            _ => None,
        }
    }

    fn of(self, object: &Stored) -> &str {
        match self {
            Self::Name => object.key().name(),
            Self::Namespace => object.key().namespace(),
            Self::NodeName => object.node_name(),
            Self::Phase => object.phase(),
        }
    }
}

impl Field {
    fn at(path: &str) -> Self {
        Self::first_of(&[path])
    }

    fn first_of(paths: &[&str]) -> Self {
        let parts = |path: &&str| path.split('.').map(str::to_owned).collect();
        Self {
            paths: paths.iter().map(parts).collect(),
            default: "",
            kept: match paths {
                [path] => Kept::at(path),
                _ => None,
            },
        }
    }

    fn or(self, default: &'static str) -> Self {
        Self { default, ..self }
    }

    /// The field that `label` means for objects of `resource`.
    fn of(resource: &Resource, label: &str) -> Result<Self, ApiError> {
        let by_kind = match &resource.origin {
            Origin::BuiltIn { .. } => Self::built_in(&resource.group, &resource.plural, label),
            Origin::Custom(version) => Some(
                version
                    .selectable_fields
                    .iter()
                    .map(|path| path.trim_start_matches('.'))
                    .find(|path| *path == label)
                    // What is kept is text, which such a field need not be.
                    .map(|path| Self {
                        kept: None,
                        ..Self::at(path)
                    }),
            ),
        };
        let selects_namespace = resource.namespaced || by_kind.is_none();
        if label == "metadata.name" || (label == "metadata.namespace" && selects_namespace) {
            return Ok(Self::at(label));
        }
        match by_kind {
            Some(Some(field)) => Ok(field),
            Some(None) => Err(ApiError::bad_request(match resource.plural.as_str() {
                "jobs" => format!("field label {label:?} not supported for batchv1.Job"),
                _ => format!("field label not supported: {label}"),
            })),
            None => Err(ApiError::bad_request(format!(
                "{label:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
            ))),
        }
    }

    /// `None` if the kind has no fields of its own to select by.
    fn built_in(group: &str, plural: &str, label: &str) -> Option<Option<Self>> {
        let field = match (group, plural) {
            ("", "pods") => match label {
                "spec.nodeName" | "spec.host" => Some(Self::at("spec.nodeName")),
                "spec.hostNetwork" => Some(Self::at(label).or("false")),
                "status.podIP" => Some(Self::at(label)),
                // Accepted, and never equal to an address: so it is upstream.
                "status.podIPs" => Some(Self::first_of(&[])),
                "spec.restartPolicy"
                | "spec.schedulerName"
                | "spec.serviceAccountName"
                | "status.phase"
                | "status.nominatedNodeName" => Some(Self::at(label)),
                _ => None,
            },
            ("", "nodes") => (label == "spec.unschedulable").then(|| Self::at(label).or("false")),
            ("", "replicationcontrollers") => {
                (label == "status.replicas").then(|| Self::at(label).or("0"))
            }
            ("", "namespaces") => (label == "status.phase").then(|| Self::at(label)),
            ("", "secrets") => (label == "type").then(|| Self::at(label)),
            ("", "services") => {
                matches!(label, "spec.clusterIP" | "spec.type").then(|| Self::at(label))
            }
            ("", "events") => Self::core_event(label),
            ("events.k8s.io", "events") => match label.strip_prefix("regarding.") {
                Some(part) => Self::core_event(&format!("involvedObject.{part}")),
                None => match label {
                    "reason" | "type" => Self::core_event(label),
                    "reportingController" => Self::core_event("reportingComponent"),
                    _ => None,
                },
            },
            ("batch", "jobs") => {
                (label == "status.successful").then(|| Self::at("status.succeeded").or("0"))
            }
            ("certificates.k8s.io", "certificatesigningrequests") => {
                (label == "spec.signerName").then(|| Self::at(label))
            }
            ("resource.k8s.io", "resourceslices") => {
                matches!(label, "spec.nodeName" | "spec.driver").then(|| Self::at(label))
            }
            _ => return None,
        };
        Some(field)
    }

    /// Fields of events, whichever of its two faces an event is in.
    fn core_event(label: &str) -> Option<Self> {
        let reporter = ["reportingComponent", "reportingController"];
        match label {
            "reason" | "type" => Some(Self::at(label)),
            "reportingComponent" => Some(Self::first_of(&reporter)),
            "source" => Some(Self::first_of(&[
                "source.component",
                "deprecatedSource.component",
                reporter[0],
                reporter[1],
            ])),
            _ => match label.strip_prefix("involvedObject.")? {
                part @ ("kind" | "namespace" | "name" | "uid" | "apiVersion"
                | "resourceVersion" | "fieldPath") => {
                    Some(Self::first_of(&[label, &format!("regarding.{part}")]))
                }
                _ => None,
            },
        }
    }

    fn value<'a>(&self, object: &'a Value) -> Cow<'a, str> {
        for path in &self.paths {
            let found = path.iter().try_fold(object, |at, part| at.get(part));
            match found {
                Some(Value::String(text)) if !text.is_empty() => return Cow::Borrowed(text),
                Some(value @ (Value::Bool(_) | Value::Number(_))) => {
                    return Cow::Owned(value.to_string());
                }
                _ => {}
            }
        }
        Cow::Borrowed(self.default)
    }
}

/// Splits at the commas that no backslash precedes.
fn split_unescaped(text: &str) -> impl Iterator<Item = &str> {
    let mut escaped = false;
    text.split(move |c| {
        let splits = c == ',' && !escaped;
        escaped = c == '\\' && !escaped;
        splits
    })
}

/// Splits a term at its first operator.
fn operator(term: &str) -> Option<(&str, Comparison, &str)> {
    let at = term.find(['=', '!'])?;
    let (label, rest) = term.split_at(at);
    for (symbol, comparison) in [
        ("!=", Comparison::NotEquals),
        ("==", Comparison::Equals),
        ("=", Comparison::Equals),
    ] {
        if let Some(value) = rest.strip_prefix(symbol) {
            return Some((label, comparison, value));
        }
    }
    None
}

/// Resolves `\\`, `\,` and `\=`.
fn unescape(value: &str) -> Result<String, ApiError> {
    let mut plain = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('\\' | ',' | '=')) => plain.push(c),
                other => {
                    let other = other.map(String::from).unwrap_or_default();
                    return Err(ApiError::bad_request(format!(
                        "invalid field selector: invalid escape sequence: \\{other}"
                    )));
                }
            },
            '=' => {
                return Err(ApiError::bad_request(
                    "invalid field selector: unescaped character in value: =",
                ));
            }
            c => plain.push(c),
        }
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::Registry;
    use crate::store::Key;

    fn resource(group: &str, plural: &str) -> std::sync::Arc<Resource> {
        let resources = Registry::kubernetes().resources();
        std::sync::Arc::clone(resources.get(group, "v1", plural).unwrap())
    }

    fn stored(object: &Value) -> Stored {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
        Stored::new(Key::new(text("namespace"), text("name")), 1, object.clone())
    }

    fn selected(group: &str, plural: &str, selector: &str, object: &Value) -> bool {
        let selector = FieldSelector::parse(&resource(group, plural), selector).unwrap();
        let by_json = selector
            .terms
            .iter()
            .all(|term| term.accepts(&term.field.value(object)));
        let selected = selector.matches(&stored(object));
        assert_eq!(selected, by_json, "what is kept is what the object says");
        selected
    }

    fn refused(group: &str, plural: &str, selector: &str) -> String {
        let error = FieldSelector::parse(&resource(group, plural), selector).unwrap_err();
        assert_eq!(error.code(), 400);
        error.to_string()
    }

    #[test]
    fn every_kind_is_selected_by_name_and_namespace() {
        let object = json!({"metadata": {"name": "a", "namespace": "n"}});
        assert!(selected(
            "",
            "configmaps",
            "metadata.name=a,metadata.namespace==n",
            &object
        ));
        assert!(!selected("", "configmaps", "metadata.name!=a", &object));
        assert!(selected("", "configmaps", "", &object));
        let selector =
            FieldSelector::parse(&resource("", "configmaps"), "metadata.name=a").unwrap();
        assert_eq!(selector.exact("metadata.name"), Some("a"));
        let selector =
            FieldSelector::parse(&resource("", "configmaps"), "metadata.name!=a").unwrap();
        assert_eq!(selector.exact("metadata.name"), None);
    }

    #[test]
    fn pods_are_selected_by_their_own_fields_with_defaults() {
        let pod = json!({"metadata": {"name": "p"}, "spec": {"nodeName": "n1"}, "status": {"phase": "Pending"}});
        for selector in [
            "spec.nodeName=n1",
            "spec.host=n1",
            "status.phase=Pending",
            "spec.hostNetwork=false",
            "status.podIP=",
            "spec.serviceAccountName=",
            "status.podIPs=",
            "status.phase!=Running,spec.nodeName!=n2",
        ] {
            assert!(selected("", "pods", selector, &pod), "{selector}");
        }
        assert!(!selected("", "pods", "spec.nodeName=", &pod));
        assert!(selected(
            "",
            "pods",
            "spec.hostNetwork=true",
            &json!({"spec": {"hostNetwork": true}})
        ));
    }

    #[test]
    fn events_are_selected_the_same_in_both_faces() {
        let old = json!({"involvedObject": {"kind": "Pod"}, "source": {"component": "c"}});
        let new = json!({"regarding": {"kind": "Pod"}, "deprecatedSource": {"component": "c"}});
        for event in [&old, &new] {
            assert!(selected(
                "",
                "events",
                "involvedObject.kind=Pod,source=c",
                event
            ));
            assert!(selected(
                "events.k8s.io",
                "events",
                "regarding.kind=Pod",
                event
            ));
        }
        let by_reporter = json!({"reportingComponent": "r"});
        assert!(selected(
            "",
            "events",
            "source=r,reportingComponent=r",
            &by_reporter
        ));
        refused("", "events", "involvedObject.bogus=x");
    }

    #[test]
    fn unknown_fields_are_refused_in_the_words_of_the_kind() {
        assert_eq!(
            refused("", "pods", "spec.bogus=x"),
            "field label not supported: spec.bogus"
        );
        assert_eq!(
            refused("apps", "deployments", "spec.replicas=1"),
            "\"spec.replicas\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
        );
        assert_eq!(
            refused("batch", "jobs", "spec.x=1"),
            "field label \"spec.x\" not supported for batchv1.Job"
        );
        assert_eq!(
            refused("", "nodes", "metadata.namespace=x"),
            "field label not supported: metadata.namespace"
        );
    }

    #[test]
    fn values_can_hold_the_separators_when_escaped() {
        let selector =
            FieldSelector::parse(&resource("", "configmaps"), r"metadata.name=a\,b\=c\\d").unwrap();
        assert_eq!(selector.exact("metadata.name"), Some(r"a,b=c\d"));
        for bad in [
            "metadata.name",
            "metadata.name!x",
            r"metadata.name=a\b",
            "metadata.name=a=b",
            r"metadata.name=\",
        ] {
            refused("", "configmaps", bad);
        }
    }
}
