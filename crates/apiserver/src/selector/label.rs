//! Label selectors: `a=b,c in (d,e),!f`.

mod parser;

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use crate::error::ApiError;
use crate::syntax;

/// A conjunction of requirements on labels; the empty one selects everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct LabelSelector {
    /// Sorted by key.
    requirements: Vec<Requirement>,
}

#[derive(Clone, Debug, PartialEq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    Equals(String),
    /// Also true of objects without the label.
    NotEquals(String),
    In(BTreeSet<String>),
    /// Also true of objects without the label.
    NotIn(BTreeSet<String>),
    Exists,
    Absent,
    GreaterThan(i64),
    LessThan(i64),
}

impl LabelSelector {
    /// Reads the text of a `labelSelector` parameter; 400 if it is none.
    pub(crate) fn parse(text: &str) -> Result<Self, ApiError> {
        parser::parse(text).map_err(ApiError::bad_request)
    }

    /// Reads a `LabelSelector` object: `matchLabels` and `matchExpressions`.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words.
    pub(crate) fn from_value(selector: &Value) -> Result<Self, String> {
        let mut requirements = Vec::new();
        for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
            let value = value.as_str().unwrap_or_default().to_owned();
            requirements.push(Requirement::new(key, Test::Equals(value))?);
        }
        for expression in selector["matchExpressions"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let key = expression["key"].as_str().unwrap_or_default();
            let values = || {
                let values = expression["values"].as_array().into_iter().flatten();
                values
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect()
            };
            let test = match expression["operator"].as_str().unwrap_or_default() {
                "In" => Test::In(values()),
                "NotIn" => Test::NotIn(values()),
                "Exists" => Test::Exists,
                "DoesNotExist" => Test::Absent,
                other => {
                    return Err(format!(
                        "\"{other}\" is not a valid label selector operator"
                    ));
                }
            };
            requirements.push(Requirement::new(key, test)?);
        }
        Ok(Self::of(requirements))
    }

    fn of(mut requirements: Vec<Requirement>) -> Self {
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Self { requirements }
    }

    /// Whether it selects everything.
    pub(crate) fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Whether it selects objects with these labels; null is no labels.
    pub(crate) fn matches_labels(&self, labels: &Value) -> bool {
        self.requirements
            .iter()
            .all(|requirement| requirement.holds(labels[&requirement.key].as_str()))
    }
}

impl Requirement {
    /// A requirement that can hold; an error if key or values cannot be those of a label.
    fn new(key: &str, test: Test) -> Result<Self, String> {
        let problems = syntax::label_key(key);
        if !problems.is_empty() {
            return Err(format!(
                "<nil>: Invalid value: {key:?}: {}",
                problems.join("; ")
            ));
        }
        let values: Vec<&String> = match &test {
            Test::Equals(value) | Test::NotEquals(value) => vec![value],
            Test::In(values) | Test::NotIn(values) => {
                if values.is_empty() {
                    return Err(
                        "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty"
                            .to_owned(),
                    );
                }
                values.iter().collect()
            }
            Test::Exists | Test::Absent | Test::GreaterThan(_) | Test::LessThan(_) => Vec::new(),
        };
        for (index, value) in values.into_iter().enumerate() {
            let problems = syntax::label_value(value);
            if !problems.is_empty() {
                return Err(format!(
                    "values[{index}][{key}]: Invalid value: {value:?}: {}",
                    problems.join("; ")
                ));
            }
        }
        Ok(Self {
            key: key.to_owned(),
            test,
        })
    }

    fn holds(&self, label: Option<&str>) -> bool {
        let number = || label.and_then(|value| value.parse::<i64>().ok());
        match &self.test {
            Test::Equals(value) => label == Some(value),
            Test::NotEquals(value) => label != Some(value),
            Test::In(values) => label.is_some_and(|label| values.contains(label)),
            Test::NotIn(values) => !label.is_some_and(|label| values.contains(label)),
            Test::Exists => label.is_some(),
            Test::Absent => label.is_none(),
            Test::GreaterThan(bound) => number().is_some_and(|number| number > *bound),
            Test::LessThan(bound) => number().is_some_and(|number| number < *bound),
        }
    }
}

/// The text that parses to this selector: `a=b,c in (d,e),!f`.
impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Requirement { key, test }) in self.requirements.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            match test {
                Test::Equals(value) => write!(f, "{key}={value}")?,
                Test::NotEquals(value) => write!(f, "{key}!={value}")?,
                Test::In(values) => write!(f, "{key} in ({})", join(values))?,
                Test::NotIn(values) => write!(f, "{key} notin ({})", join(values))?,
                Test::Exists => write!(f, "{key}")?,
                Test::Absent => write!(f, "!{key}")?,
                Test::GreaterThan(bound) => write!(f, "{key}>{bound}")?,
                Test::LessThan(bound) => write!(f, "{key}<{bound}")?,
            }
        }
        Ok(())
    }
}

