//! The messages and services of the pod resources API, as they are on the wire.
#![expect(
    missing_docs,
    unused_qualifications,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::doc_markdown,
    clippy::missing_errors_doc,
    reason = "generated from definitions that explain themselves"
)]

tonic::include_proto!("v1");
