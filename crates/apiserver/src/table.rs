//! Objects as rows of a table: what `kubectl get` prints.
//!
//! The columns of built-in kinds are data (`data/tables.json`) and their cells are made by code,
//! kind by kind; custom resources bring their columns as JSON paths.

mod age;
mod cells;
mod columns;
mod custom;
mod subject;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::partial;
use crate::representation::MetaVersion;
use crate::resource::{Origin, Resource};
use custom::CustomColumns;
use subject::Subject;

/// How much of an object stands beside its cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum IncludeObject {
    None,
    #[default]
    Metadata,
    Object,
}

/// Whether a table says what its columns are; of the tables of a watch only the first does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    Shown,
    LeftOut,
}

/// Makes tables of the objects of one resource.
#[derive(Clone, Debug)]
pub(crate) struct Printer {
    resource: Arc<Resource>,
    version: MetaVersion,
    include: IncludeObject,
    cells: Cells,
    /// The column definitions.
    columns: Value,
}

#[derive(Clone, Debug)]
enum Cells {
    /// Those of a built-in kind.
    BuiltIn(cells::Print),
    /// Those that a definition asks for.
    Custom(Arc<CustomColumns>),
}

impl IncludeObject {
    /// Reads the `includeObject` parameter of a request.
    ///
    /// # Errors
    ///
    /// 400 for a value that does not exist.
    pub(crate) fn parse(text: Option<&str>) -> Result<Self, ApiError> {
        match text {
            None | Some("" | "Metadata") => Ok(Self::Metadata),
            Some("None") => Ok(Self::None),
            Some("Object") => Ok(Self::Object),
            Some(other) => Err(ApiError::bad_request(format!(
                "Unable to convert to Table as requested: includeObject: Invalid value: {other:?}: must be \
                 'Metadata', 'Object', 'None', or empty"
            ))),
        }
    }
}

impl Printer {
    pub(crate) fn new(
        resource: &Arc<Resource>,
        version: MetaVersion,
        include: IncludeObject,
    ) -> Self {
        let (cells, columns) = match &resource.origin {
            Origin::BuiltIn { .. } => match columns::of(resource) {
                Some(columns) => (Cells::BuiltIn(cells::of(resource)), columns),
                None => (Cells::BuiltIn(cells::DEFAULT), columns::default()),
            },
            Origin::Custom(definition) => {
                let custom = CustomColumns::new(&definition.columns);
                let columns = custom.definitions();
                (Cells::Custom(Arc::new(custom)), columns)
            }
        };
        Self {
            resource: Arc::clone(resource),
            version,
            include,
            cells,
            columns,
        }
    }

    /// A table of `rows` with the metadata of a list.
    pub(crate) fn table(&self, metadata: &Value, header: Header, rows: Vec<Value>) -> Value {
        let mut table = json!({
            "kind": "Table",
            "apiVersion": self.version.api_version(),
            "metadata": metadata,
            "columnDefinitions": match header {
                Header::Shown => &self.columns,
                Header::LeftOut => &Value::Null,
            },
        });
        table["rows"] = rows.into();
        table
    }

    /// The row of one object, as it is at `now`.
    pub(crate) fn row(&self, object: &Value, now: Timestamp) -> Value {
        let subject = Subject { object, now };
        let cells = match &self.cells {
            Cells::BuiltIn(print) => print(&subject),
            Cells::Custom(columns) => columns.cells(&subject),
        };
        let shown = match self.include {
            IncludeObject::None => Value::Null,
            IncludeObject::Metadata => partial::object(self.version, object),
            IncludeObject::Object => self.typed(object),
        };
        let mut row = json!({});
        row["cells"] = cells.into();
        row["object"] = shown;
        if let Some(conditions) = self.conditions(object) {
            row["conditions"] = conditions;
        }
        row
    }

    /// An object that says what it is.
    fn typed(&self, object: &Value) -> Value {
        let mut object = object.clone();
        object["kind"] = self.resource.kind.as_str().into();
        object["apiVersion"] = self.resource.api_version().into();
        object
    }

    /// Tells clients that wait for it that an object is done.
    fn conditions(&self, object: &Value) -> Option<Value> {
        if (self.resource.group.as_str(), self.resource.plural.as_str()) != ("", "pods") {
            return None;
        }
        let (reason, message) = match object["status"]["phase"].as_str()? {
            "Succeeded" => ("Succeeded", "The pod has completed successfully."),
            "Failed" => ("Failed", "The pod failed."),
            _ => return None,
        };
        Some(
            json!([{ "type": "Completed", "status": "True", "reason": reason, "message": message }]),
        )
    }
}