fn join(values: &BTreeSet<String>) -> String {
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    values.join(",")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn selected(selector: &str, labels: &Value) -> bool {
        LabelSelector::parse(selector)
            .unwrap()
            .matches_labels(labels)
    }

    #[test]
    fn each_operator_selects_what_it_says() {
        let labels = json!({"a": "x", "n": "5", "empty": ""});
        for selector in [
            "",
            "a",
            "!b",
            "a=x",
            "a==x",
            "a!=y",
            "b!=x",
            "a in (x,y)",
            "a notin (y)",
            "b notin (x)",
            "n>4",
            "n<6",
            "empty=",
            "empty in (,z)",
            "a=x,n=5",
            " a  in ( x , y ) ",
            "empty=,a",
        ] {
            assert!(selected(selector, &labels), "{selector:?}");
        }
        for selector in [
            "b",
            "!a",
            "a=y",
            "a!=x",
            "a in (y)",
            "a notin (x,y)",
            "n>5",
            "n<5",
            "a>1",
            "b>1",
            "b=",
            "a=x,n=6",
        ] {
            assert!(!selected(selector, &labels), "{selector:?}");
        }
    }

    #[test]
    fn an_object_without_labels_is_selected_only_by_absence() {
        let selects = |selector: &str| {
            LabelSelector::parse(selector)
                .unwrap()
                .matches_labels(&Value::Null)
        };
        assert!(selects("!a") && selects("a!=b") && selects("a notin (b)") && selects(""));
        assert!(!selects("a") && !selects("a="));
    }

    #[test]
    fn keywords_are_names_where_a_name_stands() {
        assert!(selected(
            "in in (in,notin),notin",
            &json!({"in": "notin", "notin": ""})
        ));
        assert!(selected("a=in", &json!({"a": "in"})));
    }

    #[test]
    fn what_does_not_parse_is_told_as_kubernetes_tells_it() {
        for (selector, message) in [
            (
                "a in",
                "unable to parse requirement: found '' expected: '('",
            ),
            (
                "a in (x",
                "unable to parse requirement: found '', expected: ',' or ')'",
            ),
            (
                "a in ()",
                "unable to parse requirement: values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty",
            ),
            ("a=b=c", "found '=', expected: ',' or 'end of string'"),
            ("a,", "found '', expected: identifier after ','"),
            (
                "=a",
                "found '=', expected: !, identifier, or 'end of string'",
            ),
            (
                "!",
                "unable to parse requirement: found '', expected: identifier",
            ),
            (
                "a b",
                "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt",
            ),
            (
                "a>x",
                "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer",
            ),
            (
                "a=-x",
                "unable to parse requirement: values[0][a]: Invalid value: \"-x\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
            ),
        ] {
            let error = LabelSelector::parse(selector).unwrap_err();
            assert_eq!(error.to_string(), message, "{selector:?}");
            assert_eq!(error.code(), 400);
        }
    }

    #[test]
    fn an_object_selector_reads_labels_and_expressions() {
        let selector = LabelSelector::from_value(&json!({
            "matchLabels": {"z": "1"},
            "matchExpressions": [
                {"key": "a", "operator": "In", "values": ["y", "x"]},
                {"key": "b", "operator": "DoesNotExist"},
            ],
        }))
        .unwrap();
        assert_eq!(selector.to_string(), "a in (x,y),!b,z=1");
        assert!(selector.matches_labels(&json!({"z": "1", "a": "x"})));
        assert!(!selector.matches_labels(&json!({"z": "1", "a": "x", "b": ""})));
        assert!(
            LabelSelector::from_value(
                &json!({"matchExpressions": [{"key": "a", "operator": "Near"}]})
            )
            .is_err()
        );
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "[a-c =!<>,()\\-inot]{0,30}") {
            let _ = LabelSelector::parse(&text);
        }

        #[test]
        fn what_is_shown_parses_to_the_same(text in "(!?[a-c]|[a-c](=|!=)[a-c]?|[a-c] (in|notin) \\([a-c](,[a-c])*\\)|[a-c][<>][0-9])(,[d-f]){0,3}") {
            let selector = LabelSelector::parse(&text).unwrap();
            prop_assert_eq!(LabelSelector::parse(&selector.to_string()).unwrap(), selector);
        }
    }
}
