//! What runs pods: replica sets, deployments, jobs and their siblings.

use jiff::Timestamp;
use serde_json::Value;

use crate::table::age;
use crate::table::subject::Subject;

pub(super) fn replication_controller(o: &Subject<'_>) -> Vec<Value> {
    let mut cells = replicas(o);
    cells.push(o.labels("/spec/selector"));
    cells
}

pub(super) fn replica_set(o: &Subject<'_>) -> Vec<Value> {
    let mut cells = replicas(o);
    cells.push(o.selector("/spec/selector"));
    cells
}

fn replicas(o: &Subject<'_>) -> Vec<Value> {
    let [names, images] = o.containers("/spec/template");
    vec![
        o.name(),
        o.int("/spec/replicas").into(),
        o.int("/status/replicas").into(),
        o.int("/status/readyReplicas").into(),
        o.age(),
        names,
        images,
    ]
}

pub(super) fn deployment(o: &Subject<'_>) -> Vec<Value> {
    let [names, images] = o.containers("/spec/template");
    vec![
        o.name(),
        ready(o),
        o.int("/status/updatedReplicas").into(),
        o.int("/status/availableReplicas").into(),
        o.age(),
        names,
        images,
        o.selector("/spec/selector"),
    ]
}

pub(super) fn stateful_set(o: &Subject<'_>) -> Vec<Value> {
    let [names, images] = o.containers("/spec/template");
    vec![o.name(), ready(o), o.age(), names, images]
}

fn ready(o: &Subject<'_>) -> Value {
    format!(
        "{}/{}",
        o.int("/status/readyReplicas"),
        o.int("/spec/replicas")
    )
    .into()
}

pub(super) fn daemon_set(o: &Subject<'_>) -> Vec<Value> {
    let [names, images] = o.containers("/spec/template");
    vec![
        o.name(),
        o.int("/status/desiredNumberScheduled").into(),
        o.int("/status/currentNumberScheduled").into(),
        o.int("/status/numberReady").into(),
        o.int("/status/updatedNumberScheduled").into(),
        o.int("/status/numberAvailable").into(),
        o.labels("/spec/template/spec/nodeSelector"),
        o.age(),
        names,
        images,
        o.selector("/spec/selector"),
    ]
}

pub(super) fn controller_revision(o: &Subject<'_>) -> Vec<Value> {
    let owners = o.list("/metadata/ownerReferences");
    let controller = owners
        .iter()
        .find(|owner| owner["controller"] == true)
        .map(|owner| {
            let text = |field: &str| owner[field].as_str().unwrap_or_default();
            let group = text("apiVersion").split_once('/').map(|(group, _)| group);
            let kind = match group {
                Some(group) => format!("{}.{group}", text("kind")),
                None => text("kind").to_owned(),
            };
            format!("{}/{}", kind.to_lowercase(), text("name"))
        });
    vec![
        o.name(),
        controller.unwrap_or_else(|| "<none>".to_owned()).into(),
        o.int("/revision").into(),
        o.age(),
    ]
}

pub(super) fn job(o: &Subject<'_>) -> Vec<Value> {
    let succeeded = o.int("/status/succeeded");
    let completions = match (
        o.at("/spec/completions").as_i64(),
        o.int("/spec/parallelism"),
    ) {
        (Some(completions), _) => format!("{succeeded}/{completions}"),
        (None, parallelism @ 2..) => format!("{succeeded}/1 of {parallelism}"),
        (None, _) => format!("{succeeded}/1"),
    };
    let status = if o.has_condition("Complete") {
        "Complete"
    } else if o.has_condition("Failed") {
        "Failed"
    } else if o.is_deleted() {
        "Terminating"
    } else if o.has_condition("Suspended") {
        "Suspended"
    } else if o.has_condition("FailureTarget") {
        "FailureTarget"
    } else {
        "Running"
    };
    let time = |pointer: &str| {
        o.text(pointer)
            .and_then(|time| time.parse::<Timestamp>().ok())
    };
    let duration = time("/status/startTime").map(|start| {
        let end = time("/status/completionTime").unwrap_or(o.now);
        age::duration(end.duration_since(start).as_secs())
    });
    let [names, images] = o.containers("/spec/template");
    vec![
        o.name(),
        status.into(),
        completions.into(),
        duration.unwrap_or_default().into(),
        o.age(),
        names,
        images,
        o.selector("/spec/selector"),
    ]
}

pub(super) fn cron_job(o: &Subject<'_>) -> Vec<Value> {
    let [names, images] = o.containers("/spec/jobTemplate/spec/template");
    vec![
        o.name(),
        o.text_or("/spec/schedule", ""),
        o.text_or("/spec/timeZone", "<none>"),
        match o.at("/spec/suspend") {
            Value::Bool(true) => "True".into(),
            Value::Bool(false) => "False".into(),
            _ => "<unset>".into(),
        },
        o.count("/status/active").into(),
        match o.text("/status/lastScheduleTime") {
            Some(_) => o.since("/status/lastScheduleTime").into(),
            None => "<none>".into(),
        },
        o.age(),
        names,
        images,
        o.selector("/spec/jobTemplate/spec/selector"),
    ]
}
