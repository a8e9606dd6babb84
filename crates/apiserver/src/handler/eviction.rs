//! Eviction: deleting a pod, unless a disruption budget forbids it.

use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::body;
use crate::error::{ApiError, Cause};
use crate::handler::{Answer, Exchange};
use crate::request::{DeleteOptions, DryRun};
use crate::selector::LabelSelector;
use crate::store::{Key, Stored};

impl Exchange<'_> {
    pub(super) fn evict_pod(self) -> Result<Answer, ApiError> {
        let key = self.key()?;
        let eviction = body::decode(self.header(&CONTENT_TYPE), &self.body)?.value;
        let said = eviction["metadata"]["name"].as_str().unwrap_or_default();
        if !said.is_empty() && said != key.name() {
            return Err(ApiError::bad_request(
                "name in URL does not match name in Eviction object",
            ));
        }
        let mut options = DeleteOptions::parse(&self.query, Some(&eviction["deleteOptions"]))?;
        if self.query.all("dryRun").any(|value| value == "All") {
            options.dry_run = DryRun::All;
        }
        let pod = self.core.get(&self.target.resource, &key)?;
        if needs_budget(&pod.value()) {
            self.spend_budget(&pod, options.dry_run)?;
        }
        self.core.delete(&self.target.resource, &key, &options)?;
        self.done(StatusCode::CREATED)
    }

    /// Takes the eviction of a pod from the budget that covers it.
    fn spend_budget(&self, pod: &Stored, dry_run: DryRun) -> Result<(), ApiError> {
        let budgets = self
            .resources
            .get("policy", "v1", "poddisruptionbudgets")
            .expect("disruption budgets are built in");
        let snapshot = self.core.store.snapshot(&budgets.storage);
        let covering: Vec<Key> = snapshot
            .range(Some(pod.key().namespace()), None)
            .filter(|budget| {
                let selector = &budget.value()["spec"]["selector"];
                selector.is_object()
                    && LabelSelector::from_value(selector)
                        .is_ok_and(|selector| selector.matches_labels(pod.labels()))
            })
            .map(|budget| budget.key().clone())
            .collect();
        let budget = match covering.as_slice() {
            [] => return Ok(()),
            [budget] => budget,
            _ => {
                return Err(ApiError::internal(
                    "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
                ));
            }
        };
        let name = pod.key().name();
        let now = self.core.timestamp();
        self.core.amend(budgets, budget, dry_run, |object| {
            spend(object, budget.name(), name, &now)
        })?;
        Ok(())
    }
}

/// Whether the pod counts as running: others can go at any time.
fn needs_budget(pod: &Value) -> bool {
    let phase = pod["status"]["phase"].as_str().unwrap_or("Pending");
    phase == "Running" && pod["metadata"]["deletionTimestamp"].is_null()
}

/// Takes one disruption from a budget, or says why there is none.
fn spend(budget: &mut Value, name: &str, pod: &str, now: &Value) -> Result<(), ApiError> {
    let status = &mut budget["status"];
    let number = |field: &str| status[field].as_i64().unwrap_or_default();
    let observed = number("observedGeneration");
    let (allowed, desired, healthy) = (
        number("disruptionsAllowed"),
        number("desiredHealthy"),
        number("currentHealthy"),
    );
    let refuse = |message: String| {
        let cause = Cause {
            reason: "DisruptionBudget",
            field: String::new(),
            message,
        };
        ApiError::eviction_refused().with_cause(cause)
    };
    if observed
        < budget["metadata"]["generation"]
            .as_i64()
            .unwrap_or_default()
    {
        return Err(refuse(format!(
            "The disruption budget {name} is still being processed by the server."
        ))
        .with_retry_after(10));
    }
    if allowed <= 0 {
        return Err(refuse(format!(
            "The disruption budget {name} needs {desired} healthy pods and has {healthy} currently"
        )));
    }
    let status = &mut budget["status"];
    status["disruptionsAllowed"] = (allowed - 1).into();
    if !status["disruptedPods"].is_object() {
        status["disruptedPods"] = json!({});
    }
    status["disruptedPods"][pod] = now.clone();
    Ok(())
}
