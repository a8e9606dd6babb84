//! What the server answers that is no object: discovery, OpenAPI, version and health.

use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use crate::discovery;
use crate::error::ApiError;
use crate::openapi;
use crate::registry::Resources;
use crate::representation::{Accept, Representation};
use crate::version;

const TEXT: &str = "text/plain; charset=utf-8";

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) code: StatusCode,
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
    /// Changes when the body does; `None` for what is not worth remembering.
    pub(crate) etag: Option<String>,
}

impl Page {
    fn text(code: StatusCode, text: &'static str) -> Self {
        Self {
            code,
            content_type: TEXT,
            body: Bytes::from_static(text.as_bytes()),
            etag: None,
        }
    }

    fn document(content_type: &'static str, body: Bytes) -> Self {
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        Self {
            code: StatusCode::OK,
            content_type,
            body,
            etag: Some(format!("\"{:016X}\"", hasher.finish())),
        }
    }
}

/// What is at a path that names no resource.
///
/// # Errors
///
/// 404 if a group has no such version, 406 if the client takes none of the forms of the page, and
/// 501 for pages that a real server has and this one has not.
pub(crate) fn page(path: &str, accept: Option<&str>, served: &Resources) -> Result<Page, ApiError> {
    let segments: Vec<&str> = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .collect();
    match segments.as_slice() {
        ["healthz" | "livez" | "readyz"] => Ok(Page::text(StatusCode::OK, "ok")),
        ["version"] => negotiated(accept, &version::version()),
        [] => negotiated(accept, &json!({ "paths": roots(served) })),
        ["api"] if discovery::wants_aggregated(accept) => {
            Ok(aggregated(&discovery::aggregated_core(served)))
        }
        ["apis"] if discovery::wants_aggregated(accept) => {
            Ok(aggregated(&discovery::aggregated_groups(served)))
        }
        ["api"] => negotiated(accept, &discovery::api_versions()),
        ["apis"] => negotiated(accept, &discovery::groups(served)),
        ["apis", group] => match discovery::group(served, group) {
            Some(group) => negotiated(accept, &group),
            None => Ok(not_found()),
        },
        ["api", version] => match discovery::resources(served, "", version) {
            Some(list) => negotiated(accept, &list),
            None => Err(ApiError::unknown_path()),
        },
        ["apis", group, version] => match discovery::resources(served, group, version) {
            Some(list) => negotiated(accept, &list),
            None if discovery::group(served, group).is_some() => Err(ApiError::unknown_path()),
            None => Ok(not_found()),
        },
        // Clients expect JSON here under the name that a real server gives it.
        ["openapi", "v3"] => {
            let index = Representation::PLAIN.encode(&openapi::index(served));
            Ok(Page::document(TEXT, index))
        }
        ["openapi", "v3", name @ ..] => match openapi::document(served, &name.join("/")) {
            Some(document) => negotiated(accept, &document),
            None => Ok(not_found()),
        },
        ["openapi", "v2"] => openapi_v2(accept),
        _ => Ok(not_found()),
    }
}

fn not_found() -> Page {
    Page::text(StatusCode::NOT_FOUND, "404 page not found\n")
}

fn aggregated(value: &Value) -> Page {
    Page::document(discovery::AGGREGATED, Representation::PLAIN.encode(value))
}

/// A document in JSON or YAML, as the client likes.
fn negotiated(accept: Option<&str>, value: &Value) -> Result<Page, ApiError> {
    let asked = Representation::negotiate(accept)?;
    Ok(Page::document(
        asked.encoding.content_type(),
        asked.encode(value),
    ))
}

/// Clients that want the second version take it in protobuf, and go without it if there is none.
fn openapi_v2(accept: Option<&str>) -> Result<Page, ApiError> {
    let accept = Accept::parse(accept.unwrap_or_default());
    if accept.is_empty()
        || accept
            .ranges()
            .any(|range| range.includes("application/json"))
    {
        return Err(ApiError::unsupported("OpenAPI v2; see /openapi/v3"));
    }
    Err(ApiError::not_acceptable(
        "406: Not Acceptable\n\nkubewright-apiserver does not support OpenAPI v2; see /openapi/v3",
    ))
}

