use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// What a path of the API leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Healthz,
    Pods,
    RunningPods,
    ContainerLogs,
    Exec,
    Attach,
    PortForward,
    Run,
    Metrics,
    ResourceMetrics,
    ProbeMetrics,
    Configz,
    StatsSummary,
    /// Kubelets have it, and this agent has not.
    Unsupported(&'static str),
}

/// Which servers have a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// All of them.
    Everywhere,
    /// Those with the handlers for debugging.
    Debugging,
    /// Those too, and others say that they have not.
    SaidToBeDisabled,
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) endpoint: Endpoint,
    pub(super) reach: Reach,
    /// The methods that it takes; none for any.
    pub(super) methods: &'static [&'static str],
    pub(super) parameters: Parameters,
}

/// What the variable parts of a path are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) namespace: String,
    pub(super) pod: String,
    pub(super) uid: Option<String>,
    pub(super) container: String,
    /// The rest of the path.
    pub(super) rest: Option<String>,
}

type Row = (&'static str, &'static [&'static str], Endpoint, Reach);

const ANY: &[&str] = &[];
const GET: &[&str] = &["GET"];
const POST: &[&str] = &["POST"];
const STREAM: &[&str] = &["GET", "POST"];

/// All paths of the API, as its router knows them: `{namespace}` stands for one part of a path, and
/// `{rest*}` for all that follows. Each is answered to those alone who are let in.
pub const PATHS: [&str; ROUTES.len()] = {
    let mut paths = [""; ROUTES.len()];
    let mut row = 0;
    while row < ROUTES.len() {
        paths[row] = ROUTES[row].0;
        row += 1;
    }
    paths
};

const ROUTES: [Row; 28] = {
    use Endpoint::{
        Attach, Configz, ContainerLogs, Exec, Healthz, Metrics, Pods, PortForward, ProbeMetrics,
        ResourceMetrics, Run, RunningPods, StatsSummary, Unsupported,
    };
    use Reach::{Debugging, Everywhere, SaidToBeDisabled};
    [
        ("/healthz", ANY, Healthz, Everywhere),
        ("/healthz/{rest*}", ANY, Healthz, Everywhere),
        ("/pods", GET, Pods, Everywhere),
        ("/stats/summary", STREAM, StatsSummary, Everywhere),
        (
            "/stats",
            ANY,
            Unsupported("statistics other than /stats/summary"),
            Everywhere,
        ),
        ("/metrics", ANY, Metrics, Everywhere),
        ("/metrics/resource", ANY, ResourceMetrics, Everywhere),
        ("/metrics/probes", ANY, ProbeMetrics, Everywhere),
        (
            "/metrics/cadvisor",
            ANY,
            Unsupported("metrics of cAdvisor"),
            Everywhere,
        ),
        (
            "/metrics/slis",
            ANY,
            Unsupported("metrics of service levels"),
            Everywhere,
        ),
        (
            "/run/{namespace}/{pod}/{container}",
            POST,
            Run,
            SaidToBeDisabled,
        ),
        (
            "/run/{namespace}/{pod}/{uid}/{container}",
            POST,
            Run,
            SaidToBeDisabled,
        ),
        (
            "/exec/{namespace}/{pod}/{container}",
            STREAM,
            Exec,
            SaidToBeDisabled,
        ),
        (
            "/exec/{namespace}/{pod}/{uid}/{container}",
            STREAM,
            Exec,
            SaidToBeDisabled,
        ),
        (
            "/attach/{namespace}/{pod}/{container}",
            STREAM,
            Attach,
            SaidToBeDisabled,
        ),
        (
            "/attach/{namespace}/{pod}/{uid}/{container}",
            STREAM,
            Attach,
            SaidToBeDisabled,
        ),
        (
            "/portForward/{namespace}/{pod}",
            STREAM,
            PortForward,
            SaidToBeDisabled,
        ),
        (
            "/portForward/{namespace}/{pod}/{uid}",
            STREAM,
            PortForward,
            SaidToBeDisabled,
        ),
        (
            "/containerLogs/{namespace}/{pod}/{container}",
            GET,
            ContainerLogs,
            SaidToBeDisabled,
        ),
        ("/runningpods", GET, RunningPods, SaidToBeDisabled),
        ("/configz", ANY, Configz, Debugging),
        (
            "/logs",
            GET,
            Unsupported("logs of the node"),
            SaidToBeDisabled,
        ),
        (
            "/logs/{rest*}",
            GET,
            Unsupported("logs of the node"),
            SaidToBeDisabled,
        ),
        (
            "/checkpoint/{namespace}/{pod}/{container}",
            POST,
            Unsupported("checkpoints of containers"),
            Debugging,
        ),
        (
            "/debug/pprof/{rest*}",
            ANY,
            Unsupported("profiles"),
            SaidToBeDisabled,
        ),
        (
            "/debug/flags/v",
            ANY,
            Unsupported("changing the log level"),
            Debugging,
        ),
        (
            "/statusz",
            ANY,
            Unsupported("the page of the agent's status"),
            Debugging,
        ),
        (
            "/flagz",
            ANY,
            Unsupported("the page of the agent's flags"),
            Debugging,
        ),
    ]
};

/// Where paths begin that are said to be disabled, whatever follows.
const DISABLED: [&str; 8] = [
    "run",
    "exec",
    "attach",
    "portForward",
    "containerLogs",
    "runningpods",
    "debug/pprof",
    "logs",
];

impl Route {
    /// The route of a path. A slash at its end makes no difference.
    pub(super) fn of(path: &str) -> Option<Self> {
        let path = path.strip_suffix('/').unwrap_or(path);
        ROUTES
            .iter()
            .find_map(|(pattern, methods, endpoint, reach)| {
                Some(Self {
                    endpoint: *endpoint,
                    reach: *reach,
                    methods,
                    parameters: Parameters::matching(pattern, path)?,
                })
            })
    }
}

/// Whether a server without handlers for debugging says of a path that it is disabled.
pub(super) fn is_said_to_be_disabled(path: &str) -> bool {
    let path = path.strip_prefix('/').unwrap_or(path);
    DISABLED.iter().any(|disabled| {
        path.strip_prefix(disabled)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

impl Parameters {
    fn matching(pattern: &str, path: &str) -> Option<Self> {
        let mut found = Self::default();
        let mut parts = path.split('/');
        for expected in pattern.split('/') {
            if expected == "{rest*}" {
                let rest: Vec<&str> = parts.by_ref().collect();
                found.rest = Some(decoded(&rest.join("/"))?);
                return Some(found);
            }
            let part = parts.next()?;
            let given = || decoded(part).filter(|part| !part.is_empty());
            match expected {
                "{namespace}" => found.namespace = given()?,
                "{pod}" => found.pod = given()?,
                "{uid}" => found.uid = Some(given()?),
                "{container}" => found.container = given()?,
                _ if expected == part => {}
                _ => return None,
            }
        }
        parts.next().is_none().then_some(found)
    }
}

fn decoded(part: &str) -> Option<String> {
    let text = percent_decode_str(part).decode_utf8().ok();
    text.map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, endpoint: Endpoint, parameters: [&str; 4]) {
        let route = Route::of(path).unwrap();
        let found = route.parameters;
        let uid = found.uid.unwrap_or_default();
        let parts = [found.namespace, found.pod, uid, found.container];
        assert_eq!(
            (route.endpoint, parts),
            (endpoint, parameters.map(str::to_owned))
        );
    }

    #[test]
    fn paths_lead_where_kubelet_has_them() {
        check("/exec/ns/p/c", Endpoint::Exec, ["ns", "p", "", "c"]);
        check("/exec/ns/p/u/c", Endpoint::Exec, ["ns", "p", "u", "c"]);
        check("/attach/ns/p/c/", Endpoint::Attach, ["ns", "p", "", "c"]);
        check(
            "/portForward/ns/p",
            Endpoint::PortForward,
            ["ns", "p", "", ""],
        );
        check(
            "/portForward/ns/p/u",
            Endpoint::PortForward,
            ["ns", "p", "u", ""],
        );
        check(
            "/containerLogs/ns/p%2e/c",
            Endpoint::ContainerLogs,
            ["ns", "p.", "", "c"],
        );
        check("/pods/", Endpoint::Pods, [""; 4]);
        check("/runningpods/", Endpoint::RunningPods, [""; 4]);
        check("/healthz/", Endpoint::Healthz, [""; 4]);
        assert_eq!(
            Route::of("/healthz/ping")
                .unwrap()
                .parameters
                .rest
                .as_deref(),
            Some("ping")
        );
        for path in [
            "/",
            "",
            "/pods/x",
            "/exec//p/c",
            "/exec/ns/p",
            "/healthzz",
            "/junk",
        ] {
            assert_eq!(Route::of(path), None, "{path}");
        }
    }
}
