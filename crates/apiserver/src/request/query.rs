//! The query of a request.

use std::borrow::Cow;

use crate::error::ApiError;

/// The parameters of a query, in order.
#[derive(Debug, Default)]
pub(crate) struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    pub(crate) fn parse(query: Option<&'a str>) -> Self {
        Self(form_urlencoded::parse(query.unwrap_or_default().as_bytes()).collect())
    }

    /// The first value of a parameter; `None` if it is absent or empty.
    pub(crate) fn get(&self, name: &'static str) -> Option<&str> {
        self.all(name).next().filter(|value| !value.is_empty())
    }

    /// All values of a parameter.
    pub(crate) fn all(&self, name: &'static str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_ref())
    }

    /// A parameter that is true unless it says otherwise; `None` if it is absent.
    pub(crate) fn flag(&self, name: &'static str) -> Option<bool> {
        let value = self.all(name).next()?;
        Some(value != "0" && !value.eq_ignore_ascii_case("false"))
    }

    /// A parameter that is a whole number.
    ///
    /// # Errors
    ///
    /// 400 if it is none.
    pub(crate) fn integer(&self, name: &'static str) -> Result<Option<i64>, ApiError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        value.parse().map(Some).map_err(|_| {
            ApiError::bad_request(format!(
                "strconv.ParseInt: parsing {value:?}: invalid syntax"
            ))
        })
    }
}
