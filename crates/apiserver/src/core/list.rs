//! Listing objects, whole or in pages that all show the same moment.

use std::sync::Arc;

use crate::core::token::ContinueToken;
use crate::core::{Core, Filter};
use crate::error::ApiError;
use crate::request::{ListOptions, VersionMatch};
use crate::resource::Resource;
use crate::store::{Snapshot, Stored};

/// The objects of a list, or of one page of it.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// The moment that the list shows.
    pub(crate) revision: u64,
    pub(crate) items: Vec<Arc<Stored>>,
    /// Where the next page begins.
    pub(crate) continue_token: Option<String>,
    /// How many objects the next pages have together, where that is known.
    pub(crate) remaining: Option<usize>,
}

impl Core {
    /// Lists the objects that `filter` picks.
    ///
    /// # Errors
    ///
    /// 400 for a resource version or continue token that cannot be read, 410 for one that lies too
    /// far back, 504 for a resource version that is not reached yet.
    pub(crate) fn list(
        &self,
        resource: &Resource,
        filter: &Filter,
        options: &ListOptions,
    ) -> Result<Page, ApiError> {
        let token = match options.continue_token.as_deref() {
            Some(token) => Some(ContinueToken::decode(token)?),
            None => None,
        };
        let asked = asked(options)?;
        if let Some(token) = token {
            if asked.is_some_and(|version| version > 0) {
                return Err(ApiError::bad_request(
                    "specifying resource version is not allowed when using continue",
                ));
            }
            let snapshot = self.resume(resource, &token)?;
            return Ok(page(&snapshot, filter, options.limit, Some(&token)));
        }
        let exact = match options.version_match {
            Some(VersionMatch::Exact) => true,
            Some(VersionMatch::NotOlderThan) => false,
            // From before there was a choice: a page is of the version that is asked for.
            None => options.limit.is_some(),
        };
        let snapshot = match asked {
            None | Some(0) => self.store.snapshot(&resource.storage),
            Some(version) => {
                let current = self.store.revision();
                if version > current {
                    return Err(ApiError::too_large_resource_version(version, current));
                }
                match exact {
                    false => self.store.snapshot(&resource.storage),
                    true => self
                        .store
                        .snapshot_at(&resource.storage, version)
                        .map_err(|_| {
                            ApiError::expired(
                                "The resourceVersion for the provided list is too old.",
                            )
                        })?,
                }
            }
        };
        // "Any version will do" is answered from a cache by a real server, which has no pages.
        let limit = options.limit.filter(|_| asked != Some(0));
        Ok(page(&snapshot, filter, limit, None))
    }

    /// The state that a continue token goes on in.
    fn resume(&self, resource: &Resource, token: &ContinueToken) -> Result<Snapshot, ApiError> {
        let Some(revision) = token.revision() else {
            return Ok(self.store.snapshot(&resource.storage));
        };
        if revision > self.store.revision() {
            return Err(ApiError::bad_request(
                "invalid continue token: it names a resource version that is not reached yet",
            ));
        }
        self.store
            .snapshot_at(&resource.storage, revision)
            .map_err(|_| {
                ApiError::expired(
                    "The provided continue parameter is too old to display a consistent list \
                     result. You can start a new list without the continue parameter, or use the \
                     continue token in this response to retrieve the remainder of the results. \
                     Continuing with the provided token results in an inconsistent list - objects \
                     that were created, modified, or deleted between the time the first chunk was \
                     returned and now may show up in the list.",
                )
                .with_continue(token.inconsistent().encode())
            })
    }
}

/// The resource version that a list asks for.
fn asked(options: &ListOptions) -> Result<Option<u64>, ApiError> {
    let Some(version) = options.resource_version.as_deref() else {
        return Ok(None);
    };
    version.parse().map(Some).map_err(|_| {
        ApiError::bad_request(format!(
            "invalid resource version: {}",
            not_a_version(version)
        ))
    })
}

/// How a real server says that a resource version is no number.
pub(crate) fn not_a_version(version: &str) -> String {
    format!(
        "resourceVersion: Invalid value: {version:?}: strconv.ParseUint: parsing {version:?}: invalid syntax"
    )
}

fn page(
    snapshot: &Snapshot,
    filter: &Filter,
    limit: Option<usize>,
    token: Option<&ContinueToken>,
) -> Page {
    let from = token.map(ContinueToken::start);
    let mut objects = filter.candidates(snapshot, from);
    let limit = limit.unwrap_or(usize::MAX);
    let mut items = Vec::new();
    while items.len() < limit
        && let Some(object) = objects.next()
    {
        if filter.selects(object) {
            items.push(Arc::clone(object));
        }
    }
    let mut page = Page {
        revision: snapshot.revision(),
        items,
        continue_token: None,
        remaining: None,
    };
    let Some(next) = objects.next() else {
        return page;
    };
    if !filter.is_selective() {
        // Counted once: the pages that follow are of the same moment.
        page.remaining = Some(match token.and_then(ContinueToken::left) {
            Some(left) => left.saturating_sub(page.items.len()),
            None => 1 + objects.count(),
        });
    }
    let token = ContinueToken::consistent(snapshot.revision(), next.key().as_str(), page.remaining);
    page.continue_token = Some(token.encode());
    page
}
