//! The span of a reconcile.
//!
//! Alone in its program: what one thread collects is decided anew, for all of them, whenever another
//! comes to a span for the first time and collects nothing.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kubewright_controller::{Action, Controller, ControllerConfig, Request};
use kubewright_informer::ObjectKey;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Keeps the fields of all spans of this crate.
#[derive(Clone, Default)]
struct Spans {
    seen: Arc<Mutex<Vec<BTreeMap<String, String>>>>,
    ids: Arc<AtomicU64>,
}

struct Fields<'a>(&'a mut BTreeMap<String, String>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name().into(), format!("{value:?}"));
    }
}

impl Subscriber for Spans {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("kubewright_controller")
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = BTreeMap::from([("span".into(), span.metadata().name().into())]);
        span.record(&mut Fields(&mut fields));
        self.seen.lock().unwrap().push(fields);
        Id::from_u64(self.ids.fetch_add(1, Ordering::Relaxed) + 1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test(start_paused = true)]
async fn a_reconcile_is_a_span() {
    let spans = Spans::default();
    let _guard = tracing::subscriber::set_default(spans.clone());
    let controller = Controller::new("replica-set", ControllerConfig::default());
    let key = ObjectKey::namespaced("default", "web");
    controller.enqueue().add(key);
    // It fails the first time.
    let reconcile = |request: Request| async move {
        match request.attempt() {
            1 => Err(std::fmt::Error),
            _ => Ok(Action::done()),
        }
    };
    let token = CancellationToken::new();
    let stop = async {
        sleep(Duration::from_secs(1)).await;
        token.cancel();
    };
    let (ran, ()) = tokio::join!(controller.run(reconcile, token.clone()), stop);
    ran.unwrap();

    let seen = spans.seen.lock().unwrap().clone();
    let expected = [("asked", "1"), ("requeued", "2")].map(|(reason, attempt)| {
        let fields = [
            ("span", "reconcile"),
            ("controller", "replica-set"),
            ("object.ref", "default/web"),
            ("object.reason", reason),
            ("attempt", attempt),
        ];
        fields
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    });
    assert_eq!(seen, expected);
}
