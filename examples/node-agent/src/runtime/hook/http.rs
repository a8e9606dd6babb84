use std::net::IpAddr;
use std::time::Duration;

use http::header::AUTHORIZATION;
use k8s_openapi::api::core::v1::{Container, HTTPGetAction};

use crate::probe::{HttpClient, HttpPurpose, HttpTarget};

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

/// A hook takes as long as it takes: what ends it is the end of its container.
const LIMIT: Duration = Duration::from_secs(u32::MAX as u64);

/// Asks a container over HTTP, whatever it answers.
///
/// A container that speaks HTTP where HTTPS is asked for is asked over that, which there is
/// something to tell about.
pub(super) async fn get(
    client: &HttpClient,
    action: &HTTPGetAction,
    container: &Container,
    pod_ip: Option<&IpAddr>,
) -> Result<Option<HookEvent>, String> {
    let pod_ip = pod_ip.map(ToString::to_string).unwrap_or_default();
    let target = HttpTarget::of(action, container, &pod_ip, HttpPurpose::Lifecycle);
    let mut target = target.map_err(|error| error.to_string())?;
    if target.host.is_empty() {
        return Err("the pod has no address".to_owned());
    }
    match client.get(&target, LIMIT).await {
        Err(cause) if target.is_tls && is_plain_http(&cause) => {
            target.is_tls = false;
            // What is for whoever speaks TLS there is for nobody else.
            target.headers.remove(AUTHORIZATION);
            client.get(&target, LIMIT).await?;
            Ok(Some(HTTPS_FALLBACK))
        }
        answered => answered.map(|_| None),
    }
}

/// Whether a handshake failed since the other side answered in no TLS at all.
fn is_plain_http(cause: &str) -> bool {
    cause.contains("InvalidContentType")
}