/// The paths that lead on from `/`.
fn roots(served: &Resources) -> Vec<String> {
    let mut paths: Vec<String> = [
        "/api",
        "/apis",
        "/healthz",
        "/livez",
        "/openapi/v3",
        "/readyz",
        "/version",
    ]
    .map(str::to_owned)
    .to_vec();
    for resource in served.iter() {
        if resource.group.is_empty() {
            paths.push(format!("/api/{}", resource.version));
        } else {
            paths.push(format!("/apis/{}", resource.group));
            paths.push(format!("/apis/{}/{}", resource.group, resource.version));
        }
    }
    paths.sort();
    paths.dedup();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Registry;

    const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

    fn get(path: &str, accept: Option<&str>) -> Result<Page, ApiError> {
        page(path, accept, &Registry::kubernetes().resources())
    }

    fn json_at(path: &str) -> Value {
        serde_json::from_slice(&get(path, Some("application/json")).unwrap().body).unwrap()
    }

    #[test]
    fn health_is_text() {
        for path in ["/healthz", "/livez", "/readyz"] {
            let page = get(path, Some("application/json")).unwrap();
            assert_eq!((page.content_type, &page.body[..]), (TEXT, &b"ok"[..]));
        }
    }

    #[test]
    fn discovery_is_at_its_paths() {
        for (path, kind) in [
            ("/api", "APIVersions"),
            ("/api/v1", "APIResourceList"),
            ("/apis", "APIGroupList"),
            ("/apis/apps", "APIGroup"),
            ("/apis/apps/v1/", "APIResourceList"),
        ] {
            assert_eq!(json_at(path)["kind"], kind, "{path}");
        }
        for path in ["/api", "/apis"] {
            let page = get(path, Some(AGGREGATED)).unwrap();
            assert_eq!(page.content_type, discovery::AGGREGATED);
        }
        assert!(
            json_at("/")["paths"]
                .as_array()
                .unwrap()
                .contains(&json!("/apis/apps/v1"))
        );
    }

    #[test]
    fn an_unknown_group_is_no_page_and_an_unknown_version_a_status() {
        for path in [
            "/apis/nope.example.com",
            "/apis/nope.example.com/v1",
            "/nope",
            "/openapi/v3/apis/nope/v1",
        ] {
            let page = get(path, None).unwrap();
            assert_eq!(
                (page.code, page.content_type),
                (StatusCode::NOT_FOUND, TEXT),
                "{path}"
            );
            assert_eq!(&page.body[..], b"404 page not found\n");
        }
        let error = get("/apis/apps/v9", None).unwrap_err();
        assert_eq!(error, ApiError::unknown_path());
    }

    #[test]
    fn the_version_is_that_of_the_kubernetes_it_claims() {
        let version = json_at("/version");
        assert_eq!(
            (&version["major"], &version["minor"]),
            (&json!("1"), &json!("36"))
        );
        assert!(
            version["gitVersion"]
                .as_str()
                .unwrap()
                .starts_with("v1.36.0+kubewright-")
        );
    }

    #[test]
    fn a_page_keeps_its_etag_while_it_stays_the_same() {
        let etag = |accept| get("/apis", accept).unwrap().etag.unwrap();
        assert_eq!(etag(None), etag(None));
        assert_ne!(etag(None), etag(Some(AGGREGATED)));
    }

    #[test]
    fn what_is_missing_says_so() {
        assert_eq!(get("/openapi/v2", None).unwrap_err().code(), 501);
        let proto = Some("application/com.github.proto-openapi.spec.v2@v1.0+protobuf");
        assert_eq!(get("/openapi/v2", proto).unwrap_err().code(), 406);
        assert_eq!(get("/openapi/v3/api/v1", proto).unwrap_err().code(), 406);
    }
}
