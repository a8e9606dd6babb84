use std::collections::BTreeMap;
use std::fmt;
use std::ops::Sub;

use anyhow::{Context as _, Result};
use kube_client::Client;

/// What a server answered: requests by verb, resource, subresource and status code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestCounts {
    counts: BTreeMap<Kind, u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    resource: String,
    verb: String,
    code: String,
}

impl RequestCounts {
    /// Reads `apiserver_request_total` from the server's `/metrics`.
    ///
    /// # Errors
    ///
    /// When the server does not answer, or answers something else.
    pub async fn read(client: &Client) -> Result<Self> {
        let request = http::Request::get("/metrics").body(Vec::new())?;
        let text = client.request_text(request).await.context("GET /metrics")?;
        let mut counts = BTreeMap::new();
        for line in text.lines() {
            let Some(rest) = line.strip_prefix("apiserver_request_total{") else {
                continue;
            };
            let (labels, value) = rest.rsplit_once("} ").context("a metric without value")?;
            let label = |name: &str| {
                let found = labels.split(',').find_map(|pair| {
                    let value = pair.trim().strip_prefix(name)?.strip_prefix("=\"")?;
                    value.strip_suffix('"')
                });
                found.unwrap_or_default().to_owned()
            };
            let resource = match (label("resource"), label("subresource")) {
                (resource, subresource) if subresource.is_empty() => resource,
                (resource, subresource) => format!("{resource}/{subresource}"),
            };
            let kind = Kind {
                resource,
                verb: label("verb"),
                code: label("code"),
            };
            *counts.entry(kind).or_default() += value.trim().parse::<u64>()?;
        }
        Ok(Self { counts })
    }

    /// Requests of this verb on this resource (`pods`, `replicasets/status`), whatever the answer was.
    pub fn of(&self, verb: &str, resource: &str) -> u64 {
        self.sum(|kind| kind.verb.eq_ignore_ascii_case(verb) && kind.resource == resource)
    }

    /// Requests that were answered with this status code.
    pub fn answered(&self, code: &str) -> u64 {
        self.sum(|kind| kind.code == code)
    }

    fn sum(&self, wanted: impl Fn(&Kind) -> bool) -> u64 {
        self.counts
            .iter()
            .filter(|(kind, _)| wanted(kind))
            .map(|(_, count)| count)
            .sum()
    }
}

impl Sub for &RequestCounts {
    type Output = RequestCounts;

    /// What came between two readings.
    fn sub(self, earlier: &RequestCounts) -> RequestCounts {
        let counts = self.counts.iter().filter_map(|(kind, now)| {
            let before = earlier.counts.get(kind).copied().unwrap_or_default();
            (*now > before).then(|| (kind.clone(), now - before))
        });
        RequestCounts {
            counts: counts.collect(),
        }
    }
}

impl fmt::Display for RequestCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, count) in &self.counts {
            writeln!(
                f,
                "  {:<6} {:<28} {:>4} {count:>8}",
                kind.verb, kind.resource, kind.code
            )?;
        }
        Ok(())
    }
}
