//! Events, in both of their faces.

use serde_json::Value;

use crate::table::subject::Subject;

pub(super) fn event(o: &Subject<'_>) -> Vec<Value> {
    let since = |pointers: &[&str]| {
        let known = pointers.iter().find(|pointer| o.text(pointer).is_some());
        o.since(known.unwrap_or(&""))
    };
    let first = since(&["/firstTimestamp", "/deprecatedFirstTimestamp", "/eventTime"]);
    let series = o.at("/series");
    let (last, count) = if series.is_object() {
        (since(&["/series/lastObservedTime"]), o.int("/series/count"))
    } else {
        let last = ["/lastTimestamp", "/deprecatedLastTimestamp"];
        let last = match o.first_text(&last) {
            "" => first.clone(),
            _ => since(&last),
        };
        // An event that says nothing of its count has happened once.
        let count = o.int("/count").max(o.int("/deprecatedCount")).max(1);
        (last, count)
    };
    let kind = o
        .first_text(&["/involvedObject/kind", "/regarding/kind"])
        .to_lowercase();
    let object = match o.first_text(&["/involvedObject/name", "/regarding/name"]) {
        "" => kind,
        name => format!("{kind}/{name}"),
    };
    let component = o.first_text(&[
        "/source/component",
        "/deprecatedSource/component",
        "/reportingComponent",
        "/reportingController",
    ]);
    let source = match o.first_text(&[
        "/source/host",
        "/deprecatedSource/host",
        "/reportingInstance",
    ]) {
        "" => component.to_owned(),
        instance => format!("{component}, {instance}"),
    };
    vec![
        last.into(),
        o.text_or("/type", ""),
        o.text_or("/reason", ""),
        object.into(),
        o.first_text(&["/involvedObject/fieldPath", "/regarding/fieldPath"])
            .into(),
        source.into(),
        o.first_text(&["/message", "/note"]).trim().into(),
        first.into(),
        count.into(),
        o.name(),
    ]
}
