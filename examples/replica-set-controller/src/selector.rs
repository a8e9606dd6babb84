use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

/// A label selector made ready for matching.
///
/// Answers to apimachinery's `LabelSelectorAsSelector`: no selector at all selects nothing, an
/// empty one selects everything, and requirements must all hold.
///
/// # Example
///
/// ```
/// use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
/// use replica_set_controller::Selector;
///
/// let selector = Selector::new(Some(&LabelSelector {
///     match_labels: Some([("app".into(), "web".into())].into()),
///     ..LabelSelector::default()
/// }))?;
/// assert!(selector.matches(|key| (key == "app").then_some("web")));
/// assert!(!selector.matches(|_| None));
/// # Ok::<(), replica_set_controller::InvalidSelector>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// `None` selects nothing.
    requirements: Option<Vec<Requirement>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Operator {
    Equals(String),
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    DoesNotExist,
}

impl Selector {
    /// Reads the API's form.
    ///
    /// # Errors
    ///
    /// [`InvalidSelector`] if an operator is unknown or its values do not suit it, or if a key
    /// or a value could not stand in a label.
    pub fn new(selector: Option<&LabelSelector>) -> Result<Self, InvalidSelector> {
        let Some(selector) = selector else {
            return Ok(Self { requirements: None });
        };
        let labels = selector.match_labels.iter().flatten();
        let equals = labels.map(|(key, value)| {
            let operator = Operator::Equals(checked_value(key, value)?.to_owned());
            Ok(Requirement {
                key: checked_key(key)?.to_owned(),
                operator,
            })
        });
        let expressions = selector.match_expressions.iter().flatten();
        let requirements = equals
            .chain(expressions.map(Requirement::new))
            .collect::<Result<_, InvalidSelector>>()?;
        Ok(Self {
            requirements: Some(requirements),
        })
    }

    /// Whether the selector has no requirement, or is none at all.
    ///
    /// Upstream lets neither adopt by label: a set with such a selector is found by no orphan.
    pub fn is_empty(&self) -> bool {
        self.requirements.as_ref().is_none_or(Vec::is_empty)
    }

    /// Whether labels fulfil every requirement; `label` looks up the value of a key.
    pub fn matches<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.requirements.as_ref().is_some_and(|requirements| {
            requirements
                .iter()
                .all(|requirement| requirement.operator.holds(label(&requirement.key)))
        })
    }
}

impl Requirement {
    fn new(requirement: &LabelSelectorRequirement) -> Result<Self, InvalidSelector> {
        let key = checked_key(&requirement.key)?.to_owned();
        let values = requirement.values.as_deref().unwrap_or_default();
        for value in values {
            checked_value(&key, value)?;
        }
        let operator = match (requirement.operator.as_str(), values) {
            ("In" | "NotIn", []) => return Err(InvalidSelector::NoValues { key }),
            ("In", _) => Operator::In(values.to_vec()),
            ("NotIn", _) => Operator::NotIn(values.to_vec()),
            ("Exists", []) => Operator::Exists,
            ("DoesNotExist", []) => Operator::DoesNotExist,
            ("Exists" | "DoesNotExist", _) => return Err(InvalidSelector::Values { key }),
            (operator, _) => {
                return Err(InvalidSelector::Operator {
                    operator: operator.to_owned(),
                });
            }
        };
        Ok(Self { key, operator })
    }
}

impl Operator {
    fn holds(&self, value: Option<&str>) -> bool {
        match self {
            Self::Equals(wanted) => value == Some(wanted),
            Self::In(wanted) => value.is_some_and(|value| wanted.iter().any(|one| one == value)),
            // An object without the label is not in the set either.
            Self::NotIn(refused) => {
                value.is_none_or(|value| refused.iter().all(|one| one != value))
            }
            Self::Exists => value.is_some(),
            Self::DoesNotExist => value.is_none(),
        }
    }
}

/// Why a label selector cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidSelector {
    /// The operator is none of `In`, `NotIn`, `Exists` and `DoesNotExist`.
    #[error("{operator:?} is not a valid label selector operator")]
    Operator {
        /// What stands there.
        operator: String,
    },
    /// `In` or `NotIn` without values.
    #[error("the requirement on {key:?} needs values")]
    NoValues {
        /// The label it concerns.
        key: String,
    },
    /// `Exists` or `DoesNotExist` with values.
    #[error("the requirement on {key:?} takes no values")]
    Values {
        /// The label it concerns.
        key: String,
    },
    /// The key cannot be that of a label.
    #[error("{key:?} cannot be the key of a label")]
    Key {
        /// What stands there.
        key: String,
    },
    /// The value cannot be that of a label.
    #[error("{value:?} cannot be the value of the label {key:?}")]
    Value {
        /// The label it concerns.
        key: String,
        /// What stands there.
        value: String,
    },
}

