use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use self::name::Name;
use crate::{Error, signal};

pub(crate) mod name;

/// The name of the image that is always there.
const HOST: &str = "host";

/// Where commands are looked for if nothing else is said.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The file in the directory of an image that tells of it.
const FILE: &str = "image.json";

/// An image: a name for how processes are started from a directory.
///
/// Nothing is unpacked or hidden: containers of an image see the host's files as all others do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageRecord {
    /// The name, such as `web`, `web:v2` or `registry.example/web:v2`.
    pub name: String,
    /// Where the image's files are; absolute.
    pub directory: PathBuf,
    /// The command that containers run unless they name their own.
    pub entrypoint: Vec<String>,
    /// The arguments of that command unless containers name their own.
    pub command: Vec<String>,
    /// Environment variables; those of a container come over them.
    pub env: BTreeMap<String, String>,
    /// The working directory unless a container names its own; empty for the container's own
    /// directory.
    pub working_dir: String,
    /// What containers are asked to stop with, such as `SIGQUIT`; SIGTERM by default.
    pub stop_signal: Option<String>,
}

/// The part of an OCI image's config that means something here, under its names there.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "PascalCase")]
struct ImageFile {
    entrypoint: Vec<String>,
    cmd: Vec<String>,
    env: Vec<String>,
    working_dir: String,
    stop_signal: Option<String>,
}

impl ImageRecord {
    /// The image `host`: no command of its own, the host's programs.
    pub fn host() -> Self {
        Self::new(HOST, "/")
    }

    /// An image of a directory, without a command of its own.
    pub fn new(name: impl Into<String>, directory: impl Into<PathBuf>) -> Self {
        let directory = directory.into();
        let path = if directory == Path::new("/") {
            DEFAULT_PATH.to_owned()
        } else {
            let own = directory.display();
            format!("{own}/bin:{own}:{DEFAULT_PATH}")
        };
        Self {
            name: name.into(),
            directory,
            entrypoint: Vec::new(),
            command: Vec::new(),
            env: [("PATH".to_owned(), path)].into(),
            working_dir: String::new(),
            stop_signal: None,
        }
    }

    /// An image of a directory, as the file `image.json` in it says.
    ///
    /// The file has the fields `Entrypoint`, `Cmd`, `Env`, `WorkingDir` and `StopSignal` of an OCI
    /// image's config, and no others; a directory without the file is an image without a command.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the directory cannot be read, [`Error::Image`] if the file is wrong.
    pub fn from_directory(name: &str, directory: &Path) -> Result<Self, Error> {
        let directory = directory.canonicalize().map_err(Error::io(directory))?;
        if !directory.is_dir() {
            return Err(Error::io(&directory)(ErrorKind::NotADirectory.into()));
        }
        let path = directory.join(FILE);
        let mut image = Self::new(name, directory);
        let file: ImageFile = match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|error| image.wrong(format!("{}: {error}", path.display())))?,
            Err(error) if error.kind() == ErrorKind::NotFound => ImageFile::default(),
            Err(error) => return Err(Error::io(&path)(error)),
        };
        for variable in &file.env {
            let (key, value) = variable.split_once('=').ok_or_else(|| {
                image.wrong(format!(
                    "{}: {variable:?} is not NAME=VALUE",
                    path.display()
                ))
            })?;
            image.env.insert(key.to_owned(), value.to_owned());
        }
        image.entrypoint = file.entrypoint;
        image.command = file.cmd;
        image.working_dir = file.working_dir;
        image.stop_signal = file.stop_signal;
        Ok(image)
    }

    fn wrong(&self, reason: String) -> Error {
        Error::Image {
            name: self.name.clone(),
            reason,
        }
    }
}

/// The images that there are: all that can be pulled, and of those the ones on the node.
#[derive(Debug)]
pub(crate) struct Images {
    catalogue: BTreeMap<Name, Entry>,
}

#[derive(Debug)]
struct Entry {
    record: ImageRecord,
    is_present: bool,
}

impl Images {
    /// `host` and others; all of them are on the node.
    pub(crate) fn new(records: Vec<ImageRecord>) -> Result<Self, Error> {
        let mut catalogue = BTreeMap::new();
        let all = std::iter::once(ImageRecord::host()).chain(records);
        for record in all {
            let name: Name = record
                .name
                .parse()
                .map_err(|error: name::InvalidName| record.wrong(error.to_string()))?;
            if let Some(signal) = &record.stop_signal
                && signal::parse(signal).is_none()
            {
                return Err(record.wrong(format!("{signal:?} is no signal")));
            }
            if !record.directory.is_absolute() {
                return Err(record.wrong("its directory is not absolute".to_owned()));
            }
            let entry = Entry {
                record,
                is_present: true,
            };
            if let Some(other) = catalogue.insert(name, entry) {
                return Err(other.record.wrong("there are two of that name".to_owned()));
            }
        }
        Ok(Self { catalogue })
    }

    /// An image on the node, by its id or its name.
    pub(crate) fn get(&self, reference: &str) -> Option<(&Name, &ImageRecord)> {
        let (name, entry) = self.find(reference)?;
        entry.is_present.then_some((name, &entry.record))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Name, &ImageRecord)> {
        let entries = self.catalogue.iter();
        entries
            .filter(|(_, entry)| entry.is_present)
            .map(|(name, entry)| (name, &entry.record))
    }

    /// Brings an image onto the node; its id.
    pub(crate) fn pull(&mut self, reference: &str) -> Option<String> {
        let name = self.find(reference)?.0.clone();
        let entry = self.catalogue.get_mut(&name)?;
        entry.is_present = true;
        Some(name.id())
    }

    /// Takes an image off the node, until it is pulled again.
    pub(crate) fn remove(&mut self, reference: &str) {
        let Some(name) = self.find(reference).map(|(name, _)| name.clone()) else {
            return;
        };
        if let Some(entry) = self.catalogue.get_mut(&name) {
            entry.is_present = false;
        }
    }

    fn find(&self, reference: &str) -> Option<(&Name, &Entry)> {
        let name = match Name::of_id(reference) {
            Some(name) => name,
            None => reference.parse().ok()?,
        };
        self.catalogue.get_key_value(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_known_by_id_and_by_every_form_of_their_name() {
        let mut images = Images::new(vec![ImageRecord::new("web:v2", "/srv/web")]).unwrap();
        for reference in [
            "host",
            "host:latest",
            "docker.io/library/host:latest",
            "docker.io/host",
        ] {
            assert_eq!(images.get(reference).unwrap().1.name, "host", "{reference}");
        }
        let id = images.pull("library/web:v2").unwrap();
        assert_eq!(images.get(&id).unwrap().1.name, "web:v2");
        assert!(images.get("web").is_none(), "that is web:latest");
        assert!(images.pull("busybox").is_none());
        images.remove("host");
        assert!(images.get("host").is_none());
        assert!(images.pull("host").is_some());
        assert_eq!(images.iter().count(), 2);
    }

    #[test]
    fn images_that_cannot_be_are_refused() {
        let refused = |image: ImageRecord| Images::new(vec![image]).unwrap_err().to_string();
        assert!(refused(ImageRecord::new("host", "/srv")).contains("two"));
        assert!(refused(ImageRecord::new("Web", "/srv")).contains("Web"));
        assert!(refused(ImageRecord::new("web", "srv")).contains("absolute"));
        let mut image = ImageRecord::new("web", "/srv");
        image.stop_signal = Some("SIGNAL".to_owned());
        assert!(refused(image).contains("SIGNAL"));
    }
}
