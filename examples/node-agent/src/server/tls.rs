//! Who the agent is to its clients, and who they are to it.

mod identity;
mod pem;
mod self_signed;
#[cfg(test)]
mod tests;

use std::path::Path;

use rustls::ServerConnection;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use crate::server::{ServerError, User};

pub(super) use identity::{Acceptor, Identity, Source};

/// Whom the certificate of a client names: its common name is the user, its organizations are the
/// groups. The connection has verified it.
///
/// Answers to `CommonNameUserConversion` of Kubernetes 1.36.
pub(super) fn client_of(connection: &ServerConnection) -> Option<User> {
    let certificate = connection.peer_certificates()?.first()?;
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let subject = certificate.subject();
    let name = subject.iter_common_name().next()?.as_str().ok()?;
    let groups = subject.iter_organization();
    let groups = groups.filter_map(|group| group.as_str().ok());
    let user = groups.fold(User::named(name), User::in_group);
    (!name.is_empty()).then_some(user)
}

fn unusable(path: &Path, why: &(impl ToString + ?Sized)) -> ServerError {
    ServerError::Pem {
        path: path.to_owned(),
        why: why.to_string(),
    }
}
