use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;

use super::ServeError;

/// A bearer token: one or more visible ASCII characters.
///
/// Its `Debug` form does not show it.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// A token of 256 random bits.
    ///
    /// # Errors
    ///
    /// [`ServeError::Randomness`] if the system gives none.
    pub fn random() -> Result<Self, ServeError> {
        let mut bytes = [0; 32];
        rustls::crypto::ring::default_provider()
            .secure_random
            .fill(&mut bytes)
            .map_err(|_| ServeError::Randomness)?;
        Ok(Self(BASE64_URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The token itself.
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// Whether a client sent this token; the time taken tells nothing but the length.
    pub(super) fn is(&self, sent: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(sent).into()
    }
}

impl FromStr for Token {
    type Err = ServeError;

    fn from_str(text: &str) -> Result<Self, ServeError> {
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(ServeError::InvalidToken);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_equal_to_itself_only() {
        let token: Token = "secret".parse().unwrap();
        assert!(token.is(b"secret"));
        for other in ["", "secre", "secrets", "secreT", "Secret"] {
            assert!(!token.is(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn a_token_must_fit_a_header() {
        for text in ["", "a b", "a\n", "ü"] {
            assert!(matches!(
                text.parse::<Token>(),
                Err(ServeError::InvalidToken)
            ));
        }
    }

    #[test]
    fn random_tokens_differ_and_stay_out_of_logs() {
        let (one, two) = (Token::random().unwrap(), Token::random().unwrap());
        assert_ne!(one.secret(), two.secret());
        assert_eq!(one.secret().len(), 43);
        assert!(!format!("{one:?}").contains(one.secret()));
    }
}
