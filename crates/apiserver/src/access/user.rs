//! Who sends a request.

use std::collections::BTreeMap;

use http::HeaderMap;
use http::request::Parts;
use serde_json::{Map, Value, json};

use crate::error::ApiError;

/// The group whose members may do everything.
const MASTERS: &str = "system:masters";
/// The group of all who are known.
const AUTHENTICATED: &str = "system:authenticated";
/// The group of all others.
const UNAUTHENTICATED: &str = "system:unauthenticated";
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// Someone who asks for something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) groups: Vec<String>,
    pub(crate) extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// Who reaches the server.
    pub(crate) fn administrator() -> Self {
        Self {
            name: "kubernetes-admin".to_owned(),
            groups: vec![MASTERS.to_owned(), AUTHENTICATED.to_owned()],
            ..Self::default()
        }
    }

    /// Who sends a request: who the listener says they are, or else whose part they take.
    ///
    /// # Errors
    ///
    /// 501 if someone else than an administrator takes a part, and as [`Self::of`].
    pub(crate) fn of_request(request: &Parts) -> Result<Self, ApiError> {
        let Some(user) = request.extensions.get::<Self>() else {
            return Self::of(&request.headers);
        };
        let mut names = request.headers.keys();
        match names.any(|name| name.as_str().starts_with("impersonate-")) {
            true => Err(ApiError::unsupported(
                "impersonation by service accounts, only by an administrator",
            )),
            false => Ok(user.clone()),
        }
    }

    /// Who sends a request: the administrator, or whose part the headers say they take.
    ///
    /// # Errors
    ///
    /// 500 for headers that say something of a user and not who it is, as a real server answers.
    fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let texts = |name: &str| -> Vec<String> {
            let values = headers.get_all(name).into_iter();
            values
                .filter_map(|value| value.to_str().ok())
                .map(str::to_owned)
                .collect()
        };
        let mut groups = texts("impersonate-group");
        let uid = texts("impersonate-uid").pop().unwrap_or_default();
        let mut extra = BTreeMap::new();
        for name in headers.keys() {
            if let Some(key) = name.as_str().strip_prefix("impersonate-extra-") {
                let key = percent_encoding::percent_decode_str(key).decode_utf8_lossy();
                extra.insert(key.into_owned(), texts(name.as_str()));
            }
        }
        let Some(name) = texts("impersonate-user")
            .pop()
            .filter(|name| !name.is_empty())
        else {
            if groups.is_empty() && uid.is_empty() && extra.is_empty() {
                return Ok(Self::administrator());
            }
            return Err(ApiError::internal(
                "requested impersonation of a user without naming it in Impersonate-User",
            ));
        };
        if groups.is_empty()
            && let Some((namespace, _)) = name
                .strip_prefix(SERVICE_ACCOUNT)
                .and_then(|rest| rest.split_once(':'))
        {
            groups.push("system:serviceaccounts".to_owned());
            groups.push(format!("system:serviceaccounts:{namespace}"));
        }
        let known = match name.as_str() {
            "system:anonymous" => UNAUTHENTICATED,
            _ => AUTHENTICATED,
        };
        if !groups.iter().any(|group| group == known) {
            groups.push(known.to_owned());
        }
        Ok(Self {
            name,
            uid,
            groups,
            extra,
        })
    }

    /// A service account that showed its token.
    pub(crate) fn service_account(
        namespace: &str,
        name: &str,
        uid: &str,
        extra: BTreeMap<String, Vec<String>>,
    ) -> Self {
        Self {
            name: format!("{SERVICE_ACCOUNT}{namespace}:{name}"),
            uid: uid.to_owned(),
            groups: vec![
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{namespace}"),
                AUTHENTICATED.to_owned(),
            ],
            extra,
        }
    }

    /// The user that a `SubjectAccessReview` asks about.
    pub(crate) fn of_review(spec: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let texts = |value: &Value| -> Vec<String> {
            let items = value.as_array().into_iter().flatten();
            items.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let extra = spec["extra"].as_object().into_iter().flatten();
        Self {
            name: text(&spec["user"]),
            uid: text(&spec["uid"]),
            groups: texts(&spec["groups"]),
            extra: extra
                .map(|(key, values)| (key.clone(), texts(values)))
                .collect(),
        }
    }

    pub(crate) fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }

    /// Whether they may do everything.
    pub(crate) fn is_master(&self) -> bool {
        self.is_in(MASTERS)
    }

    /// Whether they are someone and not just anyone.
    pub(crate) fn is_authenticated(&self) -> bool {
        self.is_in(AUTHENTICATED)
    }

    /// Whether they are this service account.
    pub(crate) fn is_service_account(&self, namespace: &str, name: &str) -> bool {
        self.name
            .strip_prefix(SERVICE_ACCOUNT)
            .and_then(|rest| rest.split_once(':'))
            == Some((namespace, name))
    }

    /// What reviews tell of them.
    pub(crate) fn info(&self) -> Value {
        let mut info = Map::new();
        info.insert("username".to_owned(), self.name.as_str().into());
        if !self.uid.is_empty() {
            info.insert("uid".to_owned(), self.uid.as_str().into());
        }
        if !self.groups.is_empty() {
            info.insert("groups".to_owned(), self.groups.clone().into());
        }
        if !self.extra.is_empty() {
            info.insert("extra".to_owned(), json!(self.extra));
        }
        Value::Object(info)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(headers: &[(&str, &str)]) -> Result<User, ApiError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = http::HeaderName::try_from(*name).unwrap();
            map.append(name, value.parse().unwrap());
        }
        User::of(&map)
    }

    #[test]
    fn who_says_nothing_is_the_administrator() {
        let user = user(&[("accept", "*/*")]).unwrap();
        assert_eq!(user, User::administrator());
        assert!(user.is_master() && user.is_authenticated());
    }

    #[test]
    fn headers_take_the_part_of_someone_else() {
        let jane = user(&[
            ("Impersonate-User", "jane"),
            ("Impersonate-Group", "dev"),
            ("Impersonate-Group", "ops"),
            ("Impersonate-Uid", "7"),
            ("Impersonate-Extra-Example.com%2Fteam", "a"),
        ])
        .unwrap();
        assert!(!jane.is_master());
        assert_eq!(
            jane.info(),
            json!({"username": "jane", "uid": "7", "groups": ["dev", "ops", "system:authenticated"],
                   "extra": {"example.com/team": ["a"]}})
        );
        assert!(
            user(&[("Impersonate-User", "a"), ("Impersonate-Group", MASTERS)])
                .unwrap()
                .is_master()
        );
        assert!(
            !user(&[("Impersonate-User", "system:anonymous")])
                .unwrap()
                .is_authenticated()
        );
        assert_eq!(
            user(&[("Impersonate-Group", "dev")]).unwrap_err().code(),
            500
        );
    }

    #[test]
    fn a_service_account_is_in_the_groups_of_its_kind() {
        let account = user(&[("Impersonate-User", "system:serviceaccount:ns:sa")]).unwrap();
        assert_eq!(
            account.groups,
            [
                "system:serviceaccounts",
                "system:serviceaccounts:ns",
                "system:authenticated"
            ]
        );
        assert!(account.is_service_account("ns", "sa"));
        assert!(!account.is_service_account("ns", "other"));
    }
}
