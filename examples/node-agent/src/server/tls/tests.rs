use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use kubewright_clock::Clock;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::duplex;
use tokio::task::JoinSet;
use tokio::time::{advance, sleep};
use tokio_rustls::TlsConnector;

use super::*;
use crate::config::TlsFiles;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut ca = CertificateParams::default();
    ca.distinguished_name.push(DnType::CommonName, name);
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate and its key, for a server as for a client.
fn signed_by(ca: &Authority) -> [String; 2] {
    let mut certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    certificate
        .distinguished_name
        .push(DnType::CommonName, "anna");
    let key = KeyPair::generate().unwrap();
    let certificate = certificate.signed_by(&key, ca).unwrap();
    [certificate.pem(), key.serialize_pem()]
}

/// Whether a client that trusts one authority and has a certificate of another is served.
async fn is_served(acceptor: &Acceptor, trusted: &Authority, own: &Authority) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.der().clone()).unwrap();
    let [certificate, key] = signed_by(own);
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate], key)
        .unwrap();
    let (near, far) = duplex(1 << 16);
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let acceptor = acceptor.current();
    let (accepted, connected) = tokio::join!(acceptor.accept(near), connector.connect(name, far));
    accepted.is_ok() && connected.is_ok()
}

#[tokio::test(start_paused = true)]
async fn files_that_change_are_served_by_within_a_minute() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let write = |name: &str, text: &str| std::fs::write(path(name), text).unwrap();
    let (old, new) = (authority("old"), authority("new"));
    let [certificate, key] = signed_by(&old);
    write("tls.crt", &certificate);
    write("tls.key", &key);
    write("ca.crt", &old.pem());
    let source = Source::Files(TlsFiles {
        certificate: path("tls.crt"),
        private_key: path("tls.key"),
    });
    let identity = Identity::load(source, Some(path("ca.crt")), Clock::system()).unwrap();
    assert_eq!(identity.certificate_pem(), certificate);
    let acceptor = identity.acceptor();
    let mut keeping = JoinSet::new();
    keeping.spawn(identity.keep());
    assert!(is_served(&acceptor, &old, &old).await);
    assert!(!is_served(&acceptor, &old, &new).await);
    assert!(!is_served(&acceptor, &new, &old).await);

    // The certificate has come, and its key has not.
    let [certificate, key] = signed_by(&new);
    write("tls.crt", &certificate);
    write("ca.crt", &new.pem());
    sleep(Duration::from_secs(61)).await;
    assert!(is_served(&acceptor, &old, &old).await);
    write("tls.key", &key);
    sleep(Duration::from_secs(61)).await;
    assert!(is_served(&acceptor, &new, &new).await);
    assert!(!is_served(&acceptor, &new, &old).await);
    assert!(!is_served(&acceptor, &old, &new).await);

    // As long as nothing changes, sessions can be taken up again.
    let before = acceptor.current();
    sleep(Duration::from_secs(600)).await;
    assert!(Arc::ptr_eq(before.config(), acceptor.current().config()));
}

#[tokio::test(start_paused = true)]
async fn a_certificate_is_made_anew_before_it_ends_and_for_another_name() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::starting_at("2026-01-02T03:04:05Z".parse().unwrap());
    let load = |node: &str, address: IpAddr| {
        let source = Source::SelfSigned {
            directory: directory.path().join("pki"),
            node: node.to_owned(),
            address,
        };
        Identity::load(source, None, clock.clone()).unwrap()
    };
    let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    let first = load("a", any).certificate_pem().to_owned();
    assert_eq!(load("a", any).certificate_pem(), first);
    let renamed = load("b", any).certificate_pem().to_owned();
    assert_ne!(renamed, first);
    let moved = load("b", address).certificate_pem().to_owned();
    assert_ne!(moved, renamed);
    let identity = load("b", address);
    assert_eq!(identity.certificate_pem(), moved);

    let acceptor = identity.acceptor();
    let before = acceptor.current();
    let mut keeping = JoinSet::new();
    keeping.spawn(identity.keep());
    let minute = Duration::from_secs(61);
    sleep(minute).await;
    advance(DAY * 333).await;
    sleep(minute).await;
    assert!(Arc::ptr_eq(before.config(), acceptor.current().config()));
    advance(DAY * 3).await;
    sleep(minute).await;
    assert!(!Arc::ptr_eq(before.config(), acceptor.current().config()));
    let file = std::fs::read_to_string(directory.path().join("pki/kubelet.crt")).unwrap();
    assert_ne!(file, moved);
}
