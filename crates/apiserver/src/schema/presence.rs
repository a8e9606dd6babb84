//! Whether a field is shown that has no value, or the zero value of its type.
//!
//! A Kubernetes server holds built-in objects in typed form and encodes them anew, so what a
//! client reads is not what a client wrote: an empty list or string is gone, a nested structure
//! that was never given is there as `{}`, a counter that was never given is there as `0`.
//! Most of it follows from the schema: a property with a zero `default` is a plain value that is
//! always written. What the schema does not tell stands in the tables below.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{Schema, Type};

/// When a property of a built-in kind is written.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Presence {
    /// When it is neither empty nor zero.
    #[default]
    Filled,
    /// When it was given, whatever its value is.
    Given,
    /// Always; this stands where nothing was given.
    Always(Value),
}

/// Marks the properties of all definitions.
pub(super) fn mark(definitions: &mut HashMap<String, Schema>) {
    for schema in definitions.values_mut() {
        let required = std::mem::take(&mut schema.required);
        for (name, property) in &mut schema.properties {
            property.presence = presence(property, required.contains(name));
            if property.default.as_ref().is_some_and(is_zero) {
                property.default = None;
            }
        }
        schema.required = required;
    }
    let mut set = |definition: &str, field: &str, presence: Presence| {
        let name = PACKAGES
            .iter()
            .map(|package| format!("{package}{definition}"))
            .find(|name| definitions.contains_key(name));
        let property = name
            .and_then(|name| definitions.get_mut(&name))
            .and_then(|schema| schema.properties.get_mut(field));
        debug_assert!(property.is_some(), "no field {definition}.{field}");
        if let Some(property) = property {
            property.presence = presence;
        }
    };
    for (definition, fields) in GIVEN {
        for field in fields.split(' ') {
            set(definition, field, Presence::Given);
        }
    }
    for (definition, fields) in NULL {
        for field in fields.split(' ') {
            set(definition, field, Presence::Always(Value::Null));
        }
    }
    for (definition, fields) in FILLED {
        for field in fields.split(' ') {
            set(definition, field, Presence::Filled);
        }
    }
    set(
        "core.v1.ResourceFieldSelector",
        "divisor",
        Presence::Always(json!("0")),
    );
    set("core.v1.HTTPGetAction", "port", Presence::Always(json!(0)));
    set(
        "core.v1.TCPSocketAction",
        "port",
        Presence::Always(json!(0)),
    );
}

