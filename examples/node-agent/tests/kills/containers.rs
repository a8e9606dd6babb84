//! What a process runtime has on disk of its containers, which is so whether or not it runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use kubewright_process_runtime::testing::is_alive;
use serde_json::Value;

/// The containers and sandboxes of a runtime, by its directory.
#[derive(Clone, Debug)]
pub(crate) struct Containers {
    root: PathBuf,
}

/// The pod of a container, and its name there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Owner {
    pub(crate) pod: String,
    pub(crate) uid: String,
    pub(crate) container: String,
}

impl Containers {
    pub(crate) fn new(runtime_dir: PathBuf) -> Self {
        Self { root: runtime_dir }
    }

    /// Where they are.
    pub(crate) fn directory(&self) -> PathBuf {
        self.root.join("containers")
    }

    /// The ids of all that there are.
    pub(crate) fn ids(&self) -> Vec<String> {
        names(&self.directory())
    }

    /// Whose a container is; `None` once it is gone.
    pub(crate) fn owner(&self, id: &str) -> Option<Owner> {
        let record = self.read(id, "record.json")?;
        let label = |name: &str| record["labels"][name].as_str().map(str::to_owned);
        Some(Owner {
            pod: label("io.kubernetes.pod.name")?,
            uid: label("io.kubernetes.pod.uid")?,
            container: label("io.kubernetes.container.name")?,
        })
    }

    /// The process of a container that was started.
    pub(crate) fn process(&self, id: &str) -> Option<i32> {
        let pid = self.read(id, "started.json")?["pid"].as_i64()?;
        i32::try_from(pid).ok()
    }

    /// How a container ended, as far as it was written down.
    pub(crate) fn exit_code(&self, id: &str) -> Option<i32> {
        let code = self.read(id, "exit.json")?["code"].as_i64()?;
        i32::try_from(code).ok()
    }

    /// Whether a container runs.
    pub(crate) fn is_running(&self, id: &str) -> bool {
        self.exit_code(id).is_none() && self.process(id).is_some_and(is_alive)
    }

    /// The ids of what runs of a pod.
    pub(crate) fn running(&self, uid: &str) -> BTreeSet<String> {
        let ids = self.ids().into_iter();
        let of_pod = ids.filter(|id| self.owner(id).is_some_and(|owner| owner.uid == uid));
        of_pod.filter(|id| self.is_running(id)).collect()
    }

    /// The processes of what runs of some pods, by the ids of the containers.
    pub(crate) fn processes(&self, uids: &BTreeSet<String>) -> BTreeMap<String, i32> {
        let ids = uids.iter().flat_map(|uid| self.running(uid));
        ids.filter_map(|id| Some((id.clone(), self.process(&id)?)))
            .collect()
    }

    /// What there is of other pods than these, alive or dead.
    pub(crate) fn others(&self, uids: &BTreeSet<String>) -> Vec<String> {
        let mut others = Vec::new();
        for id in self.ids() {
            match self.owner(&id) {
                Some(owner) if uids.contains(&owner.uid) => {}
                owner => others.push(format!("container {id} of {owner:?}")),
            }
        }
        for id in names(&self.root.join("sandboxes")) {
            let record = read(&self.root.join("sandboxes").join(&id).join("record.json"));
            let uid = record.and_then(|record| record["uid"].as_str().map(str::to_owned));
            if uid.as_ref().is_none_or(|uid| !uids.contains(uid)) {
                others.push(format!("sandbox {id} of {uid:?}"));
            }
        }
        others
    }

    fn read(&self, id: &str, name: &str) -> Option<Value> {
        read(&self.directory().join(id).join(name))
    }
}

/// What is not there yet, or not any more, is `None`.
fn read(path: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.collect()
}
