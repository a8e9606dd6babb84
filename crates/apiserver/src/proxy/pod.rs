//! What of a pod is asked of its node: the path and query that its kubelet knows it by.

use form_urlencoded::Serializer;
use serde_json::Value;

use super::LogOptions;
use crate::container::container;
use crate::error::ApiError;
use crate::request::Query;

/// A subresource of pods that is a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Streaming {
    Exec,
    Attach,
    PortForward,
}

impl Streaming {
    pub(crate) fn of(subresource: &str) -> Option<Self> {
        match subresource {
            "exec" => Some(Self::Exec),
            "attach" => Some(Self::Attach),
            "portforward" => Some(Self::PortForward),
            _ => None,
        }
    }
}

/// The node that has the log of a pod, and what is asked of it there; `None` while the pod has no
/// node, and so no log.
///
/// # Errors
///
/// 400 if it is not clear which container is meant.
pub(crate) fn log_place(
    pod: &Value,
    options: &LogOptions,
) -> Result<Option<(String, String)>, ApiError> {
    let container = container(pod, options.container.as_deref())?;
    let target = || {
        let path = format!("/containerLogs/{}/{container}", identity(pod));
        with_query(path, options.parameters())
    };
    Ok(node(pod).map(|node| (node.to_owned(), target())))
}

/// The node that has an end of a stream into a pod, and what is asked of it there.
///
/// # Errors
///
/// 400 if it is not clear which container is meant, and for a pod without a node.
pub(crate) fn stream_place(
    pod: &Value,
    streaming: Streaming,
    query: &Query<'_>,
) -> Result<(String, String), ApiError> {
    let named = || container(pod, query.get("container"));
    let path = match streaming {
        Streaming::Exec => format!("/exec/{}/{}", identity(pod), named()?),
        Streaming::Attach => format!("/attach/{}/{}", identity(pod), named()?),
        Streaming::PortForward => format!("/portForward/{}", identity(pod)),
    };
    let Some(node) = node(pod) else {
        let name = text(&pod["metadata"]["name"]);
        return Err(ApiError::bad_request(format!(
            "pod {name} does not have a host assigned"
        )));
    };
    let parameters = match streaming {
        Streaming::PortForward => ports(query)?,
        Streaming::Exec | Streaming::Attach => ends(streaming, query),
    };
    Ok((node.to_owned(), with_query(path, parameters)))
}

/// The ends of an execution that are attached, and what is executed.
fn ends(streaming: Streaming, query: &Query<'_>) -> Vec<(&'static str, String)> {
    let mut parameters = Vec::new();
    if streaming == Streaming::Exec {
        let command = query.all("command");
        parameters.extend(command.map(|word| ("command", word.to_owned())));
    }
    for (name, told) in [
        ("stderr", "error"),
        ("stdin", "input"),
        ("stdout", "output"),
        ("tty", "tty"),
    ] {
        if query.flag(name).unwrap_or_default() {
            parameters.push((told, "1".to_owned()));
        }
    }
    parameters
}

/// The ports that are named at once, as only clients that use websockets do.
fn ports(query: &Query<'_>) -> Result<Vec<(&'static str, String)>, ApiError> {
    let mut ports = Vec::new();
    for port in query.all("ports").flat_map(|ports| ports.split(',')) {
        let number: i32 = port.parse().map_err(|_| {
            ApiError::bad_request(format!(
                "strconv.ParseInt: parsing {port:?}: invalid syntax"
            ))
        })?;
        ports.push(number.to_string());
    }
    Ok(match ports.is_empty() {
        true => Vec::new(),
        false => vec![("port", ports.join(","))],
    })
}

/// `namespace/name`
fn identity(pod: &Value) -> String {
    let metadata = &pod["metadata"];
    format!(
        "{}/{}",
        text(&metadata["namespace"]),
        text(&metadata["name"])
    )
}

fn node(pod: &Value) -> Option<&str> {
    Some(text(&pod["spec"]["nodeName"])).filter(|node| !node.is_empty())
}

