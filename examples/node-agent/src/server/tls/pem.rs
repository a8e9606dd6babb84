use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::unusable;
use crate::config::TlsFiles;
use crate::server::ServerError;

/// What is in the files that a server is known by.
#[derive(PartialEq, Eq)]
pub(super) struct Pem {
    files: TlsFiles,
    /// The certificate, and those that vouch for it.
    pub(super) certificate: String,
    private_key: String,
    /// The authority of clients, and where it is.
    client_ca: Option<(PathBuf, String)>,
}

impl Pem {
    pub(super) fn read(files: TlsFiles, client_ca: Option<&Path>) -> Result<Self, ServerError> {
        let client_ca = client_ca.map(|path| Ok((path.to_owned(), read(path)?)));
        Ok(Self {
            certificate: read(&files.certificate)?,
            private_key: read(&files.private_key)?,
            client_ca: client_ca.transpose()?,
            files,
        })
    }

    /// Serves by a certificate, to clients that may have one of an authority.
    pub(super) fn acceptor(&self) -> Result<TlsAcceptor, ServerError> {
        let chain = certificates(&self.files.certificate, &self.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(self.private_key.as_bytes())
            .map_err(|error| unusable(&self.files.private_key, &error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(refused)?;
        let config = match &self.client_ca {
            None => config.with_no_client_auth(),
            Some((path, pem)) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path, pem)? {
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
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

fn certificates(path: &Path, pem: &str) -> Result<Vec<CertificateDer<'static>>, ServerError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let all = all.map_err(|error| unusable(path, &error))?;
    match all.is_empty() {
        true => Err(unusable(path, "there is no certificate in it")),
        false => Ok(all),
    }
}

fn read(path: &Path) -> Result<String, ServerError> {
    std::fs::read_to_string(path).map_err(|error| unusable(path, &error))
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "map_err passes errors by value"
)]
fn refused(error: rustls::Error) -> ServerError {
    ServerError::Tls(error.to_string())
}
