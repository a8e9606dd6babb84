//! The root directory: what is where in it, and what is found there after a restart.
//!
//! ```text
//! lock                            held by the runtime
//! sandboxes/<id>/record.json      what the sandbox is
//! sandboxes/<id>/ready            there as long as it is ready
//! containers/<id>/record.json     what the container is
//! containers/<id>/root/           its mounts; KUBEWRIGHT_ROOT
//! containers/<id>/lock            held by the shim
//! containers/<id>/sock            where the shim listens
//! containers/<id>/started.json    that it was started
//! containers/<id>/exit.json       how it ended
//! containers/<id>/shim.log        what the shim has to complain about
//! set-aside/                      what could not be read
//! ```
//!
//! A directory without a record is half made or half removed, and nobody's.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use kubewright_clock::Clock;
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::record::{ContainerRecord, SandboxRecord};
use crate::{Error, durable};

pub(crate) const RECORD: &str = "record.json";
pub(crate) const STARTING: &str = "starting";
pub(crate) const STARTED: &str = "started.json";
pub(crate) const EXIT: &str = "exit.json";
pub(crate) const LOCK: &str = "lock";
pub(crate) const ROOT: &str = "root";
pub(crate) const SHIM_LOG: &str = "shim.log";

const SANDBOXES: &str = "sandboxes";
const CONTAINERS: &str = "containers";
const SET_ASIDE: &str = "set-aside";
const READY: &str = "ready";

/// The root directory, held by this runtime alone.
#[derive(Debug)]
pub(crate) struct Store {
    root: PathBuf,
    /// None once it was released.
    lock: Mutex<Option<File>>,
}

/// What was found in one of the directories.
#[derive(Debug)]
pub(crate) enum Found<R> {
    Record(R),
    /// A record that cannot be read, and why.
    Unreadable {
        id: String,
        error: io::Error,
    },
}

