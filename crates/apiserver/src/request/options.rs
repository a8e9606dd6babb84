//! The options of requests, and which of them go together.

use serde_json::Value;

use crate::error::{ApiError, Cause};
use crate::fields::FieldValidation;
use crate::request::Query;
use crate::strategy::Propagation;

/// What LIST and watch are asked for, beyond selectors.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListOptions {
    pub(crate) label_selector: Option<String>,
    pub(crate) field_selector: Option<String>,
    /// The most items of a page; `None` for all.
    pub(crate) limit: Option<usize>,
    pub(crate) continue_token: Option<String>,
    pub(crate) resource_version: Option<String>,
    pub(crate) version_match: Option<VersionMatch>,
    pub(crate) watch: bool,
    /// How long a watch lasts, in seconds.
    pub(crate) timeout: Option<u64>,
    pub(crate) bookmarks: bool,
    pub(crate) send_initial_events: Option<bool>,
}

/// How the resource version of a list is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VersionMatch {
    Exact,
    NotOlderThan,
}

/// Whether a write is only tried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum DryRun {
    #[default]
    No,
    /// Everything but the writing.
    All,
}

/// What a write is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WriteOptions {
    pub(crate) dry_run: DryRun,
    pub(crate) field_validation: FieldValidation,
}

/// What a deletion is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeleteOptions {
    pub(crate) dry_run: DryRun,
    pub(crate) grace_period: Option<i64>,
    pub(crate) propagation: Option<Propagation>,
    /// The uid that the object must have.
    pub(crate) uid: Option<String>,
    /// The resource version that the object must have.
    pub(crate) resource_version: Option<String>,
}

impl ListOptions {
    /// Reads the options of a LIST, or of a watch if the query or `watch` says so.
    ///
    /// # Errors
    ///
    /// 400 for a value that cannot be read, 422 for options that do not go together.
    pub(crate) fn parse(query: &Query<'_>, watch: bool) -> Result<Self, ApiError> {
        let owned = |name| query.get(name).map(str::to_owned);
        let mut options = Self {
            label_selector: owned("labelSelector"),
            field_selector: owned("fieldSelector"),
            // A limit below zero is none.
            limit: query
                .integer("limit")?
                .and_then(|limit| usize::try_from(limit).ok())
                .filter(|limit| *limit > 0),
            continue_token: owned("continue"),
            resource_version: owned("resourceVersion"),
            version_match: None,
            watch: watch || query.flag("watch").unwrap_or_default(),
            timeout: query
                .integer("timeoutSeconds")?
                .and_then(|seconds| u64::try_from(seconds).ok())
                .filter(|seconds| *seconds > 0),
            bookmarks: query.flag("allowWatchBookmarks").unwrap_or_default(),
            send_initial_events: query.flag("sendInitialEvents"),
        };
        options.check(query.get("resourceVersionMatch"))?;
        Ok(options)
    }

    fn check(&mut self, version_match: Option<&str>) -> Result<(), ApiError> {
        let field = "resourceVersionMatch";
        let mut causes = Vec::new();
        self.version_match = match version_match {
            None => None,
            Some("Exact") => Some(VersionMatch::Exact),
            Some("NotOlderThan") => Some(VersionMatch::NotOlderThan),
            Some(_) => None,
        };
        match (self.watch, version_match) {
            (true, given) => {
                self.check_watch(given, &mut causes);
            }
            (false, Some(given)) => {
                if self.resource_version.is_none() {
                    causes.push(Cause::forbidden(
                        field,
                        "resourceVersionMatch is forbidden unless resourceVersion is provided",
                    ));
                }
                if self.continue_token.is_some() {
                    causes.push(Cause::forbidden(
                        field,
                        "resourceVersionMatch is forbidden when continue is provided",
                    ));
                }
                if self.version_match.is_none() {
                    let supported = ["Exact", "NotOlderThan", ""];
                    causes.push(Cause::not_supported(field, &given.into(), &supported));
                }
                if self.version_match == Some(VersionMatch::Exact)
                    && self.resource_version.as_deref() == Some("0")
                {
                    causes.push(Cause::forbidden(
                        field,
                        "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
                    ));
                }
            }
            (false, None) => {}
        }
        if !self.watch && self.send_initial_events.is_some() {
            causes.push(Cause::forbidden(
                "sendInitialEvents",
                "sendInitialEvents is forbidden for list",
            ));
        }
        refuse("ListOptions", causes)
    }

