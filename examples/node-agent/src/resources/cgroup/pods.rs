use std::collections::BTreeSet;
use std::io;

use k8s_openapi::api::core::v1::Pod;

use super::{
    CgroupHierarchy, CgroupLimits, CgroupName, apply, besteffort_limits, burstable_limits,
};
use crate::pod::PodUid;
use crate::resources::{QosClass, ResourceSettings, pod_cgroup_limits};

/// The cgroups of a node's pods: one for all of them, in it one for burstable pods and one for those
/// that ask for nothing, and in these one for each pod, which the runtime puts its containers into.
///
/// It remembers nothing: all is as the kernel has it, so that the next agent finds what one made, and
/// whatever is done twice is done.
/// All of it waits for the kernel, and is not for tasks that others wait for.
///
/// Answers to kubelet's `podContainerManager` and `qosContainerManager`.
///
/// # Errors
///
/// Of all methods, with the path that they are about: a file cannot be written, or a cgroup is not
/// to be had or does not go.
#[derive(Clone, Debug)]
pub struct PodCgroups {
    hierarchy: CgroupHierarchy,
    root: CgroupName,
    settings: ResourceSettings,
    pids: Option<i64>,
}

#[expect(
    clippy::missing_errors_doc,
    reason = "the errors are told once, at the type"
)]
impl PodCgroups {
    /// The cgroups of pods below a root, each with at most so many processes. Nothing is made yet.
    pub fn new(
        hierarchy: CgroupHierarchy,
        root: CgroupName,
        settings: ResourceSettings,
        pids: Option<i64>,
    ) -> Self {
        Self {
            hierarchy,
            root,
            settings,
            pids,
        }
    }

    /// Makes the cgroup of all pods and those of classes. The root is to be there.
    pub fn set_up(&self) -> io::Result<()> {
        self.hierarchy.check(&self.root)?;
        let unlimited = CgroupLimits::default();
        for (class, limits) in [
            (QosClass::Guaranteed, unlimited),
            (QosClass::Burstable, unlimited),
            (QosClass::BestEffort, besteffort_limits()),
        ] {
            self.set_class(class, &limits)?;
        }
        Ok(())
    }

    /// Limits all pods together.
    pub fn limit_node(&self, limits: &CgroupLimits) -> io::Result<()> {
        self.set_class(QosClass::Guaranteed, limits)
    }

    /// Gives the classes of pods their shares, now that these are there.
    pub fn share<'a>(&self, pods: impl IntoIterator<Item = &'a Pod>) -> io::Result<()> {
        self.set_class(QosClass::Burstable, &burstable_limits(pods))?;
        self.set_class(QosClass::BestEffort, &besteffort_limits())
    }

    /// The cgroup of all pods.
    pub fn name(&self) -> CgroupName {
        CgroupName::pods(&self.root)
    }

    /// Whether a pod has its cgroup.
    pub fn exists(&self, pod: &Pod) -> bool {
        self.hierarchy.exists(&self.name_of(pod))
    }

    /// Makes the cgroup of a pod, and limits it.
    pub fn ensure(&self, pod: &Pod) -> io::Result<()> {
        let mut limits = pod_cgroup_limits(pod, self.settings);
        limits.pids = self.pids;
        apply(&self.hierarchy.plan(&self.name_of(pod), &limits))
    }

    /// Kills what is left in the cgroup of a pod that has ended, and removes it.
    ///
    /// Processes that were killed may take a moment to go: [`ResourceBusy`](io::ErrorKind::ResourceBusy).
    pub fn remove(&self, pod: &Pod) -> io::Result<()> {
        self.remove_named(&self.name_of(pod))
    }

    /// The cgroups of pods that are there, whoever made them.
    pub fn all(&self) -> io::Result<BTreeSet<(PodUid, CgroupName)>> {
        let mut found = BTreeSet::new();
        for class in [
            QosClass::Guaranteed,
            QosClass::Burstable,
            QosClass::BestEffort,
        ] {
            let class = CgroupName::class(&self.root, class);
            for child in self.hierarchy.children(&class)? {
                let pod = CgroupName::uid_in(&child);
                found.extend(pod.map(|uid| (uid, class.child(child))));
            }
        }
        Ok(found)
    }

    /// Leaves a cgroup the least of the CPU that there is.
    ///
    /// Answers to kubelet's `ReduceCPULimits`.
    pub fn starve(&self, name: &CgroupName) -> io::Result<()> {
        apply(&self.hierarchy.plan(name, &besteffort_limits()))
    }

    /// Kills what is left in a cgroup, and removes it.
    pub fn remove_named(&self, name: &CgroupName) -> io::Result<()> {
        self.hierarchy.kill(name)?;
        self.hierarchy.remove(name)
    }

    fn set_class(&self, class: QosClass, limits: &CgroupLimits) -> io::Result<()> {
        let name = CgroupName::class(&self.root, class);
        apply(&self.hierarchy.plan(&name, limits))
    }

    fn name_of(&self, pod: &Pod) -> CgroupName {
        CgroupName::pod(&self.root, QosClass::of(pod), &PodUid::of(pod))
    }
}
