pub mod v1;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use k8s_openapi::api::core::v1::Pod;
use kubewright_cri::{Endpoint, bind};
use parking_lot::Mutex;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::pod::{PodName, containers, is_terminal};
use crate::server::tasks::Tasks;
use crate::server::{ServerError, ServerHost};
use v1::pod_resources_lister_server::{PodResourcesLister, PodResourcesListerServer};

/// How long accepting rests when the system cannot give another socket.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How many calls there may be a second, and at once.
const RATE: (f64, f64) = (100.0, 10.0);

/// Tells monitors of the node what its pods were given, over gRPC on a unix socket: `List`, `Get`
/// and `GetAllocatableResources`.
///
/// This agent gives no devices, processors or memory of their own to containers, and says so of
/// each. Calls above 100 a second are refused, as upstream's are.
pub struct PodResourcesServer<H> {
    path: PathBuf,
    listener: UnixListener,
    host: Arc<H>,
}

/// The API, over a host.
struct Lister<H> {
    host: Arc<H>,
    bucket: Mutex<Bucket>,
}

/// Tokens for calls.
struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl<H: ServerHost> PodResourcesServer<H> {
    /// Binds the socket, below `pod-resources` of the agent's directory. One that an agent left
    /// behind is taken over.
    ///
    /// # Errors
    ///
    /// If the socket cannot be had, as when another agent listens there.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing bound.
    pub async fn bind(root_dir: &Path, host: Arc<H>) -> Result<Self, ServerError> {
        let path = root_dir.join("pod-resources/kubelet.sock");
        let bound = async {
            tokio::fs::create_dir_all(root_dir.join("pod-resources")).await?;
            let endpoint = Endpoint::unix(&path);
            let endpoint =
                endpoint.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
            bind(&endpoint).await
        };
        match bound.await {
            Ok(listener) => Ok(Self {
                path,
                listener,
                host,
            }),
            Err(source) => Err(ServerError::Socket { path, source }),
        }
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Serves until the token is cancelled, and removes the socket.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends all of it at once, but for the file of the socket, which the next
    /// server takes over.
    pub async fn run(self, token: CancellationToken) {
        let service = PodResourcesListerServer::new(Lister {
            host: self.host,
            bucket: Mutex::new(Bucket::full(Instant::now())),
        });
        let mut connections = JoinSet::new();
        let accepting = async {
            loop {
                match self.listener.accept().await {
                    Ok((socket, _)) => {
                        while connections.try_join_next().is_some() {}
                        connections.spawn(converse(socket, service.clone()));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept monitors of pods");
                        sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        };
        token.run_until_cancelled(accepting).await;
        connections.shutdown().await;
        if let Err(error) = tokio::fs::remove_file(&self.path).await {
            tracing::debug!(%error, "the socket of pod resources is gone already");
        }
    }
}

async fn converse<H: ServerHost>(socket: UnixStream, service: PodResourcesListerServer<Lister<H>>) {
    let protocol = http2::Builder::new(Tasks::default());
    let service = TowerToHyperService::new(service);
    // How a connection ended is its client's to know.
    let _ = pin!(protocol.serve_connection(TokioIo::new(socket), service)).await;
}

#[tonic::async_trait]
impl<H: ServerHost> PodResourcesLister for Lister<H> {
    async fn list(
        &self,
        _: Request<v1::ListPodResourcesRequest>,
    ) -> Result<Response<v1::ListPodResourcesResponse>, Status> {
        self.admit()?;
        let pods = self.host.pods();
        let active = pods.iter().filter(|pod| !is_terminal(pod));
        let pod_resources = active.map(|pod| resources(pod)).collect();
        Ok(Response::new(v1::ListPodResourcesResponse {
            pod_resources,
        }))
    }

    async fn get_allocatable_resources(
        &self,
        _: Request<v1::AllocatableResourcesRequest>,
    ) -> Result<Response<v1::AllocatableResourcesResponse>, Status> {
        self.admit()?;
        Ok(Response::new(v1::AllocatableResourcesResponse {}))
    }

    async fn get(
        &self,
        request: Request<v1::GetPodResourcesRequest>,
    ) -> Result<Response<v1::GetPodResourcesResponse>, Status> {
        self.admit()?;
        let v1::GetPodResourcesRequest {
            pod_name,
            pod_namespace,
        } = request.into_inner();
        let name = PodName::new(pod_namespace.as_str(), pod_name.as_str());
        let Some(pod) = self.host.pod_named(&name) else {
            let text = format!("pod {pod_name} in namespace {pod_namespace} not found");
            return Err(Status::not_found(text));
        };
        Ok(Response::new(v1::GetPodResourcesResponse {
            pod_resources: Some(resources(&pod)),
        }))
    }
}

impl<H> Lister<H> {
    fn admit(&self) -> Result<(), Status> {
        match self.bucket.lock().take(Instant::now()) {
            true => Ok(()),
            false => Err(Status::resource_exhausted("rejected by rate limit")),
        }
    }
}

impl Bucket {
    fn full(now: Instant) -> Self {
        Self {
            tokens: RATE.1,
            filled: now,
        }
    }

    fn take(&mut self, now: Instant) -> bool {
        let (per_second, burst) = RATE;
        let since = now.duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + since * per_second).min(burst);
        self.filled = now;
        let has_one = self.tokens >= 1.0;
        if has_one {
            self.tokens -= 1.0;
        }
        has_one
    }
}

impl<H> fmt::Debug for PodResourcesServer<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PodResourcesServer")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

fn resources(pod: &Pod) -> v1::PodResources {
    let name = PodName::of(pod);
    let containers = containers(pod);
    v1::PodResources {
        name: name.name.to_string(),
        namespace: name.namespace.to_string(),
        containers: containers
            .map(|container| v1::ContainerResources {
                name: container.spec.name.clone(),
            })
            .collect(),
    }
}