/// A label key: an optional DNS subdomain and `/`, then a qualified name.
fn checked_key(key: &str) -> Result<&str, InvalidSelector> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    let valid = prefix.is_none_or(crate::names::is_dns_subdomain) && is_qualified(name);
    valid.then_some(key).ok_or_else(|| InvalidSelector::Key {
        key: key.to_owned(),
    })
}

/// A label value: empty or a qualified name.
fn checked_value<'a>(key: &str, value: &'a str) -> Result<&'a str, InvalidSelector> {
    let valid = value.is_empty() || is_qualified(value);
    valid
        .then_some(value)
        .ok_or_else(|| InvalidSelector::Value {
            key: key.to_owned(),
            value: value.to_owned(),
        })
}

/// At most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends.
fn is_qualified(name: &str) -> bool {
    let bytes = name.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    bytes.len() <= 63
        && first.is_ascii_alphanumeric()
        && last.is_ascii_alphanumeric()
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expression(key: &str, operator: &str, values: &[&str]) -> LabelSelector {
        LabelSelector {
            match_labels: None,
            match_expressions: Some(vec![LabelSelectorRequirement {
                key: key.into(),
                operator: operator.into(),
                values: Some(values.iter().map(|&value| value.into()).collect()),
            }]),
        }
    }

    fn matches(selector: &LabelSelector, labels: &[(&str, &str)]) -> bool {
        Selector::new(Some(selector)).unwrap().matches(|key| {
            let found = labels.iter().find(|(label, _)| *label == key);
            found.map(|(_, value)| *value)
        })
    }

    #[test]
    fn none_selects_nothing_and_empty_selects_everything() {
        let none = Selector::new(None).unwrap();
        assert!(none.is_empty() && !none.matches(|_| None));
        let empty = Selector::new(Some(&LabelSelector::default())).unwrap();
        assert!(empty.is_empty() && empty.matches(|_| None));
    }

    #[test]
    fn each_operator() {
        let web = [("app", "web")];
        for (operator, values, on_web, on_other, on_none) in [
            ("In", &["web", "db"][..], true, false, false),
            ("NotIn", &["web", "db"][..], false, true, true),
            ("Exists", &[][..], true, true, false),
            ("DoesNotExist", &[][..], false, false, true),
        ] {
            let selector = expression("app", operator, values);
            assert_eq!(matches(&selector, &web), on_web, "{operator}");
            assert_eq!(matches(&selector, &[("app", "x")]), on_other, "{operator}");
            assert_eq!(matches(&selector, &[]), on_none, "{operator}");
        }
    }

    #[test]
    fn all_requirements_must_hold() {
        let selector = LabelSelector {
            match_labels: Some([("app".into(), "web".into())].into()),
            ..expression("tier", "Exists", &[])
        };
        assert!(matches(&selector, &[("app", "web"), ("tier", "1")]));
        assert!(!matches(&selector, &[("app", "web")]));
        assert!(!matches(&selector, &[("tier", "1")]));
    }

    #[test]
    fn nonsense_is_refused() {
        let refused = |selector: &LabelSelector| Selector::new(Some(selector)).unwrap_err();
        assert!(matches!(
            refused(&expression("a", "Like", &["b"])),
            InvalidSelector::Operator { .. }
        ));
        assert!(matches!(
            refused(&expression("a", "In", &[])),
            InvalidSelector::NoValues { .. }
        ));
        assert!(matches!(
            refused(&expression("a", "Exists", &["b"])),
            InvalidSelector::Values { .. }
        ));
        for key in ["", "a b", "-a", "/a", "A_/a", &"x".repeat(64)] {
            assert!(
                matches!(
                    refused(&expression(key, "Exists", &[])),
                    InvalidSelector::Key { .. }
                ),
                "{key}"
            );
        }
        assert!(matches!(
            refused(&expression("a", "In", &["a/b"])),
            InvalidSelector::Value { .. }
        ));
        assert!(matches(
            &expression("example.com/a", "In", &[""]),
            &[("example.com/a", "")]
        ));
    }
}
