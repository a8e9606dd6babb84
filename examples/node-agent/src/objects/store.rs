use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{join, join_all};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service};
use kube_client::Client;
use kubewright_cache::KubeListerWatcher;
use kubewright_informer::{InformerConfig, SharedInformer};
use parking_lot::Mutex;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::cache::ObjectCache;
use super::fetch;
use super::tokens::TokenCache;
use super::{References, Snapshot};
use crate::pod::PodUid;

/// How often tokens are looked through for those that have expired.
const SWEEP_PERIOD: Duration = Duration::from_secs(60);

/// Brings what pods refer to from the API server, and keeps it for a while.
///
/// Cheap to clone; clones are the same. Services are there once its [`ObjectStoreDriver`] runs.
///
/// # Guarantees
///
/// - A config map or a secret is at most as old as the TTL, and newer than the moment from which the
///   pod refers to it. Only while the server cannot say, what it said last stands.
/// - Those who ask for one object at one time share one request.
/// - A token that has expired is not given to anybody.
///
/// Answers to kubelet's secret, config map and token managers in their TTL mode.
#[derive(Clone)]
pub struct ObjectStore {
    shared: Arc<Shared>,
}

/// How an [`ObjectStore`] keeps objects.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ObjectStoreOptions {
    /// For how long a config map or a secret is taken for what it is. Default: 1 min.
    pub ttl: Duration,
    /// How services are watched. Default: as every informer.
    pub informer: InformerConfig,
    /// What chance is made of. Default: 0.
    pub seed: u64,
}

/// What keeps an [`ObjectStore`] up to date.
pub struct ObjectStoreDriver {
    shared: Arc<Shared>,
}

struct Shared {
    config_maps: ObjectCache<ConfigMap>,
    secrets: ObjectCache<Secret>,
    tokens: TokenCache,
    /// `None` for an agent that stands alone, for which there are no services.
    services: Option<SharedInformer<Service>>,
    pods: Mutex<HashMap<PodUid, Registered>>,
}

/// A pod, and what it was said to refer to.
struct Registered {
    namespace: String,
    references: References,
}

impl Default for ObjectStoreOptions {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(60),
            informer: InformerConfig::default(),
            seed: 0,
        }
    }
}

impl ObjectStore {
    /// A store of the objects of an API server, and what drives it. Without a client all objects
    /// are unavailable, and there are no services.
    ///
    /// # Errors
    ///
    /// If the configuration of the informer contradicts itself.
    pub fn new(
        client: Option<Client>,
        options: ObjectStoreOptions,
    ) -> Result<(Self, ObjectStoreDriver), kubewright_informer::Error> {
        let ObjectStoreOptions {
            ttl,
            informer,
            seed,
        } = options;
        let services = match client.clone() {
            None => None,
            Some(client) => {
                let source = KubeListerWatcher::<Service>::all(client);
                Some(SharedInformer::new("services", source, informer)?)
            }
        };
        let shared = Arc::new(Shared {
            config_maps: ObjectCache::new(ttl, fetch::objects(client.clone(), "configmap")),
            secrets: ObjectCache::new(ttl, fetch::objects(client.clone(), "secret")),
            tokens: TokenCache::new(seed, fetch::tokens(client)),
            services,
            pods: Mutex::default(),
        });
        let driver = ObjectStoreDriver {
            shared: Arc::clone(&shared),
        };
        Ok((Self { shared }, driver))
    }

    /// Keeps what a pod refers to from now on. What it did not refer to before is read anew.
    pub fn register_pod(&self, pod: &Pod) {
        let namespace = namespace_of(pod);
        let references = References::of(pod);
        let registered = Registered {
            namespace: namespace.to_owned(),
            references: references.clone(),
        };
        let uid = PodUid::of(pod);
        let mut pods = self.shared.pods.lock();
        let before = pods.insert(uid.clone(), registered);
        let before = before.map(|before| before.references).unwrap_or_default();
        self.shared.refer(&uid, namespace, &references, &before);
    }

    /// A pod refers to nothing any more; what only it referred to is forgotten.
    pub fn unregister_pod(&self, uid: &PodUid) {
        let mut pods = self.shared.pods.lock();
        if let Some(before) = pods.remove(uid) {
            let none = References::default();
            self.shared
                .refer(uid, &before.namespace, &none, &before.references);
        }
        self.shared.tokens.forget(uid);
    }

