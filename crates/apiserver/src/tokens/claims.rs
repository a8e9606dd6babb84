//! What a token states.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::access::User;

/// The claims of a token, under the names that they have in it; times are in seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    pub(super) aud: Vec<String>,
    pub(super) exp: i64,
    pub(super) iat: i64,
    pub(super) iss: String,
    pub(super) jti: String,
    #[serde(rename = "kubernetes.io")]
    pub(super) bound: Bound,
    pub(super) nbf: i64,
    pub(super) sub: String,
}

/// The objects without which a token is nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Bound {
    pub(super) namespace: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) node: Option<Reference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pod: Option<Reference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) secret: Option<Reference>,
    pub(super) serviceaccount: Reference,
    /// When the token should have been replaced, if it is valid for longer than was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) warnafter: Option<i64>,
}

/// An object, and not another of its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reference {
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) uid: String,
}

impl Bound {
    pub(super) fn to_account(namespace: &str, account: Reference) -> Self {
        Self {
            namespace: namespace.to_owned(),
            node: None,
            pod: None,
            secret: None,
            serviceaccount: account,
            warnafter: None,
        }
    }
}

impl Claims {
    /// Who sends the token.
    pub(super) fn user(&self) -> User {
        let Bound {
            namespace,
            serviceaccount: account,
            ..
        } = &self.bound;
        let mut extra = BTreeMap::new();
        let mut tell = |key: &str, value: String| {
            if !value.is_empty() {
                extra.insert(format!("authentication.kubernetes.io/{key}"), vec![value]);
            }
        };
        tell("credential-id", format!("JTI={}", self.jti));
        for (kind, reference) in [("pod", &self.bound.pod), ("node", &self.bound.node)] {
            if let Some(reference) = reference {
                tell(&format!("{kind}-name"), reference.name.clone());
                tell(&format!("{kind}-uid"), reference.uid.clone());
            }
        }
        User::service_account(namespace, &account.name, &account.uid, extra)
    }
}
