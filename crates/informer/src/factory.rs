//! One informer per type and scope.

mod directory;
mod entry;
mod scope;

use std::fmt;
use std::sync::Arc;

use kube_client::Client;
use kube_core::Resource;
use kubewright_cache::ListerWatcher;
use serde::de::DeserializeOwned;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

pub use scope::Scope;

use crate::config::InformerConfig;
use crate::error::{Error, Unsynced};
use crate::informer::SharedInformer;
use crate::status::InformerStatus;
use directory::Directory;
use entry::Entry;

/// Makes informers, one per type and scope, and runs them together.
///
/// A cheap handle; clones share the factory.
/// One future drives it: [`InformerFactory::run`].
///
/// # Guarantees
///
/// - **Shared.** Whoever asks for the same type and [`Scope`] gets the same informer, hence one
///   watch and one store.
/// - **Started as needed.** Informers made before `run` start with it, those made later at once.
///   client-go needs another `Start` for those.
/// - **Stopped as needed.** An informer is in use while there is a handle of it, a
///   [`Lister`](crate::Lister), or a handler.
///   When the last of them goes, the informer stops: its watch is closed and its store is freed,
///   and the next to ask gets a new one.
///   The plain [`Store`](kubewright_cache::Store) is no use in this sense.
/// - **Nothing outlives `run`.**
///
/// Answers to client-go's `SharedInformerFactory`.
///
/// # Example
///
/// ```no_run
/// use k8s_openapi::api::core::v1::{Node, Pod};
/// use kubewright_informer::{Error, InformerFactory, Scope};
/// use tokio_util::sync::CancellationToken;
///
/// async fn count(client: kube_client::Client) -> Result<(), Error> {
///     let factory = InformerFactory::new(client);
///     let nodes = factory.informer::<Node>()?.lister();
///     let pods = factory.informer_in(Scope::<Pod>::namespace("default"))?.lister();
///
///     let token = CancellationToken::new();
///     let use_them = async {
///         factory.wait_for_sync().await?;
///         println!("{} nodes, {} pods", nodes.all().len(), pods.all().len());
///         token.cancel();
///         Ok(())
///     };
///     tokio::try_join!(factory.run(token.clone()), use_them)?;
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct InformerFactory {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    configure: Box<Configure>,
    directory: Directory,
}

/// How informers are set up, by their names.
type Configure = dyn Fn(&str) -> InformerConfig + Send + Sync;

impl InformerFactory {
    /// A factory whose informers ask `client` and have the default configuration.
    pub fn new(client: Client) -> Self {
        Self::with_config(client, |_| InformerConfig::default())
    }

