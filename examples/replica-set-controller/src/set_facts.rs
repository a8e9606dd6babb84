use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::apps::v1::ReplicaSet;
use kubewright_cache::{Object, Uid};

use crate::replica_set::ReplicaSetView;
use crate::selector::Selector;

/// What events of pods need to know of sets, remembered for each generation of a set.
///
/// A pod's event may concern any set of its namespace, and reading all of them each time would
/// be most of the work. Cheap to clone; clones remember together.
#[derive(Clone, Debug, Default)]
pub struct SetFacts {
    remembered: Arc<Mutex<Remembered>>,
}

/// By set, of which generation the facts are, and those.
type Remembered = HashMap<Uid, (i64, Arc<Facts>)>;

/// What events of pods need to know of a set.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Which pods are the set's; `None` if its selector is invalid.
    pub selector: Option<Selector>,
    /// How long its pods have to be ready to count as available.
    pub min_ready: Duration,
}

impl SetFacts {
    /// The facts of a set; those of one that cannot be read are that it selects nothing.
    pub fn of(&self, set: &Object<ReplicaSet>) -> Arc<Facts> {
        let meta = set.meta();
        // Only a server counts generations; without that, nothing says that the spec is the same.
        let Some(generation) = meta.generation().filter(|_| !meta.uid().is_empty()) else {
            return Arc::new(Facts::read(set));
        };
        if let Some((of, facts)) = self.lock().get(meta.uid())
            && *of == generation
        {
            return Arc::clone(facts);
        }
        let facts = Arc::new(Facts::read(set));
        let entry = (generation, Arc::clone(&facts));
        self.lock().insert(meta.uid().clone(), entry);
        facts
    }

    /// Forgets a set that is gone.
    pub fn forget(&self, set: &Uid) {
        self.lock().remove(set);
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        // Entries are whole whenever the lock is free, whoever panicked.
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Facts {
    fn read(set: &Object<ReplicaSet>) -> Self {
        let body = set.body();
        let Ok(set) = ReplicaSetView::new(set, &body) else {
            return Self::default();
        };
        Self {
            selector: set.selector().ok(),
            min_ready: set.min_ready(),
        }
    }
}
