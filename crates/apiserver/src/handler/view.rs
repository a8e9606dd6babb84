//! How a client wants to see objects: as they are, as rows of a table, or their metadata alone.

use std::borrow::Cow;
use std::sync::Arc;

use http::header::ACCEPT;
use kubewright_clock::Clock;
use serde_json::{Value, json};

use crate::conversion;
use crate::core::WatchEncoder;
use crate::error::ApiError;
use crate::handler::Exchange;
use crate::partial;
use crate::representation::{MetaVersion, Representation, Shape};
use crate::resource::Resource;
use crate::store::Stored;
use crate::table::{Header, IncludeObject, Printer};

/// The wishes of one request.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) representation: Representation,
    include: IncludeObject,
    /// By which ages are told.
    clock: Clock,
}

impl Exchange<'_> {
    /// How the client wants to see an object or a list.
    pub(super) fn view(&self) -> Result<View, ApiError> {
        View::of(self, self.representation()?)
    }

    /// How the client wants to see the events of a watch.
    pub(super) fn event_view(&self) -> Result<View, ApiError> {
        View::of(
            self,
            Representation::negotiate_stream(self.header(&ACCEPT))?,
        )
    }
}

impl View {
    fn of(exchange: &Exchange<'_>, representation: Representation) -> Result<Self, ApiError> {
        let include = match representation.shape {
            Shape::Table(_) => IncludeObject::parse(exchange.query.get("includeObject"))?,
            _ => IncludeObject::default(),
        };
        Ok(Self {
            representation,
            include,
            clock: exchange.core.config.clock.clone(),
        })
    }

    fn printer(&self, resource: &Arc<Resource>, version: MetaVersion) -> Printer {
        Printer::new(resource, version, self.include)
    }

    /// One object in the shape asked for; `None` if it is shown as it is.
    ///
    /// # Errors
    ///
    /// 406 if a list was asked for.
    pub(super) fn object(
        &self,
        resource: &Arc<Resource>,
        object: &Value,
    ) -> Result<Option<Value>, ApiError> {
        match self.representation.shape {
            Shape::Object => Ok(None),
            Shape::Table(version) => {
                let printer = self.printer(resource, version);
                Ok(Some(table_of_one(
                    &printer,
                    Header::Shown,
                    object,
                    &self.clock,
                )))
            }
            Shape::Partial(version) => Ok(Some(partial::object(version, object))),
            Shape::PartialList(_) => Err(partial::not_a_list()),
        }
    }

    /// A list in the shape asked for; `None` if its items are shown as they are.
    ///
    /// # Errors
    ///
    /// 406 if one object was asked for.
    pub(super) fn list(
        &self,
        resource: &Arc<Resource>,
        metadata: &Value,
        items: &[Arc<Stored>],
    ) -> Result<Option<Value>, ApiError> {
        match self.representation.shape {
            Shape::Object => Ok(None),
            Shape::Table(version) => {
                let printer = self.printer(resource, version);
                let now = self.clock.now();
                let row = |item: &Arc<Stored>| {
                    let value = item.value();
                    printer.row(&conversion::from_storage(resource, &value), now)
                };
                let rows = items.iter().map(row).collect();
                Ok(Some(printer.table(metadata, Header::Shown, rows)))
            }
            Shape::PartialList(version) => {
                let items = items
                    .iter()
                    .map(|item| partial::object(version, &item.value()))
                    .collect();
                Ok(Some(partial::list(version, metadata, items)))
            }
            Shape::Partial(_) => Err(partial::not_one()),
        }
    }

    /// What shows the events of a watch in the shape asked for; `None` if their objects are shown as they are.
    ///
    /// # Errors
    ///
    /// 406 if lists were asked for.
    pub(super) fn events(
        self,
        resource: &Arc<Resource>,
    ) -> Result<Option<Box<dyn WatchEncoder>>, ApiError> {
        match self.representation.shape {
            Shape::Object => Ok(None),
            Shape::Table(version) => Ok(Some(Box::new(Tables {
                printer: self.printer(resource, version),
                resource: Arc::clone(resource),
                header: Header::Shown,
                clock: self.clock,
            }))),
            Shape::Partial(version) => Ok(Some(Box::new(Partials { version }))),
            Shape::PartialList(_) => Err(partial::not_a_list()),
        }
    }
}

fn table_of_one(printer: &Printer, header: Header, object: &Value, clock: &Clock) -> Value {
    let metadata = json!({ "resourceVersion": object["metadata"]["resourceVersion"] });
    printer.table(&metadata, header, vec![printer.row(object, clock.now())])
}

/// An object as it was written at `revision`, which for a deletion is not its own.
fn as_of<'o>(object: Cow<'o, Value>, revision: u64) -> Cow<'o, Value> {
    let revision = revision.to_string();
    if object["metadata"]["resourceVersion"] == revision.as_str() {
        return object;
    }
    let mut object = object.into_owned();
    object["metadata"]["resourceVersion"] = revision.into();
    Cow::Owned(object)
}

fn write(value: &Value, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("a JSON value encodes into memory");
}

/// Events whose objects are tables of one row; only the first table has columns.
struct Tables {
    printer: Printer,
    resource: Arc<Resource>,
    header: Header,
    clock: Clock,
}

impl WatchEncoder for Tables {
    fn object(&mut self, object: &Stored, revision: u64, out: &mut Vec<u8>) {
        let value = object.value();
        let object = as_of(conversion::from_storage(&self.resource, &value), revision);
        let header = std::mem::replace(&mut self.header, Header::LeftOut);
        write(
            &table_of_one(&self.printer, header, &object, &self.clock),
            out,
        );
    }

    fn bookmark(&mut self, metadata: Value, out: &mut Vec<u8>) {
        write(
            &self.printer.table(&metadata, Header::LeftOut, Vec::new()),
            out,
        );
    }
}

/// Events whose objects are metadata alone.
struct Partials {
    version: MetaVersion,
}

impl WatchEncoder for Partials {
    fn object(&mut self, object: &Stored, revision: u64, out: &mut Vec<u8>) {
        let value = object.value();
        let object = as_of(Cow::Borrowed(&value), revision);
        write(&partial::object(self.version, &object), out);
    }

    fn bookmark(&mut self, metadata: Value, out: &mut Vec<u8>) {
        write(&partial::of_metadata(self.version, metadata), out);
    }
}
