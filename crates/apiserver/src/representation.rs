//! What an answer looks like: its shape, its encoding, and how a client asks for them.

mod accept;

use bytes::Bytes;
use serde_json::Value;

use crate::error::ApiError;
pub(crate) use accept::{Accept, MediaRange};

/// How a client wants an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Representation {
    pub(crate) shape: Shape,
    pub(crate) encoding: Encoding,
    pub(crate) layout: Layout,
}

/// What is made of the objects in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// They are shown as they are.
    Object,
    /// A `Table` that a program can print.
    Table(MetaVersion),
    /// Their metadata alone, of one object.
    Partial(MetaVersion),
    /// Their metadata alone, of a list.
    PartialList(MetaVersion),
}

/// The version of `meta.k8s.io` in which a shape is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MetaVersion {
    V1,
    V1Beta1,
}

/// The language of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Json,
    Yaml,
}

/// Whether JSON is written for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    Compact,
    Indented,
}

impl MetaVersion {
    /// `meta.k8s.io/v1`
    pub(crate) fn api_version(self) -> &'static str {
        match self {
            Self::V1 => "meta.k8s.io/v1",
            Self::V1Beta1 => "meta.k8s.io/v1beta1",
        }
    }
}

impl Encoding {
    /// The `Content-Type` of an answer.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Yaml => "application/yaml",
        }
    }
}

impl Representation {
    /// Objects as they are, in compact JSON.
    pub(crate) const PLAIN: Self = Self {
        shape: Shape::Object,
        encoding: Encoding::Json,
        layout: Layout::Compact,
    };

    /// The best of what an `Accept` header lists; without one it is [`Self::PLAIN`].
    ///
    /// # Errors
    ///
    /// 406 if it lists nothing that this server can answer in.
    pub(crate) fn negotiate(accept: Option<&str>) -> Result<Self, ApiError> {
        Self::choose(accept, &[Encoding::Json, Encoding::Yaml])
    }

    /// The same for a watch, whose events can only be JSON.
    pub(crate) fn negotiate_stream(accept: Option<&str>) -> Result<Self, ApiError> {
        Self::choose(accept, &[Encoding::Json])
    }

    fn choose(accept: Option<&str>, encodings: &[Encoding]) -> Result<Self, ApiError> {
        let accept = Accept::parse(accept.unwrap_or_default());
        if accept.is_empty() {
            return Ok(Self::PLAIN);
        }
        for range in accept.ranges() {
            let encoding = encodings
                .iter()
                .find(|encoding| range.includes(encoding.content_type()));
            let (Some(encoding), Some(shape)) = (encoding, Shape::of(range)) else {
                continue;
            };
            return Ok(Self {
                shape,
                encoding: *encoding,
                layout: match range.parameter("pretty") {
                    Some("1") => Layout::Indented,
                    _ => Layout::Compact,
                },
            });
        }
        Err(not_acceptable(&accept, encodings))
    }

    /// The layout that the `pretty` parameter of a request asks for.
    #[must_use]
    pub(crate) fn with_pretty(mut self, pretty: Option<&str>) -> Self {
        if matches!(
            pretty,
            Some("" | "1" | "t" | "T" | "true" | "TRUE" | "True")
        ) {
            self.layout = Layout::Indented;
        }
        self
    }

    /// Writes `value`, in the encoding and layout asked for.
    pub(crate) fn encode(self, value: &Value) -> Bytes {
        match (self.encoding, self.layout) {
            (Encoding::Json, Layout::Compact) => serde_json::to_vec(value)
                .expect("a JSON value can be written as JSON")
                .into(),
            (Encoding::Json, Layout::Indented) => serde_json::to_vec_pretty(value)
                .expect("a JSON value can be written as JSON")
                .into(),
            (Encoding::Yaml, _) => serde_saphyr::to_string(value)
                .expect("a JSON value can be written as YAML")
                .into(),
        }
    }
}

/// Writes an error in the encoding that the request asks for, or else as JSON: its `Content-Type` and its bytes.
///
/// An error is a `Status` whatever shape was asked for.
pub(crate) fn encode_error(accept: Option<&str>, error: &ApiError) -> (&'static str, Bytes) {
    let asked = Representation::negotiate(accept).unwrap_or(Representation::PLAIN);
    (
        asked.encoding.content_type(),
        asked.encode(&error.to_status()),
    )
}

impl Shape {
    /// The shape that the parameters of a media range ask for; `None` for one that this server does not know.
    fn of(range: &MediaRange<'_>) -> Option<Self> {
        let Some(kind) = range.parameter("as") else {
            return Some(Self::Object);
        };
        if range.parameter("g") != Some("meta.k8s.io") {
            return None;
        }
        let version = match range.parameter("v")? {
            "v1" => MetaVersion::V1,
            "v1beta1" => MetaVersion::V1Beta1,
            _ => return None,
        };
        match kind {
            "Table" => Some(Self::Table(version)),
            "PartialObjectMetadata" => Some(Self::Partial(version)),
            "PartialObjectMetadataList" => Some(Self::PartialList(version)),
            _ => None,
        }
    }
}

