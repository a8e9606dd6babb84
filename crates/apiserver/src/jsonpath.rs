//! JSON paths as `kubectl` and printer columns write them: `.status.conditions[?(@.type=="Ready")].status`.
//!
//! This is Kubernetes' own dialect, not RFC 9535: a path may start anywhere, a name ends where
//! punctuation begins, and a backslash takes a dot into a name.

mod parser;

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value;

/// A path into a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct JsonPath(Vec<Step>);

/// One step of a path, from many values to many.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    /// `.name`
    Field(String),
    /// `.*` and `[*]`
    Wildcard,
    /// `..`
    Recursive,
    /// `[2]`, `[-1]`, `[1:3]`, `[::2]`
    Slice(Slice),
    /// `[0,2]`, `['a','b']`
    Union(Vec<Vec<Step>>),
    /// `[?(@.a=="b")]`
    Filter(Filter),
    /// `"text"`, `1`, `true`
    Literal(Value),
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Slice {
    /// From here; from the end if negative.
    start: i64,
    end: End,
    step: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// One item alone.
    AfterOne,
    /// Before here; from the end if negative.
    Before(i64),
    Last,
}

#[derive(Clone, Debug, PartialEq)]
struct Filter {
    left: Vec<Step>,
    /// `None` to ask only whether there is something.
    comparison: Option<(Operator, Vec<Step>)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A path that cannot be followed in this value, such as an index beyond the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoSuchPath;

type Found<'a> = Result<Vec<Cow<'a, Value>>, NoSuchPath>;

impl JsonPath {
    /// Reads a path.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        parser::parse(text).map(Self)
    }

    /// The values at the path; fields that are missing lead nowhere.
    ///
    /// # Errors
    ///
    /// If a list is asked for more than it has, or something else is taken for a list.
    pub(crate) fn find<'a>(&self, value: &'a Value) -> Found<'a> {
        follow(&self.0, Cow::Borrowed(value))
    }
}

fn follow<'a>(steps: &[Step], value: Cow<'a, Value>) -> Found<'a> {
    let mut current = vec![value];
    for step in steps {
        let mut next = Vec::new();
        for value in current {
            step.take(value, &mut next)?;
        }
        current = next;
    }
    Ok(current)
}

impl Step {
    fn take<'a>(
        &self,
        value: Cow<'a, Value>,
        out: &mut Vec<Cow<'a, Value>>,
    ) -> Result<(), NoSuchPath> {
        match self {
            Self::Field(name) => out.extend(child(&value, |value| value.as_object()?.get(name))),
            Self::Wildcard => out.extend(children(&value)),
            Self::Recursive => descend(value, out),
            Self::Slice(slice) => match array_len(&value)? {
                None => {}
                Some(length) => {
                    for index in slice.indices(length)? {
                        out.extend(child(&value, |value| value.get(index)));
                    }
                }
            },
            Self::Union(paths) => {
                for path in paths {
                    out.extend(follow(path, value.clone())?);
                }
            }
            Self::Filter(filter) => {
                for item in
                    (0..array_len(&value)?.unwrap_or(0)).filter_map(|i| child(&value, |v| v.get(i)))
                {
                    if filter.passes(&item)? {
                        out.push(item);
                    }
                }
            }
            Self::Literal(literal) => out.push(Cow::Owned(literal.clone())),
        }
        Ok(())
    }
}

/// A part of a value, borrowed for as long as the value is.
fn child<'a>(
    value: &Cow<'a, Value>,
    part: impl Fn(&Value) -> Option<&Value>,
) -> Option<Cow<'a, Value>> {
    match value {
        Cow::Borrowed(value) => part(value).map(Cow::Borrowed),
        Cow::Owned(value) => part(value).cloned().map(Cow::Owned),
    }
}

fn children<'a>(value: &Cow<'a, Value>) -> Vec<Cow<'a, Value>> {
    let keys: Vec<String> = value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, _)| key.clone())
        .collect();
    let fields = keys
        .iter()
        .filter_map(|key| child(value, |value| value.get(key)));
    let length = value.as_array().map_or(0, Vec::len);
    let items = (0..length).filter_map(|index| child(value, |value| value.get(index)));
    fields.chain(items).collect()
}

/// A value and all values below it, those without parts left out.
fn descend<'a>(value: Cow<'a, Value>, out: &mut Vec<Cow<'a, Value>>) {
    let parts = children(&value);
    if parts.is_empty() {
        return;
    }
    out.push(value);
    for part in parts {
        descend(part, out);
    }
}

/// The length of a list; `None` for null.
fn array_len(value: &Value) -> Result<Option<usize>, NoSuchPath> {
    match value {
        Value::Null => Ok(None),
        Value::Array(items) => Ok(Some(items.len())),
        _ => Err(NoSuchPath),
    }
}

impl Slice {
    fn indices(self, length: usize) -> Result<impl Iterator<Item = usize>, NoSuchPath> {
        let count = i64::try_from(length).map_err(|_| NoSuchPath)?;
        let from_end = |index: i64| match index {
            ..0 => index.saturating_add(count),
            index => index,
        };
        let start = from_end(self.start);
        let end = match self.end {
            End::AfterOne => start.saturating_add(1),
            End::Before(end) => from_end(end),
            End::Last => count,
        };
        // Nothing may be asked of a list of any length.
        let nothing = start == end && self.end != End::AfterOne;
        if !nothing && (start < 0 || start >= count || end < start || end > count) {
            return Err(NoSuchPath);
        }
        let bound = |index: i64| usize::try_from(index).unwrap_or_default();
        Ok((bound(start)..bound(end)).step_by(self.step))
    }
}

