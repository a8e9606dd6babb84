use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use k8s_openapi::api::core::v1::Secret;
use kubewright_cri::v1::AuthConfig;
use serde::Deserialize;

/// Who may pull which images, by the secrets of a pod.
///
/// Answers to kubelet's `BasicDockerKeyring`.
#[derive(Clone, Default)]
pub struct Keyring {
    /// By the pattern of repositories, the most specific one last.
    credentials: BTreeMap<String, Vec<AuthConfig>>,
}

/// A secret holds no credentials that can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("pull secret {namespace}/{name} cannot be read: {cause}")]
pub struct InvalidPullSecret {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What is wrong, without anything of what is in it.
    pub cause: &'static str,
}

/// The file `config.json` of Docker.
#[derive(Deserialize)]
struct ConfigJson {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    auth: String,
}

const CONFIG_JSON: &str = ".dockerconfigjson";
const CONFIG: &str = ".dockercfg";
/// Where credentials are that go for short names.
const DEFAULT_REGISTRY: &str = "index.docker.io";

impl Keyring {
    /// The credentials in secrets. Those of other types hold none.
    ///
    /// # Errors
    ///
    /// The first secret that cannot be read.
    pub fn new(secrets: &[Arc<Secret>]) -> Result<Self, InvalidPullSecret> {
        let mut keyring = Self::default();
        for secret in secrets {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            keyring.add(secret).map_err(|cause| InvalidPullSecret {
                namespace: text(&secret.metadata.namespace),
                name: text(&secret.metadata.name),
                cause,
            })?;
        }
        Ok(keyring)
    }

    /// What a repository may be pulled with, in the order in which it is to be tried.
    pub fn lookup(&self, repository: &str) -> Vec<AuthConfig> {
        let by_specifity = self.credentials.iter().rev();
        let matching = by_specifity.filter(|(pattern, _)| matches(pattern, repository));
        let found: Vec<_> = matching.flat_map(|(_, auths)| auths.clone()).collect();
        if found.is_empty() && is_of_default_registry(repository) {
            return self
                .credentials
                .get(DEFAULT_REGISTRY)
                .cloned()
                .unwrap_or_default();
        }
        found
    }

    fn add(&mut self, secret: &Secret) -> Result<(), &'static str> {
        let data = secret.data.as_ref();
        let data = |key| data.and_then(|data| data.get(key)).map(|data| &*data.0);
        let entries = match secret.type_.as_deref() {
            Some("kubernetes.io/dockerconfigjson") => {
                let Some(json) = data(CONFIG_JSON) else {
                    return Ok(());
                };
                let config: Result<ConfigJson, _> = serde_json::from_slice(json);
                config
                    .map_err(|_| "its .dockerconfigjson is malformed")?
                    .auths
            }
            Some("kubernetes.io/dockercfg") => {
                let Some(json) = data(CONFIG) else {
                    return Ok(());
                };
                serde_json::from_slice(json).map_err(|_| "its .dockercfg is malformed")?
            }
            _ => return Ok(()),
        };
        for (place, entry) in entries {
            let auth = entry.credentials()?;
            self.credentials
                .entry(pattern_of(&place))
                .or_default()
                .push(auth);
        }
        Ok(())
    }
}

impl Entry {
    fn credentials(self) -> Result<AuthConfig, &'static str> {
        let (username, password) = if self.auth.is_empty() {
            (self.username, self.password)
        } else {
            let auth = self.auth.trim();
            let decoded = match auth.ends_with('=') {
                true => STANDARD.decode(auth),
                false => STANDARD_NO_PAD.decode(auth),
            };
            let decoded = decoded.map_err(|_| "an auth in it is not base64")?;
            let decoded = String::from_utf8(decoded).map_err(|_| "an auth in it is not text")?;
            let (username, password) = decoded
                .split_once(':')
                .ok_or("an auth in it is not base64(username:password)")?;
            (username.to_owned(), password.to_owned())
        };
        Ok(AuthConfig {
            username,
            password,
            ..AuthConfig::default()
        })
    }
}

/// The pattern of repositories that a place in a secret stands for: a URL or a part of one, whose
/// version of the registry's API is left out.
fn pattern_of(place: &str) -> String {
    let rest = place.strip_prefix("https://");
    let rest = rest
        .or_else(|| place.strip_prefix("http://"))
        .unwrap_or(place);
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = format!("/{path}");
    let path = ["/v1/", "/v2/"]
        .iter()
        .find_map(|version| path.strip_prefix(version).map(|rest| format!("/{rest}")))
        .unwrap_or(path);
    match &*path {
        "/" => host.to_owned(),
        path => format!("{host}{path}"),
    }
}

/// Whether a pattern is of a repository: the host label by label with `*` and `?`, its port exactly,
/// and the path by its beginning.
fn matches(pattern: &str, repository: &str) -> bool {
    let parts = |text: &str| {
        let (host, path) = text.split_once('/').unwrap_or((text, ""));
        let (host, port) = host.split_once(':').unwrap_or((host, ""));
        (host.to_owned(), port.to_owned(), path.to_owned())
    };
    let (pattern_host, pattern_port, pattern_path) = parts(pattern);
    let (host, port, path) = parts(repository);
    let pattern_labels: Vec<_> = pattern_host.split('.').collect();
    let labels: Vec<_> = host.split('.').collect();
    pattern_port == port
        && path.starts_with(&pattern_path)
        && pattern_labels.len() == labels.len()
        && pattern_labels
            .iter()
            .zip(labels)
            .all(|(pattern, label)| is_glob_of(pattern.as_bytes(), label.as_bytes()))
}

/// Whether a text is what a pattern with `*` and `?` says.
///
/// It goes back to the last star alone: what an earlier one stands for is settled once the next is
/// reached. The pattern is anybody's who may write a secret, and takes no more than its length times
/// that of the text.
fn is_glob_of(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    // Where the pattern goes on after its last star, and where what that stands for ends.
    let mut star = None;
    while read < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                at += 1;
                star = Some((at, read));
            }
            Some(wanted) if [b'?', text[read]].contains(wanted) => (at, read) = (at + 1, read + 1),
            _ => {
                let Some((after, end)) = star else {
                    return false;
                };
                star = Some((after, end + 1));
                (at, read) = (after, end + 1);
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

fn is_of_default_registry(repository: &str) -> bool {
    match repository.split_once('/') {
        None => !repository.is_empty(),
        Some(("docker.io" | DEFAULT_REGISTRY, _)) => true,
        Some((first, _)) => !first.is_empty() && !first.contains(['.', ':']),
    }
}

/// Only for what there are credentials.
impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.credentials.keys()).finish()
    }
}
