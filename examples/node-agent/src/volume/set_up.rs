use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{EmptyDirVolumeSource, Volume};

use super::{
    AtomicWriter, ContentContext, Medium, Mounter, Payload, PodDirectories, TmpfsOptions,
    VolumeAccess, VolumeError, VolumePlugin, check_host_path, config_map_payload,
    downward_api_payload, projected_payload, secret_payload, set_ownership, tmpfs_size,
};
use crate::objects::{ConfigMaps, Secrets, Tokens};

/// A volume that containers can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountedVolume {
    /// Where it is on the host.
    pub path: PathBuf,
    /// Whether containers may write to it.
    pub access: VolumeAccess,
}

/// The volumes of a pod by their names.
pub type MountedVolumes = BTreeMap<String, MountedVolume>;

/// Sets up a pod's volumes, and brings their content up to date when done again.
#[derive(Clone, Copy, Debug)]
pub struct VolumeSetUp<'a, O, M> {
    /// The pod and the objects that content is made from.
    pub content: ContentContext<'a, O>,
    /// Where the pod's files are.
    pub directories: &'a PodDirectories,
    /// What mounts.
    pub mounter: &'a M,
    /// The time, by which new content is called.
    pub now: Timestamp,
}

impl<O: ConfigMaps + Secrets + Tokens, M: Mounter> VolumeSetUp<'_, O, M> {
    /// Sets up all volumes of the pod.
    ///
    /// # Errors
    ///
    /// The first that cannot be, by name; those before it are set up.
    pub fn set_up_all(&self) -> Result<MountedVolumes, VolumeError> {
        let spec = self.content.downward.pod.spec.as_ref();
        let volumes = spec.into_iter().flat_map(|spec| &spec.volumes).flatten();
        let set_up = volumes.map(|volume| Ok((volume.name.clone(), self.set_up(volume)?)));
        set_up.collect()
    }

    /// Sets up one volume.
    ///
    /// # Errors
    ///
    /// If it is of a kind that this agent does not know, or something that it is made from fails.
    pub fn set_up(&self, volume: &Volume) -> Result<MountedVolume, VolumeError> {
        self.set_up_kind(volume)
            .map_err(|cause| VolumeError::SetUp {
                volume: volume.name.clone(),
                cause: Box::new(cause),
            })
    }

    fn set_up_kind(&self, volume: &Volume) -> Result<MountedVolume, VolumeError> {
        let name = &volume.name;
        let content = &self.content;
        if let Some(source) = &volume.config_map {
            let payload = config_map_payload(content, source)?;
            self.write(VolumePlugin::ConfigMap, name, &payload)
        } else if let Some(source) = &volume.secret {
            let payload = secret_payload(content, source)?;
            self.write(VolumePlugin::Secret, name, &payload)
        } else if let Some(source) = &volume.downward_api {
            let payload = downward_api_payload(content, source)?;
            self.write(VolumePlugin::DownwardApi, name, &payload)
        } else if let Some(source) = &volume.projected {
            let payload = projected_payload(content, source)?;
            self.write(VolumePlugin::Projected, name, &payload)
        } else if let Some(source) = &volume.empty_dir {
            self.empty_dir(name, source)
        } else if let Some(source) = &volume.host_path {
            Ok(MountedVolume {
                path: check_host_path(source)?,
                access: VolumeAccess::ReadWrite,
            })
        } else {
            Err(VolumeError::Unsupported(kind_of(volume)))
        }
    }

    /// Writes the files of a volume; they are kept in memory but for those of config maps, as upstream
    /// keeps them, since some of them are secret.
    fn write(
        &self,
        plugin: VolumePlugin,
        name: &str,
        payload: &Payload,
    ) -> Result<MountedVolume, VolumeError> {
        let path = self.directories.volume(plugin, name);
        let access = VolumeAccess::ReadOnly;
        self.make_volume(&path, access)?;
        if plugin != VolumePlugin::ConfigMap {
            match self.mount_memory(&path, &EmptyDirVolumeSource::default()) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    tracing::warn!(
                        path = %path.display(),
                        "memory cannot be mounted: what is secret is written to the disk"
                    );
                }
                mounted => mounted.map_err(VolumeError::io(&path))?,
            }
        }
        let own = |new: &Path| match self.fs_group() {
            Some(group) => set_ownership(new, group, access),
            None => Ok(()),
        };
        AtomicWriter::new(&path).write(payload, self.now, own)?;
        Ok(MountedVolume { path, access })
    }

    /// An empty directory is made once; what containers did to it since is theirs.
    fn empty_dir(
        &self,
        name: &str,
        source: &EmptyDirVolumeSource,
    ) -> Result<MountedVolume, VolumeError> {
        let medium = Medium::of(source)?;
        let path = self.directories.volume(VolumePlugin::EmptyDir, name);
        let access = VolumeAccess::ReadWrite;
        self.make_volume(&path, access)?;
        if medium == Medium::Memory {
            let mounted = self.mount_memory(&path, source);
            mounted.map_err(VolumeError::io(&path))?;
        }
        Ok(MountedVolume { path, access })
    }

    /// Mounts memory on the directory of a volume, as large as an `emptyDir` of this source, unless it
    /// is there.
    fn mount_memory(&self, path: &Path, source: &EmptyDirVolumeSource) -> io::Result<()> {
        if !self.mounter.mounts_below(path)?.is_empty() {
            return Ok(());
        }
        let downward = &self.content.downward;
        let options = TmpfsOptions {
            size: tmpfs_size(source, downward.pod, downward.allocatable),
            group: self.fs_group(),
        };
        self.mounter.tmpfs(path, options)
    }

    /// Makes the directory of a volume, unless there is one, with all its rights from the start.
    ///
    /// It gets its name last, so that an agent which is killed in between makes it anew.
    fn make_volume(&self, path: &Path, access: VolumeAccess) -> Result<(), VolumeError> {
        if path.is_dir() {
            return Ok(());
        }
        let name = path.file_name().unwrap_or_default();
        let mut unfinished = OsString::from("..");
        unfinished.push(name);
        let unfinished = path.with_file_name(unfinished);
        let io = || VolumeError::io(&unfinished);
        fs::create_dir_all(&unfinished).map_err(io())?;
        fs::set_permissions(&unfinished, Permissions::from_mode(0o777)).map_err(io())?;
        if let Some(group) = self.fs_group() {
            set_ownership(&unfinished, group, access).map_err(io())?;
        }
        fs::rename(&unfinished, path).map_err(VolumeError::io(path))
    }

    fn fs_group(&self) -> Option<u32> {
        let spec = self.content.downward.pod.spec.as_ref()?;
        let group = spec.security_context.as_ref()?.fs_group?;
        u32::try_from(group).ok()
    }
}

