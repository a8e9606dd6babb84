use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use anyhow::{Context as _, Result};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube_client::Client;
use kube_client::api::{Api, ListParams};
use kubewright_cri::Runtime;
use rustix::process::Pid;

use crate::workload::{NAME, NAMESPACE, Program};
use crate::{process, web};

/// Who runs: the pods of the set as the API shows them, with the processes that are behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Census {
    members: BTreeMap<String, Member>,
}

/// A pod, and what runs for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The uid of the pod.
    pub uid: String,
    /// The id of its container.
    pub container: String,
    /// The id of the container's process.
    pub process: Pid,
    /// How often the container was started anew.
    pub restarts: i32,
    /// Where the pod is reached.
    pub address: Option<IpAddr>,
}

impl Census {
    /// Asks the API for the pods of the set, the runtime for their processes, the system whether
    /// those are alive, and pods that say who they are for that.
    ///
    /// # Errors
    ///
    /// Whatever does not fit together: a pod that is not ready or is leaving, a container without a
    /// process, a process that is another one than it says.
    pub async fn take(client: &Client, runtime: &Runtime, program: &Program) -> Result<Self> {
        let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
        let labels = ListParams::default().labels(&format!("app={NAME}"));
        let pods = pods.list(&labels).await.context("LIST of the pods")?;
        let members = pods.items.iter().map(|pod| async {
            let name = pod.metadata.name.clone().unwrap_or_default();
            let member = Member::of(pod, &name, runtime, program).await;
            let member = member.with_context(|| format!("pod {name}"))?;
            anyhow::Ok((name, member))
        });
        let members = try_join_all(members).await?.into_iter().collect();
        Ok(Self { members })
    }

    /// Those who run, by the names of their pods.
    pub const fn members(&self) -> &BTreeMap<String, Member> {
        &self.members
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether nobody runs.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Without one of them.
    #[must_use]
    pub fn without(&self, name: &str) -> Self {
        let mut others = self.clone();
        others.members.remove(name);
        others
    }

    /// Whether all of them are in another census, each of them just as here.
    pub fn is_part_of(&self, other: &Self) -> bool {
        let mut members = self.members.iter();
        members.all(|(name, member)| other.members.get(name) == Some(member))
    }

    /// The processes, in order.
    pub fn processes(&self) -> Vec<Pid> {
        let mut processes: Vec<_> = self.members.values().map(|it| it.process).collect();
        processes.sort_by_key(|process| process.as_raw_nonzero());
        processes
    }
}

impl Member {
    async fn of(pod: &Pod, name: &str, runtime: &Runtime, program: &Program) -> Result<Self> {
        anyhow::ensure!(pod.metadata.deletion_timestamp.is_none(), "it is leaving");
        let status = pod.status.as_ref().context("it has no status")?;
        let mut conditions = status.conditions.iter().flatten();
        let is_ready = conditions.any(|it| it.type_ == "Ready" && it.status == "True");
        anyhow::ensure!(is_ready, "it is not ready");
        let container = status.container_statuses.iter().flatten().next();
        let container = container.context("nothing is known of its container")?;
        let id = running(container).context("its container does not run")?;
        let info = runtime.container_info(id).await?;
        let process = process::of_container(&info).context("its process")?;
        anyhow::ensure!(
            process::is_alive(process),
            "its process {process} has ended"
        );
        let address = status.pod_ip.as_deref().and_then(|ip| ip.parse().ok());
        if let Some(port) = program.port() {
            let address = address.context("it has no address")?;
            let identity = web::ask(SocketAddr::new(address, port)).await?;
            let it = (identity.pod.as_str(), identity.pid);
            anyhow::ensure!(
                it == (name, process.as_raw_nonzero().get()),
                "at its address there is process {} of {}",
                identity.pid,
                identity.pod
            );
        }
        Ok(Self {
            uid: pod.metadata.uid.clone().unwrap_or_default(),
            container: id.to_owned(),
            process,
            restarts: container.restart_count,
            address,
        })
    }
}

/// The id of a container that runs, as its runtime knows it.
fn running(container: &ContainerStatus) -> Option<&str> {
    container.state.as_ref()?.running.as_ref()?;
    let (_, id) = container.container_id.as_deref()?.split_once("://")?;
    Some(id)
}

impl fmt::Display for Census {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let processes = self.processes();
        let processes: Vec<_> = processes.iter().map(ToString::to_string).collect();
        f.write_str(&processes.join(" "))
    }
}