fn presence(property: &Schema, required: bool) -> Presence {
    match (&property.default, property.kind) {
        (Some(zero), _) if is_zero(zero) => Presence::Always(zero.clone()),
        (None, Some(Type::Array)) if required => Presence::Always(Value::Null),
        (None, Some(Type::Object)) if required && property.is_map() => {
            Presence::Always(Value::Null)
        }
        // A reference without a default is a pointer to a structure.
        (None, None) => Presence::Given,
        _ => Presence::Filled,
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(value) => value.as_f64() == Some(0.0),
        Value::String(value) => value.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

const PACKAGES: [&str; 3] = [
    "io.k8s.api.",
    "io.k8s.apimachinery.pkg.apis.",
    "io.k8s.apiextensions-apiserver.pkg.apis.",
];

/// Lists and times that are `null` rather than absent, though the schema does not require them.
const NULL: &[(&str, &str)] = &[
    (
        "apiextensions.v1.CustomResourceDefinitionCondition",
        "lastTransitionTime",
    ),
    (
        "apiextensions.v1.CustomResourceDefinitionStatus",
        "conditions storedVersions",
    ),
    ("apps.v1.DaemonSetCondition", "lastTransitionTime"),
    (
        "apps.v1.DeploymentCondition",
        "lastTransitionTime lastUpdateTime",
    ),
    ("apps.v1.ReplicaSetCondition", "lastTransitionTime"),
    ("apps.v1.StatefulSetCondition", "lastTransitionTime"),
    (
        "autoscaling.v2.HorizontalPodAutoscalerCondition",
        "lastTransitionTime",
    ),
    (
        "autoscaling.v2.HorizontalPodAutoscalerStatus",
        "currentMetrics",
    ),
    ("batch.v1.JobCondition", "lastProbeTime lastTransitionTime"),
    (
        "certificates.v1.CertificateSigningRequestCondition",
        "lastTransitionTime lastUpdateTime",
    ),
    ("core.v1.ContainerImage", "names"),
    ("core.v1.ContainerStateRunning", "startedAt"),
    ("core.v1.ContainerStateTerminated", "finishedAt startedAt"),
    ("core.v1.Event", "eventTime firstTimestamp lastTimestamp"),
    ("core.v1.EventSeries", "lastObservedTime"),
    ("core.v1.NamespaceCondition", "lastTransitionTime"),
    (
        "core.v1.NodeCondition",
        "lastHeartbeatTime lastTransitionTime",
    ),
    (
        "core.v1.PersistentVolumeClaimCondition",
        "lastProbeTime lastTransitionTime",
    ),
    ("core.v1.PodCondition", "lastProbeTime lastTransitionTime"),
    ("core.v1.ProjectedVolumeSource", "sources"),
    (
        "core.v1.ReplicationControllerCondition",
        "lastTransitionTime",
    ),
    ("discovery.v1.EndpointSlice", "endpoints ports"),
    (
        "events.v1.Event",
        "deprecatedFirstTimestamp deprecatedLastTimestamp eventTime",
    ),
    ("events.v1.EventSeries", "lastObservedTime"),
    ("flowcontrol.v1.FlowSchemaCondition", "lastTransitionTime"),
    (
        "flowcontrol.v1.PriorityLevelConfigurationCondition",
        "lastTransitionTime",
    ),
    ("meta.v1.Condition", "lastTransitionTime"),
    ("rbac.v1.ClusterRole", "rules"),
    ("rbac.v1.Role", "rules"),
    ("storage.v1.CSINodeDriver", "topologyKeys"),
    ("storage.v1.VolumeError", "time"),
];

/// Fields that are left out when empty though their schema has a zero default or requires them.
const FILLED: &[(&str, &str)] = &[
    (
        "admissionregistration.v1.ValidatingAdmissionPolicyBindingSpec",
        "validationActions",
    ),
    ("autoscaling.v1.ScaleSpec", "replicas"),
    ("core.v1.ConfigMapEnvSource", "name"),
    ("core.v1.ConfigMapKeySelector", "name"),
    ("core.v1.ConfigMapProjection", "name"),
    ("core.v1.ConfigMapVolumeSource", "name"),
    ("core.v1.LocalObjectReference", "name"),
    ("core.v1.ReplicationControllerSpec", "minReadySeconds"),
    ("core.v1.SecretEnvSource", "name"),
    ("core.v1.SecretKeySelector", "name"),
    ("core.v1.SecretProjection", "name"),
    ("resource.v1.CounterSet", "counters"),
    ("resource.v1.DeviceCounterConsumption", "counters"),
];

/// Scalars that are kept although they have their zero value, because "not given" means something else.
#[rustfmt::skip]
const GIVEN: &[(&str, &str)] = &[
    ("admissionregistration.v1.MatchResources", "matchPolicy"),
    ("admissionregistration.v1.MutatingAdmissionPolicySpec", "failurePolicy"),
    ("admissionregistration.v1.MutatingWebhook", "failurePolicy matchPolicy sideEffects timeoutSeconds reinvocationPolicy"),
    ("admissionregistration.v1.NamedRuleWithOperations", "scope"),
    ("admissionregistration.v1.ParamRef", "parameterNotFoundAction"),
    ("admissionregistration.v1.RuleWithOperations", "scope"),
    ("admissionregistration.v1.ServiceReference", "path port"),
    ("admissionregistration.v1.ValidatingAdmissionPolicySpec", "failurePolicy"),
    ("admissionregistration.v1.ValidatingWebhook", "failurePolicy matchPolicy sideEffects timeoutSeconds"),
    ("admissionregistration.v1.Validation", "reason"),
    ("admissionregistration.v1.WebhookClientConfig", "url"),
    ("apps.v1.DaemonSetSpec", "revisionHistoryLimit"),
    ("apps.v1.DaemonSetStatus", "collisionCount"),
    ("apps.v1.DeploymentSpec", "replicas revisionHistoryLimit progressDeadlineSeconds"),
    ("apps.v1.DeploymentStatus", "terminatingReplicas collisionCount"),
    ("apps.v1.ReplicaSetSpec", "replicas"),
    ("apps.v1.ReplicaSetStatus", "terminatingReplicas"),
    ("apps.v1.RollingUpdateStatefulSetStrategy", "partition"),
    ("apps.v1.StatefulSetSpec", "replicas revisionHistoryLimit"),
    ("apps.v1.StatefulSetStatus", "collisionCount"),
    ("authentication.v1.TokenRequestSpec", "expirationSeconds"),
    ("autoscaling.v1.HorizontalPodAutoscalerSpec", "minReplicas targetCPUUtilizationPercentage"),
    ("autoscaling.v1.HorizontalPodAutoscalerStatus", "observedGeneration currentCPUUtilizationPercentage"),
    ("autoscaling.v2.HPAScalingRules", "stabilizationWindowSeconds selectPolicy"),
    ("autoscaling.v2.HorizontalPodAutoscalerSpec", "minReplicas"),
    ("autoscaling.v2.HorizontalPodAutoscalerStatus", "observedGeneration"),
    ("autoscaling.v2.MetricTarget", "averageUtilization"),
    ("autoscaling.v2.MetricValueStatus", "averageUtilization"),
    ("batch.v1.CronJobSpec", "timeZone startingDeadlineSeconds suspend successfulJobsHistoryLimit failedJobsHistoryLimit"),
    ("batch.v1.JobSpec", "parallelism completions activeDeadlineSeconds backoffLimit backoffLimitPerIndex maxFailedIndexes manualSelector ttlSecondsAfterFinished completionMode suspend podReplacementPolicy managedBy"),
    ("batch.v1.JobStatus", "terminating failedIndexes ready"),
    ("batch.v1.PodFailurePolicyOnExitCodesRequirement", "containerName"),
    ("batch.v1.SuccessPolicyRule", "succeededIndexes succeededCount"),
    ("certificates.v1.CertificateSigningRequestSpec", "expirationSeconds"),
    ("coordination.v1.LeaseSpec", "holderIdentity leaseDurationSeconds leaseTransitions strategy preferredHolder"),
    ("core.v1.AppArmorProfile", "localhostProfile"),
    ("core.v1.AzureDiskVolumeSource", "cachingMode fsType readOnly kind"),
    ("core.v1.AzureFilePersistentVolumeSource", "secretNamespace"),
    ("core.v1.CSIVolumeSource", "readOnly fsType"),
    ("core.v1.ClientIPConfig", "timeoutSeconds"),
    ("core.v1.ClusterTrustBundleProjection", "name signerName optional"),
    ("core.v1.ConfigMap", "immutable"),
    ("core.v1.ConfigMapEnvSource", "optional"),
    ("core.v1.ConfigMapKeySelector", "optional"),
    ("core.v1.ConfigMapProjection", "optional"),
    ("core.v1.ConfigMapVolumeSource", "defaultMode optional"),
    ("core.v1.Container", "restartPolicy"),
    ("core.v1.ContainerStatus", "started stopSignal"),
    ("core.v1.DownwardAPIVolumeFile", "mode"),
    ("core.v1.DownwardAPIVolumeSource", "defaultMode"),
    ("core.v1.EndpointAddress", "nodeName"),
    ("core.v1.EndpointPort", "appProtocol"),
    ("core.v1.EphemeralContainer", "restartPolicy"),
    ("core.v1.FCVolumeSource", "lun"),
    ("core.v1.FileKeySelector", "optional"),
    ("core.v1.GRPCAction", "service"),
    ("core.v1.GlusterfsPersistentVolumeSource", "endpointsNamespace"),
    ("core.v1.HostPathVolumeSource", "type"),
    ("core.v1.ISCSIPersistentVolumeSource", "initiatorName"),
    ("core.v1.ISCSIVolumeSource", "initiatorName"),
    ("core.v1.KeyToPath", "mode"),
    ("core.v1.Lifecycle", "stopSignal"),
    ("core.v1.LoadBalancerIngress", "ipMode"),
    ("core.v1.LocalVolumeSource", "fsType"),
    ("core.v1.NodeFeatures", "supplementalGroupsPolicy"),
    ("core.v1.NodeRuntimeHandlerFeatures", "recursiveReadOnlyMounts userNamespaces"),
    ("core.v1.NodeSwapStatus", "capacity"),
    ("core.v1.PersistentVolumeClaimSpec", "storageClassName volumeMode volumeAttributesClassName"),
    ("core.v1.PersistentVolumeClaimStatus", "currentVolumeAttributesClassName"),
    ("core.v1.PersistentVolumeSpec", "volumeMode volumeAttributesClassName"),
    ("core.v1.PodCertificateProjection", "maxExpirationSeconds"),
    ("core.v1.PodDNSConfigOption", "value"),
    ("core.v1.PodResourceClaim", "resourceClaimName resourceClaimTemplateName"),
    ("core.v1.PodResourceClaimStatus", "resourceClaimName"),
    ("core.v1.PodSchedulingGroup", "podGroupName"),
    ("core.v1.PodSecurityContext", "runAsUser runAsGroup runAsNonRoot supplementalGroupsPolicy fsGroup fsGroupChangePolicy seLinuxChangePolicy"),
    ("core.v1.PodSpec", "terminationGracePeriodSeconds activeDeadlineSeconds automountServiceAccountToken shareProcessNamespace priority runtimeClassName enableServiceLinks preemptionPolicy setHostnameAsFQDN hostUsers hostnameOverride"),
    ("core.v1.PortStatus", "error"),
    ("core.v1.Probe", "terminationGracePeriodSeconds"),
    ("core.v1.ProjectedVolumeSource", "defaultMode"),
    ("core.v1.ReplicationControllerSpec", "replicas"),
    ("core.v1.ResourceHealth", "message"),
    ("core.v1.SeccompProfile", "localhostProfile"),
    ("core.v1.Secret", "immutable"),
    ("core.v1.SecretEnvSource", "optional"),
    ("core.v1.SecretKeySelector", "optional"),
    ("core.v1.SecretProjection", "optional"),
    ("core.v1.SecretVolumeSource", "defaultMode optional"),
    ("core.v1.SecurityContext", "privileged runAsUser runAsGroup runAsNonRoot readOnlyRootFilesystem allowPrivilegeEscalation procMount"),
    ("core.v1.ServiceAccount", "automountServiceAccountToken"),
    ("core.v1.ServiceAccountTokenProjection", "expirationSeconds"),
    ("core.v1.ServicePort", "appProtocol"),
    ("core.v1.ServiceSpec", "ipFamilyPolicy allocateLoadBalancerNodePorts loadBalancerClass internalTrafficPolicy trafficDistribution"),
    ("core.v1.Toleration", "tolerationSeconds"),
    ("core.v1.TopologySpreadConstraint", "minDomains nodeAffinityPolicy nodeTaintsPolicy"),
    ("core.v1.TypedLocalObjectReference", "apiGroup"),
    ("core.v1.TypedObjectReference", "apiGroup namespace"),
    ("core.v1.VolumeMount", "recursiveReadOnly mountPropagation"),
    ("core.v1.VolumeMountStatus", "recursiveReadOnly"),
    ("core.v1.WindowsSecurityContextOptions", "gmsaCredentialSpecName gmsaCredentialSpec runAsUserName hostProcess"),
    ("discovery.v1.Endpoint", "hostname nodeName zone"),
    ("discovery.v1.EndpointConditions", "ready serving terminating"),
    ("discovery.v1.EndpointPort", "name protocol port appProtocol"),
    ("flowcontrol.v1.ExemptPriorityLevelConfiguration", "nominalConcurrencyShares lendablePercent"),
    ("flowcontrol.v1.LimitedPriorityLevelConfiguration", "nominalConcurrencyShares lendablePercent borrowingLimitPercent"),
    ("networking.v1.HTTPIngressPath", "pathType"),
    ("networking.v1.IngressClassParametersReference", "apiGroup scope namespace"),
    ("networking.v1.IngressPortStatus", "error"),
    ("networking.v1.IngressSpec", "ingressClassName"),
    ("networking.v1.NetworkPolicyPort", "protocol endPort"),
    ("policy.v1.PodDisruptionBudgetSpec", "unhealthyPodEvictionPolicy"),
    ("resource.v1.AllocatedDeviceStatus", "shareID"),
    ("resource.v1.Device", "nodeName allNodes bindsToNode allowMultipleAllocations"),
    ("resource.v1.DeviceAttribute", "int bool string version"),
    ("resource.v1.DeviceClassSpec", "extendedResourceName"),
    ("resource.v1.DeviceConstraint", "matchAttribute distinctAttribute"),
    ("resource.v1.DeviceRequestAllocationResult", "adminAccess shareID"),
    ("resource.v1.DeviceToleration", "tolerationSeconds"),
    ("resource.v1.ExactDeviceRequest", "adminAccess"),
    ("resource.v1.ResourceSliceSpec", "nodeName allNodes perDeviceNodeSelection"),
    ("scheduling.v1.PriorityClass", "preemptionPolicy"),
    ("storage.v1.CSIDriverSpec", "attachRequired podInfoOnMount storageCapacity fsGroupPolicy requiresRepublish seLinuxMount nodeAllocatableUpdatePeriodSeconds serviceAccountTokenInSecrets preventPodSchedulingIfMissing"),
    ("storage.v1.StorageClass", "reclaimPolicy allowVolumeExpansion volumeBindingMode"),
    ("storage.v1.TokenRequest", "expirationSeconds"),
    ("storage.v1.VolumeAttachmentSource", "persistentVolumeName"),
    ("storage.v1.VolumeError", "errorCode"),
    ("storage.v1.VolumeNodeResources", "count"),
    ("apiextensions.v1.CustomResourceDefinitionVersion", "deprecationWarning"),
    ("apiextensions.v1.CustomResourceSubresourceScale", "labelSelectorPath"),
    ("apiextensions.v1.JSONSchemaProps", "$ref maximum minimum maxLength minLength maxItems minItems multipleOf maxProperties minProperties x-kubernetes-preserve-unknown-fields x-kubernetes-list-type x-kubernetes-map-type"),
    ("apiextensions.v1.ServiceReference", "path port"),
    ("apiextensions.v1.ValidationRule", "reason optionalOldSelf"),
    ("apiextensions.v1.WebhookClientConfig", "url"),
    ("meta.v1.DeleteOptions", "gracePeriodSeconds orphanDependents propagationPolicy ignoreStoreReadErrorWithClusterBreakingPotential"),
    ("meta.v1.ListMeta", "remainingItemCount"),
    ("meta.v1.ObjectMeta", "deletionGracePeriodSeconds"),
    ("meta.v1.OwnerReference", "controller blockOwnerDeletion"),
    ("meta.v1.Preconditions", "uid resourceVersion"),
];
