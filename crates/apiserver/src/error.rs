//! What the server answers when it refuses: an error that renders as a `Status`.

use std::fmt::Display;

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::resource::Resource;

/// A refusal, rendered to clients as a `Status` object of `v1`.
///
/// Code, reason, message and details are those of a Kubernetes 1.36 API server, which clients
/// branch on: `kubectl` and controllers read `reason` and `details.causes`, not the text.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    code: StatusCode,
    reason: Option<&'static str>,
    message: String,
    details: Box<Details>,
    list_continue: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Details {
    /// Shown even when empty: what a real server does for refusals that it makes from a code alone.
    always: bool,
    name: String,
    group: String,
    kind: String,
    uid: String,
    causes: Vec<Cause>,
    retry_after_seconds: Option<u32>,
}

/// One field that is wrong, or one reason why a request was refused.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cause {
    pub(crate) reason: &'static str,
    pub(crate) field: String,
    pub(crate) message: String,
}

impl Cause {
    /// A value that breaks a rule; `value` is shown as JSON.
    pub(crate) fn invalid(field: impl Into<String>, value: &Value, why: impl Display) -> Self {
        Self::invalid_shown(field, value, why)
    }

    /// As [`Cause::invalid`], for a value whose fields are shown in an order of their own.
    pub(crate) fn invalid_shown(
        field: impl Into<String>,
        shown: impl Display,
        why: impl Display,
    ) -> Self {
        Self {
            reason: "FieldValueInvalid",
            field: field.into(),
            message: format!("Invalid value: {shown}: {why}"),
        }
    }

    /// A value of the wrong JSON type.
    pub(crate) fn type_invalid(field: impl Into<String>, value: &Value, why: impl Display) -> Self {
        Self {
            reason: "FieldValueTypeInvalid",
            ..Self::invalid(field, value, why)
        }
    }

    /// A value that is missing; `why` may be empty.
    pub(crate) fn required(field: impl Into<String>, why: &str) -> Self {
        Self {
            reason: "FieldValueRequired",
            field: field.into(),
            message: match why {
                "" => "Required value".to_owned(),
                why => format!("Required value: {why}"),
            },
        }
    }

    /// A value that must not be there, or must not change.
    pub(crate) fn forbidden(field: impl Into<String>, why: impl Display) -> Self {
        Self {
            reason: "FieldValueForbidden",
            field: field.into(),
            message: format!("Forbidden: {why}"),
        }
    }

    /// A text of more than `max` bytes.
    pub(crate) fn too_long(field: impl Into<String>, max: u64) -> Self {
        Self {
            reason: "FieldValueTooLong",
            field: field.into(),
            message: format!("Too long: may not be more than {max} bytes"),
        }
    }

    /// A list of more than `max` items.
    pub(crate) fn too_many(field: impl Into<String>, actual: usize, max: u64) -> Self {
        Self {
            reason: "FieldValueTooMany",
            field: field.into(),
            message: format!("Too many: {actual}: must have at most {max} items"),
        }
    }

    /// A value that stands twice where it may stand once.
    pub(crate) fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        Self {
            reason: "FieldValueDuplicate",
            field: field.into(),
            message: format!("Duplicate value: {value}"),
        }
    }

    /// A value that is none of those supported.
    pub(crate) fn not_supported(
        field: impl Into<String>,
        value: &Value,
        supported: &[&str],
    ) -> Self {
        let supported: Vec<String> = supported.iter().map(|s| format!("\"{s}\"")).collect();
        Self {
            reason: "FieldValueNotSupported",
            field: field.into(),
            message: format!(
                "Unsupported value: {value}: supported values: {}",
                supported.join(", ")
            ),
        }
    }

    fn text(&self) -> String {
        if self.field.is_empty() {
            self.message.clone()
        } else {
            format!("{}: {}", self.field, self.message)
        }
    }
}

