use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference};
use kube_client::Error;
use kube_client::api::{Api, PostParams};
use kubewright_clock::Clock;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::client::HeartbeatClient;

/// Where the leases of nodes are.
pub const LEASE_NAMESPACE: &str = "kube-node-lease";

/// How often a renewal is tried.
const TRIES: u32 = 5;
/// Which part of its duration a lease is renewed after, and by how much later, at most.
const RENEWAL: f64 = 0.25;
const JITTER: f64 = 0.04;
/// What the wire tells apart.
const TICK: SignedDuration = SignedDuration::from_micros(1);
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(7);

/// How a node's lease is kept.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LeaseConfig {
    /// The node, its lease, and who holds it.
    pub node_name: String,
    /// How long the lease holds, in whole seconds. Default: 40 s.
    pub duration: Duration,
    /// The wall clock. Default: the system's.
    pub clock: Clock,
    /// What random times are made of. Default: 0.
    pub seed: u64,
}

impl LeaseConfig {
    /// The defaults, for a node.
    pub fn of(node_name: impl Into<String>) -> Self {
        Self {
            node_name: node_name.into(),
            duration: Duration::from_secs(40),
            clock: Clock::system(),
            seed: 0,
        }
    }
}

/// Keeps the lease by which a node shows that it is alive.
///
/// # Guarantees
///
/// - It is renewed after a quarter of its duration, and little later.
/// - Nobody else writes it, so that the last one written is taken to be the one that is there; if
///   it is not, it is read anew.
/// - It is owned by its node, from the first renewal on at which that is registered.
///
/// Answers to the lease controller of Kubernetes 1.36, as kubelet has it.
#[must_use = "a lease is kept only while this runs"]
pub struct NodeLease {
    heartbeat: HeartbeatClient,
    config: LeaseConfig,
    on_failure: Box<dyn Fn() + Send + Sync>,
    random: fastrand::Rng,
    /// The lease as it was written last.
    latest: Option<Lease>,
}

/// The lease that comes after another, or the first one.
///
/// Its time is later than the one before, whatever the clock shows: those who watch over nodes take
/// a lease for renewed if its time has grown, and a clock that was set back makes no node dead.
pub fn renewed(
    base: Option<&Lease>,
    config: &LeaseConfig,
    owner: Option<OwnerReference>,
    now: Timestamp,
) -> Lease {
    let mut lease = base.cloned().unwrap_or_else(|| Lease {
        metadata: ObjectMeta {
            name: Some(config.node_name.clone()),
            namespace: Some(LEASE_NAMESPACE.into()),
            ..Default::default()
        },
        spec: None,
    });
    let spec = lease.spec.get_or_insert_default();
    if base.is_none() {
        spec.holder_identity = Some(config.node_name.clone());
        let seconds = i32::try_from(config.duration.as_secs()).unwrap_or(i32::MAX);
        spec.lease_duration_seconds = Some(seconds);
    }
    let before = spec.renew_time.as_ref().map(|time| time.0);
    let later = before.and_then(|before| before.checked_add(TICK).ok());
    spec.renew_time = Some(MicroTime(now.max(later.unwrap_or(now))));
    if let Some(owner) = owner {
        lease.metadata.owner_references = Some(vec![owner]);
    }
    lease
}

impl NodeLease {
    /// The lease of a node. After repeated failures the connections of the client are closed.
    pub fn new(heartbeat: HeartbeatClient, config: LeaseConfig) -> Self {
        let connections = heartbeat.clone();
        Self {
            heartbeat,
            random: fastrand::Rng::with_seed(config.seed),
            config,
            on_failure: Box::new(move || connections.reconnect()),
            latest: None,
        }
    }

    /// Calls this after repeated failures, in place of closing connections.
    pub fn on_failure(mut self, call: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_failure = Box::new(call);
        self
    }

