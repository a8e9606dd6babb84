use k8s_openapi::api::core::v1::{Pod, PodStatus};

use super::parts::Parts;
use crate::deadline::{deadline_exceeded, is_past_deadline};
use crate::moment::Moment;
use crate::pod::PodUid;
use crate::resources::QosClass;
use crate::runtime::ObservedPod;
use crate::status::{Course, Eviction, StatusInputs, api_status};

impl Parts {
    /// The status of a pod of which the runtime says this.
    ///
    /// A pod that is past its deadline has failed, whatever its containers do.
    pub(super) fn pod_status(
        &self,
        pod: &Pod,
        observed: &ObservedPod,
        course: Course,
        eviction: Option<&Eviction>,
    ) -> PodStatus {
        let previous = self.last_status(pod);
        let now = Moment::now(&self.clock);
        let told = previous.start_time.as_ref();
        let started_at = self.statuses.started_at(&PodUid::of(pod));
        let started_at = started_at.or_else(|| Some(now.when(told?.0)));
        let too_late = is_past_deadline(pod, started_at, now.at).then(deadline_exceeded);
        let failures = self.failures.lock();
        let qos_class = QosClass::of(pod).to_string();
        api_status(&StatusInputs {
            pod,
            observed,
            previous: &previous,
            course,
            failures: &failures,
            probes: &self.probes,
            eviction: eviction.or(too_late.as_ref()),
            qos_class: &qos_class,
            host_ips: self.node.host_ips(),
        })
    }
}
