use serde::Serialize;

use crate::ExitStatus;

/// How a command ended, as Kubernetes' `Status`: as much of it as is used here.
#[derive(Debug, Default, Serialize)]
pub(super) struct Status {
    metadata: Empty,
    status: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
}

#[derive(Debug, Default, Serialize)]
struct Empty {}

#[derive(Debug, Serialize)]
struct Details {
    causes: [Cause; 1],
}

#[derive(Debug, Serialize)]
struct Cause {
    reason: &'static str,
    message: String,
}

impl Status {
    pub(super) fn success() -> Self {
        Self {
            status: "Success",
            ..Self::default()
        }
    }

    pub(super) fn exited(status: ExitStatus) -> Self {
        let ExitStatus(code) = status;
        if status == ExitStatus::SUCCESS {
            return Self::success();
        }
        Self {
            status: "Failure",
            message: format!("command terminated with non-zero exit code: exit status {code}"),
            reason: Some("NonZeroExitCode"),
            details: Some(Details {
                causes: [Cause {
                    reason: "ExitCode",
                    message: code.to_string(),
                }],
            }),
            ..Self::default()
        }
    }

    pub(super) fn internal(error: &str) -> Self {
        Self {
            status: "Failure",
            message: format!("Internal error occurred: {error}"),
            reason: Some("InternalError"),
            code: Some(500),
            ..Self::default()
        }
    }

    /// What the error stream ends with. Before version 4 that was a text, if there was an error.
    pub(super) fn text(&self, json: bool) -> Option<String> {
        if json {
            serde_json::to_string(self).ok()
        } else {
            (!self.message.is_empty()).then(|| self.message.clone())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_look_like_those_of_kubernetes() {
        assert_eq!(
            Status::success().text(true).unwrap(),
            r#"{"metadata":{},"status":"Success"}"#
        );
        assert_eq!(
            Status::exited(ExitStatus(3)).text(true).unwrap(),
            r#"{"metadata":{},"status":"Failure","message":"command terminated with non-zero exit code: exit status 3","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}"#
        );
        assert_eq!(
            Status::internal("no such container").text(true).unwrap(),
            r#"{"metadata":{},"status":"Failure","message":"Internal error occurred: no such container","reason":"InternalError","code":500}"#
        );
        assert_eq!(Status::success().text(false), None);
        assert_eq!(
            Status::exited(ExitStatus(3)).text(false).as_deref(),
            Some("command terminated with non-zero exit code: exit status 3")
        );
    }
}
