//! The tokens of service accounts: making them, and asking whose they are.

use http::StatusCode;
use http::header::CONTENT_TYPE;

use crate::body;
use crate::error::ApiError;
use crate::fields;
use crate::handler::{Answer, Exchange};
use crate::request::WriteOptions;
use crate::resource::{Origin, Resource};
use crate::schema::definitions;

const GROUP: &str = "authentication.k8s.io";
const KIND: &str = "TokenRequest";

impl Exchange<'_> {
    pub(super) fn create_token(self) -> Result<Answer, ApiError> {
        let representation = self.representation()?;
        let options = WriteOptions::parse(&self.query, "CreateOptions")?;
        let accounts = &self.target.resource;
        let sent = body::decode(self.header(&CONTENT_TYPE), &self.body)?;
        let mut request = sent.value;
        let warnings = fields::check(
            &token_requests(accounts),
            &mut request,
            options.field_validation,
            &sent.duplicates,
        )?;
        let answer = self.core.request_token(accounts, &self.key()?, request)?;
        let answer = Answer::value(StatusCode::CREATED, representation, &answer);
        Ok(answer.with_warnings(warnings))
    }

    pub(super) fn review_token(self) -> Result<Answer, ApiError> {
        let representation = self.representation()?;
        let options = WriteOptions::parse(&self.query, "CreateOptions")?;
        let (review, warnings) = self.decode(options)?;
        let answer = self.core.review_token(review)?;
        let answer = Answer::value(StatusCode::CREATED, representation, &answer);
        Ok(answer.with_warnings(warnings))
    }
}

/// What is sent to `serviceaccounts/token`, as if it were a resource of its own.
fn token_requests(accounts: &Resource) -> Resource {
    Resource {
        group: GROUP.to_owned(),
        kind: KIND.to_owned(),
        origin: Origin::BuiltIn {
            definition: definitions().of_kind(GROUP, "v1", KIND).map(str::to_owned),
        },
        ..accounts.clone()
    }
}