    /// A factory that asks `configure` how each informer is set up, by the informer's name.
    ///
    /// # Example
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use kubewright_informer::{InformerConfig, InformerFactory};
    /// # fn make(client: kube_client::Client) -> InformerFactory {
    /// InformerFactory::with_config(client, |name| {
    ///     let mut config = InformerConfig::default();
    ///     if name == "events" {
    ///         config.store.decoded_cache = 0;
    ///     }
    ///     config
    /// })
    /// # }
    /// ```
    pub fn with_config(
        client: Client,
        configure: impl Fn(&str) -> InformerConfig + Send + Sync + 'static,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                client,
                configure: Box::new(configure),
                directory: Directory::default(),
            }),
        }
    }

    /// The informer of all objects of a type.
    ///
    /// # Errors
    ///
    /// When the factory has stopped, or the informer's configuration contradicts itself.
    pub fn informer<K>(&self) -> Result<SharedInformer<K>, Error>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned + Send + Sync + 'static,
    {
        self.informer_in(Scope::all())
    }

    /// The informer of the objects of a type that are in a scope.
    ///
    /// It is named by the scope, as in `deployments.apps in prod with labels app=web`.
    ///
    /// # Errors
    ///
    /// As [`InformerFactory::informer`].
    pub fn informer_in<K>(&self, scope: Scope<K>) -> Result<SharedInformer<K>, Error>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned + Send + Sync + 'static,
    {
        let name = scope.to_string();
        self.informer_from(&name, || scope.source(self.inner.client.clone()))
    }

    /// The informer of this type and name, made from a source of your own if there is none.
    ///
    /// For types that are known only at run time, and for sources other than a cluster.
    ///
    /// # Errors
    ///
    /// As [`InformerFactory::informer`].
    pub fn informer_from<K, L>(
        &self,
        name: &str,
        source: impl FnOnce() -> L,
    ) -> Result<SharedInformer<K>, Error>
    where
        K: DeserializeOwned + Send + Sync + 'static,
        L: ListerWatcher,
    {
        let directory = &self.inner.directory;
        if let Some(informer) = directory.find(name)? {
            return Ok(informer);
        }
        // Made without the directory's lock, since that runs code of the user's.
        let config = (self.inner.configure)(name);
        let informer = SharedInformer::new(name, source(), config)?;
        directory.list(informer)
    }

    /// Runs the informers, those made later too, until the token is cancelled or
    /// [`InformerFactory::shutdown`] is called; then stops them and joins all tasks.
    ///
    /// # Errors
    ///
    /// When it runs already, or has run or been shut down before.
    ///
    /// # Panics
    ///
    /// If a source panics.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the informers at once and for good.
    pub async fn run(&self, token: CancellationToken) -> Result<(), Error> {
        let directory = &self.inner.directory;
        directory.start()?;
        let _ending = Ending(directory);
        let informers = token.child_token();
        let mut tasks = JoinSet::new();
        loop {
            for entry in directory.startable() {
                let token = informers.child_token();
                tasks.spawn(keep(Arc::clone(&self.inner), entry, token));
            }
            tokio::select! {
                biased;
                () = informers.cancelled() => break,
                () = directory.stopping() => break,
                Some(ended) = tasks.join_next() => propagate(ended),
                () = directory.made() => {}
            }
        }
        directory.stop();
        informers.cancel();
        while let Some(ended) = tasks.join_next().await {
            propagate(ended);
        }
        Ok(())
    }

    /// Waits until the stores of all informers that are in use at the call are in sync.
    ///
    /// It does not end before the factory is run.
    /// [`InformerFactory::unsynced`] tells what it waits for.
    ///
    /// # Errors
    ///
    /// When some stopped before they were in sync: the error names them and, as far as it is
    /// known, why they were not.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is consumed.
    pub async fn wait_for_sync(&self) -> Result<(), Error> {
        let mut unsynced = Vec::new();
        for entry in self.inner.directory.used() {
            // One that nobody uses any more may stop without anybody missing it.
            if !entry.comes_to_be_synced().await && entry.is_used() {
                unsynced.push(entry.unsynced());
            }
        }
        if unsynced.is_empty() {
            Ok(())
        } else {
            Err(Error::NotSynced { unsynced })
        }
    }

    /// The informers in use that are not in sync, and what their sources failed with last.
    pub fn unsynced(&self) -> Vec<Unsynced> {
        let entries = self.inner.directory.used();
        let unsynced = entries.iter().filter(|entry| !entry.has_synced());
        unsynced.map(|entry| entry.unsynced()).collect()
    }

    /// The informers at this moment, in the order in which they were made.
    pub fn status(&self) -> Vec<InformerStatus> {
        let entries = self.inner.directory.used();
        entries.iter().map(|entry| entry.status()).collect()
    }

    /// Makes and starts no more informers, stops those there are, and waits until
    /// [`InformerFactory::run`] has joined all tasks. Idempotent.
    ///
    /// Must not be awaited by a handler, which it waits for.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the waiting, not the shutdown.
    pub async fn shutdown(&self) {
        self.inner.directory.stop();
        self.inner.directory.stopped().await;
    }
}

impl fmt::Debug for InformerFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InformerFactory")
            .field("informers", &self.status())
            .finish_non_exhaustive()
    }
}

/// Runs an informer until the token is cancelled or nobody uses it any more.
async fn keep(inner: Arc<Inner>, entry: Arc<dyn Entry>, token: CancellationToken) {
    let running = Arc::clone(&entry).run(token.clone());
    let mut running = std::pin::pin!(running);
    let ran = loop {
        tokio::select! {
            biased;
            ran = &mut running => break ran,
            () = entry.abandoned() => {
                if inner.directory.retire(&entry) {
                    tracing::debug!(informer = %entry.name(), "stopping, nobody uses it");
                    token.cancel();
                    break running.await;
                }
            }
        }
    };
    if let Err(error) = ran {
        tracing::warn!(%error, "an informer of a factory was run by somebody else");
    }
}

/// Passes a panic of an informer's task on.
fn propagate(ended: Result<(), JoinError>) {
    if let Err(Ok(panic)) = ended.map_err(JoinError::try_into_panic) {
        std::panic::resume_unwind(panic);
    }
}

/// Ends the factory when `run` ends, also by being dropped.
struct Ending<'a>(&'a Directory);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}
