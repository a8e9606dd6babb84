use std::collections::HashMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};

use super::{ConfigMaps, LookupError, Secrets, Services, TokenReference, Tokens};

/// Objects at hand: what a shell brought before it asks the engines.
///
/// What was never put in is not found.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    config_maps: HashMap<(String, String), Result<Arc<ConfigMap>, LookupError>>,
    secrets: HashMap<(String, String), Result<Arc<Secret>, LookupError>>,
    services: Option<Vec<Arc<Service>>>,
    tokens: HashMap<TokenReference, Result<String, LookupError>>,
}

impl Snapshot {
    /// Puts in what was learnt of a config map.
    pub fn insert_config_map(
        &mut self,
        namespace: impl Into<String>,
        name: impl Into<String>,
        found: Result<Arc<ConfigMap>, LookupError>,
    ) {
        let key = (namespace.into(), name.into());
        self.config_maps.insert(key, found);
    }

    /// Puts in what was learnt of a secret.
    pub fn insert_secret(
        &mut self,
        namespace: impl Into<String>,
        name: impl Into<String>,
        found: Result<Arc<Secret>, LookupError>,
    ) {
        self.secrets.insert((namespace.into(), name.into()), found);
    }

    /// Puts in all services.
    pub fn set_services(&mut self, services: Vec<Arc<Service>>) {
        self.services = Some(services);
    }

    /// Puts in the answer to a request for a token.
    pub fn insert_token(&mut self, reference: TokenReference, found: Result<String, LookupError>) {
        self.tokens.insert(reference, found);
    }
}

fn not_found(kind: &'static str, name: &str) -> LookupError {
    LookupError::NotFound {
        kind,
        name: name.to_owned(),
    }
}

impl ConfigMaps for Snapshot {
    fn config_map(&self, namespace: &str, name: &str) -> Result<Arc<ConfigMap>, LookupError> {
        let found = self.config_maps.get(&(namespace.into(), name.into()));
        found
            .cloned()
            .unwrap_or_else(|| Err(not_found("configmap", name)))
    }
}

impl Secrets for Snapshot {
    fn secret(&self, namespace: &str, name: &str) -> Result<Arc<Secret>, LookupError> {
        let found = self.secrets.get(&(namespace.into(), name.into()));
        found
            .cloned()
            .unwrap_or_else(|| Err(not_found("secret", name)))
    }
}

impl Services for Snapshot {
    fn services(&self) -> Option<Vec<Arc<Service>>> {
        self.services.clone()
    }
}

impl Tokens for Snapshot {
    fn token(&self, reference: &TokenReference) -> Result<String, LookupError> {
        let found = self.tokens.get(reference);
        found
            .cloned()
            .unwrap_or_else(|| Err(not_found("token", &reference.service_account)))
    }
}
