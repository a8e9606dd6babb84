use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, EnvFromSource, EnvVar, EnvVarSource};

use super::{DownwardApi, EnvironmentError, expand, service_variables};
use crate::names;
use crate::objects::{ConfigMaps, Secrets, Services, unless_optional};
use crate::warning::Warning;

/// The variables of a container: each name once, in the order of names.
pub type Environment = BTreeMap<String, String>;

/// Makes the environments of a pod's containers.
///
/// First come config maps and secrets as a whole (`envFrom`), then single variables (`env`), which
/// win over them and may refer to all that came before; the variables of services fill what is
/// left. Answers to kubelet's `makeEnvironmentVariables`.
#[derive(Clone, Copy, Debug)]
pub struct EnvironmentMaker<'a, O> {
    /// The pod, its addresses and what the node has to give.
    pub downward: DownwardApi<'a>,
    /// Where the objects are that variables come from.
    pub objects: &'a O,
    /// Whether the pod is a static one, which does not wait until services are known.
    pub is_static: bool,
}

/// An environment, and what is to be told about its making.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MadeEnvironment {
    /// The variables.
    pub variables: Environment,
    /// About keys of config maps and secrets that cannot be names of variables.
    pub warnings: Vec<Warning>,
}

impl<O: ConfigMaps + Secrets + Services> EnvironmentMaker<'_, O> {
    /// The environment of one container.
    ///
    /// # Errors
    ///
    /// If it refers to something that is not there and not optional, or cannot be known yet.
    pub fn make(&self, container: &Container) -> Result<MadeEnvironment, EnvironmentError> {
        let services = self.services()?;
        let mut made = MadeEnvironment::default();
        for source in container.env_from.iter().flatten() {
            self.add_all(source, &mut made)?;
        }
        for var in container.env.iter().flatten() {
            let value = self.value(var, container, &made.variables, &services)?;
            if let Some(value) = value {
                made.variables.insert(var.name.clone(), value);
            }
        }
        for (name, value) in services {
            made.variables.entry(name).or_insert(value);
        }
        Ok(made)
    }

    fn namespace(&self) -> &str {
        let metadata = &self.downward.pod.metadata;
        metadata.namespace.as_deref().unwrap_or_default()
    }

    fn services(&self) -> Result<Environment, EnvironmentError> {
        let links = self.downward.pod.spec.as_ref();
        let links = links.and_then(|spec| spec.enable_service_links);
        match self.objects.services() {
            // The API's default where a source of pods left it out.
            Some(services) => Ok(service_variables(
                &services,
                self.namespace(),
                links.unwrap_or(true),
            )),
            None if self.is_static => Ok(Environment::new()),
            None => Err(EnvironmentError::NoServicesYet),
        }
    }

    /// Adds all keys of a config map or secret.
    fn add_all(
        &self,
        source: &EnvFromSource,
        made: &mut MadeEnvironment,
    ) -> Result<(), EnvironmentError> {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        let mut skipped = Vec::new();
        let mut put = |key: &str, value: String| {
            let name = format!("{prefix}{key}");
            if !name.is_empty() && names::variable(&name).is_none() {
                made.variables.insert(name, value);
            } else {
                skipped.push(name);
            }
        };
        let (kind, name) = if let Some(reference) = &source.config_map_ref {
            let found = self.objects.config_map(self.namespace(), &reference.name);
            if let Some(map) = unless_optional(found, reference.optional)? {
                for (key, value) in map.data.iter().flatten() {
                    put(key, value.clone());
                }
            }
            ("configMap", &reference.name)
        } else if let Some(reference) = &source.secret_ref {
            let found = self.objects.secret(self.namespace(), &reference.name);
            if let Some(secret) = unless_optional(found, reference.optional)? {
                for (key, value) in secret.data.iter().flatten() {
                    put(key, self.text(&reference.name, key, &value.0)?);
                }
            }
            ("secret", &reference.name)
        } else {
            return Ok(());
        };
        if !skipped.is_empty() {
            let message = format!(
                "Keys [{}] from the EnvFrom {kind} {}/{name} were skipped since they are \
                 considered invalid environment variable names.",
                skipped.join(", "),
                self.namespace(),
            );
            let warning = Warning::new("InvalidEnvironmentVariableNames", message);
            made.warnings.push(warning);
        }
        Ok(())
    }

    /// The value of one variable; `None` if it is optional and not to be had.
    fn value(
        &self,
        var: &EnvVar,
        container: &Container,
        variables: &Environment,
        services: &Environment,
    ) -> Result<Option<String>, EnvironmentError> {
        let lookup = |name: &str| {
            let value = variables.get(name).or_else(|| services.get(name));
            value.map(String::as_str)
        };
        match (&var.value, &var.value_from) {
            (Some(value), _) if !value.is_empty() => Ok(Some(expand(value, lookup))),
            (_, Some(source)) => self.value_from(source, container),
            _ => Ok(Some(String::new())),
        }
    }

    fn value_from(
        &self,
        source: &EnvVarSource,
        container: &Container,
    ) -> Result<Option<String>, EnvironmentError> {
        if let Some(reference) = &source.field_ref {
            return self.downward.variable(&reference.field_path).map(Some);
        }
        if let Some(reference) = &source.resource_field_ref {
            return self.downward.resource(reference, Some(container)).map(Some);
        }
        if let Some(reference) = &source.config_map_key_ref {
            let found = self.objects.config_map(self.namespace(), &reference.name);
            let Some(map) = unless_optional(found, reference.optional)? else {
                return Ok(None);
            };
            let value = map.data.as_ref().and_then(|data| data.get(&reference.key));
            let key = ("ConfigMap", &*reference.name, &*reference.key);
            return self.unless_optional_key(value.cloned(), key, reference.optional);
        }
        if let Some(reference) = &source.secret_key_ref {
            let found = self.objects.secret(self.namespace(), &reference.name);
            let Some(secret) = unless_optional(found, reference.optional)? else {
                return Ok(None);
            };
            let key = &*reference.key;
            let value = secret.data.as_ref().and_then(|data| data.get(key));
            let value = value.map(|value| self.text(&reference.name, key, &value.0));
            let key = ("Secret", &*reference.name, key);
            return self.unless_optional_key(value.transpose()?, key, reference.optional);
        }
        if source.file_key_ref.is_some() {
            return Err(EnvironmentError::Unsupported("fileKeyRef"));
        }
        Ok(Some(String::new()))
    }

    /// A secret's bytes as a variable.
    fn text(&self, name: &str, key: &str, bytes: &[u8]) -> Result<String, EnvironmentError> {
        let text = std::str::from_utf8(bytes);
        text.map(str::to_owned)
            .map_err(|_| EnvironmentError::NotText {
                namespace: self.namespace().to_owned(),
                name: name.to_owned(),
                key: key.to_owned(),
            })
    }

    fn unless_optional_key(
        &self,
        value: Option<String>,
        (kind, name, key): (&'static str, &str, &str),
        optional: Option<bool>,
    ) -> Result<Option<String>, EnvironmentError> {
        if value.is_some() || optional == Some(true) {
            return Ok(value);
        }
        Err(EnvironmentError::NoKey {
            kind,
            namespace: self.namespace().to_owned(),
            name: name.to_owned(),
            key: key.to_owned(),
        })
    }
}
