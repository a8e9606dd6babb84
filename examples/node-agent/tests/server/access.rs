//! Who may use the API.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use node_agent::server::{
    Access, AccessReviewer, Attributes, PATHS, ReviewError, TokenReviewer, User,
};
use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::time::{Instant, advance};

use crate::host::FakeHost;
use crate::{Served, client_config};

/// User, groups, verb and subresource.
type Question = (String, Vec<String>, String, String);

/// A cluster in which `good` is the token of `phibby`, and who may do what is scripted.
#[derive(Clone, Default)]
struct Cluster {
    allowed: Arc<Mutex<Vec<&'static str>>>,
    is_away: Arc<Mutex<bool>>,
    tokens: Arc<Mutex<Vec<String>>>,
    questions: Arc<Mutex<Vec<Question>>>,
}

impl TokenReviewer for Cluster {
    async fn review(&self, token: &str) -> Result<Option<User>, ReviewError> {
        self.tokens.lock().push(token.to_owned());
        match *self.is_away.lock() {
            true => Err(ReviewError("the cluster is away".to_owned())),
            false => Ok((token == "good").then(|| User::named("phibby"))),
        }
    }
}

impl AccessReviewer for Cluster {
    async fn review(
        &self,
        node: &str,
        user: &User,
        verb: &str,
        subresource: &str,
    ) -> Result<bool, ReviewError> {
        assert_eq!(node, "test");
        let question = (
            user.name.clone(),
            user.groups.clone(),
            verb.to_owned(),
            subresource.to_owned(),
        );
        self.questions.lock().push(question);
        match *self.is_away.lock() {
            true => Err(ReviewError("the cluster is away".to_owned())),
            false => Ok(self.allowed.lock().contains(&subresource)),
        }
    }
}

impl Cluster {
    fn access(&self) -> Access {
        let minute = Duration::from_secs(60);
        Access::new("test")
            .with_token_reviews(self.clone(), minute * 2)
            .with_access_reviews(self.clone(), minute * 5, minute / 2)
    }
}

const METHODS: [(&str, &str); 5] = [
    ("POST", "create"),
    ("GET", "get"),
    ("PUT", "update"),
    ("PATCH", "patch"),
    ("DELETE", "delete"),
];
const GOOD: &[(&str, &str)] = &[("authorization", "Bearer good")];

/// Which subresources give access to each path, any of them.
fn subresources() -> BTreeMap<&'static str, &'static [&'static str]> {
    const PROXY: &[&str] = &["proxy"];
    const STATS: &[&str] = &["stats"];
    const METRICS: &[&str] = &["metrics"];
    const HEALTHZ: &[&str] = &["healthz", "proxy"];
    const PODS: &[&str] = &["pods", "proxy"];
    BTreeMap::from([
        ("/attach/{namespace}/{pod}/{container}", PROXY),
        ("/attach/{namespace}/{pod}/{uid}/{container}", PROXY),
        ("/checkpoint/{namespace}/{pod}/{container}", &["checkpoint"]),
        ("/configz", &["configz", "proxy"]),
        ("/containerLogs/{namespace}/{pod}/{container}", PROXY),
        ("/debug/flags/v", PROXY),
        ("/debug/pprof/{rest*}", PROXY),
        ("/exec/{namespace}/{pod}/{container}", PROXY),
        ("/exec/{namespace}/{pod}/{uid}/{container}", PROXY),
        ("/flagz", &["configz"]),
        ("/healthz", HEALTHZ),
        ("/healthz/{rest*}", HEALTHZ),
        ("/logs", &["log"]),
        ("/logs/{rest*}", &["log"]),
        ("/metrics", METRICS),
        ("/metrics/cadvisor", METRICS),
        ("/metrics/probes", METRICS),
        ("/metrics/resource", METRICS),
        ("/metrics/slis", METRICS),
        ("/pods", PODS),
        ("/portForward/{namespace}/{pod}", PROXY),
        ("/portForward/{namespace}/{pod}/{uid}", PROXY),
        ("/run/{namespace}/{pod}/{container}", PROXY),
        ("/run/{namespace}/{pod}/{uid}/{container}", PROXY),
        ("/runningpods", PODS),
        ("/stats", STATS),
        ("/stats/summary", STATS),
        ("/statusz", &["statusz"]),
    ])
}