impl ApiError {
    /// An error of the given code, reason and message.
    pub fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason: Some(reason),
            message: message.into(),
            details: Box::default(),
            list_continue: None,
        }
    }

    /// 400: the request cannot be understood.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// 401: the request carries no credentials that are known.
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized")
    }

    /// 404 for a path that nothing serves.
    pub fn unknown_path() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "NotFound",
            "the server could not find the requested resource",
        )
        .with_details()
    }

    /// 405: the resource does not take this verb.
    pub fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        )
        .with_details()
    }

    /// 405: the kind of the object is about to go.
    pub(crate) fn definition_terminating() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "MethodNotAllowed",
            "create not allowed while custom resource definition is terminating",
        )
    }

    /// 406: the client takes none of the forms that the server can answer in.
    pub(crate) fn not_acceptable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message).with_details()
    }

    /// 415: a patch of a kind that built-in resources do not take.
    pub(crate) fn unknown_patch_type() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UnsupportedMediaType",
            "415: Unsupported Media Type",
        )
        .with_details()
    }

    /// 415: the body is in a form that is not among those `accepted`.
    pub(crate) fn unsupported_media_type(accepted: &[&str]) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UnsupportedMediaType",
            format!(
                "the body of the request was in an unknown format - accepted media types include: {}",
                accepted.join(", ")
            ),
        )
    }

    /// 413: the body is larger than `limit` bytes.
    pub fn request_entity_too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestEntityTooLarge",
            format!("Request entity too large: limit is {limit}"),
        )
    }

    /// 429: come back after `retry_after_seconds`.
    pub fn too_many_requests(message: impl Into<String>, retry_after_seconds: u32) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message)
            .with_retry_after(retry_after_seconds)
    }

    /// 429 for an eviction that a disruption budget does not allow now.
    pub(crate) fn eviction_refused() -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "TooManyRequests",
            "Cannot evict pod as it would violate the pod's disruption budget.",
        )
    }

    /// 409 for a pod that cannot be assigned to a node.
    pub(crate) fn binding_conflict(pod: &str, why: &str) -> Self {
        let mut error = Self::new(
            StatusCode::CONFLICT,
            "Conflict",
            format!("Operation cannot be fulfilled on pods/binding \"{pod}\": {why}"),
        );
        pod.clone_into(&mut error.details.name);
        "pods/binding".clone_into(&mut error.details.kind);
        error
    }

    /// 500 with a reason.
    pub fn internal(message: impl Display) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalError",
            format!("Internal error occurred: {message}"),
        )
    }

    /// 500 without a reason: what a real server answers where an internal error reaches the client as it is.
    pub(crate) fn unclassified(message: impl Into<String>) -> Self {
        Self {
            code: StatusCode::INTERNAL_SERVER_ERROR,
            reason: None,
            message: message.into(),
            details: Box::default(),
            list_continue: None,
        }
    }

    /// A refusal by the kubelet that was asked for the log of a pod.
    #[cfg(feature = "listener")]
    pub(crate) fn node_refused(
        code: StatusCode,
        reason: &'static str,
        pod: &str,
        message: &str,
    ) -> Self {
        // A real server leaves out the verb here, and keeps the place for it.
        let mut error = Self::new(code, reason, format!("{message} ( pods/log {pod})"));
        pod.clone_into(&mut error.details.name);
        "pods/log".clone_into(&mut error.details.kind);
        error
    }

    /// 501: Kubernetes has it and this server does not.
    pub fn unsupported(what: impl Display) -> Self {
        Self::new(
            StatusCode::NOT_IMPLEMENTED,
            "NotImplemented",
            format!("kubewright-apiserver does not support {what}"),
        )
    }

    /// 504: the client asks for a resource version that is not reached yet.
    pub(crate) fn too_large_resource_version(asked: u64, current: u64) -> Self {
        let mut error = Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            "Timeout",
            format!("Timeout: Too large resource version: {asked}, current: {current}"),
        )
        .with_retry_after(1);
        error.details.causes.push(Cause {
            reason: "ResourceVersionTooLarge",
            field: String::new(),
            message: "Too large resource version".to_owned(),
        });
        error
    }

    /// 410: the resource version is older than what the server remembers.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "Expired", message)
    }

    /// 404 for an object.
    pub(crate) fn not_found(resource: &Resource, name: &str) -> Self {
        Self::of(
            StatusCode::NOT_FOUND,
            "NotFound",
            resource,
            name,
            format!("{} \"{name}\" not found", resource.qualified()),
        )
    }

    /// 409 for a name that is taken.
    pub(crate) fn already_exists(resource: &Resource, name: &str) -> Self {
        Self::of(
            StatusCode::CONFLICT,
            "AlreadyExists",
            resource,
            name,
            format!("{} \"{name}\" already exists", resource.qualified()),
        )
    }

    /// 409 for a write that is based on another version of the object.
    pub(crate) fn conflict(resource: &Resource, name: &str, why: impl Display) -> Self {
        Self::of(
            StatusCode::CONFLICT,
            "Conflict",
            resource,
            name,
            format!(
                "Operation cannot be fulfilled on {} \"{name}\": {why}",
                resource.qualified()
            ),
        )
    }

    /// 409 for an object that is not the one a deletion is meant for. Unlike other conflicts it names the kind.
    pub(crate) fn precondition_failed(resource: &Resource, name: &str, why: impl Display) -> Self {
        let qualified = match resource.group.as_str() {
            "" => resource.kind.clone(),
            group => format!("{}.{group}", resource.kind),
        };
        let message = format!("Operation cannot be fulfilled on {qualified} \"{name}\": {why}");
        Self::of(StatusCode::CONFLICT, "Conflict", resource, name, message)
            .with_details_kind(&resource.kind)
    }

    /// 409 for a stale `resourceVersion`.
    pub(crate) fn stale(resource: &Resource, name: &str) -> Self {
        Self::conflict(
            resource,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// 403 for who may not do something, to an object, a collection (no name) or a path (no plural).
    pub(crate) fn forbidden_for(group: &str, plural: &str, name: &str, why: &str) -> Self {
        let qualified = match group {
            "" => plural.to_owned(),
            group => format!("{plural}.{group}"),
        };
        let message = match (plural, name) {
            ("", _) => format!("forbidden: {why}"),
            (_, "") => format!("{qualified} is forbidden: {why}"),
            (_, name) => format!("{qualified} {name:?} is forbidden: {why}"),
        };
        let mut error = Self::new(StatusCode::FORBIDDEN, "Forbidden", message).with_details();
        name.clone_into(&mut error.details.name);
        group.clone_into(&mut error.details.group);
        plural.clone_into(&mut error.details.kind);
        error
    }

    /// 403 for an object.
    pub(crate) fn forbidden(resource: &Resource, name: &str, why: impl Display) -> Self {
        Self::of(
            StatusCode::FORBIDDEN,
            "Forbidden",
            resource,
            name,
            format!("{} \"{name}\" is forbidden: {why}", resource.qualified()),
        )
    }

    /// 422 for an object that breaks the rules of its kind, with one cause per field.
    pub(crate) fn invalid(resource: &Resource, name: &str, causes: Vec<Cause>) -> Self {
        Self::invalid_kind(&resource.storage.group, &resource.kind, name, causes)
    }

    /// 422 for something that is no stored object, such as `ListOptions`.
    pub(crate) fn invalid_kind(group: &str, kind: &str, name: &str, causes: Vec<Cause>) -> Self {
        let qualified = match group {
            "" => kind.to_owned(),
            group => format!("{kind}.{group}"),
        };
        let mut texts: Vec<String> = Vec::with_capacity(causes.len());
        for cause in &causes {
            let text = cause.text();
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        let why = match texts.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let mut error = Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Invalid",
            format!("{qualified} \"{name}\" is invalid: {why}"),
        );
        *error.details = Details {
            name: name.to_owned(),
            group: group.to_owned(),
            kind: kind.to_owned(),
            causes,
            ..Details::default()
        };
        error
    }

    fn of(
        code: StatusCode,
        reason: &'static str,
        resource: &Resource,
        name: &str,
        message: String,
    ) -> Self {
        let mut error = Self::new(code, reason, message);
        error.details.name = name.to_owned();
        error.details.group.clone_from(&resource.storage.group);
        error.details.kind.clone_from(&resource.plural);
        error
    }

    /// Shows `details` even if there is nothing in them.
    #[must_use]
    pub(crate) fn with_details(mut self) -> Self {
        self.details.always = true;
        self
    }

    /// Adds a cause to `details.causes`.
    #[must_use]
    pub(crate) fn with_cause(mut self, cause: Cause) -> Self {
        self.details.causes.push(cause);
        self
    }

    /// Puts `prefix` before the message.
    #[must_use]
    pub(crate) fn with_message_prefix(mut self, prefix: &str) -> Self {
        self.message.insert_str(0, prefix);
        self
    }

    /// Names the kind instead of the resource in `details.kind`, as some checks of a real server do.
    #[must_use]
    pub(crate) fn with_details_kind(mut self, kind: &str) -> Self {
        kind.clone_into(&mut self.details.kind);
        self
    }

    /// Tells the client when to come back, in `details.retryAfterSeconds` and the `Retry-After` header.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u32) -> Self {
        self.details.retry_after_seconds = Some(seconds);
        self
    }

    /// Puts a continue token into `metadata.continue`.
    #[must_use]
    pub(crate) fn with_continue(mut self, token: String) -> Self {
        self.list_continue = Some(token);
        self
    }

    /// The HTTP status code.
    pub fn code(&self) -> StatusCode {
        self.code
    }

    /// The machine-readable reason; `None` where a real server gives none.
    pub fn reason(&self) -> Option<&'static str> {
        self.reason
    }

    /// Seconds after which the client may come back.
    pub fn retry_after(&self) -> Option<u32> {
        self.details.retry_after_seconds
    }

    /// The `Status` object.
    pub fn to_status(&self) -> Value {
        let mut metadata = Map::new();
        if let Some(token) = &self.list_continue {
            metadata.insert("continue".to_owned(), token.clone().into());
        }
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": metadata,
            "status": "Failure",
            "message": self.message,
            "code": self.code.as_u16(),
        });
        if let Some(reason) = self.reason {
            status["reason"] = reason.into();
        }
        let details = self.details.to_value();
        if self.details.always || details.as_object().is_some_and(|d| !d.is_empty()) {
            status["details"] = details;
        }
        status
    }
}

impl Details {
    fn to_value(&self) -> Value {
        let mut details = Map::new();
        for (key, value) in [
            ("name", &self.name),
            ("group", &self.group),
            ("kind", &self.kind),
            ("uid", &self.uid),
        ] {
            if !value.is_empty() {
                details.insert(key.to_owned(), value.clone().into());
            }
        }
        if !self.causes.is_empty() {
            let causes: Vec<Value> = self.causes.iter().map(Cause::to_value).collect();
            details.insert("causes".to_owned(), causes.into());
        }
        if let Some(seconds) = self.retry_after_seconds {
            details.insert("retryAfterSeconds".to_owned(), seconds.into());
        }
        Value::Object(details)
    }
}

impl Cause {
    fn to_value(&self) -> Value {
        let mut cause = json!({ "message": self.message });
        if !self.reason.is_empty() {
            cause["reason"] = self.reason.into();
        }
        if !self.field.is_empty() {
            cause["field"] = self.field.clone().into();
        }
        cause
    }
}

/// What a client of the service sees as a lost connection.
///
/// Without injected faults the service never fails: every refusal is an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The connection was lost, as a fault asked for.
    #[error("the connection to the server was lost")]
    ConnectionLost,
}