    /// Forgets what pods refer to that nobody looks after any more. Some never come to run, and
    /// nobody cleans up after them.
    pub fn retain_pods(&self, is_looked_after: impl Fn(&PodUid) -> bool) {
        let gone: Vec<_> = {
            let pods = self.shared.pods.lock();
            let gone = pods.keys().filter(|uid| !is_looked_after(uid));
            gone.cloned().collect()
        };
        gone.iter().for_each(|uid| self.unregister_pod(uid));
    }

    /// Brings all that a pod refers to, each object from where it is soonest had. What cannot be
    /// had is in the snapshot as the reason.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future asks for nothing more; what has come is kept.
    pub async fn snapshot(&self, pod: &Pod, references: &References) -> Snapshot {
        let shared = &self.shared;
        let namespace = namespace_of(pod);
        let config_maps = references.config_maps.iter().map(|name| async move {
            let found = shared.config_maps.get(namespace, name).await;
            (name.clone(), found)
        });
        let secrets = references.secrets.iter().map(|name| async move {
            let found = shared.secrets.get(namespace, name).await;
            (name.clone(), found)
        });
        let tokens = references.tokens.iter().map(|reference| async move {
            let found = shared.tokens.get(reference).await;
            (reference.clone(), found)
        });
        let objects = join(join_all(config_maps), join_all(secrets));
        let ((config_maps, secrets), tokens) = join(objects, join_all(tokens)).boxed().await;

        let mut snapshot = Snapshot::default();
        for (name, found) in config_maps {
            snapshot.insert_config_map(namespace, name, found);
        }
        for (name, found) in secrets {
            snapshot.insert_secret(namespace, name, found);
        }
        for (reference, found) in tokens {
            snapshot.insert_token(reference, found);
        }
        if let Some(services) = shared.services(namespace) {
            snapshot.set_services(services);
        }
        snapshot
    }

    /// How many pods have registered what they refer to.
    pub fn pods(&self) -> usize {
        self.shared.pods.lock().len()
    }

    /// How many config maps and secrets are referred to.
    pub fn objects(&self) -> usize {
        self.shared.config_maps.len() + self.shared.secrets.len()
    }

    /// How many tokens are kept.
    pub fn tokens(&self) -> usize {
        self.shared.tokens.len()
    }
}

impl ObjectStoreDriver {
    /// Watches services and forgets expired tokens until the token is cancelled.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the watch for good.
    pub async fn run(self, token: CancellationToken) {
        let watch = async {
            let Some(services) = &self.shared.services else {
                return;
            };
            if let Err(error) = services.run(token.clone()).await {
                tracing::error!(%error, "services are not watched");
            }
        };
        let sweep = async {
            let mut ticks = interval_at(Instant::now() + SWEEP_PERIOD, SWEEP_PERIOD);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                self.shared.tokens.sweep();
            }
        };
        let sweep = token.run_until_cancelled(sweep);
        let _: ((), Option<()>) = join(watch, sweep).await;
    }
}

impl Shared {
    fn refer(&self, uid: &PodUid, namespace: &str, now: &References, before: &References) {
        self.config_maps
            .refer(uid, namespace, &now.config_maps, &before.config_maps);
        self.secrets
            .refer(uid, namespace, &now.secrets, &before.secrets);
    }

    /// The services that a pod of a namespace is told of: those of the namespace, and the API
    /// server's own. `None` as long as they were never read.
    fn services(&self, namespace: &str) -> Option<Vec<Arc<Service>>> {
        let Some(informer) = &self.services else {
            return Some(Vec::new());
        };
        if !informer.has_synced() {
            return None;
        }
        let store = informer.store();
        let mut objects = store.namespace(namespace);
        if namespace != "default" {
            objects.extend(store.get("default/kubernetes"));
        }
        let services = objects.iter().filter_map(|object| match object.get() {
            Ok(service) => Some(service),
            Err(error) => {
                tracing::warn!(service = %object.key(), %error, "a service cannot be decoded");
                None
            }
        });
        Some(services.collect())
    }
}

fn namespace_of(pod: &Pod) -> &str {
    pod.metadata.namespace.as_deref().unwrap_or_default()
}

impl fmt::Debug for ObjectStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStore")
            .field("pods", &self.shared.pods.lock().len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ObjectStoreDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStoreDriver").finish_non_exhaustive()
    }
}
