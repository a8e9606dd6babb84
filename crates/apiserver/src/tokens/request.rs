//! Making a token for a service account.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Bound, Claims, ISSUER, Reference};
use crate::core::Core;
use crate::error::{ApiError, Cause};
use crate::resource::Resource;
use crate::store::Key;

const GROUP: &str = "authentication.k8s.io";

/// How long a token is valid that is asked for without a time, in seconds.
const DEFAULT_EXPIRATION: i64 = 60 * 60;
const LEAST_EXPIRATION: i64 = 10 * 60;
const MOST_EXPIRATION: i64 = 1 << 32;

/// What the API asks for the tokens that it puts into every pod. Old clients read them only once,
/// so that they are valid for [`EXTENDED_EXPIRATION`] and are complained about before.
const INJECTED_EXPIRATION: i64 = 60 * 60 + 7;
const EXTENDED_EXPIRATION: i64 = 365 * 24 * 60 * 60;

impl Core {
    /// Answers a `TokenRequest` for the account of this key; `request` has its fields checked.
    ///
    /// # Errors
    ///
    /// 404 without the account or the object to bind to, 400 for an object that the account is not
    /// bound to, 409 for another uid than the object's, 422 for a time that is too short or too long.
    pub(crate) fn request_token(
        &self,
        accounts: &Resource,
        key: &Key,
        mut request: Value,
    ) -> Result<Value, ApiError> {
        for (field, wanted) in [("name", key.name()), ("namespace", key.namespace())] {
            let said = request["metadata"][field].as_str().unwrap_or_default();
            if !said.is_empty() && said != wanted {
                return Err(ApiError::bad_request(format!(
                    "the {field} of the provided object does not match the {field} sent on the request"
                )));
            }
        }
        let account = self.get(accounts, key)?;
        let audiences = texts(&request["spec"]["audiences"]);
        let audiences = match audiences.is_empty() {
            true => vec![ISSUER.to_owned()],
            false => audiences,
        };
        let asked = request["spec"]["expirationSeconds"].as_i64();
        let asked = asked.unwrap_or(DEFAULT_EXPIRATION);
        check_expiration(asked)?;

        let account = Reference {
            name: key.name().to_owned(),
            uid: account.uid().to_owned(),
        };
        let mut bound = Bound::to_account(key.namespace(), account);
        let to = request["spec"]["boundObjectRef"].clone();
        if to.is_object() {
            self.bind(&mut bound, &to)?;
        }
        let now = self.now();
        let begin = now.as_second();
        let mut expiration = asked;
        if asked == INJECTED_EXPIRATION && bound.pod.is_some() && audiences == [ISSUER] {
            expiration = EXTENDED_EXPIRATION;
            bound.warnafter = Some(begin + asked);
        }
        let token = self.signer.sign(&Claims {
            aud: audiences.clone(),
            exp: begin + expiration,
            iat: begin,
            iss: ISSUER.to_owned(),
            jti: self.ids.uid(),
            nbf: begin,
            sub: format!("system:serviceaccount:{}:{}", key.namespace(), key.name()),
            bound,
        });
        // A token lasts no shorter than this says.
        let end = Timestamp::from_second(begin + asked).unwrap_or(Timestamp::MAX);
        request["metadata"]["name"] = key.name().into();
        request["metadata"]["namespace"] = key.namespace().into();
        request["metadata"]["creationTimestamp"] = self.timestamp();
        request["spec"]["audiences"] = audiences.into();
        request["spec"]["expirationSeconds"] = asked.into();
        // Shown as null where there is none.
        request["spec"]["boundObjectRef"] = to;
        request["status"] = json!({
            "token": token,
            "expirationTimestamp": end.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        });
        Ok(request)
    }

    /// Binds a token to the object that it is asked to be bound to.
    fn bind(&self, bound: &mut Bound, to: &Value) -> Result<(), ApiError> {
        let text = |field: &str| to[field].as_str().unwrap_or_default();
        let (version, kind, name) = (text("apiVersion"), text("kind"), text("name"));
        let (plural, namespace) = match (version, kind) {
            ("v1", "Pod") => ("pods", bound.namespace.as_str()),
            ("v1", "Secret") => ("secrets", bound.namespace.as_str()),
            ("v1", "Node") => ("nodes", ""),
            _ => {
                let (group, version) = version.split_once('/').unwrap_or(("", version));
                return Err(ApiError::bad_request(format!(
                    "cannot bind token to object of type {group}/{version}, Kind={kind}"
                )));
            }
        };
        let resources = self.registry.resources();
        let resource = resources.get("", "v1", plural);
        let resource = resource.expect("pods, secrets and nodes are built in");
        let object = self.get(resource, &Key::new(namespace, name))?;
        let reference = Reference {
            name: name.to_owned(),
            uid: object.uid().to_owned(),
        };
        let said = text("uid");
        match kind {
            "Pod" => {
                let spec = &object.value()["spec"];
                let account = &bound.serviceaccount.name;
                if spec["serviceAccountName"].as_str() != Some(account) {
                    return Err(ApiError::bad_request(format!(
                        "cannot bind token for serviceaccount {account:?} to pod running with different serviceaccount name."
                    )));
                }
                bound.node = spec["nodeName"].as_str().map(|node| self.node(node));
                bound.pod = Some(reference);
            }
            "Secret" => bound.secret = Some(reference),
            _ => bound.node = Some(reference),
        }
        if !said.is_empty() && said != object.uid() {
            return Err(ApiError::conflict(resource, name, format!(
                "the UID in the bound object reference ({said}) does not match the UID in record. The object might have been deleted and then recreated"
            ))
            .with_details_kind(kind));
        }
        Ok(())
    }

    /// The node of a pod, which need not exist.
    fn node(&self, name: &str) -> Reference {
        let resources = self.registry.resources();
        let nodes = resources.get("", "v1", "nodes");
        let nodes = nodes.expect("nodes are built in");
        let node = self.get(nodes, &Key::new("", name));
        Reference {
            name: name.to_owned(),
            uid: node.map_or_else(|_| String::new(), |node| node.uid().to_owned()),
        }
    }
}

fn check_expiration(seconds: i64) -> Result<(), ApiError> {
    let why = match seconds {
        ..LEAST_EXPIRATION => "may not specify a duration less than 10 minutes",
        LEAST_EXPIRATION..=MOST_EXPIRATION => return Ok(()),
        _ => "may not specify a duration larger than 2^32 seconds",
    };
    let cause = Cause::invalid("spec.expirationSeconds", &seconds.into(), why);
    Err(ApiError::invalid_kind(
        GROUP,
        "TokenRequest",
        "",
        vec![cause],
    ))
}

/// The texts of a list.
pub(super) fn texts(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}
