use std::fmt;
use std::sync::Arc;

use http::StatusCode;

use crate::server::answer::{self, Answer};
use crate::server::query::Query;

/// Something about the agent that is well or not.
#[derive(Clone)]
pub struct HealthCheck {
    name: &'static str,
    check: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
}

/// All that must be well for the agent to be. Cheap to clone.
///
/// The checks `ping` and `log` are always there. Both say that somebody answers: what the agent logs
/// is written before it goes on, and never waits for a flush.
#[derive(Clone, Debug)]
pub struct HealthChecks {
    checks: Arc<[HealthCheck]>,
}

impl HealthCheck {
    /// A check of this name, which says why not all is well.
    pub fn new(
        name: &'static str,
        check: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            check: Arc::new(check),
        }
    }

    /// Finds out whether it is well.
    ///
    /// # Errors
    ///
    /// Why it is not.
    pub fn run(&self) -> Result<(), String> {
        (self.check)()
    }
}

impl Default for HealthChecks {
    fn default() -> Self {
        let well = |name| HealthCheck::new(name, || Ok(()));
        Self {
            checks: Arc::new([well("ping"), well("log")]),
        }
    }
}

impl HealthChecks {
    /// The same, and one more.
    pub fn with(self, check: HealthCheck) -> Self {
        Self {
            checks: self.checks.iter().cloned().chain([check]).collect(),
        }
    }

    /// The answer to `/healthz` and the like, which is `root`, or to one check below it.
    pub(super) fn answer(&self, root: &str, check: Option<&str>, query: &Query) -> Answer {
        let Some(name) = check else {
            return self.answer_all(root, query);
        };
        let Some(check) = self.checks.iter().find(|check| check.name == name) else {
            return answer::not_found();
        };
        match check.run() {
            Ok(()) => answer::text(StatusCode::OK, "ok"),
            Err(why) => {
                let text = format!("internal server error: {why}\n");
                answer::text(StatusCode::INTERNAL_SERVER_ERROR, text)
            }
        }
    }

    fn answer_all(&self, root: &str, query: &Query) -> Answer {
        let mut report = String::new();
        let mut failed = Vec::new();
        for check in &*self.checks {
            let name = check.name;
            if query.all("exclude").any(|excluded| excluded == name) {
                report += &format!("[+]{name} excluded: ok\n");
                continue;
            }
            match check.run() {
                Ok(()) => report += &format!("[+]{name} ok\n"),
                Err(why) => {
                    // Whoever may ask is not whoever may know why.
                    report += &format!("[-]{name} failed: reason withheld\n");
                    failed.push(format!("{name}: {why}"));
                }
            }
        }
        if !failed.is_empty() {
            tracing::warn!(checks = failed.join(", "), "{root} check failed");
            let report = format!("{report}{root} check failed\n");
            return answer::text(StatusCode::INTERNAL_SERVER_ERROR, report);
        }
        match query.first("verbose") {
            Some(_) => answer::text(StatusCode::OK, format!("{report}{root} check passed\n")),
            None => answer::text(StatusCode::OK, "ok"),
        }
    }
}

impl fmt::Debug for HealthCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealthCheck")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