/// Unmounts and removes all that a pod has on disk; a pod that has nothing is done.
///
/// # Errors
///
/// If something cannot be unmounted or removed. Nothing is removed while anything is mounted, so
/// that no file of another file system is lost.
pub fn tear_down(directories: &PodDirectories, mounter: &impl Mounter) -> Result<(), VolumeError> {
    remove(directories.pod(), mounter)
}

/// Unmounts and removes the volumes of a pod, and leaves what else it has on disk.
///
/// # Errors
///
/// As of [`tear_down`].
pub fn tear_down_volumes(
    directories: &PodDirectories,
    mounter: &impl Mounter,
) -> Result<(), VolumeError> {
    for directory in [directories.sub_paths(), directories.volumes()] {
        remove(&directory, mounter)?;
    }
    Ok(())
}

/// Removes a directory in which nothing is mounted, after that was seen to.
fn remove(directory: &Path, mounter: &impl Mounter) -> Result<(), VolumeError> {
    let mounts = mounter
        .mounts_below(directory)
        .map_err(VolumeError::io(directory))?;
    for mount in mounts.iter().rev() {
        mounter.unmount(mount).map_err(VolumeError::io(mount))?;
    }
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(VolumeError::io(directory)(error))
        }
        _ => Ok(()),
    }
}

/// What the API calls the kind of a volume.
fn kind_of(volume: &Volume) -> String {
    let fields = serde_json::to_value(volume).unwrap_or_default();
    let mut kinds = fields
        .as_object()
        .into_iter()
        .flat_map(serde_json::Map::keys);
    let kind = kinds.find(|kind| *kind != "name");
    format!("a volume of kind {}", kind.map_or("none", |kind| kind))
}
