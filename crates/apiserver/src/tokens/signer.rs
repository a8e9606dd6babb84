//! Signing and checking: JSON Web Tokens in their compact form, signed with Ed25519.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde_json::json;

use super::Claims;
use crate::config::{Config, ConfigError, TokenKey};

/// The key of one server.
#[derive(Debug)]
pub(crate) struct Signer {
    pair: Ed25519KeyPair,
    /// The first part of every token that this key signs.
    header: String,
}

impl Signer {
    /// # Errors
    ///
    /// [`ConfigError::NoRandomness`] if the system gives no random key.
    pub(crate) fn new(config: &Config) -> Result<Self, ConfigError> {
        let mut secret = [0; 32];
        match config.token_key {
            TokenKey::Random => SystemRandom::new()
                .fill(&mut secret)
                .map_err(|_| ConfigError::NoRandomness)?,
            TokenKey::Seeded => fastrand::Rng::with_seed(config.seed).fill(&mut secret),
        }
        let pair = Ed25519KeyPair::from_seed_unchecked(&secret).expect("a key has 32 bytes");
        let id = digest(&SHA256, pair.public_key().as_ref());
        let id = BASE64_URL_SAFE_NO_PAD.encode(id);
        let header = json!({ "alg": "EdDSA", "kid": id }).to_string();
        Ok(Self {
            pair,
            header: BASE64_URL_SAFE_NO_PAD.encode(header),
        })
    }

    /// The token that states `claims`.
    pub(super) fn sign(&self, claims: &Claims) -> String {
        let claims = serde_json::to_vec(claims).expect("claims encode into memory");
        let claims = BASE64_URL_SAFE_NO_PAD.encode(claims);
        let stated = format!("{}.{claims}", self.header);
        let signature = self.pair.sign(stated.as_bytes());
        format!("{stated}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    /// What a token states; `None` unless this key signed it.
    pub(super) fn open(&self, token: &str) -> Option<Claims> {
        let (stated, signature) = token.rsplit_once('.')?;
        // Only the header that this key writes: nobody else chooses how a token is checked.
        let claims = stated.strip_prefix(&self.header)?.strip_prefix('.')?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
        UnparsedPublicKey::new(&ED25519, self.pair.public_key())
            .verify(stated.as_bytes(), &signature)
            .ok()?;
        let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?;
        serde_json::from_slice(&claims).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::{Bound, Reference};

    fn signer(key: TokenKey, seed: u64) -> Signer {
        let config = Config {
            token_key: key,
            seed,
            ..Config::default()
        };
        Signer::new(&config).unwrap()
    }

    fn claims() -> Claims {
        let reference = Reference {
            name: "sa".to_owned(),
            uid: "u".to_owned(),
        };
        Claims {
            aud: vec!["a".to_owned()],
            exp: 2,
            iat: 1,
            iss: "i".to_owned(),
            jti: "j".to_owned(),
            bound: Bound::to_account("ns", reference),
            nbf: 1,
            sub: "s".to_owned(),
        }
    }

    #[test]
    fn a_key_opens_what_it_signed_and_nothing_else() {
        let (one, other) = (signer(TokenKey::Random, 0), signer(TokenKey::Random, 0));
        let token = one.sign(&claims());
        assert_eq!(one.open(&token), Some(claims()));
        assert_eq!(other.open(&token), None);
        assert_eq!(one.open(""), None);
        assert_eq!(one.open(&format!("{token}.")), None);
        assert_eq!(one.open(token.rsplit_once('.').unwrap().0), None);
    }

    #[test]
    fn no_character_of_a_token_can_be_changed() {
        let signer = signer(TokenKey::Seeded, 1);
        let token = signer.sign(&claims());
        for at in 0..token.len() {
            let mut forged = token.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap();
            assert_eq!(signer.open(&forged), None, "{at}");
        }
    }

    #[test]
    fn a_token_without_a_signature_is_not_opened_whatever_its_header_says() {
        let signer = signer(TokenKey::Random, 0);
        let header = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
        let claims = BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(&claims()).unwrap());
        assert_eq!(signer.open(&format!("{header}.{claims}.")), None);
    }

    #[test]
    fn a_seeded_key_follows_the_seed() {
        let token = |seed| signer(TokenKey::Seeded, seed).sign(&claims());
        assert_eq!(token(7), token(7));
        assert_ne!(token(7), token(8));
    }
}