    /// Keeps the lease until the token is cancelled. It is not given up then: it runs out.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the renewals at once. A request under way may still take effect.
    pub async fn run(mut self, token: CancellationToken) {
        let keep = async {
            loop {
                self.sync().await;
                let later = 1.0 + JITTER * self.random.f64();
                sleep(self.config.duration.mul_f64(RENEWAL * later)).await;
            }
        };
        token.run_until_cancelled(keep).await;
    }

    /// Renews the lease once, or makes it.
    async fn sync(&mut self) {
        if let Some(latest) = self.latest.clone() {
            match self.renew(latest).await {
                Ok(()) => return,
                Err(error) => {
                    tracing::info!(%error, "the lease is read anew, since it could not be renewed");
                }
            }
        }
        let (lease, is_new) = self.ensure_patiently().await;
        self.latest.clone_from(&lease);
        if let Some(lease) = lease.filter(|_| !is_new)
            && let Err(error) = self.renew(lease).await
        {
            tracing::error!(%error, "the lease could not be renewed, but will be tried again");
        }
    }

    /// Answers to `retryUpdateLease` of the lease controller.
    async fn renew(&mut self, mut base: Lease) -> Result<(), Error> {
        let mut failures = 0;
        loop {
            // A lease without an owner is better than none.
            let owner = self.missing_owner(Some(&base)).await.unwrap_or_default();
            let lease = renewed(Some(&base), &self.config, owner, self.config.clock.now());
            let name = &self.config.node_name;
            let error = match self
                .api()
                .replace(name, &PostParams::default(), &lease)
                .await
            {
                Ok(lease) => {
                    self.latest = Some(lease);
                    return Ok(());
                }
                Err(error) => error,
            };
            tracing::warn!(%error, "the lease could not be renewed");
            failures += 1;
            if failures == TRIES {
                return Err(error);
            }
            if matches!(&error, Error::Api(status) if status.is_conflict()) {
                let (lease, _) = self.ensure_patiently().await;
                let Some(lease) = lease else {
                    return Err(error);
                };
                base = lease;
            } else if failures > 1 {
                (self.on_failure)();
            }
        }
    }

    /// The lease that is there, and whether it was made; tries until it is known. `None` if it
    /// cannot be made yet.
    async fn ensure_patiently(&self) -> (Option<Lease>, bool) {
        let mut wait = FIRST_WAIT;
        loop {
            match self.ensure().await {
                Ok(ensured) => return ensured,
                Err(error) => {
                    tracing::error!(%error, ?wait, "the lease of the node is not there yet");
                    sleep(wait).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
    }

    async fn ensure(&self) -> Result<(Option<Lease>, bool), Error> {
        if let Some(lease) = self.api().get_opt(&self.config.node_name).await? {
            return Ok((Some(lease), false));
        }
        // It is made with its owner or, if that is not known yet, the next time.
        let Ok(owner) = self.missing_owner(None).await else {
            return Ok((None, false));
        };
        let lease = renewed(None, &self.config, owner, self.config.clock.now());
        let made = self.api().create(&PostParams::default(), &lease).await?;
        Ok((Some(made), true))
    }

    /// The node, as the owner that a lease has not yet.
    async fn missing_owner(&self, lease: Option<&Lease>) -> Result<Option<OwnerReference>, Error> {
        let owners = lease.and_then(|lease| lease.metadata.owner_references.as_deref());
        if owners.is_some_and(|owners| !owners.is_empty()) {
            return Ok(None);
        }
        let nodes: Api<Node> = Api::all(self.heartbeat.client());
        let node = nodes
            .get(&self.config.node_name)
            .await
            .inspect_err(|error| {
                tracing::info!(%error, "the lease has no owner yet");
            })?;
        Ok(Some(OwnerReference {
            api_version: "v1".into(),
            kind: "Node".into(),
            name: self.config.node_name.clone(),
            uid: node.metadata.uid.unwrap_or_default(),
            ..Default::default()
        }))
    }

    fn api(&self) -> Api<Lease> {
        Api::namespaced(self.heartbeat.client(), LEASE_NAMESPACE)
    }
}

impl std::fmt::Debug for NodeLease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeLease")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
