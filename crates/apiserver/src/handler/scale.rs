//! The scale of an object: how many replicas it wants and has, whatever its kind calls them.

use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::body;
use crate::error::{ApiError, Cause};
use crate::handler::{Answer, Exchange};
use crate::patch;
use crate::request::WriteOptions;
use crate::resource::{Origin, Resource};
use crate::selector::LabelSelector;

const API_VERSION: &str = "autoscaling/v1";

/// Where the parts of a scale are in an object.
struct Places<'a> {
    wanted: &'a str,
    actual: &'a str,
    selector: Selector<'a>,
}

enum Selector<'a> {
    /// A `LabelSelector`, or a plain map of labels as replication controllers have.
    Labels(&'a str),
    Text(Option<&'a str>),
}

impl<'a> Places<'a> {
    fn of(resource: &'a Resource) -> Option<Self> {
        match &resource.origin {
            Origin::BuiltIn { .. } => Some(Self {
                wanted: ".spec.replicas",
                actual: ".status.replicas",
                selector: Selector::Labels(".spec.selector"),
            }),
            Origin::Custom(version) => {
                let scale = version.scale.as_ref()?;
                Some(Self {
                    wanted: &scale.spec_replicas,
                    actual: &scale.status_replicas,
                    selector: Selector::Text(scale.label_selector.as_deref()),
                })
            }
        }
    }

    /// The scale of `object`.
    fn scale(&self, object: &Value) -> Value {
        let mut metadata = json!({});
        for field in [
            "name",
            "namespace",
            "uid",
            "creationTimestamp",
            "resourceVersion",
        ] {
            if let Some(value) = object["metadata"].get(field) {
                metadata[field] = value.clone();
            }
        }
        let mut spec = json!({});
        // A wish for none is left out, as zero is in all of Kubernetes' older types.
        if let Some(wanted) = at(object, self.wanted).as_i64().filter(|count| *count != 0) {
            spec["replicas"] = wanted.into();
        }
        let mut status = json!({ "replicas": at(object, self.actual).as_i64().unwrap_or(0) });
        let selector = match self.selector {
            Selector::Labels(path) => labels(at(object, path)),
            Selector::Text(path) => path
                .and_then(|path| at(object, path).as_str())
                .unwrap_or_default()
                .to_owned(),
        };
        if !selector.is_empty() {
            status["selector"] = selector.into();
        }
        json!({
            "kind": "Scale",
            "apiVersion": API_VERSION,
            "metadata": metadata,
            "spec": spec,
            "status": status,
        })
    }

    /// `object`, scaled as `scale` says, based on the version that it says.
    fn apply(&self, object: &Value, scale: &Value) -> Result<Value, ApiError> {
        let wanted = match &scale["spec"]["replicas"] {
            Value::Null => 0,
            replicas => replicas.as_i64().ok_or_else(|| {
                ApiError::bad_request(
                    "Scale in version \"v1\" cannot be handled as a Scale: spec.replicas is no number",
                )
            })?,
        };
        if wanted < 0 {
            let why = "must be greater than or equal to 0";
            let cause = Cause::invalid("spec.replicas", &Value::from(wanted), why);
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            return Err(ApiError::invalid_kind(
                "autoscaling",
                "Scale",
                name,
                vec![cause],
            ));
        }
        let mut object = object.clone();
        set(&mut object, self.wanted, wanted.into());
        let metadata = &scale["metadata"];
        for field in ["name", "namespace", "uid", "resourceVersion"] {
            if metadata[field]
                .as_str()
                .is_some_and(|text| !text.is_empty())
            {
                object["metadata"][field] = metadata[field].clone();
            }
        }
        Ok(object)
    }
}

impl Exchange<'_> {
    fn scale_places(&self) -> Result<Places<'_>, ApiError> {
        Places::of(&self.target.resource).ok_or_else(ApiError::unknown_path)
    }

    pub(super) fn get_scale(self) -> Result<Answer, ApiError> {
        let representation = self.representation()?;
        let object = self.core.get(&self.target.resource, &self.key()?)?;
        let scale = self.scale_places()?.scale(&object.value());
        Ok(Answer::value(StatusCode::OK, representation, &scale))
    }

    pub(super) fn update_scale(self) -> Result<Answer, ApiError> {
        let options = WriteOptions::parse(&self.query, "UpdateOptions")?;
        let scale = body::decode(self.header(&CONTENT_TYPE), &self.body)?.value;
        check_kind(&scale)?;
        let places = self.scale_places()?;
        self.write_scale(options, |object| places.apply(object, &scale))
    }

    pub(super) fn patch_scale(self) -> Result<Answer, ApiError> {
        let options = WriteOptions::parse(&self.query, "PatchOptions")?;
        let (kind, patch) = self.decode_patch()?;
        let resource = &self.target.resource;
        let places = self.scale_places()?;
        self.write_scale(options, |object| {
            let scale = patch::apply(kind, resource, &places.scale(object), patch.clone())?;
            check_kind(&scale)?;
            places.apply(object, &scale)
        })
    }

    fn write_scale(
        &self,
        options: WriteOptions,
        change: impl FnMut(&Value) -> Result<Value, ApiError>,
    ) -> Result<Answer, ApiError> {
        let representation = self.representation()?;
        let resource = &self.target.resource;
        let written = self
            .core
            .update(resource, &self.key()?, None, options, change)?;
        let scale = self.scale_places()?.scale(&written.value());
        Ok(Answer::value(StatusCode::OK, representation, &scale))
    }
}

fn check_kind(scale: &Value) -> Result<(), ApiError> {
    let is =
        |field: &str, expected: &str| scale[field].as_str().is_none_or(|text| text == expected);
    if is("kind", "Scale") && is("apiVersion", API_VERSION) {
        return Ok(());
    }
    Err(ApiError::bad_request(format!(
        "the object provided is unrecognized (must be of type Scale in {API_VERSION})"
    )))
}

/// The labels that a selector asks for, as text.
fn labels(selector: &Value) -> String {
    let plain = json!({ "matchLabels": selector });
    let structured =
        selector.get("matchLabels").is_some() || selector.get("matchExpressions").is_some();
    LabelSelector::from_value(if structured { selector } else { &plain })
        .map(|selector| selector.to_string())
        .unwrap_or_default()
}

/// The value at a path such as `.spec.replicas`.
fn at<'v>(object: &'v Value, path: &str) -> &'v Value {
    segments(path).fold(object, |value, field| &value[field])
}

fn set(object: &mut Value, path: &str, new: Value) {
    let place = segments(path).fold(object, |value, field| {
        if !value.is_object() {
            *value = json!({});
        }
        &mut value[field]
    });
    *place = new;
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('.').filter(|segment| !segment.is_empty())
}
