//! Who a token is of, as long as it holds.

use serde_json::{Value, json};

use super::request::texts;
use super::{Claims, ISSUER, Reference};
use crate::access::User;
use crate::core::Core;
use crate::error::ApiError;
use crate::store::Key;

/// How far the clocks of others may be off, and how long a deleted object still counts, in seconds.
const LEEWAY: i64 = 60;

impl Core {
    /// Who sends a token that is for one of the `audiences`, and for which of them it is.
    ///
    /// # Errors
    ///
    /// What is wrong with the token, for people.
    pub(crate) fn authenticate(
        &self,
        token: &str,
        audiences: &[String],
    ) -> Result<(User, Vec<String>), String> {
        let Some(claims) = self.signer.open(token) else {
            return Err("invalid bearer token".to_owned());
        };
        let shared: Vec<String> = audiences
            .iter()
            .filter(|audience| claims.aud.contains(audience))
            .cloned()
            .collect();
        let checked = match shared.is_empty() {
            true => Err(format!(
                "token audiences {:?} is invalid for the target audiences {audiences:?}",
                claims.aud
            )),
            false => self.check_claims(&claims),
        };
        match checked {
            Ok(()) => Ok((claims.user(), shared)),
            Err(why) => Err(format!("[invalid bearer token, {why}]")),
        }
    }

    /// Answers a `TokenReview` whose fields are checked.
    ///
    /// # Errors
    ///
    /// 400 if there is no token in it.
    pub(crate) fn review_token(&self, mut review: Value) -> Result<Value, ApiError> {
        let token = review["spec"]["token"].as_str().unwrap_or_default();
        if token.is_empty() {
            return Err(ApiError::bad_request(
                "token is required for TokenReview in authentication",
            ));
        }
        let audiences = texts(&review["spec"]["audiences"]);
        let audiences = match audiences.is_empty() {
            true => vec![ISSUER.to_owned()],
            false => audiences,
        };
        let status = match self.authenticate(token, &audiences) {
            Ok((user, audiences)) => {
                json!({ "authenticated": true, "user": user.info(), "audiences": audiences })
            }
            Err(error) => json!({ "user": {}, "error": error }),
        };
        if !review["metadata"].is_object() {
            review["metadata"] = json!({});
        }
        review["status"] = status;
        Ok(review)
    }

    /// Whether the time of a token has come and not gone, and what it is bound to is there.
    fn check_claims(&self, claims: &Claims) -> Result<(), String> {
        let now = self.now().as_second();
        if now > claims.exp.saturating_add(LEEWAY) {
            return Err("service account token has expired".to_owned());
        }
        if now < claims.nbf.saturating_sub(LEEWAY) {
            return Err("service account token is not valid yet".to_owned());
        }
        let bound = &claims.bound;
        let (namespace, account) = (&bound.namespace, &bound.serviceaccount);
        match self.find("serviceaccounts", namespace, account) {
            Found::Same => {}
            Found::Nothing => {
                return Err(format!("serviceaccounts {:?} not found", account.name));
            }
            Found::Deleted => {
                let name = &account.name;
                return Err(format!(
                    "service account {namespace}/{name} has been deleted"
                ));
            }
            Found::Another(uid) => {
                return Err(format!(
                    "service account UID ({uid}) does not match claim ({})",
                    account.uid
                ));
            }
        }
        // The node of a pod goes with the pod, whose token says it only for others to know.
        let node = bound.node.as_ref().filter(|_| bound.pod.is_none());
        for (plural, what, namespace, reference) in [
            ("pods", "pod", namespace.as_str(), bound.pod.as_ref()),
            ("secrets", "secret", namespace, bound.secret.as_ref()),
            ("nodes", "node", "", node),
        ] {
            let Some(reference) = reference else { continue };
            match self.find(plural, namespace, reference) {
                Found::Same => {}
                Found::Nothing | Found::Deleted => {
                    return Err("service account token has been invalidated".to_owned());
                }
                Found::Another(uid) => {
                    return Err(format!(
                        "{what} UID ({uid}) does not match service account {what} ref claim ({})",
                        reference.uid
                    ));
                }
            }
        }
        Ok(())
    }

    fn find(&self, plural: &str, namespace: &str, reference: &Reference) -> Found {
        let resources = self.registry.resources();
        let resource = resources.get("", "v1", plural);
        let resource = resource.expect("what tokens are bound to is built in");
        let Ok(object) = self.get(resource, &Key::new(namespace, &reference.name)) else {
            return Found::Nothing;
        };
        let deleted = &object.value()["metadata"]["deletionTimestamp"];
        let deleted: Option<jiff::Timestamp> = deleted.as_str().and_then(|text| text.parse().ok());
        if deleted.is_some_and(|time| time.as_second() < self.now().as_second() - LEEWAY) {
            return Found::Deleted;
        }
        match object.uid() == reference.uid {
            true => Found::Same,
            false => Found::Another(object.uid().to_owned()),
        }
    }
}

/// What is there of an object that a token is bound to.
enum Found {
    Same,
    Nothing,
    /// It is about to go, and has been for a while.
    Deleted,
    /// Another of this uid.
    Another(String),
}
