//! The columns of custom resources: `additionalPrinterColumns` of their definition.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::age;
use super::columns;
use super::subject::Subject;
use crate::jsonpath::JsonPath;

/// The columns of one version of a custom resource; name comes before all.
#[derive(Debug)]
pub(super) struct CustomColumns(Vec<CustomColumn>);

#[derive(Debug)]
struct CustomColumn {
    definition: Value,
    kind: String,
    /// `None` for a path that cannot be read: its cells stay empty.
    path: Option<JsonPath>,
}

impl CustomColumns {
    /// For the columns as a definition has them; without any there is the age.
    pub(super) fn new(columns: &[Value]) -> Self {
        if columns.is_empty() {
            return Self(vec![CustomColumn {
                definition: columns::age(),
                kind: "date".to_owned(),
                path: JsonPath::parse(".metadata.creationTimestamp").ok(),
            }]);
        }
        Self(columns.iter().map(CustomColumn::new).collect())
    }

    pub(super) fn definitions(&self) -> Value {
        let own = self.0.iter().map(|column| column.definition.clone());
        std::iter::once(columns::name()).chain(own).collect()
    }

    pub(super) fn cells(&self, subject: &Subject<'_>) -> Vec<Value> {
        let own = self.0.iter().map(|column| column.cell(subject));
        std::iter::once(subject.name()).chain(own).collect()
    }
}

impl CustomColumn {
    fn new(column: &Value) -> Self {
        let text = |field: &str| column[field].as_str().unwrap_or_default();
        let path = text("jsonPath");
        let description = match text("description") {
            "" => format!("Custom resource definition column (in JSONPath format): {path}"),
            description => description.to_owned(),
        };
        Self {
            definition: json!({
                "name": text("name"),
                "type": text("type"),
                "format": text("format"),
                "description": description,
                "priority": column["priority"].as_i64().unwrap_or_default(),
            }),
            kind: text("type").to_owned(),
            path: JsonPath::parse(path).ok(),
        }
    }

    /// The first value at the path, if it is of the type of the column.
    fn cell(&self, subject: &Subject<'_>) -> Value {
        let found = self
            .path
            .as_ref()
            .and_then(|path| path.find(subject.object).ok());
        let Some(value) = found.as_ref().and_then(|found| found.first()) else {
            return Value::Null;
        };
        match (self.kind.as_str(), value.as_ref()) {
            ("string", Value::String(text)) => text.as_str().into(),
            ("string", other) => other.to_string().into(),
            ("integer", Value::Number(number)) => whole(number).into(),
            ("number", Value::Number(number)) => number.as_f64().into(),
            ("boolean", Value::Bool(value)) => (*value).into(),
            ("date", Value::String(time)) if time.parse::<Timestamp>().is_err() => {
                "<invalid>".into()
            }
            ("date", Value::String(time)) => age::since(Some(time), subject.now).into(),
            _ => Value::Null,
        }
    }
}

/// A number without its fraction; `None` where it is too large.
fn whole(number: &serde_json::Number) -> Option<i64> {
    number.as_i64().or_else(|| {
        let number = number.as_f64()?.trunc();
        // The bounds are powers of two, which a float holds exactly.
        (-(2f64.powi(63))..2f64.powi(63))
            .contains(&number)
            .then(|| {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "the range was just checked"
                )]
                let whole = number as i64;
                whole
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(columns: &Value, object: &Value) -> Vec<Value> {
        let subject = Subject {
            object,
            now: "2024-01-01T00:00:10Z".parse().unwrap(),
        };
        CustomColumns::new(columns.as_array().unwrap()).cells(&subject)
    }

    #[test]
    fn cells_are_of_the_type_of_their_column() {
        let columns = json!([
            {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
            {"name": "Ratio", "type": "number", "jsonPath": ".spec.ratio"},
            {"name": "On", "type": "boolean", "jsonPath": ".spec.on"},
            {"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"},
            {"name": "List", "type": "string", "jsonPath": ".spec.list"},
            {"name": "Made", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
        ]);
        let object = json!({
            "metadata": {"name": "a", "creationTimestamp": "2024-01-01T00:00:00Z"},
            "spec": {"size": 3, "ratio": 2, "on": true, "list": [1, "x"]},
            "status": {"conditions": [{"type": "Other", "status": "False"}, {"type": "Ready", "status": "True"}]},
        });
        assert_eq!(
            cells(&columns, &object),
            [
                json!("a"),
                json!(3),
                json!(2.0),
                json!(true),
                json!("True"),
                json!("[1,\"x\"]"),
                json!("10s")
            ]
        );
        let other = json!({"metadata": {"name": "b", "creationTimestamp": "soon"}, "spec": {"size": "3", "on": 1, "ratio": "x"}});
        assert_eq!(
            cells(&columns, &other),
            [
                json!("b"),
                Value::Null,
                Value::Null,
                Value::Null,
                Value::Null,
                Value::Null,
                json!("<invalid>")
            ]
        );
        assert_eq!(
            cells(
                &json!([{"name": "S", "type": "integer", "jsonPath": ".s"}]),
                &json!({"s": 2.9})
            )[1],
            2
        );
    }

    #[test]
    fn without_columns_there_is_the_age() {
        let object =
            json!({"metadata": {"name": "a", "creationTimestamp": "2024-01-01T00:00:00Z"}});
        assert_eq!(cells(&json!([]), &object), ["a", "10s"]);
        let definitions = CustomColumns::new(&[]).definitions();
        assert_eq!(
            (&definitions[1]["name"], &definitions[1]["type"]),
            (&json!("Age"), &json!("date"))
        );
    }

    #[test]
    fn a_column_without_a_description_describes_its_path() {
        let columns = [
            json!({"name": "Size", "type": "integer", "jsonPath": ".spec.size", "priority": 1, "format": "int32"}),
        ];
        assert_eq!(
            CustomColumns::new(&columns).definitions()[1],
            json!({"name": "Size", "type": "integer", "format": "int32", "priority": 1,
                   "description": "Custom resource definition column (in JSONPath format): .spec.size"})
        );
    }
}
