//! Who the agent is to its clients, and who they are to it.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig, ServerConnection};
use tokio_rustls::TlsAcceptor;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use crate::config::TlsFiles;
use crate::server::{ServerError, User};

/// What a server is to its clients.
pub(super) struct Identity {
    pub(super) acceptor: TlsAcceptor,
    /// The certificate, and those that vouch for it.
    pub(super) certificate_pem: String,
}

impl Identity {
    /// Serves by a certificate, to clients that may have one of an authority.
    pub(super) fn load(files: &TlsFiles, client_ca: Option<&Path>) -> Result<Self, ServerError> {
        let pem = read(&files.certificate)?;
        let chain = certificates(&files.certificate, pem.as_bytes())?;
        let key = PrivateKeyDer::from_pem_slice(read(&files.private_key)?.as_bytes())
            .map_err(|error| unusable(&files.private_key, &error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(refused)?;
        let config = match client_ca {
            None => config.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path, read(path)?.as_bytes())? {
                    roots
                        .add(certificate)
                        .map_err(|error| unusable(path, &error))?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        .allow_unauthenticated()
                        .build()
                        .map_err(|error| unusable(path, &error))?;
                config.with_client_cert_verifier(verifier)
            }
        };
        let mut config = config.with_single_cert(chain, key).map_err(refused)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            certificate_pem: pem,
        })
    }
}

/// The files of a certificate that the agent signs for itself, for `node` and the address: those in
/// the directory if they are valid, else new ones.
pub(super) fn self_signed(
    directory: &Path,
    node: &str,
    address: IpAddr,
    now: Timestamp,
) -> Result<TlsFiles, ServerError> {
    let files = TlsFiles {
        certificate: directory.join("kubelet.crt"),
        private_key: directory.join("kubelet.key"),
    };
    if is_valid(&files, now) {
        return Ok(files);
    }
    let failed = |error: rcgen::Error| ServerError::Tls(error.to_string());
    let mut names = vec![node.to_owned(), "localhost".to_owned()];
    names.extend(["127.0.0.1".to_owned(), "::1".to_owned()]);
    if !address.is_unspecified() && !address.is_loopback() {
        names.push(address.to_string());
    }
    let mut certificate = CertificateParams::new(names).map_err(failed)?;
    certificate
        .distinguished_name
        .push(DnType::CommonName, format!("{node}@{}", now.as_second()));
    certificate.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    certificate.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let day = |moment: Timestamp| {
        let date = moment.to_zoned(TimeZone::UTC).date();
        rcgen::date_time_ymd(
            i32::from(date.year()),
            date.month().unsigned_abs(),
            date.day().unsigned_abs(),
        )
    };
    // Whole days: it may begin up to a day before that hour, and end as much earlier.
    certificate.not_before = day(now.saturating_sub(1.hour()).unwrap_or(now));
    certificate.not_after = day(now.saturating_add((365 * 24).hours()).unwrap_or(now));
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = certificate.self_signed(&key).map_err(failed)?;

    std::fs::create_dir_all(directory).map_err(|error| unusable(directory, &error))?;
    write(&files.private_key, &key.serialize_pem(), 0o600)?;
    write(&files.certificate, &certificate.pem(), 0o644)?;
    Ok(files)
}

/// Whom the certificate of a client names: its common name is the user, its organizations are the
/// groups. The connection has verified it.
///
/// Answers to `CommonNameUserConversion` of Kubernetes 1.36.
pub(super) fn client_of(connection: &ServerConnection) -> Option<User> {
    let certificate = connection.peer_certificates()?.first()?;
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let subject = certificate.subject();
    let name = subject.iter_common_name().next()?.as_str().ok()?;
    let groups = subject.iter_organization();
    let groups = groups.filter_map(|group| group.as_str().ok());
    let user = groups.fold(User::named(name), User::in_group);
    (!name.is_empty()).then_some(user)
}

/// Whether both files are there and belong together, and the certificate is of this time: one that was
/// signed by a clock that went wrong may begin too late.
fn is_valid(files: &TlsFiles, now: Timestamp) -> bool {
    let (Ok(certificate), Ok(key)) = (
        CertificateDer::from_pem_file(&files.certificate),
        PrivateKeyDer::from_pem_file(&files.private_key),
    ) else {
        return false;
    };
    let is_current = X509Certificate::from_der(&certificate).is_ok_and(|(_, certificate)| {
        let validity = certificate.validity();
        let now = now.as_second();
        (validity.not_before.timestamp()..validity.not_after.timestamp()).contains(&now)
    });
    // An agent that ends between the two files leaves a new key beside an old certificate.
    let provider = rustls::crypto::ring::default_provider();
    is_current && CertifiedKey::from_der(vec![certificate], key, &provider).is_ok()
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ServerError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|error| unusable(path, &error))?;
    match all.is_empty() {
        true => Err(unusable(path, "there is no certificate in it")),
        false => Ok(all),
    }
}

fn read(path: &Path) -> Result<String, ServerError> {
    std::fs::read_to_string(path).map_err(|error| unusable(path, &error))
}

/// Writes a file that nobody reads half of.
fn write(path: &Path, content: &str, mode: u32) -> Result<(), ServerError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut temporary = PathBuf::from(path).into_os_string();
    temporary.push(".new");
    let written = || -> io::Result<()> {
        // Its mode is that of a file which is made, not of one that is there.
        match std::fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = std::fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&temporary)?;
        file.write_all(content.as_bytes())?;
        std::fs::rename(&temporary, path)
    };
    written().map_err(|error| unusable(path, &error))
}

fn unusable(path: &Path, why: &(impl ToString + ?Sized)) -> ServerError {
    ServerError::Pem {
        path: path.to_owned(),
        why: why.to_string(),
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "map_err passes errors by value"
)]
fn refused(error: rustls::Error) -> ServerError {
    ServerError::Tls(error.to_string())
}