impl Store {
    /// The store in a directory that is made if it is not there; `None` if another has it.
    pub(crate) fn open(root: &Path) -> Result<Option<Self>, Error> {
        durable::make_dir(root).map_err(Error::io(root))?;
        let root = root.canonicalize().map_err(Error::io(root))?;
        let path = root.join(LOCK);
        let Some(lock) = durable::lock(&path).map_err(Error::io(&path))? else {
            return Ok(None);
        };
        for directory in [SANDBOXES, CONTAINERS] {
            let path = root.join(directory);
            durable::make_dir(&path).map_err(Error::io(&path))?;
        }
        let lock = Mutex::new(Some(lock));
        Ok(Some(Self { root, lock }))
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn container(&self, id: &str) -> PathBuf {
        self.root.join(CONTAINERS).join(id)
    }

    /// Another runtime may have the directory from now on.
    pub(crate) fn release(&self) {
        self.lock.lock().take();
    }

    fn sandbox(&self, id: &str) -> PathBuf {
        self.root.join(SANDBOXES).join(id)
    }

    /// Writes a new sandbox, which is ready; nothing stays if that fails.
    pub(crate) fn create_sandbox(&self, record: &SandboxRecord) -> io::Result<()> {
        let directory = self.sandbox(&record.id);
        let created = durable::make_dir(&directory)
            .and_then(|()| File::create(directory.join(READY)).map(drop))
            .and_then(|()| durable::write(&directory.join(RECORD), record));
        undone(created, &directory)
    }

    /// Writes a new container, after what belongs to it was made; nothing stays if that fails.
    pub(crate) fn create_container(
        &self,
        id: &str,
        make: impl FnOnce(&Path) -> io::Result<ContainerRecord>,
    ) -> io::Result<ContainerRecord> {
        let directory = self.container(id);
        let created = durable::make_dir(&directory)
            .and_then(|()| make(&directory.join(ROOT)))
            .and_then(|record| {
                durable::write(&directory.join(RECORD), &record)?;
                Ok(record)
            });
        undone(created, &directory)
    }

    /// From now on a sandbox is not ready. That takes no room on a full disk.
    pub(crate) fn end_sandbox(&self, id: &str) -> io::Result<()> {
        match std::fs::remove_file(self.sandbox(id).join(READY)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    pub(crate) fn remove_sandbox(&self, id: &str) -> io::Result<()> {
        remove(&self.sandbox(id))
    }

    pub(crate) fn remove_container(&self, id: &str) -> io::Result<()> {
        remove(&self.container(id))
    }

    pub(crate) fn is_ready(&self, id: &str) -> bool {
        self.sandbox(id).join(READY).exists()
    }

    pub(crate) fn sandboxes(&self) -> Result<Vec<Found<SandboxRecord>>, Error> {
        load(&self.root.join(SANDBOXES))
    }

    pub(crate) fn containers(&self) -> Result<Vec<Found<ContainerRecord>>, Error> {
        load(&self.root.join(CONTAINERS))
    }

    /// Moves a sandbox or container that cannot be read out of the way; where it is then.
    pub(crate) fn set_aside<R>(&self, id: &str) -> Result<PathBuf, Error>
    where
        R: Kept,
    {
        let from = self.root.join(R::DIRECTORY).join(id);
        let aside = self.root.join(SET_ASIDE);
        durable::make_dir(&aside).map_err(Error::io(&aside))?;
        let free = (0..).map(|number: u32| aside.join(format!("{}-{id}-{number}", R::DIRECTORY)));
        let mut free = free.filter(|path| !path.exists());
        let to = free.next().unwrap_or(aside);
        std::fs::rename(&from, &to).map_err(Error::io(&from))?;
        Ok(to)
    }

    /// Removes all that is empty, and the lock: the root directory as well, unless there is
    /// something else in it.
    pub(crate) fn remove_all(&self) -> Result<(), Error> {
        for path in [self.root.join(SANDBOXES), self.root.join(CONTAINERS)] {
            durable::remove_dir(&path).map_err(Error::io(&path))?;
        }
        let lock = self.root.join(LOCK);
        std::fs::remove_file(&lock).map_err(Error::io(&lock))?;
        match std::fs::remove_dir(&self.root) {
            Err(error) if error.kind() != ErrorKind::DirectoryNotEmpty => {
                Err(Error::io(&self.root)(error))
            }
            _ => Ok(()),
        }
    }
}

/// What is kept in a directory of its own, by its id.
pub(crate) trait Kept: Serialize + DeserializeOwned {
    const DIRECTORY: &'static str;

    fn id(&self) -> &str;
}

impl Kept for SandboxRecord {
    const DIRECTORY: &'static str = SANDBOXES;

    fn id(&self) -> &str {
        &self.id
    }
}

impl Kept for ContainerRecord {
    const DIRECTORY: &'static str = CONTAINERS;

    fn id(&self) -> &str {
        &self.id
    }
}

/// The present as CRI writes it, in nanoseconds since 1970.
pub(crate) fn nanoseconds(clock: &Clock) -> i64 {
    i64::try_from(clock.now().as_nanosecond()).unwrap_or(i64::MAX)
}

fn load<R: Kept>(directory: &Path) -> Result<Vec<Found<R>>, Error> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(Error::io(directory))? {
        let path = entry.map_err(Error::io(directory))?.path();
        let Some(id) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        match durable::read::<R>(&path.join(RECORD)) {
            Ok(record) if record.id() == id => found.push(Found::Record(record)),
            Ok(_) => found.push(Found::Unreadable {
                id: id.to_owned(),
                error: io::Error::new(ErrorKind::InvalidData, "the record is of another id"),
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                durable::remove_dir(&path).map_err(Error::io(&path))?;
            }
            Err(error) => found.push(Found::Unreadable {
                id: id.to_owned(),
                error,
            }),
        }
    }
    Ok(found)
}

/// The record goes first: what is left without it is nobody's.
fn remove(directory: &Path) -> io::Result<()> {
    match std::fs::remove_file(directory.join(RECORD)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => durable::remove_dir(directory),
    }
}

fn undone<T>(result: io::Result<T>, directory: &Path) -> io::Result<T> {
    if result.is_err() {
        // What stays all the same has no record, and is removed with the next start.
        let _ = remove(directory);
    }
    result
}
