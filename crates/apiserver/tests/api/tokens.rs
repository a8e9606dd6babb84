//! Tokens of service accounts: asking for them, and asking whose they are.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use kubewright_apiserver::TokenKey;
use kubewright_clock::Clock;
use serde_json::{Value, json};

use crate::seam::{Answer, Server};

const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";
const TOKEN: &str = "/api/v1/namespaces/default/serviceaccounts/robot/token";
const REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

async fn server() -> Server {
    let server = Server::with(|config| {
        config.clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().unwrap());
    });
    account(&server).await;
    server
}

async fn account(server: &Server) -> Answer {
    let account = json!({ "metadata": { "name": "robot" } });
    server.post(ACCOUNTS, account).await.is(201)
}

async fn pod(server: &Server, name: &str, account: &str) -> String {
    let pod = json!({
        "metadata": { "name": name },
        "spec": {
            "serviceAccountName": account,
            "nodeName": "n1",
            "terminationGracePeriodSeconds": 0,
            "containers": [{ "name": "c", "image": "i" }],
        },
    });
    let pod = server.post("/api/v1/namespaces/default/pods", pod).await;
    text(pod.is(201).at("metadata.uid"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

async fn token(server: &Server, spec: Value) -> String {
    let answer = server.post(TOKEN, json!({ "spec": spec })).await.is(201);
    text(answer.at("status.token"))
}

fn claims(token: &str) -> Value {
    let claims = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

async fn review(server: &Server, spec: Value) -> Value {
    let review = server.post(REVIEWS, json!({ "spec": spec })).await.is(201);
    review.at("status").clone()
}

/// Checks that a review finds a token wanting for this reason.
#[track_caller]
fn refused(status: &Value, why: &str) {
    assert_eq!(status["error"], why);
    assert_eq!(status["authenticated"], Value::Null);
    assert_eq!(status["user"], json!({}));
}

#[tokio::test(start_paused = true)]
async fn a_token_is_for_the_server_and_an_hour_unless_asked_otherwise() {
    let server = server().await;
    let answer = server.post(TOKEN, json!({})).await.is(201);
    answer.shows(json!({
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": { "name": "robot", "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z" },
        "spec": { "audiences": [ISSUER], "expirationSeconds": 3600, "boundObjectRef": null },
        "status": { "expirationTimestamp": "2026-01-01T01:00:00Z" },
    }));
    let token = token(
        &server,
        json!({ "audiences": ["a", "b"], "expirationSeconds": 600 }),
    )
    .await;
    let claims = claims(&token);
    assert_eq!(claims["aud"], json!(["a", "b"]));
    assert_eq!(claims["iss"], ISSUER);
    assert_eq!(claims["sub"], "system:serviceaccount:default:robot");
    let time = |claim: &str| claims[claim].as_i64().unwrap();
    assert_eq!(time("exp") - time("iat"), 600);
    assert_eq!(time("nbf"), time("iat"));
}

#[tokio::test(start_paused = true)]
async fn a_review_tells_whose_a_token_is() {
    let server = server().await;
    let account = server.get(&format!("{ACCOUNTS}/robot")).await;
    let uid = pod(&server, "p", "robot").await;
    let to = json!({ "kind": "Pod", "apiVersion": "v1", "name": "p", "uid": uid });
    let token = token(&server, json!({ "boundObjectRef": to })).await;
    let id = format!("JTI={}", text(&claims(&token)["jti"]));
    assert_eq!(
        review(&server, json!({ "token": token })).await,
        json!({
            "authenticated": true,
            "audiences": [ISSUER],
            "user": {
                "username": "system:serviceaccount:default:robot",
                "uid": account.at("metadata.uid"),
                "groups": ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"],
                "extra": {
                    "authentication.kubernetes.io/credential-id": [id],
                    "authentication.kubernetes.io/node-name": ["n1"],
                    "authentication.kubernetes.io/pod-name": ["p"],
                    "authentication.kubernetes.io/pod-uid": [uid],
                },
            },
        })
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_is_for_its_audiences_alone() {
    let server = server().await;
    let token = token(&server, json!({ "audiences": ["vault", "other"] })).await;
    let ask =
        |audiences: Value| review(&server, json!({ "token": &token, "audiences": audiences }));
    let status = ask(json!(["x", "vault"])).await;
    assert_eq!(status["authenticated"], true);
    assert_eq!(status["audiences"], json!(["vault"]));
    let why = format!(
        r#"[invalid bearer token, token audiences ["vault", "other"] is invalid for the target audiences ["{ISSUER}"]]"#
    );
    refused(&ask(json!([])).await, &why);
}

#[tokio::test(start_paused = true)]
async fn a_token_ends_with_its_time() {
    let server = server().await;
    let token = token(&server, json!({ "expirationSeconds": 600 })).await;
    tokio::time::advance(Duration::from_secs(660)).await;
    assert_eq!(
        review(&server, json!({ "token": &token })).await["authenticated"],
        true
    );
    tokio::time::advance(Duration::from_secs(1)).await;
    let expired = "[invalid bearer token, service account token has expired]";
    refused(&review(&server, json!({ "token": &token })).await, expired);
}

#[tokio::test(start_paused = true)]
async fn a_token_ends_with_its_account_and_does_not_pass_to_the_next() {
    let server = server().await;
    let uid = text(
        server
            .get(&format!("{ACCOUNTS}/robot"))
            .await
            .at("metadata.uid"),
    );
    let token = token(&server, json!({})).await;
    server.delete(&format!("{ACCOUNTS}/robot")).await.is(200);
    let gone = r#"[invalid bearer token, serviceaccounts "robot" not found]"#;
    refused(&review(&server, json!({ "token": &token })).await, gone);
    let next = text(account(&server).await.at("metadata.uid"));
    let another = format!(
        "[invalid bearer token, service account UID ({next}) does not match claim ({uid})]"
    );
    refused(&review(&server, json!({ "token": &token })).await, &another);
}

#[tokio::test(start_paused = true)]
async fn a_token_ends_with_what_it_is_bound_to() {
    let server = server().await;
    pod(&server, "p", "robot").await;
    let secrets = "/api/v1/namespaces/default/secrets";
    let nodes = "/api/v1/nodes";
    for (path, name) in [(secrets, "s"), (nodes, "n1")] {
        let object = json!({ "metadata": { "name": name } });
        server.post(path, object).await.is(201);
    }
    for (kind, path, name) in [
        ("Pod", "/api/v1/namespaces/default/pods", "p"),
        ("Secret", secrets, "s"),
        ("Node", nodes, "n1"),
    ] {
        let to = json!({ "kind": kind, "apiVersion": "v1", "name": name });
        let token = token(&server, json!({ "boundObjectRef": to })).await;
        let holds = review(&server, json!({ "token": &token })).await;
        assert_eq!(holds["authenticated"], true, "{kind}: {holds}");
        server
            .delete(&format!("{path}/{name}?gracePeriodSeconds=0"))
            .await
            .is(200);
        let why = "[invalid bearer token, service account token has been invalidated]";
        refused(&review(&server, json!({ "token": &token })).await, why);
    }
}

#[tokio::test(start_paused = true)]
async fn the_token_of_every_pod_outlives_clients_that_do_not_read_it_again() {
    let server = server().await;
    pod(&server, "p", "robot").await;
    let to = json!({ "kind": "Pod", "apiVersion": "v1", "name": "p" });
    let spec = json!({ "expirationSeconds": 3607, "boundObjectRef": to });
    let answer = server.post(TOKEN, json!({ "spec": spec })).await.is(201);
    let answer =
        answer.shows(json!({ "status": { "expirationTimestamp": "2026-01-01T01:00:07Z" } }));
    let claims = claims(answer.at("status.token").as_str().unwrap());
    let time = |claim: &Value| claim.as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert_eq!(time(&claims["exp"]), 365 * 24 * 60 * 60);
    assert_eq!(time(&claims["kubernetes.io"]["warnafter"]), 3607);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_asked_for_is_refused() {
    let server = server().await;
    pod(&server, "p", "robot").await;
    pod(&server, "q", "default").await;
    let bound = |kind: &str, version: &str, name: &str, uid: &str| json!({ "boundObjectRef": { "kind": kind, "apiVersion": version, "name": name, "uid": uid } });
    for (spec, code, why) in [
        (
            json!({ "expirationSeconds": 599 }),
            422,
            "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes",
        ),
        (
            json!({ "expirationSeconds": (1_i64 << 32) + 1 }),
            422,
            "may not specify a duration larger than 2^32 seconds",
        ),
        (
            json!({ "expirationSeconds": "x" }),
            400,
            "TokenRequest in version \"v1\" cannot be handled as a TokenRequest",
        ),
        (
            bound("Pod", "v1", "none", ""),
            404,
            "pods \"none\" not found",
        ),
        (
            bound("Pod", "v1", "p", "other"),
            409,
            "the UID in the bound object reference (other) does not match the UID in record",
        ),
        (
            bound("Pod", "v1", "q", ""),
            400,
            "cannot bind token for serviceaccount \"robot\" to pod running with different serviceaccount name.",
        ),
        (
            bound("Deployment", "apps/v1", "p", ""),
            400,
            "cannot bind token to object of type apps/v1, Kind=Deployment",
        ),
    ] {
        let answer = server.post(TOKEN, json!({ "spec": spec })).await.is(code);
        let message = answer.at("message").as_str().unwrap();
        assert!(message.contains(why), "{message}");
    }
    server.get(TOKEN).await.is(405);
    server
        .post(&format!("{ACCOUNTS}/none/token"), json!({}))
        .await
        .is(404);
    server
        .post(TOKEN, json!({ "metadata": { "name": "x" } }))
        .await
        .is(400);
    server
        .post(TOKEN, json!({ "kind": "Pod", "apiVersion": "v1" }))
        .await
        .is(400);
    server.post(REVIEWS, json!({ "spec": {} })).await.is(400);
    let unknown = review(&server, json!({ "token": "x.y.z" })).await;
    refused(&unknown, "invalid bearer token");
}

#[tokio::test(start_paused = true)]
async fn another_server_does_not_know_a_token() {
    let (one, other) = (server().await, server().await);
    let token = token(&one, json!({})).await;
    refused(
        &review(&other, json!({ "token": token })).await,
        "invalid bearer token",
    );
    let seeded = || async {
        let server = Server::with(|config| config.token_key = TokenKey::Seeded);
        account(&server).await;
        server
    };
    let token = self::token(&seeded().await, json!({})).await;
    let known = review(&seeded().await, json!({ "token": token })).await;
    assert_eq!(known["authenticated"], true);
}

#[tokio::test(start_paused = true)]
async fn a_request_in_protobuf_is_answered_in_json() {
    let server = server().await;
    let request = format!("POST {TOKEN}\nContent-Type: application/vnd.kubernetes.protobuf");
    server
        .send(&request, protobuf())
        .await
        .is(201)
        .shows(json!({
            "spec": { "audiences": ["vault"], "expirationSeconds": 600 },
        }));
}

/// A `TokenRequest` for the audience `vault` and ten minutes.
fn protobuf() -> Vec<u8> {
    let field = |tag: u8, bytes: &[u8]| {
        let length = u8::try_from(bytes.len()).unwrap();
        [&[tag << 3 | 2, length], bytes].concat()
    };
    let kind = [
        field(1, b"authentication.k8s.io/v1"),
        field(2, b"TokenRequest"),
    ]
    .concat();
    // `expirationSeconds` is field 4: 600 as a variable-length number.
    let spec = [field(1, b"vault"), vec![4 << 3, 0xd8, 0x04]].concat();
    let status = [field(1, b""), field(2, b"")].concat();
    let request = [field(1, b""), field(2, &spec), field(3, &status)].concat();
    [b"k8s\0".to_vec(), field(1, &kind), field(2, &request)].concat()
}
