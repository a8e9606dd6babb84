use std::sync::Arc;

use anyhow::{Context as _, Result};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Uri};
use kubewright_apiserver::serve::Token;
use kubewright_streaming::client::Dial;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A way to the API server for those that do not speak HTTP for long.
pub(crate) struct Door {
    server: Uri,
    tls: TlsConnector,
    headers: HeaderMap,
}

impl Door {
    pub(crate) fn new(server: Uri, roots: Vec<Vec<u8>>, token: Option<&Token>) -> Result<Self> {
        let mut trusted = RootCertStore::empty();
        for root in roots {
            trusted.add(root.into())?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(trusted)
            .with_no_client_auth();
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            let value = HeaderValue::try_from(format!("Bearer {}", token.secret()))?;
            headers.insert(AUTHORIZATION, value);
        }
        Ok(Self {
            server,
            tls: TlsConnector::from(Arc::new(config)),
            headers,
        })
    }

    /// A connection on which nothing was said yet.
    pub(crate) async fn dial(&self, path: &str) -> Result<Dial> {
        let authority = self.server.authority().context("it is a URL")?;
        let socket = TcpStream::connect(authority.as_str()).await?;
        let name = ServerName::try_from(authority.host().to_owned())?;
        let socket = self.tls.connect(name, socket).await?;
        Ok(Dial {
            io: Box::new(socket),
            uri: format!("https://{authority}{path}").parse()?,
            headers: self.headers.clone(),
        })
    }
}
