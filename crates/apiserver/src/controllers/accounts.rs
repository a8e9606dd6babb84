//! What every namespace has: the service account `default`, and the certificate authority to trust.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::action::Operation;
use super::namespaces::is_namespaces;
use super::{Action, Backlog, Engine, Seen, Ticket, Verdict};
use crate::registry::Resources;
use crate::resource::Resource;
use crate::store::Key;

const ACCOUNT: &str = "default";
const ROOT_CA: &str = "kube-root-ca.crt";

/// The engine. Its tickets are the names of namespaces.
#[derive(Debug)]
pub(super) struct Accounts {
    /// What the `ConfigMap` of every namespace holds.
    data: Value,
    namespaces: HashMap<Ticket, Namespace>,
    resources: Arc<Resources>,
}

#[derive(Debug, Default)]
struct Namespace {
    active: bool,
    account: bool,
    root_ca: Option<RootCa>,
}

#[derive(Debug)]
struct RootCa {
    uid: Arc<str>,
    /// Whether it holds what it should.
    right: bool,
}

impl Accounts {
    pub(super) fn new(certificate_authority: &str) -> Self {
        Self {
            data: json!({ "ca.crt": certificate_authority }),
            namespaces: HashMap::new(),
            resources: Arc::default(),
        }
    }

    fn action(&self, plural: &str, namespace: &str, name: &str, operation: Operation) -> Verdict {
        let Some(resource) = self.resources.get("", "v1", plural) else {
            return Verdict::Rest;
        };
        Verdict::Act(Action {
            resource: Arc::clone(resource),
            key: Key::new(namespace, name),
            operation,
        })
    }
}

impl Engine for Accounts {
    fn observe(&mut self, seen: &Seen, _now: Instant, backlog: &mut Backlog) {
        let Some(object) = seen.change.after().or(seen.change.before()) else {
            return;
        };
        let exists = seen.change.after().is_some();
        let (namespace, name) = (object.key().namespace(), object.key().name());
        let ticket: Ticket = if is_namespaces(&seen.resource) {
            name.into()
        } else if is_core(&seen.resource, "serviceaccounts") && name == ACCOUNT
            || is_core(&seen.resource, "configmaps") && name == ROOT_CA
        {
            namespace.into()
        } else {
            return;
        };
        let known = self.namespaces.entry(Arc::clone(&ticket)).or_default();
        match seen.resource.plural.as_str() {
            "namespaces" => known.active = exists && !object.is_terminating(),
            "serviceaccounts" => known.account = exists,
            _ => {
                known.root_ca = exists.then(|| RootCa {
                    uid: object.uid().into(),
                    right: object.value()["data"] == self.data,
                });
            }
        }
        if known.active {
            backlog.push(ticket);
        } else if !known.account && known.root_ca.is_none() {
            self.namespaces.remove(&ticket);
        }
    }

    fn resources_changed(&mut self, resources: &Arc<Resources>, _backlog: &mut Backlog) {
        self.resources = Arc::clone(resources);
    }

    fn decide(&mut self, namespace: &Ticket, _now: Instant) -> Verdict {
        let Some(known) = self.namespaces.get(namespace).filter(|known| known.active) else {
            return Verdict::Rest;
        };
        let object = |kind: &str, name: &str| json!({ "apiVersion": "v1", "kind": kind, "metadata": { "name": name } });
        if !known.account {
            let account = object("ServiceAccount", ACCOUNT);
            let create = Operation::Create(account);
            return self.action("serviceaccounts", namespace, ACCOUNT, create);
        }
        match &known.root_ca {
            None => {
                let mut config_map = object("ConfigMap", ROOT_CA);
                config_map["data"] = self.data.clone();
                let create = Operation::Create(config_map);
                self.action("configmaps", namespace, ROOT_CA, create)
            }
            Some(RootCa { right: true, .. }) => Verdict::Rest,
            Some(RootCa { uid, .. }) => {
                let data = self.data.clone();
                let amend = Operation::amend(uid, move |config_map, _| {
                    config_map["data"] = data.clone();
                });
                self.action("configmaps", namespace, ROOT_CA, amend)
            }
        }
    }
}

fn is_core(resource: &Resource, plural: &str) -> bool {
    resource.group.is_empty() && resource.plural == plural
}
