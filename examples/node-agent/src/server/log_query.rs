use http::StatusCode;
use jiff::Timestamp;

use crate::log::{LogOptions, LogStream, LogStreams};
use crate::server::query::Query;

/// What a request asks for of a log.
///
/// # Errors
///
/// Status and text of the answer, if that cannot be told or makes no sense.
///
/// Answers to what `getContainerLogs` and `ValidatePodLogOptions` of Kubernetes 1.36 accept.
pub(super) fn log_options(
    query: &Query,
    now: Timestamp,
) -> Result<LogOptions, (StatusCode, &'static str)> {
    let undecodable = || {
        (
            StatusCode::BAD_REQUEST,
            r#"{"message": "Unable to decode query."}"#,
        )
    };
    let invalid = || {
        (
            StatusCode::UNPROCESSABLE_ENTITY,
            r#"{"message": "Invalid request."}"#,
        )
    };

    let flag = |name| match query.first(name) {
        None => false,
        Some(value) => !(value == "0" || value.eq_ignore_ascii_case("false")),
    };
    let number = |name| match query.first(name) {
        None => Ok(None),
        Some(value) => value.parse::<i64>().map(Some).map_err(|_| undecodable()),
    };
    // The older name of it wins, as it does upstream.
    let tail = match query.first("tail") {
        Some("all") => None,
        Some("") | None => number("tailLines")?,
        Some(_) => number("tail")?,
    };
    let limit = number("limitBytes")?;
    let since_seconds = number("sinceSeconds")?;
    let since_time = match query.first("sinceTime") {
        None | Some("") => None,
        Some(time) => Some(time.parse::<Timestamp>().map_err(|_| undecodable())?),
    };
    let streams = match query.first("stream") {
        None | Some("All") => LogStreams::All,
        Some("Stdout") => LogStreams::Only(LogStream::Stdout),
        Some("Stderr") => LogStreams::Only(LogStream::Stderr),
        Some(_) => return Err(invalid()),
    };
    let makes_sense = limit.is_none_or(|limit| limit > 0)
        && since_seconds.is_none_or(|seconds| seconds > 0)
        && !(since_seconds.is_some() && since_time.is_some())
        && !(tail.is_some() && streams != LogStreams::All);
    if !makes_sense {
        return Err(invalid());
    }
    let count = |number: Option<i64>| number.map(u64::try_from).transpose();
    let mut options = LogOptions::default().since(since_seconds, since_time, now);
    options.follow = flag("follow");
    options.previous = flag("previous");
    options.timestamps = flag("timestamps");
    options.tail_lines = count(tail).map_err(|_| invalid())?;
    options.limit_bytes = count(limit).map_err(|_| invalid())?;
    options.streams = streams;
    Ok(options)
}
