//! The tokens of service accounts: signed statements about who someone is, for how long and to whom.
//!
//! They are made by `serviceaccounts/token`, told apart by `TokenReview`, and accepted by the
//! listener. A token ends with its time, and before it with the account, pod, secret or node that
//! it is bound to.

mod authenticate;
mod claims;
mod request;
mod signer;

pub(crate) use signer::Signer;

use self::claims::{Bound, Claims, Reference};

/// Who makes the tokens, and for whom they are unless they are asked to be for another.
pub(crate) const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
