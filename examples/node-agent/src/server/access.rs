//! Who may use the API of the agent.

mod attributes;
mod cache;
mod cluster;
mod reviews;
mod token;
mod user;

use std::time::Duration;

use http::header::AUTHORIZATION;
use http::request::Parts;

use crate::config::{Authorization, Config};
use crate::server::ServerError;
use reviews::{AccessReviews, TokenReviews};

pub use attributes::Attributes;
pub use cluster::ClusterReviews;
pub use reviews::{AccessReviewer, ReviewError, TokenReviewer};
pub use token::SharedToken;
pub use user::User;

/// Decides who may send which requests.
///
/// A client is known by its certificate, if an authority of clients is configured; by the
/// [shared token](SharedToken); or by a token that somebody [reviews](TokenReviewer). A client that
/// shows nothing is anonymous, if that is allowed; one that shows a token that nobody knows is not.
/// What a client that is known may do is [reviewed](AccessReviewer) too, unless everything is
/// allowed. By default nobody is known, and nothing is allowed.
///
/// Answers to `BuildAuth` of Kubernetes 1.36.
#[derive(Debug)]
pub struct Access {
    node: String,
    shared_token: Option<SharedToken>,
    tokens: Option<TokenReviews>,
    anonymous: bool,
    authorizer: Authorizer,
}

#[derive(Debug)]
enum Authorizer {
    DenyAll,
    AllowAll,
    Reviews(AccessReviews),
}

/// Why a request is not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Nobody knows who sends it.
    #[error("Unauthorized")]
    Unauthorized,
    /// Whoever sends it may not do that.
    #[error(
        "Forbidden (user={user}, verb={verb}, resource=nodes, subresource(s)=[{subresources}])\n"
    )]
    Forbidden {
        /// Who.
        user: String,
        /// Would do what.
        verb: &'static str,
        /// To what; any of these would do.
        subresources: String,
    },
    /// It cannot be found out whether they may.
    #[error(
        "Authorization error (user={user}, verb={verb}, resource=nodes, subresource={subresource})"
    )]
    Unknown {
        /// Who.
        user: String,
        /// Would do what.
        verb: &'static str,
        /// To what.
        subresource: &'static str,
    },
}

impl Access {
    /// Lets nobody in. `node` is the name of the node whose API it is.
    pub fn new(node: impl Into<String>) -> Self {
        Self {
            node: node.into(),
            shared_token: None,
            tokens: None,
            anonymous: false,
            authorizer: Authorizer::DenyAll,
        }
    }

    /// As the configuration has it. `reviews` is the API server, if there is one.
    ///
    /// # Errors
    ///
    /// [`ServerError::NoClient`] if the API server is to be asked and there is none.
    pub fn from_config(
        config: &Config,
        reviews: Option<&ClusterReviews>,
    ) -> Result<Self, ServerError> {
        let mut access = Self::new(&config.node_name);
        if config.anonymous_auth {
            access = access.with_anonymous_clients();
        }
        if let Some(ttl) = config.webhook_authentication {
            let reviews = reviews.ok_or(ServerError::NoClient("authentication"))?;
            access = access.with_token_reviews(reviews.clone(), ttl);
        }
        match config.authorization {
            Authorization::AlwaysAllow => Ok(access.with_everything_allowed()),
            Authorization::Webhook {
                allowed_for,
                denied_for,
            } => {
                let reviews = reviews.ok_or(ServerError::NoClient("authorization"))?;
                Ok(access.with_access_reviews(reviews.clone(), allowed_for, denied_for))
            }
        }
    }

    /// Whoever sends this token may do everything.
    pub fn with_shared_token(mut self, token: SharedToken) -> Self {
        self.shared_token = Some(token);
        self
    }

    /// Tokens are reviewed, and an answer holds for `ttl`.
    pub fn with_token_reviews<R: TokenReviewer>(mut self, reviewer: R, ttl: Duration) -> Self {
        self.tokens = Some(TokenReviews::new(reviewer, ttl));
        self
    }

    /// Clients need not say who they are: they are `system:anonymous` then.
    pub fn with_anonymous_clients(mut self) -> Self {
        self.anonymous = true;
        self
    }

    /// Whoever is known may do everything.
    pub fn with_everything_allowed(mut self) -> Self {
        self.authorizer = Authorizer::AllowAll;
        self
    }

    /// What clients may do is reviewed; a yes holds for `allowed_for`, a no for `denied_for`.
    pub fn with_access_reviews<R: AccessReviewer>(
        mut self,
        reviewer: R,
        allowed_for: Duration,
        denied_for: Duration,
    ) -> Self {
        let reviews = AccessReviews::new(reviewer, allowed_for, denied_for);
        self.authorizer = Authorizer::Reviews(reviews);
        self
    }

    /// Lets a request in and says who sent it; `certificate` is whom the certificate of the
    /// connection, which was verified, names.
    ///
    /// # Errors
    ///
    /// If it is not let in.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future forgets the question.
    pub async fn admit(
        &self,
        request: &Parts,
        certificate: Option<&User>,
    ) -> Result<User, Refusal> {
        let attributes = Attributes::of(&request.method, request.uri.path());
        let token = bearer(request);
        if let (Some(shared), Some(token)) = (&self.shared_token, token)
            && shared.is(token)
        {
            return Ok(User::api_server());
        }
        let user = self.authenticate(token, certificate).await?;
        self.authorize(&user, &attributes).await?;
        Ok(user)
    }

    async fn authenticate(
        &self,
        token: Option<&str>,
        certificate: Option<&User>,
    ) -> Result<User, Refusal> {
        if let Some(user) = certificate {
            return Ok(user.clone().authenticated());
        }
        let Some(token) = token else {
            let anonymous = self.anonymous.then(User::anonymous);
            return anonymous.ok_or(Refusal::Unauthorized);
        };
        let tokens = self.tokens.as_ref().ok_or(Refusal::Unauthorized)?;
        match tokens.review(token).await {
            Ok(Some(user)) => Ok(user.authenticated()),
            Ok(None) => Err(Refusal::Unauthorized),
            Err(error) => {
                tracing::warn!(%error, "a token cannot be reviewed");
                Err(Refusal::Unauthorized)
            }
        }
    }

    async fn authorize(&self, user: &User, attributes: &Attributes) -> Result<(), Refusal> {
        let reviews = match &self.authorizer {
            Authorizer::AllowAll => return Ok(()),
            Authorizer::DenyAll => return Err(forbidden(user, attributes)),
            Authorizer::Reviews(reviews) => reviews,
        };
        for subresource in attributes.subresources() {
            match reviews
                .review(&self.node, user, attributes, subresource)
                .await
            {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(user = user.name, %error, "access cannot be reviewed");
                    return Err(Refusal::Unknown {
                        user: user.name.clone(),
                        verb: attributes.verb,
                        subresource,
                    });
                }
            }
        }
        Err(forbidden(user, attributes))
    }
}

fn forbidden(user: &User, attributes: &Attributes) -> Refusal {
    Refusal::Forbidden {
        user: user.name.clone(),
        verb: attributes.verb,
        subresources: attributes.subresources().collect::<Vec<_>>().join(" "),
    }
}

/// The token that a request brings.
fn bearer(request: &Parts) -> Option<&str> {
    let header = request.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = header.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}
