use std::fmt;
use std::str::FromStr;

use subtle::ConstantTimeEq as _;

use crate::server::ServerError;

/// A token that the API server and the agents of its nodes share: whoever has it may do everything.
///
/// Never shown in `Debug` output.
#[derive(Clone)]
pub struct SharedToken(String);

impl SharedToken {
    /// Compares in constant time.
    pub(super) fn is(&self, token: &str) -> bool {
        self.0.as_bytes().ct_eq(token.as_bytes()).into()
    }
}

impl FromStr for SharedToken {
    type Err = ServerError;

    fn from_str(token: &str) -> Result<Self, ServerError> {
        match !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => Ok(Self(token.to_owned())),
            false => Err(ServerError::InvalidToken),
        }
    }
}

impl fmt::Debug for SharedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedToken(..)")
    }
}
