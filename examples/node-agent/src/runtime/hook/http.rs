use std::net::IpAddr;

use http::header::{ACCEPT, HOST, USER_AGENT};
use http::{HeaderName, HeaderValue, Request, Uri};
use k8s_openapi::api::core::v1::{Container, HTTPGetAction};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube_client::Client;
use kube_client::client::Body;

use crate::runtime::manager::chain;

/// Something to tell of a hook that went well.
#[derive(Clone, Copy)]
pub(in crate::runtime) struct HookEvent {
    pub(in crate::runtime) reason: &'static str,
    pub(in crate::runtime) message: &'static str,
}

const HTTPS_FALLBACK: HookEvent = HookEvent {
    reason: "LifecycleHTTPFallback",
    message: "request to HTTPS lifecycle hook got HTTP response, retry with HTTP succeeded",
};

/// What hooks call themselves, as kubelet's do.
const AGENT: &str = "kube-lifecycle/1.36";

/// Asks a container over HTTP, whatever it answers.
///
/// Certificates are not checked. A container that speaks HTTP where HTTPS is asked for is asked over
/// that, which there is something to tell about. Redirections are answers like others.
pub(super) async fn get(
    action: &HTTPGetAction,
    container: &Container,
    pod_ip: Option<&IpAddr>,
) -> Result<Option<HookEvent>, String> {
    let given = action.host.clone().filter(|host| !host.is_empty());
    let host = match (given, pod_ip) {
        (Some(host), _) => host,
        (None, Some(ip)) => ip.to_string(),
        (None, None) => return Err("the pod has no address".to_owned()),
    };
    let port = port(&action.port, container)?;
    let scheme = action.scheme.as_deref().unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("https") {
        return send("http", &host, port, action).await.map(|()| None);
    }
    match send("https", &host, port, action).await {
        Err(cause) if is_plain_http(&cause) => {
            send("http", &host, port, action).await?;
            Ok(Some(HTTPS_FALLBACK))
        }
        sent => sent.map(|()| None),
    }
}

/// Whether a handshake failed since the other side answered in no TLS at all.
fn is_plain_http(cause: &str) -> bool {
    cause.contains("InvalidContentType")
}

async fn send(scheme: &str, host: &str, port: u16, action: &HTTPGetAction) -> Result<(), String> {
    let host = match host.parse() {
        Ok(IpAddr::V6(ip)) => format!("[{ip}]"),
        _ => host.to_owned(),
    };
    let base = format!("{scheme}://{host}:{port}/");
    let base: Uri = base.parse().map_err(|error| chain(&error))?;
    let mut config = kube_client::Config::new(base);
    config.accept_invalid_certs = true;
    config.default_retry = false;
    let client = Client::try_from(config).map_err(|error| chain(&error))?;

    let request = request(scheme, action)?;
    client
        .send(request)
        .await
        .map(drop)
        .map_err(|error| chain(&error))
}

fn request(scheme: &str, action: &HTTPGetAction) -> Result<Request<Body>, String> {
    let path = action.path.as_deref().unwrap_or_default();
    let path = match path.strip_prefix('/') {
        Some(_) => path.to_owned(),
        None => format!("/{path}"),
    };
    let request = Request::get(path).body(Body::empty());
    let mut request = request.map_err(|error| chain(&error))?;
    let headers = request.headers_mut();
    for header in action.http_headers.iter().flatten() {
        let name: HeaderName = header.name.parse().map_err(|error| chain(&error))?;
        let value: HeaderValue = header.value.parse().map_err(|error| chain(&error))?;
        // What is for whoever speaks TLS there is for nobody else.
        if scheme == "http"
            && name == http::header::AUTHORIZATION
            && action.scheme.as_deref() == Some("HTTPS")
        {
            continue;
        }
        match name {
            HOST => headers.insert(name, value).is_some(),
            _ => headers.append(name, value),
        };
    }
    for (name, value) in [(USER_AGENT, AGENT), (ACCEPT, "*/*")] {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    Ok(request)
}

/// The port that a hook means, by number or by the name that the container has for it.
fn port(port: &IntOrString, container: &Container) -> Result<u16, String> {
    let number = match port {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => {
            let mut ports = container.ports.iter().flatten();
            let named = ports.find(|port| port.name.as_ref() == Some(name));
            match (named, name.parse()) {
                (Some(port), _) => port.container_port,
                (None, Ok(number)) => number,
                (None, Err(_)) => return Err(format!("couldn't find port: {name:?}")),
            }
        }
    };
    let port = u16::try_from(number).ok().filter(|port| *port > 0);
    port.ok_or_else(|| format!("invalid port number: {number}"))
}
