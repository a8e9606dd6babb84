use std::fmt;

use kube_client::Error;

/// What is worth telling about a set: an Event of the API, once it has a time and a place.
#[derive(Clone, Copy, Debug)]
pub enum SetEvent<'a> {
    /// A pod was created.
    Created {
        /// Its name.
        pod: &'a str,
    },
    /// A pod could not be created.
    CreateFailed {
        /// Why.
        error: Answer<'a>,
    },
    /// A pod was deleted.
    Deleted {
        /// Its name.
        pod: &'a str,
    },
    /// A pod could not be deleted.
    DeleteFailed {
        /// Why.
        error: Answer<'a>,
    },
}

impl SetEvent<'_> {
    /// Whether something went wrong.
    pub const fn is_warning(&self) -> bool {
        matches!(self, Self::CreateFailed { .. } | Self::DeleteFailed { .. })
    }

    /// The `reason`, by which users and programs know the event.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Created { .. } => "SuccessfulCreate",
            Self::CreateFailed { .. } => "FailedCreate",
            Self::Deleted { .. } => "SuccessfulDelete",
            Self::DeleteFailed { .. } => "FailedDelete",
        }
    }
}

impl fmt::Display for SetEvent<'_> {
    /// The `message`, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created { pod } => write!(f, "Created pod: {pod}"),
            Self::CreateFailed { error } => write!(f, "Error creating: {error}"),
            Self::Deleted { pod } => write!(f, "Deleted pod: {pod}"),
            Self::DeleteFailed { error } => write!(f, "Error deleting: {error}"),
        }
    }
}

/// An error of an API call in the server's own words, where it answered.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a>(pub &'a Error);

impl fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Error::Api(status) if !status.message.is_empty() => f.write_str(&status.message),
            error => error.fmt(f),
        }
    }
}

impl Answer<'_> {
    /// The HTTP code of the answer, if there was one.
    pub fn code(&self) -> Option<u16> {
        match self.0 {
            Error::Api(status) => Some(status.code),
            _ => None,
        }
    }

    /// Whether the object is not there.
    pub fn is_not_found(&self) -> bool {
        self.code() == Some(404)
    }

    /// Whether the server names `cause` among the causes of its refusal.
    pub fn has_cause(&self, cause: &str) -> bool {
        let Error::Api(status) = self.0 else {
            return false;
        };
        let causes = status.details.iter().flat_map(|details| &details.causes);
        causes.into_iter().any(|one| one.reason == cause)
    }
}
