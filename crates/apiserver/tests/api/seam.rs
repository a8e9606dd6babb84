//! The one way in which these tests talk to the server.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use kubewright_apiserver::{ApiServer, Config, ResponseBody};
use kubewright_clock::Clock;
use serde_json::{Value, json};
use tower::Service as _;

/// A fresh server, whose clock shows noon of 1 May 2024 when it is made.
pub(crate) struct Server(pub(crate) ApiServer);

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) headers: HeaderMap,
    /// JSON, or the text as a string.
    pub(crate) body: Value,
}

/// A watch that is open.
pub(crate) struct Watch {
    pub(crate) code: u16,
    body: ResponseBody,
    buffer: Vec<u8>,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        // So that ages are what tokio's time makes of them, on a machine of any speed.
        config.clock = Clock::starting_at("2024-05-01T12:00:00Z".parse().unwrap());
        change(&mut config);
        Self(ApiServer::new(config).unwrap())
    }

    /// Sends a request written as `METHOD path`, headers as `Name: value` lines after it.
    pub(crate) async fn send(&self, request: &str, body: impl Into<Bytes>) -> Answer {
        let response = self.call(request, body.into()).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let kind = parts.headers.get("content-type");
        let json = kind.is_some_and(|kind| kind == "application/json") && !bytes.is_empty();
        Answer {
            code: parts.status.as_u16(),
            headers: parts.headers,
            body: match json {
                true => serde_json::from_slice(&bytes).unwrap(),
                false => String::from_utf8_lossy(&bytes).into(),
            },
        }
    }

    async fn call(&self, request: &str, body: Bytes) -> http::Response<ResponseBody> {
        let mut lines = request.lines();
        let (method, path) = lines.next().unwrap().split_once(' ').unwrap();
        let mut builder = Request::builder().method(method).uri(path);
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            builder = builder.header(name.trim(), value);
        }
        let request = builder.body(Full::new(body)).unwrap();
        self.0.service().call(request).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(&format!("GET {path}"), "").await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(&format!("POST {path}"), body.to_string()).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(&format!("PUT {path}"), body.to_string()).await
    }

    /// A merge patch.
    pub(crate) async fn merge(&self, path: &str, body: Value) -> Answer {
        let request = format!("PATCH {path}\nContent-Type: application/merge-patch+json");
        self.send(&request, body.to_string()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(&format!("DELETE {path}"), "").await
    }

    pub(crate) async fn delete_with(&self, path: &str, options: Value) -> Answer {
        self.send(&format!("DELETE {path}"), options.to_string())
            .await
    }

    /// Opens a watch; `path` has a query.
    pub(crate) async fn watch(&self, path: &str) -> Watch {
        self.watch_as(path, "application/json").await
    }

    /// Opens a watch of objects in the shape that `accept` asks for; `path` has a query.
    pub(crate) async fn watch_as(&self, path: &str, accept: &str) -> Watch {
        let response = self
            .call(
                &format!("GET {path}&watch=true\nAccept: {accept}"),
                Bytes::new(),
            )
            .await;
        Watch {
            code: response.status().as_u16(),
            body: response.into_body(),
            buffer: Vec::new(),
        }
    }

    /// Creates a `ConfigMap` in `default` with the given data.
    pub(crate) async fn config_map(&self, name: &str, data: &str) -> Answer {
        let body = json!({ "metadata": { "name": name }, "data": { "k": data } });
        self.post(CONFIG_MAPS, body).await.is(201)
    }
}

/// Where most tests put their objects.
pub(crate) const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

impl Answer {
    /// Checks the code.
    #[track_caller]
    pub(crate) fn is(self, code: u16) -> Self {
        assert_eq!(self.code, code, "{}", self.body);
        self
    }

    /// Checks that the body has at least what `expected` has.
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "calls read better")]
    pub(crate) fn shows(self, expected: Value) -> Self {
        let mut differences = String::new();
        compare(&expected, &self.body, "", &mut differences);
        assert!(differences.is_empty(), "{differences}in {:#}", self.body);
        self
    }

    /// The value at a path such as `metadata.name`.
    pub(crate) fn at(&self, path: &str) -> &Value {
        at(&self.body, path)
    }

    /// `metadata.resourceVersion`
    #[track_caller]
    pub(crate) fn version(&self) -> u64 {
        self.at("metadata.resourceVersion")
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    }

    /// `metadata.name` of each item.
    #[track_caller]
    pub(crate) fn names(&self) -> Vec<&str> {
        let items = self.body["items"].as_array().unwrap();
        items
            .iter()
            .map(|item| item["metadata"]["name"].as_str().unwrap())
            .collect()
    }
}

/// The value at a path such as `metadata.name`.
pub(crate) fn at<'v>(value: &'v Value, path: &str) -> &'v Value {
    path.split('.').fold(value, |value, field| &value[field])
}

fn compare(expected: &Value, actual: &Value, path: &str, out: &mut String) {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => {
            for (key, value) in expected {
                let path = format!("{path}.{key}");
                compare(value, actual.get(key).unwrap_or(&Value::Null), &path, out);
            }
        }
        (expected, actual) if expected == actual => {}
        _ => writeln!(out, "{path}: expected {expected}, got {actual}").unwrap(),
    }
}

impl Watch {
    /// The next event; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            match self.body.frame().await {
                None => {
                    assert!(
                        self.buffer.is_empty(),
                        "the stream ends in the middle of an event"
                    );
                    return None;
                }
                Some(frame) => self
                    .buffer
                    .extend_from_slice(frame.unwrap().data_ref().unwrap()),
            }
        }
    }

    /// The next event as `TYPE name@version`, bookmarks as `BOOKMARK @version`.
    pub(crate) async fn line(&mut self) -> Option<String> {
        let event = self.next().await?;
        let metadata = &event["object"]["metadata"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Some(format!(
            "{} {}@{}",
            text(&event["type"]),
            text(&metadata["name"]),
            text(&metadata["resourceVersion"])
        ))
    }

    /// The next `count` events.
    pub(crate) async fn lines(&mut self, count: usize) -> Vec<String> {
        let mut lines = Vec::new();
        for _ in 0..count {
            lines.push(self.line().await.expect("the watch goes on"));
        }
        lines
    }

    /// All events up to the end of the stream.
    pub(crate) async fn rest(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = self.line().await {
            lines.push(line);
        }
        lines
    }

    /// Whether nothing comes for a moment.
    pub(crate) async fn is_quiet(&mut self) -> bool {
        let moment = Duration::from_millis(10);
        tokio::time::timeout(moment, self.next()).await.is_err()
    }
}
