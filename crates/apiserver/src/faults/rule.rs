use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Call, Fault, Faults, Verb};

/// Which requests meet a [`Fault`].
///
/// A rule concerns the requests that fit all that is said about them, and strikes all of these
/// unless [`nth`](Self::nth), [`skip`](Self::skip), [`times`](Self::times) or
/// [`chance`](Self::chance) say otherwise.
pub struct Rule {
    fault: Fault,
    verbs: Vec<Verb>,
    resource: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
    predicate: Option<Box<Predicate>>,
    skip: u64,
    times: u64,
    chance: f64,
}

type Predicate = dyn Fn(&Call) -> bool + Send + Sync;

impl Rule {
    /// A rule that strikes every request.
    pub fn new(fault: Fault) -> Self {
        Self {
            fault,
            verbs: Vec::new(),
            resource: None,
            namespace: None,
            name: None,
            predicate: None,
            skip: 0,
            times: u64::MAX,
            chance: 1.0,
        }
    }

    /// Concerns requests of this verb; called again, of this one too.
    #[must_use]
    pub fn verb(mut self, verb: Verb) -> Self {
        self.verbs.push(verb);
        self
    }

    /// Concerns requests to this resource, written as in RBAC rules: `pods` for the objects,
    /// `pods/status` for a subresource, `pods/*` for both.
    ///
    /// The group may follow the plural, as in `replicasets.apps/status`.
    #[must_use]
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.resource = Some(resource.into());
        self
    }

    /// Concerns requests in this namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Concerns requests about the object of this name; for a new object, the one in its body.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Concerns requests that fit a condition, in place of one that was set before.
    #[must_use]
    pub fn when(mut self, condition: impl Fn(&Call) -> bool + Send + Sync + 'static) -> Self {
        self.predicate = Some(Box::new(condition));
        self
    }

    /// Strikes the request of this number only; the first is 1.
    #[must_use]
    pub fn nth(self, number: u64) -> Self {
        self.skip(number.saturating_sub(1)).times(1)
    }

    /// Spares so many requests before it strikes.
    #[must_use]
    pub fn skip(mut self, requests: u64) -> Self {
        self.skip = requests;
        self
    }

    /// Strikes no more than so many requests.
    #[must_use]
    pub fn times(mut self, requests: u64) -> Self {
        self.times = requests;
        self
    }

    /// Strikes each request with this probability, from 0 to 1.
    #[must_use]
    pub fn chance(mut self, probability: f64) -> Self {
        self.chance = probability;
        self
    }

    fn concerns(&self, call: &Call) -> bool {
        let is =
            |wanted: &Option<String>, given: &Option<String>| wanted.is_none() || wanted == given;
        (self.verbs.is_empty() || self.verbs.contains(&call.verb))
            && self
                .resource
                .as_deref()
                .is_none_or(|resource| names(resource, call))
            && is(&self.namespace, &call.namespace)
            && is(&self.name, &call.name)
            && self
                .predicate
                .as_ref()
                .is_none_or(|predicate| predicate(call))
    }
}

/// Whether `pods`, `pods/status` or `replicasets.apps/*` names what a request is about.
fn names(wanted: &str, call: &Call) -> bool {
    // A path that names no resource is taken as it is.
    if wanted == call.resource && call.subresource.is_none() {
        return true;
    }
    let (resource, subresource) = match wanted.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource)),
        None => (wanted, None),
    };
    let (plural, group) = match resource.split_once('.') {
        Some((plural, group)) => (plural, Some(group)),
        None => (resource, None),
    };
    plural == call.resource
        && group.is_none_or(|group| group == call.group)
        && (subresource == Some("*") || subresource == call.subresource.as_deref())
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule")
            .field("fault", &self.fault)
            .field("verbs", &self.verbs)
            .field("resource", &self.resource)
            .field("namespace", &self.namespace)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A rule and its counts.
#[derive(Debug)]
pub(super) struct Active {
    rule: Rule,
    concerned: AtomicU64,
    struck: AtomicU64,
}

impl Active {
    pub(super) fn new(rule: Rule) -> Self {
        Self {
            rule,
            concerned: AtomicU64::new(0),
            struck: AtomicU64::new(0),
        }
    }

    /// Counts a request, and says whether the rule strikes it.
    ///
    /// Called for one request at a time.
    pub(super) fn strikes(&self, call: &Call, random: &mut fastrand::Rng) -> bool {
        let rule = &self.rule;
        if !rule.concerns(call) {
            return false;
        }
        let number = self.concerned.fetch_add(1, Ordering::Relaxed);
        let strikes = number >= rule.skip
            && self.struck.load(Ordering::Relaxed) < rule.times
            && (rule.chance >= 1.0 || random.f64() < rule.chance);
        self.struck.fetch_add(u64::from(strikes), Ordering::Relaxed);
        strikes
    }

    pub(super) fn fault(&self) -> &Fault {
        &self.rule.fault
    }
}

/// A rule that was added. It stays in force when this is dropped.
#[derive(Debug)]
pub struct Injected {
    faults: Faults,
    rule: Arc<Active>,
}

impl Injected {
    pub(super) fn new(faults: Faults, rule: Arc<Active>) -> Self {
        Self { faults, rule }
    }

    /// How many requests the rule has struck.
    pub fn strikes(&self) -> u64 {
        self.rule.struck.load(Ordering::Relaxed)
    }

    /// How many requests the rule has concerned, struck or spared.
    pub fn requests(&self) -> u64 {
        self.rule.concerned.load(Ordering::Relaxed)
    }

    /// Takes the rule out of force.
    pub fn remove(self) {
        self.faults.remove(&self.rule);
    }
}