impl Filter {
    fn passes(&self, item: &Value) -> Result<bool, NoSuchPath> {
        let left = follow(&self.left, Cow::Borrowed(item));
        let Some((operator, right)) = &self.comparison else {
            return Ok(left.is_ok_and(|found| !found.is_empty()));
        };
        let right = follow(right, Cow::Borrowed(item))?;
        match (left?.as_slice(), right.as_slice()) {
            ([left], [right]) => operator.holds(left, right),
            ([], _) | (_, []) => Ok(false),
            _ => Err(NoSuchPath),
        }
    }
}

impl Operator {
    fn holds(self, left: &Value, right: &Value) -> Result<bool, NoSuchPath> {
        let order = match (left, right) {
            (Value::String(left), Value::String(right)) => left.cmp(right),
            (Value::Number(left), Value::Number(right)) => left
                .as_f64()
                .partial_cmp(&right.as_f64())
                .ok_or(NoSuchPath)?,
            (Value::Bool(left), Value::Bool(right))
                if matches!(self, Self::Equal | Self::NotEqual) =>
            {
                left.cmp(right)
            }
            _ => return Err(NoSuchPath),
        };
        Ok(match self {
            Self::Equal => order == Ordering::Equal,
            Self::NotEqual => order != Ordering::Equal,
            Self::Less => order == Ordering::Less,
            Self::LessOrEqual => order != Ordering::Greater,
            Self::Greater => order == Ordering::Greater,
            Self::GreaterOrEqual => order != Ordering::Less,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn find(path: &str) -> Result<Value, NoSuchPath> {
        let value = json!({
            "a": {"b": "x", "d.e": 1, "n": null},
            "list": [{"t": "A", "v": 1, "on": true}, {"t": "B", "v": 2}, {"t": "C", "v": 3.5}],
            "empty": [],
        });
        let found = JsonPath::parse(path).unwrap().find(&value)?;
        Ok(found.into_iter().map(Cow::into_owned).collect())
    }

    fn check(path: &str, expected: Value) {
        assert_eq!(find(path), Ok(expected), "{path}");
    }

    #[test]
    fn fields_are_found_by_name() {
        check(".a.b", json!(["x"]));
        check("a.b", json!(["x"]));
        check("$.a.b", json!(["x"]));
        check("@.a.b", json!(["x"]));
        check("$['a']['b']", json!(["x"]));
        check(r".a.d\.e", json!([1]));
        check(r"['a']['d\.e']", json!([1]));
        check(".a.n", json!([null]));
        check(".a.missing.more", json!([]));
        check(".a.b.c", json!([]));
    }

    #[test]
    fn lists_are_indexed_and_sliced() {
        check(".list[0].t", json!(["A"]));
        check(".list[-1].t", json!(["C"]));
        check(".list[1:].t", json!(["B", "C"]));
        check(".list[:2].t", json!(["A", "B"]));
        check(".list[0:3:2].t", json!(["A", "C"]));
        check(".list[::2].t", json!(["A", "C"]));
        check(".list[*].v", json!([1, 2, 3.5]));
        check(".list[0,2].t", json!(["A", "C"]));
        check(".list[0]['t','v']", json!(["A", 1]));
        check(".empty[0:0]", json!([]));
        for path in [
            ".list[3]",
            ".list[9223372036854775807]",
            ".list[-4]",
            ".list[2:1]",
            ".a[0]",
            ".empty[0]",
        ] {
            assert_eq!(find(path), Err(NoSuchPath), "{path}");
        }
    }

    #[test]
    fn filters_pick_items() {
        check(r#".list[?(@.t=="B")].v"#, json!([2]));
        check(".list[?(@.t=='B')].v", json!([2]));
        check(".list[?(@.t!='B')].v", json!([1, 3.5]));
        check(".list[?(@.v>1)].t", json!(["B", "C"]));
        check(".list[?(@.v<=2)].t", json!(["A", "B"]));
        check(".list[?(@.v >= 3.5)].t", json!(["C"]));
        check(".list[?(@.on)].t", json!(["A"]));
        check(".list[?(@.on==true)].t", json!(["A"]));
        check(".list[?(@.t==')')].v", json!([]));
        assert_eq!(find(".list[?(@.t==1)]"), Err(NoSuchPath));
        assert_eq!(find(".a[?(@.b)]"), Err(NoSuchPath));
    }

    #[test]
    fn everything_below_is_found() {
        check("..t", json!(["A", "B", "C"]));
        check(".list..v", json!([1, 2, 3.5]));
        check(".a.*", json!(["x", 1, null]));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for path in [
            ".a[",
            ".a[b]",
            ".a[?(@.b]",
            ".a[?(@.b)",
            "....",
            ".a{",
            "\"x",
            "range .a",
            ".a[0:x]",
            ".a[1:2:0]",
        ] {
            assert!(JsonPath::parse(path).is_err(), "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in r#"[.$@*\[\]?()'"=<>!:,0-9a-c\\ -]{0,24}"#) {
            let value = json!({"a": [1, {"b": "c"}], "b": {"c": [[0]]}});
            if let Ok(path) = JsonPath::parse(&text) {
                let _ = path.find(&value);
            }
        }
    }
}
