//! Requests that cannot be answered with what they ask for.

use serde_json::{Value, json};

use crate::seam::{CONFIG_MAPS, Server};

#[tokio::test(start_paused = true)]
async fn bodies_that_cannot_be_read_are_bad_requests() {
    let server = Server::new();
    let post = format!("POST {CONFIG_MAPS}");
    for body in ["{nope", r#"{"metadata":{"name":"a"}"#, "", "[]", "\"x\""] {
        let refused = server.send(&post, body).await.is(400);
        refused.shows(json!({ "kind": "Status", "status": "Failure", "reason": "BadRequest" }));
    }
    let text = format!("{post}\nContent-Type: text/plain");
    server
        .send(&text, "x")
        .await
        .is(415)
        .shows(json!({ "reason": "UnsupportedMediaType" }));
    server.get(CONFIG_MAPS).await.shows(json!({ "items": [] }));
}

#[tokio::test(start_paused = true)]
async fn a_body_may_have_3_mib() {
    let server = Server::new();
    let body = |bytes: usize| {
        let empty = json!({ "metadata": { "name": "a" }, "data": { "k": "" } }).to_string();
        json!({ "metadata": { "name": "a" }, "data": { "k": "x".repeat(bytes - empty.len()) } })
    };
    let limit = 3 << 20;
    server
        .post(CONFIG_MAPS, body(limit + 1))
        .await
        .is(413)
        .shows(json!({
            "kind": "Status", "reason": "RequestEntityTooLarge",
        }));
    server.get(CONFIG_MAPS).await.shows(json!({ "items": [] }));
    let small = Server::with(|config| config.body_limit = 100);
    small.post(CONFIG_MAPS, body(100)).await.is(201);
    small.post(CONFIG_MAPS, body(101)).await.is(413);
}

#[tokio::test(start_paused = true)]
async fn objects_of_another_kind_are_refused() {
    let server = Server::new();
    let of = |kind: &str, version: &str| json!({ "kind": kind, "apiVersion": version, "metadata": { "name": "a" } });
    server.post(CONFIG_MAPS, of("Secret", "v1")).await.is(400).shows(json!({
        "message": "Secret in version \"v1\" cannot be handled as a ConfigMap: converting (v1.Secret) to \
                    (core.ConfigMap): unknown conversion",
    }));
    let refused = server
        .post(CONFIG_MAPS, of("ConfigMap", "apps/v1"))
        .await
        .is(400);
    let message = refused.at("message").as_str().unwrap();
    assert!(
        message.contains("no kind \"ConfigMap\" is registered for version \"apps/v1\""),
        "{message}"
    );
    let created = server
        .post(CONFIG_MAPS, json!({ "metadata": { "name": "a" } }))
        .await
        .is(201);
    created.shows(json!({ "kind": "ConfigMap", "apiVersion": "v1" }));
}

#[tokio::test(start_paused = true)]
async fn paths_and_verbs_that_are_not_served() {
    let server = Server::new();
    let nothing = server.get("/apis/nope.example.com/v1/foos").await.is(404);
    assert_eq!(nothing.body, "404 page not found\n");
    for path in [
        "/api/v1/foos",
        "/api/v1/namespaces/default/foos",
        "/apis/apps/v1beta1/deployments",
        "/api/v1/namespaces/default/configmaps/a/nope",
        "/api/v1/namespaces/default/nodes",
    ] {
        server.get(path).await.is(404).shows(json!({
            "kind": "Status", "reason": "NotFound", "message": "the server could not find the requested resource",
            "details": {},
        }));
    }
    let body = json!({ "metadata": { "name": "a" } });
    for refused in [
        server.post(&format!("{CONFIG_MAPS}/a"), body.clone()).await,
        server.put(CONFIG_MAPS, body.clone()).await,
        server.post("/api/v1/configmaps", body.clone()).await,
        server.delete("/api/v1/configmaps").await,
        server.delete("/api/v1/namespaces").await,
        server.send("OPTIONS /api/v1/pods", "").await,
        server.post("/apis", body).await,
    ] {
        refused
            .is(405)
            .shows(json!({ "reason": "MethodNotAllowed" }));
    }
}