/// Answers to `TestGetRequestAttributes`, where access is fine-grained.
#[test]
fn get_request_attributes() {
    for (path, expected) in subresources() {
        for slash in ["", "/"] {
            for (method, verb) in METHODS {
                let method: Method = method.parse().unwrap();
                let attributes = Attributes::of(&method, &format!("{path}{slash}"));
                assert_eq!(attributes.verb, verb);
                let found: Vec<_> = attributes.subresources().collect();
                assert_eq!(found, expected, "{method} {path}");
            }
        }
    }
    let beside = Attributes::of(&Method::GET, "/statsx");
    assert_eq!(beside.subresources().collect::<Vec<_>>(), ["proxy"]);
}

/// Answers to `TestAuthzCoverage` and `TestAuthFilters`: nothing is answered before it is known who
/// asks, and that they may.
#[tokio::test]
async fn authz_coverage() {
    let cluster = Cluster::default();
    let server = Served::with(FakeHost::default(), cluster.access(), |_| {}).await;
    let cases = subresources();
    let covered: Vec<_> = cases.keys().copied().collect();
    let mut paths = PATHS;
    paths.sort_unstable();
    assert_eq!(covered, paths, "each path has a case");
    let others = [("/", &["proxy"] as &[&str]), ("/junk", &["proxy"])];
    for (pattern, subresources) in cases.into_iter().chain(others) {
        let path = pattern.replace("{rest*}", "ping").replace(['{', '}'], "");
        for (method, verb) in METHODS {
            let answered = server.send(method, &path, &[]).await;
            assert_eq!(answered.code, 401, "{method} {path}");
            assert_eq!(answered.text, "Unauthorized");

            let answered = server.send(method, &path, GOOD).await;
            let list = subresources.join(" ");
            let text = format!(
                "Forbidden (user=phibby, verb={verb}, resource=nodes, subresource(s)=[{list}])\n"
            );
            assert_eq!(
                (answered.code, answered.text),
                (403, text),
                "{method} {path}"
            );
        }
    }
    assert!(server.host.asked.lock().is_empty());
    server.stop().await;
}

/// Answers to `TestAuthenticationError`.
#[tokio::test]
async fn authentication_error() {
    let cluster = Cluster::default();
    let server = Served::with(FakeHost::default(), cluster.access(), |_| {}).await;
    cluster.allowed.lock().push("proxy");
    assert_eq!(server.send("GET", "/pods", GOOD).await.code, 200);
    // The token is remembered, and this is a question of its own.
    *cluster.is_away.lock() = true;
    let answered = server.send("GET", "/metrics", GOOD).await;
    let text = "Authorization error (user=phibby, verb=get, resource=nodes, subresource=metrics)";
    assert_eq!((answered.code, answered.text.as_str()), (500, text));
}

/// Answers to `TestAuthenticationFailure`.
#[tokio::test]
async fn authentication_failure() {
    let cluster = Cluster::default();
    let access = cluster.access().with_anonymous_clients();
    let server = Served::with(FakeHost::default(), access, |_| {}).await;
    // Wrong credentials are not none.
    let bad = [("authorization", "Bearer bad")];
    assert_eq!(server.send("GET", "/healthz", &bad).await.code, 401);
    assert!(cluster.questions.lock().is_empty());
    // Whoever shows none is anonymous.
    assert_eq!(server.get("/healthz").await.code, 403);
    let (name, groups, ..) = cluster.questions.lock()[0].clone();
    assert_eq!(name, "system:anonymous");
    assert_eq!(groups, ["system:unauthenticated"]);
}

/// Answers to `TestAuthorizationSuccess`.
#[tokio::test]
async fn authorization_success() {
    let cluster = Cluster::default();
    cluster.allowed.lock().push("proxy");
    let server = Served::with(FakeHost::default(), cluster.access(), |_| {}).await;
    assert_eq!(server.send("GET", "/healthz", GOOD).await.text, "ok");
    let groups = vec!["system:authenticated".to_owned()];
    let question = |subresource: &str| {
        let [name, verb, subresource] = ["phibby", "get", subresource].map(str::to_owned);
        (name, groups.clone(), verb, subresource)
    };
    assert_eq!(
        *cluster.questions.lock(),
        [question("healthz"), question("proxy")]
    );
}

