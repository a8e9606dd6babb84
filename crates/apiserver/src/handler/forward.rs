//! What the kubelet of a node answers: the handlers say where it is asked, and how.

use http::Method;

use crate::error::ApiError;
use crate::handler::{Answer, Exchange};
use crate::proxy::{
    Forward, Forwards, Location, LogOptions, Manner, Streaming, log_place, stream_place,
};
use crate::store::Key;

impl Exchange<'_> {
    /// The answer that sends a request to a node; `None` if it is for this server, or if nobody
    /// carries out what is for nodes.
    pub(super) fn forward(
        &self,
        method: &Method,
        subresource: &str,
    ) -> Option<Result<Answer, ApiError>> {
        self.request.extensions.get::<Forwards>()?;
        match (self.target.resource.plural.as_str(), subresource) {
            ("pods", "log") => Some(self.forward_log(method)),
            ("pods", other) => {
                let streaming = Streaming::of(other)?;
                Some(self.forward_stream(method, streaming))
            }
            ("nodes", "proxy") if !self.target.watch => Some(self.forward_to_node(method)),
            _ => None,
        }
    }

    fn forward_log(&self, method: &Method) -> Result<Answer, ApiError> {
        let key = self.key()?;
        let options = LogOptions::parse(&self.query, key.name())?;
        let pod = self.core.get(&self.target.resource, &key)?;
        let Some((node, target)) = log_place(&pod.value(), &options)? else {
            return Ok(Answer::nothing());
        };
        let location = self.location(&node, target)?;
        let manner = Manner::Log {
            pod: key.name().to_owned(),
            follow: options.follow,
        };
        Ok(self.to(location, manner, method))
    }

    fn forward_stream(&self, method: &Method, streaming: Streaming) -> Result<Answer, ApiError> {
        let pod = self.core.get(&self.target.resource, &self.key()?)?;
        let (node, target) = stream_place(&pod.value(), streaming, &self.query)?;
        let location = self.location(&node, target)?;
        Ok(self.to(location, Manner::Stream, method))
    }

    /// A page of the kubelet itself. The node may be named with the kubelet's port.
    fn forward_to_node(&self, method: &Method) -> Result<Answer, ApiError> {
        let named = self.target.name.as_deref().unwrap_or_default();
        let parts: Vec<&str> = named.split(':').collect();
        let (name, port) = match parts.as_slice() {
            [name] => (*name, ""),
            [name, port] | ["" | "http" | "https", name, port] => (*name, *port),
            _ => {
                return Err(ApiError::bad_request(format!(
                    "invalid node request {named:?}"
                )));
            }
        };
        let mut target = below_node(self.request.uri.path()).to_owned();
        if let Some(query) = self.request.uri.query() {
            target.push('?');
            target.push_str(query);
        }
        let location = self.location(name, target)?;
        if !port.is_empty() && port != location.address.port().to_string() {
            return Err(ApiError::unsupported(format!(
                "ports of nodes other than the kubelet's, which is {}",
                location.address.port()
            )));
        }
        Ok(self.to(location, Manner::Plain, method))
    }

    fn location(&self, node: &str, target: String) -> Result<Location, ApiError> {
        let nodes = self
            .resources
            .get("", "v1", "nodes")
            .expect("nodes are built in");
        let node = self.core.get(nodes, &Key::new("", node))?;
        Location::at(&node.value(), target)
    }

    fn to(&self, location: Location, manner: Manner, method: &Method) -> Answer {
        Answer::forward(Forward {
            location,
            manner,
            method: method.clone(),
            headers: self.request.headers.clone(),
            body: self.body.clone(),
        })
    }
}

/// What of `/api/v1/nodes/NAME/proxy/PATH` is the kubelet's path.
fn below_node(path: &str) -> &str {
    let below = (0..5).fold(path, |rest, _| {
        let rest = rest.trim_start_matches('/');
        rest.find('/').map_or("", |slash| &rest[slash..])
    });
    match below {
        "" => "/",
        below => below,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_below_a_node_is_the_kubelets() {
        assert_eq!(below_node("/api/v1/nodes/n/proxy"), "/");
        assert_eq!(below_node("/api/v1/nodes/n/proxy/"), "/");
        assert_eq!(below_node("/api/v1/nodes/proxy/proxy/pods"), "/pods");
        assert_eq!(
            below_node("//api/v1/nodes/n/proxy/metrics/cadvisor/%2F"),
            "/metrics/cadvisor/%2F"
        );
    }
}
