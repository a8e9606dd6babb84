use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use kubewright_quantity::Quantity;

use super::amount::add;
use super::{Amounts, CgroupLimits, QosClass, ResourceSettings, amounts, cpu_quota, cpu_shares};
use crate::pod::is_sidecar;

/// What a pod as a whole asks for and is limited to.
///
/// Init containers run one after the other and before the others, except for sidecars, which stay:
/// so it is the most that runs at any one time. Answers to upstream's `PodRequests` and `PodLimits`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodAmounts {
    /// What it asks for.
    pub requests: Amounts,
    /// What it is limited to, of the resources for which it is.
    pub limits: Amounts,
}

impl PodAmounts {
    /// The amounts of a pod, by its spec.
    pub fn of(pod: &Pod) -> Self {
        let Some(spec) = &pod.spec else {
            return Self::default();
        };
        let list = |limits: bool| {
            let of = move |container: &Container| {
                let resources = container.resources.as_ref();
                amounts(resources.and_then(|resources| {
                    if limits {
                        resources.limits.as_ref()
                    } else {
                        resources.requests.as_ref()
                    }
                }))
            };
            let mut sum = most_at_any_time(spec, of);
            let whole = spec.resources.as_ref();
            let whole = whole.and_then(|resources| match limits {
                true => resources.limits.as_ref(),
                false => resources.requests.as_ref(),
            });
            sum.extend(amounts(whole));
            let overhead = amounts(spec.overhead.as_ref());
            for (name, amount) in overhead {
                match sum.get_mut(&name) {
                    Some(entry) => *entry = *entry + amount,
                    // Overhead limits nothing that has no limit.
                    None if limits => {}
                    None => {
                        sum.insert(name, amount);
                    }
                }
            }
            sum
        };
        Self {
            requests: list(false),
            limits: list(true),
        }
    }

    /// How much of a resource it asks for; nothing if it does not say.
    pub fn request(&self, name: &str) -> Quantity {
        self.requests.get(name).copied().unwrap_or(Quantity::ZERO)
    }

    fn limit(&self, name: &str) -> Quantity {
        self.limits.get(name).copied().unwrap_or(Quantity::ZERO)
    }
}

/// What the cgroup of a pod is set to.
///
/// A burstable pod is limited only where all of its containers are. Answers to kubelet's
/// `ResourceConfigForPod`.
pub fn pod_cgroup_limits(pod: &Pod, settings: ResourceSettings) -> CgroupLimits {
    let amounts = PodAmounts::of(pod);
    let milli = |quantity: Quantity| quantity.milli_value();
    let mut cpu_request = amounts.request("cpu");
    if cpu_request.is_zero() {
        cpu_request = amounts.limit("cpu");
    }
    let class = QosClass::of(pod);
    let all_limited = |name| match class {
        QosClass::Guaranteed => true,
        QosClass::Burstable => pod.spec.as_ref().is_some_and(|spec| is_limited(spec, name)),
        QosClass::BestEffort => false,
    };
    let cpu_shares = match class {
        QosClass::BestEffort => cpu_shares(0),
        _ => cpu_shares(milli(cpu_request)),
    };
    let quota = (settings.cpu_cfs_quota && all_limited("cpu")).then(|| {
        let period = settings.cpu_cfs_quota_period;
        (cpu_quota(milli(amounts.limit("cpu")), period), period)
    });
    CgroupLimits {
        cpu_shares: Some(cpu_shares),
        cpu_quota: quota,
        memory: all_limited("memory").then(|| amounts.limit("memory").value()),
        pids: None,
    }
}

/// Whether the pod as a whole or each of its containers is limited in a resource.
fn is_limited(spec: &PodSpec, name: &str) -> bool {
    let limit = |limits| super::amount(limits, name).is_some_and(|limit| !limit.is_zero());
    let whole = spec.resources.as_ref();
    if limit(whole.and_then(|resources| resources.limits.as_ref())) {
        return true;
    }
    let containers = spec.containers.iter();
    let mut containers = containers.chain(spec.init_containers.iter().flatten());
    containers.all(|container| {
        let resources = container.resources.as_ref();
        limit(resources.and_then(|resources| resources.limits.as_ref()))
    })
}

fn most_at_any_time(spec: &PodSpec, of: impl Fn(&Container) -> Amounts) -> Amounts {
    let mut running = Amounts::new();
    for container in &spec.containers {
        add(&mut running, &of(container));
    }
    let mut sidecars = Amounts::new();
    let mut starting = Amounts::new();
    for container in spec.init_containers.iter().flatten() {
        let mut now = of(container);
        if is_sidecar(container) {
            add(&mut running, &now);
            add(&mut sidecars, &now);
            now.clone_from(&sidecars);
        } else {
            add(&mut now, &sidecars);
        }
        raise(&mut starting, &now);
    }
    raise(&mut running, &starting);
    running
}

fn raise(most: &mut Amounts, other: &Amounts) {
    for (name, amount) in other {
        let entry = most.entry(name.clone()).or_insert(*amount);
        *entry = (*entry).max(*amount);
    }
}
