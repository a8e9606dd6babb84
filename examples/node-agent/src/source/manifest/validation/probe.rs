use k8s_openapi::api::core::v1::{HTTPGetAction, LifecycleHandler, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::names;
use crate::source::manifest::validation::Problems;

/// A probe; one that `kills` has no use for successes beyond the first.
pub(super) fn check(field: &str, probe: &Probe, kills: bool, problems: &mut Problems) {
    let at = |name: &str| format!("{field}.{name}");
    let handlers = [
        probe.exec.is_some(),
        probe.http_get.is_some(),
        probe.tcp_socket.is_some(),
        probe.grpc.is_some(),
    ];
    exactly_one(field, &handlers, problems);
    if let Some(exec) = &probe.exec
        && exec.command.as_deref().unwrap_or_default().is_empty()
    {
        problems.required(&at("exec.command"));
    }
    if let Some(request) = &probe.http_get {
        self::request(&at("httpGet"), request, problems);
    }
    if let Some(socket) = &probe.tcp_socket {
        port(&at("tcpSocket.port"), &socket.port, problems);
    }
    if let Some(call) = &probe.grpc {
        problems.port(&at("grpc.port"), call.port);
    }
    for (name, number) in [
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("periodSeconds", probe.period_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ] {
        problems.not_negative(&at(name), number);
    }
    if let Some(threshold) = probe.success_threshold.filter(|it| kills && *it != 1) {
        problems.invalid(&at("successThreshold"), &threshold.to_string(), "must be 1");
    }
    if let Some(seconds) = probe.termination_grace_period_seconds {
        let field = at("terminationGracePeriodSeconds");
        if !kills {
            problems.invalid(
                &field,
                &seconds.to_string(),
                "must not be set for readinessProbes",
            );
        } else if seconds <= 0 {
            problems.invalid(&field, &seconds.to_string(), "must be greater than 0");
        }
    }
}

/// A hook of a container's life.
pub(super) fn hook(field: &str, hook: &LifecycleHandler, problems: &mut Problems) {
    let handlers = [
        hook.exec.is_some(),
        hook.http_get.is_some(),
        hook.tcp_socket.is_some(),
        hook.sleep.is_some(),
    ];
    exactly_one(field, &handlers, problems);
    if let Some(exec) = &hook.exec
        && exec.command.as_deref().unwrap_or_default().is_empty()
    {
        problems.required(&format!("{field}.exec.command"));
    }
    if let Some(request) = &hook.http_get {
        self::request(&format!("{field}.httpGet"), request, problems);
    }
    if let Some(sleep) = &hook.sleep {
        problems.not_negative(&format!("{field}.sleep.seconds"), Some(sleep.seconds));
    }
}

fn exactly_one(field: &str, handlers: &[bool], problems: &mut Problems) {
    match handlers.iter().filter(|given| **given).count() {
        0 => problems.push(
            field,
            "Required value: must specify a handler type".to_owned(),
        ),
        1 => {}
        _ => problems.forbidden(field, "may not specify more than 1 handler type"),
    }
}

fn request(field: &str, request: &HTTPGetAction, problems: &mut Problems) {
    if request.path.as_deref().unwrap_or_default().is_empty() {
        problems.required(&format!("{field}.path"));
    }
    port(&format!("{field}.port"), &request.port, problems);
    problems.one_of(
        &format!("{field}.scheme"),
        request.scheme.as_deref(),
        &["HTTP", "HTTPS"],
    );
}

fn port(field: &str, port: &IntOrString, problems: &mut Problems) {
    match port {
        IntOrString::Int(number) => problems.port(field, *number),
        IntOrString::String(name) => problems.name(field, name, names::port),
    }
}
