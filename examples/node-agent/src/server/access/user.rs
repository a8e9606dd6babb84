use std::collections::BTreeMap;

const AUTHENTICATED: &str = "system:authenticated";

/// Somebody who sends requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct User {
    /// What they are called.
    pub name: String,
    /// Which of those who are called so it is.
    pub uid: String,
    /// Of which groups they are.
    pub groups: Vec<String>,
    /// What else whoever knows them says of them.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// A user of this name, of no group.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// The same user, of this group too.
    pub fn in_group(mut self, group: impl Into<String>) -> Self {
        self.groups.push(group.into());
        self
    }

    /// Who does not say who they are.
    pub(super) fn anonymous() -> Self {
        Self::named("system:anonymous").in_group("system:unauthenticated")
    }

    /// Who has the token that the API server and its nodes share.
    pub(super) fn api_server() -> Self {
        Self::named("system:kube-apiserver")
            .in_group("system:masters")
            .in_group(AUTHENTICATED)
    }

    /// The same user, known.
    pub(super) fn authenticated(self) -> Self {
        match self.groups.iter().any(|group| group == AUTHENTICATED) {
            true => self,
            false => self.in_group(AUTHENTICATED),
        }
    }
}
