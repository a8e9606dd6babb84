use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kubewright_clock::Clock;
use parking_lot::Mutex;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_rustls::TlsAcceptor;

use super::pem::Pem;
use super::self_signed::self_signed;
use crate::config::TlsFiles;
use crate::server::ServerError;

/// How often files are looked at.
const PERIOD: Duration = Duration::from_secs(60);

/// Where a certificate and its key come from.
#[derive(Clone, Debug)]
pub(in crate::server) enum Source {
    /// Somebody puts them there.
    Files(TlsFiles),
    /// The agent makes them, and keeps them in a directory.
    SelfSigned {
        directory: PathBuf,
        node: String,
        address: IpAddr,
    },
}

/// What a server is to its clients, by files that may change.
pub(in crate::server) struct Identity {
    source: Source,
    client_ca: Option<PathBuf>,
    clock: Clock,
    pem: Pem,
    acceptor: Acceptor,
}

/// How connections are accepted now. Cheap to clone; a clone changes with the others.
#[derive(Clone)]
pub(in crate::server) struct Acceptor {
    current: Arc<Mutex<TlsAcceptor>>,
}

impl Source {
    fn read(&self, client_ca: Option<&Path>, now: Timestamp) -> Result<Pem, ServerError> {
        let files = match self {
            Self::Files(files) => files.clone(),
            Self::SelfSigned {
                directory,
                node,
                address,
            } => self_signed(directory, node, *address, now)?,
        };
        Pem::read(files, client_ca)
    }
}

impl Identity {
    /// Serves by the certificate that there is now, to clients that may have one of an authority.
    pub(in crate::server) fn load(
        source: Source,
        client_ca: Option<PathBuf>,
        clock: Clock,
    ) -> Result<Self, ServerError> {
        let pem = source.read(client_ca.as_deref(), clock.now())?;
        Ok(Self {
            acceptor: Acceptor {
                current: Arc::new(Mutex::new(pem.acceptor()?)),
            },
            source,
            client_ca,
            clock,
            pem,
        })
    }

    pub(in crate::server) fn acceptor(&self) -> Acceptor {
        self.acceptor.clone()
    }

    /// The certificate, and those that vouch for it.
    pub(in crate::server) fn certificate_pem(&self) -> &str {
        &self.pem.certificate
    }

    /// Looks at the files again and again; new connections are accepted by what they are then, and
    /// those that are open stay. What cannot be used is logged and tried again: files that belong
    /// together are not written at once.
    ///
    /// Cancel safe.
    pub(in crate::server) async fn keep(mut self) {
        let mut ticks = interval_at(Instant::now() + PERIOD, PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let (source, client_ca) = (self.source.clone(), self.client_ca.clone());
            let now = self.clock.now();
            let read = move || source.read(client_ca.as_deref(), now);
            let Ok(read) = tokio::task::spawn_blocking(read).await else {
                continue;
            };
            if let Err(error) = read.and_then(|pem| self.change(pem)) {
                tracing::warn!(%error, "the files of TLS are not what they were, and of no use");
            }
        }
    }

    fn change(&mut self, pem: Pem) -> Result<(), ServerError> {
        if pem != self.pem {
            *self.acceptor.current.lock() = pem.acceptor()?;
            self.pem = pem;
            tracing::info!("the files of TLS have changed: new connections go by them");
        }
        Ok(())
    }
}

impl Acceptor {
    pub(in crate::server) fn current(&self) -> TlsAcceptor {
        self.current.lock().clone()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("source", &self.source)
            .field("client_ca", &self.client_ca)
            .finish_non_exhaustive()
    }
}
