use std::sync::Arc;

use kubewright_cri::{Error, Runtime, v1};

use super::RuntimeManager;
use crate::resources::CgroupDriver;

/// Who a container runtime is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeIdentity {
    /// What it calls itself: the scheme of the ids of containers.
    pub name: Arc<str>,
    /// Its version.
    pub version: String,
    /// The version of CRI that it speaks.
    pub api_version: String,
}

#[expect(
    clippy::missing_errors_doc,
    reason = "the errors are those of the calls, which are told at the runtime's handle"
)]
impl RuntimeManager {
    /// Who the runtime is.
    pub async fn identity(&self) -> Result<RuntimeIdentity, Error> {
        let version = self.inner.runtime.version().await?;
        Ok(RuntimeIdentity {
            name: version.runtime_name.into(),
            version: version.runtime_version,
            api_version: version.runtime_api_version,
        })
    }

    /// What the runtime calls itself. It is asked once.
    pub async fn runtime_name(&self) -> Result<Arc<str>, Error> {
        let name = &self.inner.name;
        let ask = || async { Ok(self.identity().await?.name) };
        name.get_or_try_init(ask).await.cloned()
    }

    /// Who manages cgroups: what the runtime says, or what the agent is set to with a runtime that
    /// does not say. It is asked once.
    pub async fn cgroup_driver(&self) -> Result<CgroupDriver, Error> {
        let ask = || async {
            let told = driver_of(&self.inner.runtime).await?;
            Ok(told.unwrap_or(self.settings().cgroup_driver))
        };
        let driver = &self.inner.cgroup_driver;
        driver.get_or_try_init(ask).await.copied()
    }

    /// Tells the runtime the range of the pods' addresses.
    pub async fn update_pod_cidr(&self, pod_cidr: &str) -> Result<(), Error> {
        self.inner.runtime.update_runtime_config(pod_cidr).await
    }
}

/// Who manages cgroups, by what a runtime says; `None` if it does not say.
///
/// # Errors
///
/// It cannot be asked.
pub async fn driver_of(runtime: &Runtime) -> Result<Option<CgroupDriver>, Error> {
    match runtime.runtime_config().await {
        Ok(answer) => Ok(answer.linux.map(|linux| match linux.cgroup_driver() {
            v1::CgroupDriver::Systemd => CgroupDriver::Systemd,
            v1::CgroupDriver::Cgroupfs => CgroupDriver::Cgroupfs,
        })),
        Err(error) if error.is_unimplemented() => Ok(None),
        Err(error) => Err(error),
    }
}
