use http::{Request, header};
use kube_client::client::Body;

use crate::source::{InitialEvents, ListOptions, VersionMatch, WatchOptions};

/// What is asked for in every request: which objects, and how much of them.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    path: String,
    pub(super) labels: Option<String>,
    pub(super) fields: Option<String>,
    pub(super) metadata_only: bool,
}

impl Selection {
    pub(super) const fn new(path: String, metadata_only: bool) -> Self {
        Self {
            path,
            labels: None,
            fields: None,
            metadata_only,
        }
    }

    pub(super) fn list(&self, options: &ListOptions) -> Result<Request<Body>, http::Error> {
        let mut query = self.query();
        if let Some(limit) = options.limit {
            query.append_pair("limit", &limit.to_string());
        }
        if let Some(token) = &options.continue_token {
            query.append_pair("continue", token);
        }
        if !options.resource_version.is_empty() {
            query.append_pair("resourceVersion", &options.resource_version.to_string());
        }
        match options.version_match {
            Some(VersionMatch::NotOlderThan) => {
                query.append_pair("resourceVersionMatch", "NotOlderThan");
            }
            Some(VersionMatch::Exact) => {
                query.append_pair("resourceVersionMatch", "Exact");
            }
            None => {}
        }
        self.request(&query.finish(), "PartialObjectMetadataList")
    }

    pub(super) fn watch(&self, options: &WatchOptions) -> Result<Request<Body>, http::Error> {
        let mut query = self.query();
        query.append_pair("watch", "true");
        query.append_pair("allowWatchBookmarks", "true");
        if let Some(timeout) = options.timeout {
            query.append_pair("timeoutSeconds", &timeout.as_secs().to_string());
        }
        if !options.resource_version.is_empty() {
            query.append_pair("resourceVersion", &options.resource_version.to_string());
        }
        if options.initial_events == InitialEvents::Sent {
            query.append_pair("sendInitialEvents", "true");
            query.append_pair("resourceVersionMatch", "NotOlderThan");
        }
        self.request(&query.finish(), "PartialObjectMetadata")
    }

    fn query(&self) -> form_urlencoded::Serializer<'static, String> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if let Some(labels) = &self.labels {
            query.append_pair("labelSelector", labels);
        }
        if let Some(fields) = &self.fields {
            query.append_pair("fieldSelector", fields);
        }
        query
    }

    fn request(&self, query: &str, partial: &str) -> Result<Request<Body>, http::Error> {
        let accept = if self.metadata_only {
            format!("application/json;as={partial};g=meta.k8s.io;v=v1,application/json")
        } else {
            "application/json".to_owned()
        };
        Request::get(format!("{}?{query}", self.path))
            .header(header::ACCEPT, accept)
            .body(Body::empty())
    }
}
