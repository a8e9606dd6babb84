use k8s_openapi::api::core::v1::Pod;

/// What a pod is called on the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodHostname {
    /// The short name.
    pub name: String,
    /// The domain that it is in; `None` without a subdomain.
    pub domain: Option<String>,
    set_as_fqdn: bool,
}

/// Why a pod cannot be given a host name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostnameError {
    /// A name in the spec is malformed.
    #[error("pod {field} {name:?} is not a valid DNS name")]
    Malformed {
        /// The field of the spec.
        field: &'static str,
        /// What is in it.
        name: String,
    },
    /// The name of the pod leaves nothing that could be a host name.
    #[error("hostname for pod {pod:?} was invalid: {name:?}")]
    Nothing {
        /// The pod.
        pod: String,
        /// What was to become its host name.
        name: String,
    },
    /// The pod wants its full name as host name, and that is longer than the kernel takes.
    #[error(
        "failed to construct FQDN from pod hostname and cluster domain, \
         FQDN {0} is too long (64 characters is the max, {len} characters requested)", len = .0.len()
    )]
    FqdnTooLong(String),
}

/// The longest label of DNS.
const MAX_LABEL: usize = 63;
/// The longest host name that the kernel takes.
const MAX_HOSTNAME: usize = 64;

impl PodHostname {
    /// The host name of a pod in a cluster.
    ///
    /// Answers to kubelet's `GeneratePodHostNameAndDomain`.
    ///
    /// # Errors
    ///
    /// If a name in the pod's spec cannot be one.
    pub fn of(pod: &Pod, cluster_domain: &str) -> Result<Self, HostnameError> {
        let pod_name = pod.metadata.name.as_deref().unwrap_or_default();
        let spec = pod.spec.as_ref();
        if let Some(name) = spec.and_then(|spec| spec.hostname_override.as_deref()) {
            check("HostnameOverride", name, name.split('.'))?;
            return Ok(Self {
                name: truncated(pod_name, name)?,
                domain: None,
                set_as_fqdn: false,
            });
        }
        let given = |text: Option<&String>| text.cloned().filter(|text| !text.is_empty());
        let name = match given(spec.and_then(|spec| spec.hostname.as_ref())) {
            Some(name) => {
                check("Hostname", &name, [&*name])?;
                name
            }
            None => pod_name.to_owned(),
        };
        let domain = match given(spec.and_then(|spec| spec.subdomain.as_ref())) {
            Some(subdomain) => {
                check("Subdomain", &subdomain, [&*subdomain])?;
                let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
                Some(format!("{subdomain}.{namespace}.svc.{cluster_domain}"))
            }
            None => None,
        };
        Ok(Self {
            name: truncated(pod_name, &name)?,
            domain,
            set_as_fqdn: spec.is_some_and(|spec| spec.set_hostname_as_fqdn == Some(true)),
        })
    }

    /// The full name; `None` if it is in no domain.
    pub fn fqdn(&self) -> Option<String> {
        let domain = self.domain.as_ref()?;
        Some(format!("{}.{domain}", self.name))
    }

    /// What the sandbox is told to call itself: the full name if the pod asks for that.
    ///
    /// A sandbox in the host's network has no name of its own and is told none.
    ///
    /// # Errors
    ///
    /// If the full name is asked for and longer than the kernel takes.
    pub fn sandbox_hostname(&self) -> Result<String, HostnameError> {
        match self.fqdn() {
            Some(fqdn) if self.set_as_fqdn && fqdn.len() > MAX_HOSTNAME => {
                Err(HostnameError::FqdnTooLong(fqdn))
            }
            Some(fqdn) if self.set_as_fqdn => Ok(fqdn),
            _ => Ok(self.name.clone()),
        }
    }
}

/// Cuts a name to what fits a label.
fn truncated(pod: &str, name: &str) -> Result<String, HostnameError> {
    if name.len() <= MAX_LABEL {
        return Ok(name.to_owned());
    }
    let mut end = MAX_LABEL;
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    let cut = name[..end].trim_end_matches(['-', '.']);
    if cut.is_empty() {
        return Err(HostnameError::Nothing {
            pod: pod.to_owned(),
            name: name.to_owned(),
        });
    }
    Ok(cut.to_owned())
}

fn check<'a>(
    field: &'static str,
    name: &str,
    labels: impl IntoIterator<Item = &'a str>,
) -> Result<(), HostnameError> {
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        let end = |byte: Option<&u8>| {
            byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        bytes.len() <= MAX_LABEL
            && end(bytes.first())
            && end(bytes.last())
            && bytes.iter().all(|byte| *byte == b'-' || end(Some(byte)))
    };
    if labels.into_iter().all(is_label) {
        return Ok(());
    }
    Err(HostnameError::Malformed {
        field,
        name: name.to_owned(),
    })
}
