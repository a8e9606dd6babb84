use http::{StatusCode, Uri, header};

use super::exchange::Exchange;
use super::request::{HttpTarget, path_of};

impl HttpTarget {
    /// Where an answer sends on to; `None` if it does not.
    ///
    /// A `Host` of its own goes along as long as the location says nothing of the host.
    pub(super) fn redirected(&self, answer: &Exchange) -> Result<Option<Self>, String> {
        let sends_on = matches!(
            answer.status,
            StatusCode::MOVED_PERMANENTLY
                | StatusCode::FOUND
                | StatusCode::SEE_OTHER
                | StatusCode::TEMPORARY_REDIRECT
                | StatusCode::PERMANENT_REDIRECT
        );
        let Some(location) = answer.location.as_deref().filter(|_| sends_on) else {
            return Ok(None);
        };
        let mut next = self.clone();
        if let Some(rest) = location.strip_prefix("//") {
            let scheme = if self.is_tls { "https" } else { "http" };
            next.move_to(&format!("{scheme}://{rest}"))?;
        } else if location.contains("://") {
            next.move_to(location)?;
        } else {
            next.path = self.resolve(location);
        }
        Ok(Some(next))
    }

    fn move_to(&mut self, url: &str) -> Result<(), String> {
        let refuse = |why: &str| format!("failed to parse Location header {url:?}: {why}");
        let (url_without_fragment, _) = url.split_once('#').unwrap_or((url, ""));
        let uri: Uri = url_without_fragment
            .parse()
            .map_err(|error: http::uri::InvalidUri| refuse(&error.to_string()))?;
        self.is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            other => {
                let scheme = other.unwrap_or_default();
                return Err(format!("unsupported protocol scheme {scheme:?}"));
            }
        };
        let host = uri.host().ok_or_else(|| refuse("it has no host"))?;
        self.host = host.trim_matches(['[', ']']).to_owned();
        self.port = uri.port_u16().unwrap_or(if self.is_tls { 443 } else { 80 });
        self.path = path_of(uri.path_and_query().map_or("/", |path| path.as_str()));
        self.headers.remove(header::HOST);
        Ok(())
    }

    /// A location without a host, seen from this path. What has dots in it is left to the server.
    fn resolve(&self, location: &str) -> String {
        let (path, _) = self.path.split_once('?').unwrap_or((&self.path, ""));
        if location.starts_with('/') {
            path_of(location)
        } else if location.is_empty() || location.starts_with('?') {
            path_of(&format!("{path}{location}"))
        } else {
            let (directory, _) = path.rsplit_once('/').unwrap_or_default();
            path_of(&format!("{directory}/{location}"))
        }
    }
}
