//! `allOf`, `anyOf`, `oneOf` and `not`.

use serde_json::Value;

use super::Findings;
use crate::error::Cause;
use crate::path::Path;
use crate::schema::{Constraints, Schema};

impl Findings {
    pub(super) fn alternatives(
        &mut self,
        constraints: &Constraints,
        value: &Value,
        path: Path<'_>,
    ) {
        let complain = |why: String| {
            Cause::invalid("<nil>", &Value::from(""), format!("\"{path}\" must {why}"))
        };
        let try_each = |schemas: &[Schema]| -> Vec<Self> {
            schemas
                .iter()
                .map(|schema| {
                    let mut findings = Self::default();
                    findings.value(schema, value, None, path);
                    findings
                })
                .collect()
        };
        let any = try_each(&constraints.any_of);
        if !any.is_empty() && !any.iter().any(Self::is_clean) {
            self.causes
                .push(complain("validate at least one schema (anyOf)".to_owned()));
            self.keep_best(any);
        }
        let one = try_each(&constraints.one_of);
        match one.iter().filter(|tried| tried.is_clean()).count() {
            1 => {}
            _ if one.is_empty() => {}
            0 => {
                self.causes.push(complain(
                    "validate one and only one schema (oneOf). Found none valid".to_owned(),
                ));
                self.keep_best(one);
            }
            many => self.causes.push(complain(format!(
                "validate one and only one schema (oneOf). Found {many} valid alternatives"
            ))),
        }
        let all = try_each(&constraints.all_of);
        let clean = all.iter().filter(|tried| tried.is_clean()).count();
        if clean != all.len() {
            let none = if clean == 0 { ". None validated" } else { "" };
            for tried in all {
                self.causes.extend(tried.causes);
            }
            self.causes
                .push(complain(format!("validate all the schemas (allOf){none}")));
        }
        if let Some(schema) = &constraints.not {
            let tried = try_each(std::slice::from_ref(schema));
            if tried.iter().all(Self::is_clean) {
                self.causes
                    .push(complain("not validate the schema (not)".to_owned()));
            }
        }
    }

    fn is_clean(&self) -> bool {
        self.causes.is_empty()
    }

    /// Keeps the causes of the alternative that got furthest; of the first, where several did.
    fn keep_best(&mut self, tried: Vec<Self>) {
        let best = tried.into_iter().reduce(|best, next| {
            if next.matched > best.matched {
                next
            } else {
                best
            }
        });
        self.causes
            .extend(best.into_iter().flat_map(|best| best.causes));
    }
}
