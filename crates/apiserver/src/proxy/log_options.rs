//! What a client wants to see of a log: `PodLogOptions`.

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimeParser;

use crate::error::{ApiError, Cause};
use crate::request::Query;

/// The options of a request for a log, as they stand in its query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogOptions {
    pub(crate) container: Option<String>,
    pub(crate) follow: bool,
    previous: bool,
    timestamps: bool,
    since_seconds: Option<i64>,
    since_time: Option<Timestamp>,
    tail_lines: Option<i64>,
    limit_bytes: Option<i64>,
}

impl LogOptions {
    /// Reads the options for the log of `pod`.
    ///
    /// # Errors
    ///
    /// 400 for what cannot be read, 422 for what does not make sense, 501 for what is not supported.
    pub(crate) fn parse(query: &Query<'_>, pod: &str) -> Result<Self, ApiError> {
        let flag = |name| query.flag(name).unwrap_or_default();
        if flag("insecureSkipTLSVerifyBackend") {
            return Err(ApiError::unsupported(
                "insecureSkipTLSVerifyBackend: kubelets are always verified",
            ));
        }
        let options = Self {
            container: query.get("container").map(str::to_owned),
            follow: flag("follow"),
            previous: flag("previous"),
            timestamps: flag("timestamps"),
            since_seconds: query.integer("sinceSeconds")?,
            since_time: query.get("sinceTime").map(time).transpose()?,
            tail_lines: query.integer("tailLines")?,
            limit_bytes: query.integer("limitBytes")?,
        };
        let mut causes = options.complaints();
        if query.get("stream").is_some() {
            causes.push(Cause::forbidden("stream", "may not be specified"));
        }
        match causes.is_empty() {
            true => Ok(options),
            false => Err(ApiError::invalid_kind("", "PodLogOptions", pod, causes)),
        }
    }

    fn complaints(&self) -> Vec<Cause> {
        let mut causes = Vec::new();
        if let Some(lines) = self.tail_lines.filter(|lines| *lines < 0) {
            let why = "must be greater than or equal to 0";
            causes.push(Cause::invalid("tailLines", &lines.into(), why));
        }
        let why = "must be greater than 0";
        if let Some(bytes) = self.limit_bytes.filter(|bytes| *bytes < 1) {
            causes.push(Cause::invalid("limitBytes", &bytes.into(), why));
        }
        match self.since_seconds {
            Some(_) if self.since_time.is_some() => {
                let why = "at most one of `sinceTime` or `sinceSeconds` may be specified";
                causes.push(Cause::forbidden("", why));
            }
            Some(seconds) if seconds < 1 => {
                causes.push(Cause::invalid("sinceSeconds", &seconds.into(), why));
            }
            _ => {}
        }
        causes
    }

    /// The options as a kubelet takes them, in the order of their names.
    pub(super) fn parameters(&self) -> Vec<(&'static str, String)> {
        let flag = |set: bool| set.then(|| "true".to_owned());
        let number = |number: Option<i64>| number.map(|number| number.to_string());
        let time = |time: Timestamp| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        [
            ("follow", flag(self.follow)),
            ("limitBytes", number(self.limit_bytes)),
            ("previous", flag(self.previous)),
            ("sinceSeconds", number(self.since_seconds)),
            ("sinceTime", self.since_time.map(time)),
            ("tailLines", number(self.tail_lines)),
            ("timestamps", flag(self.timestamps)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }
}

/// A time in RFC 3339.
fn time(text: &str) -> Result<Timestamp, ApiError> {
    DateTimeParser::new().parse_timestamp(text).map_err(|_| {
        ApiError::bad_request(format!(
            "parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {text:?} as a time"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<LogOptions, ApiError> {
        LogOptions::parse(&Query::parse(Some(query)), "p")
    }

    #[track_caller]
    fn asks(query: &str, expected: &[(&str, &str)]) {
        let asked = parse(query).unwrap().parameters();
        let asked: Vec<_> = asked
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        assert_eq!(asked, expected, "{query}");
    }

    #[test]
    fn what_is_asked_is_passed_on_and_nothing_else() {
        asks("", &[]);
        asks("follow=false&previous=0&pretty=true&container=c", &[]);
        asks(
            "timestamps=&tailLines=0&sinceTime=2024-05-01T14:00:00.5%2B02:00&previous=1&limitBytes=1&follow=true",
            &[
                ("follow", "true"),
                ("limitBytes", "1"),
                ("previous", "true"),
                ("sinceTime", "2024-05-01T12:00:00Z"),
                ("tailLines", "0"),
                ("timestamps", "true"),
            ],
        );
        asks("sinceSeconds=5", &[("sinceSeconds", "5")]);
        assert_eq!(
            parse("container=c").unwrap().container.as_deref(),
            Some("c")
        );
    }

    #[test]
    fn what_cannot_be_is_refused_in_the_words_of_upstream() {
        let invalid = |what: &str| format!("PodLogOptions \"p\" is invalid: {what}");
        for (query, code, text) in [
            ("tailLines=x", 400, "strconv.ParseInt: parsing \"x\": invalid syntax".to_owned()),
            (
                "sinceTime=now",
                400,
                "parsing time \"now\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"now\" as a time".to_owned(),
            ),
            (
                "tailLines=-1",
                422,
                invalid("tailLines: Invalid value: -1: must be greater than or equal to 0"),
            ),
            (
                "limitBytes=0",
                422,
                invalid("limitBytes: Invalid value: 0: must be greater than 0"),
            ),
            (
                "sinceSeconds=0",
                422,
                invalid("sinceSeconds: Invalid value: 0: must be greater than 0"),
            ),
            (
                "sinceSeconds=1&sinceTime=2024-05-01T12:00:00Z",
                422,
                invalid("Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"),
            ),
            ("stream=Stdout", 422, invalid("stream: Forbidden: may not be specified")),
            (
                "limitBytes=-1&tailLines=-2",
                422,
                invalid(
                    "[tailLines: Invalid value: -2: must be greater than or equal to 0, \
                     limitBytes: Invalid value: -1: must be greater than 0]",
                ),
            ),
            (
                "insecureSkipTLSVerifyBackend=true",
                501,
                "kubewright-apiserver does not support insecureSkipTLSVerifyBackend: \
                 kubelets are always verified"
                    .to_owned(),
            ),
        ] {
            let error = parse(query).unwrap_err();
            assert_eq!((error.code().as_u16(), error.to_string()), (code, text), "{query}");
        }
    }
}
