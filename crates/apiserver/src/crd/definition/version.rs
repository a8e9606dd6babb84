//! One version of a definition.

use serde_json::Value;

use crate::crd::text;
use crate::error::Cause;
use crate::jsonpath::JsonPath;
use crate::path::Path;
use crate::validation::names;

/// How many fields of one version may be selected by.
const MAX_SELECTABLE_FIELDS: u64 = 8;

/// What is wrong with a version, its schema aside.
pub(super) fn check(version: &Value, path: Path<'_>, causes: &mut Vec<Cause>) {
    let name = text(&version["name"]);
    let problems = names::label_1035(&name);
    if !problems.is_empty() {
        causes.push(Cause::invalid(
            path.field("name"),
            &name.into(),
            problems.join(","),
        ));
    }
    let warning = &version["deprecationWarning"];
    if !warning.is_null() {
        let complaint = match (
            version["deprecated"] == true,
            warning.as_str().unwrap_or_default(),
        ) {
            (false, _) => Some("can only be set for deprecated versions"),
            (true, "") => Some("must not be an empty string"),
            (true, warning) if warning.len() > 256 => Some("must be <= 256 characters long"),
            (true, warning) if warning.chars().any(char::is_control) => {
                Some("must only contain printable UTF-8 characters")
            }
            (true, _) => None,
        };
        if let Some(complaint) = complaint {
            causes.push(Cause::invalid(
                path.field("deprecationWarning"),
                warning,
                complaint,
            ));
        }
    }
    scale(
        &version["subresources"]["scale"],
        path.field("subresources"),
        causes,
    );
    columns(version, path, causes);
    selectable_fields(version, path, causes);
}

fn scale(scale: &Value, path: Path<'_>, causes: &mut Vec<Cause>) {
    if !scale.is_object() {
        return;
    }
    for (field, prefixes, place) in [
        (
            "specReplicasPath",
            &[".spec."][..],
            "should be a json path under .spec",
        ),
        (
            "statusReplicasPath",
            &[".status."],
            "should be a json path under .status",
        ),
        (
            "labelSelectorPath",
            &[".spec.", ".status."],
            "should be a json path under either .spec or .status",
        ),
    ] {
        let path = format!("{path}.scale.{field}");
        match scale[field].as_str().unwrap_or_default() {
            "" if field == "labelSelectorPath" => {}
            "" => causes.push(Cause::required(path, "")),
            given => {
                if let Some(problem) = json_path_problem(given) {
                    causes.push(Cause::invalid(path, &given.into(), problem));
                } else if !prefixes.iter().any(|prefix| given.starts_with(prefix)) {
                    causes.push(Cause::invalid(path, &given.into(), place));
                }
            }
        }
    }
}

fn columns(version: &Value, path: Path<'_>, causes: &mut Vec<Cause>) {
    const TYPES: &str = "boolean,date,integer,number,string";
    const FORMATS: &str = "byte,date,date-time,double,float,int32,int64,password";
    let columns_path = path.field("additionalPrinterColumns");
    let columns = version["additionalPrinterColumns"].as_array();
    for (index, column) in columns.into_iter().flatten().enumerate() {
        let path = columns_path.index(index);
        if text(&column["name"]).is_empty() {
            causes.push(Cause::required(path.field("name"), ""));
        }
        match column["type"].as_str().unwrap_or_default() {
            "" => causes.push(Cause::required(
                path.field("type"),
                &format!("must be one of {TYPES}"),
            )),
            known if TYPES.split(',').any(|name| name == known) => {}
            other => causes.push(Cause::invalid(
                path.field("type"),
                &other.into(),
                format!("must be one of {TYPES}"),
            )),
        }
        let format = text(&column["format"]);
        if !format.is_empty() && !FORMATS.split(',').any(|name| name == format) {
            causes.push(Cause::invalid(
                path.field("format"),
                &format.into(),
                format!("must be one of {FORMATS}"),
            ));
        }
        match column["jsonPath"].as_str().unwrap_or_default() {
            "" => causes.push(Cause::required(path.field("JSONPath"), "")),
            given => {
                if let Some(problem) = json_path_problem(given) {
                    causes.push(Cause::invalid(
                        path.field("JSONPath"),
                        &given.into(),
                        problem,
                    ));
                }
            }
        }
    }
}

fn selectable_fields(version: &Value, path: Path<'_>, causes: &mut Vec<Cause>) {
    let fields_path = path.field("selectableFields");
    let empty = Vec::new();
    let fields = version["selectableFields"].as_array().unwrap_or(&empty);
    for (index, field) in fields.iter().enumerate() {
        let path = fields_path.index(index);
        let path = path.field("jsonPath");
        let given = text(&field["jsonPath"]);
        if given.is_empty() {
            causes.push(Cause::required(path, ""));
            continue;
        }
        let complain = |why: String| Cause::invalid(path, &given.as_str().into(), why);
        if !given.starts_with('.') || given.contains('[') {
            causes.push(complain(format!(
                "is an invalid path: expected [ or . but got: {}",
                given.chars().next().unwrap_or_default()
            )));
            continue;
        }
        if given == ".metadata" || given.starts_with(".metadata.") {
            causes.push(complain("must not point to fields in metadata".to_owned()));
            continue;
        }
        let names = given.split('.').filter(|name| !name.is_empty());
        let schema = &version["schema"]["openAPIV3Schema"];
        let found = names.fold(schema, |schema, name| &schema["properties"][name]);
        if found.is_null() {
            causes.push(complain(
                "is an invalid path: does not refer to a valid field".to_owned(),
            ));
        } else if !matches!(
            found["type"].as_str(),
            Some("string" | "boolean" | "integer")
        ) {
            causes.push(complain(
                "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed."
                    .to_owned(),
            ));
        }
        if fields[..index].contains(field) {
            causes.push(Cause::duplicate(path, &field["jsonPath"]));
        }
    }
    if fields.len() as u64 > MAX_SELECTABLE_FIELDS {
        causes.push(Cause::too_many(
            fields_path,
            fields.len(),
            MAX_SELECTABLE_FIELDS,
        ));
    }
}

/// What is wrong with a simple JSON path.
fn json_path_problem(path: &str) -> Option<String> {
    if !path.starts_with('.') {
        return Some("must be a simple json path starting with .".to_owned());
    }
    JsonPath::parse(path)
        .err()
        .map(|error| format!("is an invalid JSON path: {error}"))
}
