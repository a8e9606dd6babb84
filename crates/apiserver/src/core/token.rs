//! Continue tokens: where the next page of a list begins.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::error::ApiError;

const VERSION: &str = "meta.k8s.io/v1";

/// Where a list goes on. Opaque to clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ContinueToken {
    v: String,
    /// The revision that all pages show; -1 to go on with what there is now.
    rv: i64,
    /// The first key of the next page; below the namespace if the list has one.
    start: String,
    /// How many objects there are from `start` on at `rv`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    left: Option<usize>,
}

impl ContinueToken {
    /// Goes on in the state at `revision`, with `left` objects from `start` on.
    pub(crate) fn consistent(revision: u64, start: &str, left: Option<usize>) -> Self {
        Self {
            v: VERSION.to_owned(),
            rv: i64::try_from(revision).unwrap_or(i64::MAX),
            start: start.to_owned(),
            left,
        }
    }

    /// The same place in the state at the time of the next page.
    pub(crate) fn inconsistent(&self) -> Self {
        Self {
            rv: -1,
            left: None,
            ..self.clone()
        }
    }

    /// The revision to show; `None` for the newest.
    pub(crate) fn revision(&self) -> Option<u64> {
        u64::try_from(self.rv).ok()
    }

    pub(crate) fn start(&self) -> &str {
        &self.start
    }

    pub(crate) fn left(&self) -> Option<usize> {
        self.left
    }

    pub(crate) fn encode(&self) -> String {
        let json = serde_json::to_vec(self).expect("a token is plain data");
        URL_SAFE_NO_PAD.encode(json)
    }

    /// Reads a token.
    ///
    /// # Errors
    ///
    /// 400 if the server never made it.
    pub(crate) fn decode(token: &str) -> Result<Self, ApiError> {
        let invalid = |why: String| {
            ApiError::bad_request(format!(
                "invalid continue token: continue key is not valid: {why}"
            ))
        };
        let json = URL_SAFE_NO_PAD
            .decode(token.trim_end_matches('='))
            .map_err(|why| invalid(why.to_string()))?;
        let decoded: Self = serde_json::from_slice(&json).map_err(|why| {
            match json.iter().find(|byte| !byte.is_ascii_whitespace()) {
                Some(b'{') | None => invalid(why.to_string()),
                // In the words of a real server, which clients compare in tests.
                Some(byte) => invalid(format!(
                    "invalid character {} looking for beginning of value",
                    quoted(*byte)
                )),
            }
        })?;
        if decoded.v != VERSION {
            return Err(ApiError::bad_request(format!(
                "invalid continue token: continue key is not valid: server does not recognize this encoded version \"{}\"",
                decoded.v
            )));
        }
        Ok(decoded)
    }
}

fn quoted(byte: u8) -> String {
    match byte {
        b' '..=b'~' => format!("'{}'", char::from(byte)),
        byte => format!("'\\x{byte:02x}'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written() {
        for token in [
            ContinueToken::consistent(7, "default/a", Some(3)),
            ContinueToken::consistent(u64::MAX, "", None),
            ContinueToken::consistent(7, "default/a", Some(3)).inconsistent(),
        ] {
            assert_eq!(ContinueToken::decode(&token.encode()).unwrap(), token);
        }
    }

    #[test]
    fn what_no_server_made_is_refused() {
        let text = |token: &str| ContinueToken::decode(token).unwrap_err().to_string();
        assert_eq!(
            text("nonsense"),
            "invalid continue token: continue key is not valid: invalid character '\\x9e' looking for beginning of value"
        );
        assert!(text("!").starts_with("invalid continue token"));
        let foreign = URL_SAFE_NO_PAD.encode(r#"{"v":"x","rv":1,"start":""}"#);
        assert!(text(&foreign).contains("encoded version \"x\""));
    }
}