fn with_query(path: String, parameters: Vec<(&'static str, String)>) -> String {
    if parameters.is_empty() {
        return path;
    }
    let query = Serializer::new(String::new())
        .extend_pairs(parameters)
        .finish();
    format!("{path}?{query}")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A pod with these containers, on node `n`.
    fn pod(containers: &[&str]) -> Value {
        let named = |names: &[&str]| -> Value {
            names.iter().map(|name| json!({ "name": name })).collect()
        };
        json!({
            "metadata": { "namespace": "ns", "name": "p" },
            "spec": { "nodeName": "n", "containers": named(containers) },
        })
    }

    fn log(pod: &Value, query: &str) -> Result<Option<(String, String)>, ApiError> {
        log_place(pod, &LogOptions::parse(&Query::parse(Some(query)), "p")?)
    }

    fn stream(pod: &Value, streaming: Streaming, query: &str) -> Result<String, String> {
        stream_place(pod, streaming, &Query::parse(Some(query)))
            .map(|(node, target)| {
                assert_eq!(node, "n");
                target
            })
            .map_err(|error| {
                assert_eq!(error.code(), 400);
                error.to_string()
            })
    }

    #[test]
    fn a_log_is_asked_of_the_node_of_the_pod() {
        let place = |target: &str| Some(("n".to_owned(), target.to_owned()));
        let mut one = pod(&["c"]);
        assert_eq!(log(&one, "").unwrap(), place("/containerLogs/ns/p/c"));
        assert_eq!(
            log(&one, "follow=true&tailLines=5").unwrap(),
            place("/containerLogs/ns/p/c?follow=true&tailLines=5")
        );
        one["spec"]["ephemeralContainers"] = json!([{ "name": "debugger" }]);
        assert_eq!(
            log(&one, "container=debugger").unwrap(),
            place("/containerLogs/ns/p/debugger")
        );
        one["spec"]["nodeName"] = "".into();
        assert_eq!(log(&one, "").unwrap(), None);
        assert!(log(&one, "container=x").is_err());
    }

    #[test]
    fn streams_are_asked_for_in_the_words_of_kubelets() {
        let pod = pod(&["c"]);
        let query = "command=sh&command=-c&command=echo+%26&container=c&stdin=true&stdout=true&tty=false&stderr=1";
        assert_eq!(
            stream(&pod, Streaming::Exec, query).unwrap(),
            "/exec/ns/p/c?command=sh&command=-c&command=echo+%26&error=1&input=1&output=1"
        );
        assert_eq!(
            stream(&pod, Streaming::Attach, query).unwrap(),
            "/attach/ns/p/c?error=1&input=1&output=1"
        );
        assert_eq!(
            stream(&pod, Streaming::PortForward, "").unwrap(),
            "/portForward/ns/p"
        );
        assert_eq!(
            stream(&pod, Streaming::PortForward, "ports=80&ports=443").unwrap(),
            "/portForward/ns/p?port=80%2C443"
        );
        assert_eq!(
            stream(&pod, Streaming::PortForward, "ports=http").unwrap_err(),
            "strconv.ParseInt: parsing \"http\": invalid syntax"
        );
    }

    #[test]
    fn which_container_is_meant_must_be_clear() {
        let mut many = pod(&["a", "b"]);
        many["spec"]["initContainers"] = json!([{ "name": "i" }]);
        let why = "a container name must be specified for pod p, choose one of: [a b] \
                   or one of the init containers: [i]";
        for streaming in [Streaming::Exec, Streaming::Attach] {
            assert_eq!(stream(&many, streaming, "").unwrap_err(), why);
            assert!(stream(&many, streaming, "container=i").is_ok());
            assert_eq!(
                stream(&many, streaming, "container=x").unwrap_err(),
                "container x is not valid for pod p"
            );
        }
        assert_eq!(log(&many, "").unwrap_err().to_string(), why);
        assert!(stream(&many, Streaming::PortForward, "").is_ok());
        assert_eq!(
            stream(&pod(&[]), Streaming::Exec, "").unwrap_err(),
            "a container name must be specified for pod p"
        );
    }

    #[test]
    fn a_pod_without_a_node_has_no_streams() {
        let mut pod = pod(&["c"]);
        pod["spec"].as_object_mut().unwrap().remove("nodeName");
        for streaming in [Streaming::Exec, Streaming::Attach, Streaming::PortForward] {
            assert_eq!(
                stream(&pod, streaming, "").unwrap_err(),
                "pod p does not have a host assigned"
            );
        }
    }
}