#[tokio::test(start_paused = true)]
async fn answers_come_in_a_form_that_the_client_takes() {
    let server = Server::new();
    server.config_map("a", "1").await;
    let get = format!("GET {CONFIG_MAPS}/a");
    server
        .send(&format!("{get}\nAccept: text/plain"), "")
        .await
        .is(406)
        .shows(json!({ "reason": "NotAcceptable" }));
    let yaml = server
        .send(&format!("{get}\nAccept: application/yaml"), "")
        .await
        .is(200);
    assert_eq!(yaml.headers["content-type"], "application/yaml");
    assert!(yaml.body.as_str().unwrap().contains("kind: ConfigMap"));
    let pretty = server
        .get(&format!("{CONFIG_MAPS}?pretty=true"))
        .await
        .is(200);
    assert_eq!(pretty.names(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn versions_are_numbers_that_were_reached() {
    let server = Server::new();
    let get = format!("{CONFIG_MAPS}/a");
    server.config_map("a", "1").await;
    let version = server.0.resource_version();
    server
        .get(&format!("{get}?resourceVersion={version}"))
        .await
        .is(200);
    for path in [&get, CONFIG_MAPS] {
        let late = server
            .get(&format!("{path}?resourceVersion={}", version + 1))
            .await
            .is(504);
        assert_eq!(late.headers["retry-after"], "1");
        late.shows(json!({
            "reason": "Timeout",
            "message": format!("Timeout: Too large resource version: {}, current: {version}", version + 1),
            "details": { "retryAfterSeconds": 1, "causes": [{
                "reason": "ResourceVersionTooLarge", "message": "Too large resource version" }] },
        }));
    }
    server.get(&format!("{CONFIG_MAPS}?resourceVersion=abc")).await.is(400).shows(json!({
        "message": "invalid resource version: resourceVersion: Invalid value: \"abc\": strconv.ParseUint: parsing \"abc\": invalid syntax",
    }));
    server
        .get(&format!("{get}?resourceVersion=abc"))
        .await
        .is(500)
        .shows(json!({ "reason": null }));
}

#[tokio::test(start_paused = true)]
async fn options_that_do_not_exist_or_do_not_go_together() {
    let server = Server::new();
    let invalid = |kind: &str, what: &str| {
        json!({
            "reason": "Invalid", "details": { "group": "meta.k8s.io", "kind": kind },
            "message": format!("{kind}.meta.k8s.io \"\" is invalid: {what}"),
        })
    };
    let body = json!({ "metadata": { "name": "a" } });
    server
        .post(&format!("{CONFIG_MAPS}?dryRun=bogus"), body.clone())
        .await
        .is(422)
        .shows(invalid(
            "CreateOptions",
            "dryRun: Unsupported value: [\"bogus\"]: supported values: \"All\"",
        ));
    server.post(&format!("{CONFIG_MAPS}?fieldValidation=Bogus"), body).await.is(422).shows(invalid(
        "CreateOptions",
        "fieldValidation: Unsupported value: \"Bogus\": supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"",
    ));
    server.delete(&format!("{CONFIG_MAPS}/a?propagationPolicy=Bogus")).await.is(422).shows(invalid(
        "DeleteOptions",
        "propagationPolicy: Unsupported value: \"Bogus\": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\"",
    ));
    let version = "resourceVersionMatch";
    for (query, what) in [
        (
            "resourceVersionMatch=Exact",
            format!(
                "{version}: Forbidden: {version} is forbidden unless resourceVersion is provided"
            ),
        ),
        (
            "resourceVersionMatch=Exact&resourceVersion=0",
            format!(
                "{version}: Forbidden: {version} \"exact\" is forbidden for resourceVersion \"0\""
            ),
        ),
        (
            "resourceVersionMatch=Bogus&resourceVersion=1",
            format!(
                "{version}: Unsupported value: \"Bogus\": supported values: \"Exact\", \"NotOlderThan\", \"\""
            ),
        ),
        (
            "sendInitialEvents=true",
            "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list".to_owned(),
        ),
        (
            "watch=1&sendInitialEvents=true",
            format!(
                "{version}: Forbidden: sendInitialEvents requires setting {version} to NotOlderThan"
            ),
        ),
        (
            "watch=1&resourceVersionMatch=NotOlderThan&resourceVersion=1",
            format!(
                "{version}: Forbidden: {version} is forbidden for watch unless sendInitialEvents is provided"
            ),
        ),
    ] {
        server
            .get(&format!("{CONFIG_MAPS}?{query}"))
            .await
            .is(422)
            .shows(invalid("ListOptions", &what));
    }
    server
        .get(&format!("{CONFIG_MAPS}?limit=x"))
        .await
        .is(400)
        .shows(json!({ "message": "strconv.ParseInt: parsing \"x\": invalid syntax" }));
    server
        .get(&format!("{CONFIG_MAPS}?labelSelector=a%20in"))
        .await
        .is(400);
    server
        .get(&format!("{CONFIG_MAPS}?fieldSelector=bogus.path=x"))
        .await
        .is(400);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_supported_says_so() {
    let server = Server::new();
    let apply =
        format!("PATCH {CONFIG_MAPS}/a?fieldManager=m\nContent-Type: application/apply-patch+yaml");
    let refused = server.send(&apply, "{}").await;
    assert!(matches!(refused.code, 415 | 501), "{}", refused.body);
    assert!(
        refused
            .at("message")
            .as_str()
            .unwrap()
            .contains("server-side apply")
    );
    let unknown = format!("PATCH {CONFIG_MAPS}/a\nContent-Type: application/json");
    server
        .send(&unknown, "{}")
        .await
        .is(415)
        .shows(json!({ "message": "415: Unsupported Media Type" }));
    server.post("/api/v1/namespaces/default/pods", json!({
        "metadata": { "name": "p" }, "spec": { "containers": [{ "name": "c", "image": "i" }] },
    })).await.is(201);
    server
        .get("/api/v1/namespaces/default/pods/p/exec?command=x")
        .await
        .is(501)
        .shows(json!({ "kind": "Status", "reason": "NotImplemented", "details": Value::Null }));
}

#[tokio::test(start_paused = true)]
async fn who_relies_on_admission_is_warned_that_there_is_none() {
    let server = Server::new();
    let path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
    let answer = server
        .post(path, json!({ "metadata": { "name": "guard" } }))
        .await
        .is(201);
    let warning = answer.headers["warning"].to_str().unwrap();
    assert!(
        warning.contains("keeps a ValidatingWebhookConfiguration but does not act on it"),
        "{warning}"
    );
}