    fn check_watch(&self, version_match: Option<&str>, causes: &mut Vec<Cause>) {
        let field = "resourceVersionMatch";
        if self.send_initial_events.is_none() {
            if version_match.is_some() {
                causes.push(Cause::forbidden(
                    field,
                    "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
                ));
            }
            return;
        }
        if version_match != Some("NotOlderThan") {
            causes.push(Cause::forbidden(
                field,
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            ));
            if let Some(given) = version_match {
                causes.push(Cause::not_supported(
                    field,
                    &given.into(),
                    &["NotOlderThan"],
                ));
            }
        }
    }
}

impl WriteOptions {
    /// Reads the options of a write; `kind` is the kind of the options, such as `CreateOptions`.
    ///
    /// # Errors
    ///
    /// 422 for values that do not exist.
    pub(crate) fn parse(query: &Query<'_>, kind: &str) -> Result<Self, ApiError> {
        let mut causes = Vec::new();
        let dry_run = dry_run(query.all("dryRun"), &mut causes);
        let field_validation = match query.get("fieldValidation") {
            None | Some("Warn") => FieldValidation::Warn,
            Some("Ignore") => FieldValidation::Ignore,
            Some("Strict") => FieldValidation::Strict,
            Some(other) => {
                let supported = ["", "Ignore", "Strict", "Warn"];
                causes.push(Cause::not_supported(
                    "fieldValidation",
                    &other.into(),
                    &supported,
                ));
                FieldValidation::Warn
            }
        };
        refuse(kind, causes)?;
        Ok(Self {
            dry_run,
            field_validation,
        })
    }
}

impl DeleteOptions {
    /// Reads the options of a deletion: from its body if it has one, else from its query.
    ///
    /// # Errors
    ///
    /// 422 for values that do not exist or do not go together.
    pub(crate) fn parse(query: &Query<'_>, body: Option<&Value>) -> Result<Self, ApiError> {
        let mut causes = Vec::new();
        let (options, propagation, orphan) = match body {
            Some(body) => {
                let preconditions = &body["preconditions"];
                let owned = |value: &Value| value.as_str().map(str::to_owned);
                let values: Vec<&str> = body["dryRun"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .collect();
                let options = Self {
                    dry_run: dry_run(values.into_iter(), &mut causes),
                    grace_period: body["gracePeriodSeconds"].as_i64(),
                    propagation: None,
                    uid: owned(&preconditions["uid"]),
                    resource_version: owned(&preconditions["resourceVersion"]),
                };
                let orphan = body["orphanDependents"].as_bool();
                (options, owned(&body["propagationPolicy"]), orphan)
            }
            None => {
                let options = Self {
                    dry_run: dry_run(query.all("dryRun"), &mut causes),
                    grace_period: query.integer("gracePeriodSeconds")?,
                    ..Self::default()
                };
                let propagation = query.get("propagationPolicy").map(str::to_owned);
                (options, propagation, query.flag("orphanDependents"))
            }
        };
        let field = "propagationPolicy";
        if propagation.is_some() && orphan.is_some() {
            causes.push(Cause::invalid(
                field,
                &Value::from(propagation.clone()),
                "orphanDependents and deletionPropagation cannot be both set",
            ));
        }
        let propagation = match (propagation.as_deref(), orphan) {
            (Some("Background"), _) | (None, Some(false)) => Some(Propagation::Background),
            (Some("Foreground"), _) => Some(Propagation::Foreground),
            (Some("Orphan"), _) | (None, Some(true)) => Some(Propagation::Orphan),
            (Some(other), _) => {
                let supported = ["Foreground", "Background", "Orphan", "nil"];
                causes.push(Cause::not_supported(field, &other.into(), &supported));
                None
            }
            (None, None) => None,
        };
        refuse("DeleteOptions", causes)?;
        Ok(Self {
            propagation,
            ..options
        })
    }
}

fn dry_run<'v>(values: impl Iterator<Item = &'v str>, causes: &mut Vec<Cause>) -> DryRun {
    let values: Vec<&str> = values.collect();
    if values.iter().any(|value| *value != "All") {
        causes.push(Cause::not_supported(
            "dryRun",
            &values.clone().into(),
            &["All"],
        ));
    }
    match values.as_slice() {
        [] => DryRun::No,
        _ => DryRun::All,
    }
}

fn refuse(kind: &str, causes: Vec<Cause>) -> Result<(), ApiError> {
    match causes.is_empty() {
        true => Ok(()),
        false => Err(ApiError::invalid_kind("meta.k8s.io", kind, "", causes)),
    }
}
