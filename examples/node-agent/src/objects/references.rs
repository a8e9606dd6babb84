use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{
    EnvFromSource, EnvVar, Pod, ServiceAccountTokenProjection, Volume,
};

/// A token that a projected volume asks for.
///
/// Answers to what kubelet's token manager keys its cache by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenReference {
    /// The namespace of the pod and of its service account.
    pub namespace: String,
    /// The service account.
    pub service_account: String,
    /// The name of the pod that the token is bound to.
    pub pod_name: String,
    /// The uid of the pod that the token is bound to.
    pub pod_uid: String,
    /// Who the token is for; empty for the API server itself.
    pub audience: String,
    /// For how many seconds it is to be good; an hour unless told otherwise.
    pub expiration_seconds: i64,
}

/// The names of all objects that one pod refers to.
///
/// Answers to upstream's `VisitPodConfigmapNames` and `VisitPodSecretNames`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References {
    /// Config maps of its namespace.
    pub config_maps: BTreeSet<String>,
    /// Secrets of its namespace.
    pub secrets: BTreeSet<String>,
    /// Tokens of its service account.
    pub tokens: BTreeSet<TokenReference>,
}

impl TokenReference {
    /// The token that a projection in a pod's volume asks for.
    pub fn of(pod: &Pod, projection: &ServiceAccountTokenProjection) -> Self {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let account = pod.spec.as_ref().map(|spec| &spec.service_account_name);
        Self {
            namespace: text(&pod.metadata.namespace),
            service_account: account.map(text).unwrap_or_default(),
            pod_name: text(&pod.metadata.name),
            pod_uid: text(&pod.metadata.uid),
            audience: text(&projection.audience),
            expiration_seconds: projection.expiration_seconds.unwrap_or(3600),
        }
    }
}

impl References {
    /// What a pod refers to.
    pub fn of(pod: &Pod) -> Self {
        let mut references = Self::default();
        let Some(spec) = &pod.spec else {
            return references;
        };
        let secrets = spec.image_pull_secrets.iter().flatten();
        references
            .secrets
            .extend(secrets.map(|secret| secret.name.clone()));
        let containers = spec.init_containers.iter().flatten();
        for container in containers.chain(&spec.containers) {
            references.add_environment(&container.env_from, &container.env);
        }
        for container in spec.ephemeral_containers.iter().flatten() {
            references.add_environment(&container.env_from, &container.env);
        }
        for volume in spec.volumes.iter().flatten() {
            references.add_volume(pod, volume);
        }
        references.config_maps.remove("");
        references.secrets.remove("");
        references
    }

    fn add_environment(&mut self, from: &Option<Vec<EnvFromSource>>, env: &Option<Vec<EnvVar>>) {
        for source in from.iter().flatten() {
            let config_map = source.config_map_ref.as_ref();
            self.config_maps
                .extend(config_map.map(|source| source.name.clone()));
            let secret = source.secret_ref.as_ref();
            self.secrets
                .extend(secret.map(|source| source.name.clone()));
        }
        let sources = env
            .iter()
            .flatten()
            .filter_map(|var| var.value_from.as_ref());
        for source in sources {
            let config_map = source.config_map_key_ref.as_ref();
            self.config_maps
                .extend(config_map.map(|source| source.name.clone()));
            let secret = source.secret_key_ref.as_ref();
            self.secrets
                .extend(secret.map(|source| source.name.clone()));
        }
    }

    fn add_volume(&mut self, pod: &Pod, volume: &Volume) {
        let config_map = volume.config_map.as_ref();
        self.config_maps
            .extend(config_map.map(|source| source.name.clone()));
        let secret = volume.secret.as_ref();
        self.secrets
            .extend(secret.and_then(|source| source.secret_name.clone()));
        let projections = volume.projected.iter().flat_map(|source| &source.sources);
        for projection in projections.flatten() {
            let config_map = projection.config_map.as_ref();
            self.config_maps
                .extend(config_map.map(|source| source.name.clone()));
            let secret = projection.secret.as_ref();
            self.secrets
                .extend(secret.map(|source| source.name.clone()));
            let token = projection.service_account_token.as_ref();
            self.tokens
                .extend(token.map(|projection| TokenReference::of(pod, projection)));
        }
    }
}