fn not_acceptable(accept: &Accept<'_>, encodings: &[Encoding]) -> ApiError {
    const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
    if accept.ranges().any(|range| range.includes(PROTOBUF)) {
        let available: Vec<&str> = encodings.iter().map(|e| e.content_type()).collect();
        return ApiError::not_acceptable(format!(
            "406: Not Acceptable\n\nkubewright-apiserver does not answer in {PROTOBUF}; available \
             representations: {}",
            available.join(", ")
        ));
    }
    // The words of a real server, which knows protobuf too.
    let mut available: Vec<&str> = encodings.iter().map(|e| e.content_type()).collect();
    available.push(PROTOBUF);
    ApiError::not_acceptable(format!(
        "406: Not Acceptable\n\nAvailable representations: {}",
        available.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KUBECTL: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";

    fn shape(accept: &str) -> Shape {
        Representation::negotiate(Some(accept)).unwrap().shape
    }

    #[test]
    fn plain_json_is_the_default() {
        for accept in [
            None,
            Some(""),
            Some("*/*"),
            Some("application/*"),
            Some("application/json"),
        ] {
            assert_eq!(
                Representation::negotiate(accept).unwrap(),
                Representation::PLAIN,
                "{accept:?}"
            );
        }
    }

    #[test]
    fn shapes_are_asked_for_by_parameters() {
        assert_eq!(shape(KUBECTL), Shape::Table(MetaVersion::V1));
        assert_eq!(
            shape("application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"),
            Shape::Partial(MetaVersion::V1)
        );
        assert_eq!(
            shape("application/json;as=PartialObjectMetadataList;v=v1beta1;g=meta.k8s.io"),
            Shape::PartialList(MetaVersion::V1Beta1)
        );
    }

    #[test]
    fn what_is_not_known_is_passed_over() {
        assert_eq!(
            shape("application/json;as=Chart;v=v1;g=meta.k8s.io,application/json"),
            Shape::Object
        );
        assert_eq!(
            shape("application/json;as=Table;v=v2;g=meta.k8s.io,*/*"),
            Shape::Object
        );
        assert_eq!(
            shape("application/vnd.kubernetes.protobuf,application/json"),
            Shape::Object,
            "clients that prefer protobuf take JSON"
        );
    }

    #[test]
    fn yaml_is_written_so_that_it_reads_back() {
        let yaml = Representation::negotiate(Some("application/yaml")).unwrap();
        let value = json!({"a": "y", "b": "010", "c": [1, true, null, "", {}], "d": "x: y\n- z\n", "e": "1e3", "f": " s "});
        let text = yaml.encode(&value);
        assert_eq!(crate::body::decode_yaml(&text).unwrap().value, value);
        assert_eq!(yaml.encoding.content_type(), "application/yaml");
        assert_eq!(
            Representation::negotiate_stream(Some("application/yaml"))
                .unwrap_err()
                .code(),
            406
        );
    }

    #[test]
    fn what_nothing_can_answer_is_406() {
        let error = Representation::negotiate(Some("text/plain")).unwrap_err();
        assert_eq!(
            (error.code().as_u16(), error.reason()),
            (406, Some("NotAcceptable"))
        );
        assert_eq!(
            error.to_string(),
            "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, \
             application/vnd.kubernetes.protobuf"
        );
        let error =
            Representation::negotiate(Some("application/vnd.kubernetes.protobuf")).unwrap_err();
        assert!(error.to_string().contains("does not answer in"), "{error}");
        assert!(Representation::negotiate(Some("application/json;q=0")).is_err());
    }

    #[test]
    fn pretty_is_indented() {
        let pretty = Representation::PLAIN.with_pretty(Some("true"));
        assert_eq!(&pretty.encode(&json!({"a": 1}))[..], b"{\n  \"a\": 1\n}");
        let compact = Representation::PLAIN
            .with_pretty(Some("false"))
            .with_pretty(None);
        assert_eq!(&compact.encode(&json!({"a": 1}))[..], b"{\"a\":1}");
    }

    #[test]
    fn an_error_is_a_status_in_the_encoding_asked_for() {
        let error = ApiError::bad_request("no");
        let (content_type, bytes) = encode_error(Some(KUBECTL), &error);
        assert_eq!(content_type, "application/json");
        assert_eq!(
            serde_json::from_slice::<Value>(&bytes).unwrap()["kind"],
            "Status"
        );
        assert_eq!(
            encode_error(Some("application/yaml"), &error).0,
            "application/yaml"
        );
        assert_eq!(
            encode_error(Some("text/plain"), &error).0,
            "application/json"
        );
    }
}