#[tokio::test(start_paused = true)]
async fn answers_of_reviews_hold_for_a_while() {
    let cluster = Cluster::default();
    let access = cluster.access();
    let ask = || async {
        let request = http::Request::get("/metrics").header("authorization", "Bearer good");
        let (head, ()) = request.body(()).unwrap().into_parts();
        access.admit(&head, None).await.is_ok()
    };
    let questions = || (cluster.tokens.lock().len(), cluster.questions.lock().len());
    let began = Instant::now();
    let at = |seconds| async move {
        advance(began + Duration::from_secs(seconds) - Instant::now()).await;
    };
    assert!(!ask().await);
    cluster.allowed.lock().push("metrics");
    at(29).await;
    assert!(!ask().await, "a no holds for 30 s");
    assert_eq!(questions(), (1, 1));
    at(30).await;
    assert!(ask().await);
    assert_eq!(questions(), (1, 2));
    cluster.allowed.lock().clear();
    at(119).await;
    assert!(ask().await);
    assert_eq!(questions(), (1, 2));
    at(120).await;
    assert!(ask().await, "a token is reviewed again after 2 min");
    assert_eq!(questions(), (2, 2));
    at(329).await;
    assert!(ask().await, "a yes holds for 5 min");
    at(330).await;
    assert!(!ask().await);
}

#[tokio::test]
async fn the_shared_token_opens_everything() {
    let cluster = Cluster::default();
    let access = cluster
        .access()
        .with_shared_token("sh4red".parse().unwrap());
    let server = Served::with(FakeHost::default(), access, |_| {}).await;
    let shared = [("authorization", "bearer  sh4red")];
    assert_eq!(server.send("GET", "/pods", &shared).await.code, 200);
    for wrong in [
        "Bearer sh4re",
        "Bearer sh4redd",
        "Basic sh4red",
        "sh4red",
        "Bearer",
    ] {
        let header = [("authorization", wrong)];
        assert_eq!(
            server.send("GET", "/pods", &header).await.code,
            401,
            "{wrong}"
        );
    }
    assert!(cluster.questions.lock().is_empty());
    assert!("".parse::<node_agent::server::SharedToken>().is_err());
}

#[tokio::test]
async fn nobody_is_let_in_by_default() {
    let access = Access::new("test").with_anonymous_clients();
    let server = Served::with(FakeHost::default(), access, |_| {}).await;
    assert_eq!(server.get("/healthz").await.code, 403);
    let server = Served::with(FakeHost::default(), Access::new("test"), |_| {}).await;
    assert_eq!(server.get("/healthz").await.code, 401);
}

#[tokio::test]
async fn clients_are_known_by_certificates_of_the_authority() {
    let authority = |name: &str| {
        let mut ca = CertificateParams::default();
        ca.distinguished_name.push(DnType::CommonName, name);
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap()
    };
    let client = |ca: &CertifiedIssuer<'_, KeyPair>| {
        let mut client = CertificateParams::default();
        client.distinguished_name.push(DnType::CommonName, "anna");
        client
            .distinguished_name
            .push(DnType::OrganizationName, "operators");
        client.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = client.signed_by(&key, ca).unwrap();
        (certificate.pem(), key.serialize_pem())
    };
    let (ours, other) = (authority("ours"), authority("other"));
    let directory = tempfile::tempdir().unwrap();
    let ca_file = directory.path().join("ca.crt");
    std::fs::write(&ca_file, ours.pem()).unwrap();
    let cluster = Cluster::default();
    cluster.allowed.lock().push("pods");
    let server = Served::with(FakeHost::default(), cluster.access(), |options| {
        options.client_ca_file = Some(ca_file);
    });
    let mut server = server.await;
    assert_eq!(server.get("/pods").await.code, 401);

    let pki = server._pki.path().join("pki/kubelet.crt");
    let own_ca = std::fs::read_to_string(pki).unwrap();
    let (certificate, key) = client(&ours);
    server.tls = Some(client_config(&own_ca, Some((&certificate, &key))));
    assert_eq!(server.get("/pods").await.code, 200);
    let (name, groups, ..) = cluster.questions.lock()[0].clone();
    assert_eq!(name, "anna");
    assert_eq!(groups, ["operators", "system:authenticated"]);

    // A certificate of somebody else's is no certificate at all.
    let (certificate, key) = client(&other);
    let tls = client_config(&own_ca, Some((&certificate, &key)));
    let socket = tokio::net::TcpStream::connect(server.address)
        .await
        .unwrap();
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let connected = tokio_rustls::TlsConnector::from(tls)
        .connect(name, socket)
        .await;
    let refused = match connected {
        Err(_) => true,
        Ok(mut socket) => {
            use tokio::io::AsyncReadExt as _;
            socket.read_u8().await.is_err()
        }
    };
    assert!(refused);
}
