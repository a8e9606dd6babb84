//! The columns of the tables of built-in kinds: the data in `data/tables.json`.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::resource::Resource;

#[derive(Deserialize)]
struct Source {
    /// The descriptions of columns that have the same in all tables.
    descriptions: HashMap<String, String>,
    tables: Vec<Table>,
}

#[derive(Deserialize)]
struct Table {
    group: String,
    version: String,
    resource: String,
    columns: Vec<Column>,
}

#[derive(Deserialize)]
struct Column {
    name: String,
    #[serde(rename = "type", default = "string")]
    kind: String,
    #[serde(default)]
    format: String,
    #[serde(default)]
    priority: i32,
    #[serde(default)]
    description: String,
}

fn string() -> String {
    "string".to_owned()
}

/// The column definitions by group, version and plural, and the shared descriptions.
struct Columns {
    descriptions: HashMap<String, String>,
    tables: HashMap<(String, String, String), Value>,
}

static COLUMNS: LazyLock<Columns> = LazyLock::new(|| {
    let source: Source = serde_json::from_str(include_str!("../../data/tables.json"))
        .expect("data/tables.json is part of this crate and tested");
    let tables = source
        .tables
        .into_iter()
        .map(|table| {
            let columns: Value = table
                .columns
                .into_iter()
                .map(|column| {
                    let shared = source.descriptions.get(&column.name);
                    json!({
                        "name": column.name,
                        "type": column.kind,
                        "format": column.format,
                        "description": shared.unwrap_or(&column.description),
                        "priority": column.priority,
                    })
                })
                .collect();
            ((table.group, table.version, table.resource), columns)
        })
        .collect();
    Columns {
        descriptions: source.descriptions,
        tables,
    }
});

/// The column definitions of a built-in kind; `None` if it is never listed.
pub(super) fn of(resource: &Resource) -> Option<Value> {
    let key = (
        resource.group.clone(),
        resource.version.clone(),
        resource.plural.clone(),
    );
    COLUMNS.tables.get(&key).cloned()
}

/// Name and time of creation: the columns of what has no others.
pub(super) fn default() -> Value {
    json!([name(), definition("Created At", "date", "")])
}

/// The column that every table starts with.
pub(super) fn name() -> Value {
    definition("Name", "string", "name")
}

/// The column of custom resources that ask for no other.
pub(super) fn age() -> Value {
    definition("Age", "date", "")
}

fn definition(name: &str, kind: &str, format: &str) -> Value {
    json!({
        "name": name,
        "type": kind,
        "format": format,
        "description": COLUMNS.descriptions.get(name),
        "priority": 0,
    })
}
