use super::Agent;

/// How much an agent remembers, by what it is about. What was said of pods that are gone is
/// forgotten, so that none of it grows with their number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Census {
    /// Pods and mirror pods that the sources have.
    pub pods: usize,
    /// Workers of pods.
    pub workers: usize,
    /// Pods with a status.
    pub statuses: usize,
    /// Probes.
    pub probes: usize,
    /// Pods with a container that could not be started.
    pub failures: usize,
    /// Containers that crashed not long ago.
    pub crashes: usize,
    /// Pods of which the runtime has anything.
    pub observed: usize,
    /// Pods that have registered what they refer to.
    pub references: usize,
    /// Config maps, secrets and tokens that pods refer to.
    pub objects: usize,
}

impl Agent {
    /// What counts what the agent remembers, also while it runs.
    pub fn census(&self) -> impl Fn() -> Census + Send + Sync + use<> {
        let (parts, workers) = (self.parts.clone(), self.handler.workers.clone());
        move || {
            let pods = {
                let pods = parts.pods.lock();
                pods.pods().len() + pods.mirrors().len()
            };
            Census {
                pods,
                workers: workers.len(),
                statuses: parts.statuses.len(),
                probes: parts.probes.len(),
                failures: parts.failures.lock().len(),
                crashes: parts.runtime.crashed(),
                observed: parts.cache.len(),
                references: parts.objects.pods(),
                objects: parts.objects.objects() + parts.objects.tokens(),
            }
        }
    }
}
