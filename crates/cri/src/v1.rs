//! The messages and services of CRI v1, compiled from `proto/`.

#![expect(
    missing_docs,
    unused_qualifications,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::doc_markdown,
    clippy::missing_errors_doc,
    reason = "generated; fields are named and documented by the CRI"
)]

use std::fmt;

tonic::include_proto!("runtime.v1");

/// Only whether there is something: all that is in it may be secret.
impl fmt::Debug for AuthConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthConfig")
            .field("server_address", &self.server_address)
            .finish_non_exhaustive()
    }
}

/// Only the name: the value may be secret.
impl fmt::Debug for KeyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyValue")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_holds_no_secrets() {
        let auth = AuthConfig {
            username: "hidden-user".to_owned(),
            password: "hidden-password".to_owned(),
            auth: "hidden-auth".to_owned(),
            server_address: "registry.example".to_owned(),
            identity_token: "hidden-identity".to_owned(),
            registry_token: "hidden-token".to_owned(),
        };
        let request = PullImageRequest {
            auth: Some(auth),
            ..PullImageRequest::default()
        };
        let config = ContainerConfig {
            envs: vec![KeyValue {
                key: "TOKEN".to_owned(),
                value: b"hidden-value".to_vec(),
            }],
            ..ContainerConfig::default()
        };
        let text = format!("{request:?} {config:?}");
        assert!(text.contains("registry.example"), "{text}");
        assert!(text.contains("TOKEN"), "{text}");
        assert!(!text.contains("hidden"), "{text}");
        assert!(!text.contains("104, 105, 100"), "{text}");
    }
}
