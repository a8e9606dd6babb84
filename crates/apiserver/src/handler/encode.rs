//! Objects, lists and watch events as the client wants to see them.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use crate::conversion;
use crate::core::{Page, WatchEncoder};
use crate::error::ApiError;
use crate::handler::Answer;
use crate::handler::view::View;
use crate::representation::Representation;
use crate::resource::{Origin, Resource};
use crate::response::ResponseBody;
use crate::store::{Head, Stored};

/// How much of a list is encoded at a time.
const FRAME: usize = 64 << 10;

/// Writes objects of one resource in its version.
#[derive(Debug)]
pub(super) struct ObjectWriter {
    resource: Arc<Resource>,
    head: Head,
}

impl ObjectWriter {
    /// For objects that say what they are.
    pub(super) fn typed(resource: &Arc<Resource>) -> Self {
        Self {
            head: Head::typed(resource),
            resource: Arc::clone(resource),
        }
    }

    /// For the items of a list: only custom resources say there what they are.
    pub(super) fn item(resource: &Arc<Resource>) -> Self {
        match resource.origin {
            Origin::BuiltIn { .. } => Self {
                head: Head::none(),
                resource: Arc::clone(resource),
            },
            Origin::Custom(_) => Self::typed(resource),
        }
    }

    /// What [`Self::write`] writes, as a value.
    fn value(&self, object: &Stored) -> Value {
        let mut out = Vec::with_capacity(2048);
        self.write(object, object.revision(), &mut out);
        serde_json::from_slice(&out).expect("an object is written as JSON")
    }

    fn write(&self, object: &Stored, revision: u64, out: &mut Vec<u8>) {
        if conversion::is_stored_form(&self.resource, object.revision()) {
            return object.write(&self.head, revision, out);
        }
        let converted = conversion::from_storage(&self.resource, &object.value()).into_owned();
        Stored::new(object.key().clone(), object.revision(), converted)
            .write(&self.head, revision, out);
    }
}

/// The answer that shows one object.
///
/// # Errors
///
/// 406 if the client asks for a list.
pub(super) fn object(
    code: StatusCode,
    view: &View,
    resource: &Arc<Resource>,
    object: &Stored,
) -> Result<Answer, ApiError> {
    let representation = view.representation;
    let writer = ObjectWriter::typed(resource);
    if representation == Representation::PLAIN {
        let mut out = Vec::with_capacity(2048);
        writer.write(object, object.revision(), &mut out);
        return Ok(Answer::new(
            code,
            representation.encoding.content_type(),
            Bytes::from(out),
        ));
    }
    let value = match view.object(
        resource,
        &conversion::from_storage(resource, &object.value()),
    )? {
        Some(shaped) => shaped,
        None => writer.value(object),
    };
    Ok(Answer::value(code, representation, &value))
}

/// The answer that shows a list.
///
/// # Errors
///
/// 406 if the client asks for one object.
pub(super) fn list(view: &View, resource: &Arc<Resource>, page: Page) -> Result<Answer, ApiError> {
    let representation = view.representation;
    let mut metadata = json!({ "resourceVersion": page.revision.to_string() });
    if let Some(token) = page.continue_token {
        metadata["continue"] = token.into();
    }
    if let Some(remaining) = page.remaining {
        metadata["remainingItemCount"] = remaining.into();
    }
    if let Some(shaped) = view.list(resource, &metadata, &page.items)? {
        return Ok(Answer::value(StatusCode::OK, representation, &shaped));
    }
    // Lists of custom resources say that nothing follows where others say nothing.
    if matches!(resource.origin, Origin::Custom(_)) && metadata["continue"].is_null() {
        metadata["continue"] = "".into();
    }
    if representation == Representation::PLAIN {
        return Ok(Answer::new(
            StatusCode::OK,
            representation.encoding.content_type(),
            encoded_list(resource, &metadata, page.items),
        ));
    }
    let writer = ObjectWriter::item(resource);
    let items: Vec<Value> = page.items.iter().map(|item| writer.value(item)).collect();
    let value = json!({
        "kind": resource.list_kind,
        "apiVersion": resource.api_version(),
        "metadata": metadata,
        "items": items,
    });
    Ok(Answer::value(StatusCode::OK, representation, &value))
}

/// A list, encoded as it is sent: a large one never lies in memory as a whole.
fn encoded_list(
    resource: &Arc<Resource>,
    metadata: &Value,
    items: Vec<Arc<Stored>>,
) -> ResponseBody {
    let head = format!(
        r#"{{"kind":{},"apiVersion":{},"metadata":{metadata},"items":["#,
        Value::from(resource.list_kind.as_str()),
        Value::from(resource.api_version()),
    );
    let mut rest = EncodedList {
        writer: ObjectWriter::item(resource),
        items: items.into(),
        begun: false,
    };
    let mut out = head.into_bytes();
    let more = rest.write(&mut out);
    let first = Bytes::from(out);
    if !more {
        return first.into();
    }
    let frames = std::iter::once(first).chain(std::iter::from_fn(move || {
        if rest.items.is_empty() {
            return None;
        }
        let mut out = Vec::with_capacity(FRAME + FRAME / 4);
        rest.write(&mut out);
        Some(out.into())
    }));
    ResponseBody::stream(futures::stream::iter(frames))
}

struct EncodedList {
    writer: ObjectWriter,
    items: VecDeque<Arc<Stored>>,
    begun: bool,
}

impl EncodedList {
    /// Writes the next items, and the end after the last; whether there are more.
    fn write(&mut self, out: &mut Vec<u8>) -> bool {
        while out.len() < FRAME
            && let Some(object) = self.items.pop_front()
        {
            if std::mem::replace(&mut self.begun, true) {
                out.push(b',');
            }
            self.writer.write(&object, object.revision(), out);
        }
        if self.items.is_empty() {
            out.extend_from_slice(b"]}");
        }
        !self.items.is_empty()
    }
}

/// How a watcher sees objects.
///
/// # Errors
///
/// 406 if the client asks for lists.
pub(super) fn watch(
    view: View,
    resource: &Arc<Resource>,
) -> Result<Box<dyn WatchEncoder>, ApiError> {
    let shaped = view.events(resource)?;
    Ok(shaped.unwrap_or_else(|| Box::new(PlainEvents(ObjectWriter::typed(resource)))))
}

struct PlainEvents(ObjectWriter);

impl WatchEncoder for PlainEvents {
    fn object(&mut self, object: &Stored, revision: u64, out: &mut Vec<u8>) {
        self.0.write(object, revision, out);
    }

    fn bookmark(&mut self, metadata: Value, out: &mut Vec<u8>) {
        let resource = &self.0.resource;
        let bookmark = json!({
            "kind": resource.kind,
            "apiVersion": resource.api_version(),
            "metadata": metadata,
        });
        serde_json::to_writer(out, &bookmark).expect("a JSON value encodes into memory");
    }
}
