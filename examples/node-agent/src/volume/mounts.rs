use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, VolumeMount};

use super::{
    MountedVolume, MountedVolumes, Mounter, PodDirectories, VolumeAccess, VolumeError,
    open_sub_path,
};
use crate::environment::{Environment, expand_strictly};

/// Whether mounts that are made later are seen on the other side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Propagation {
    /// They are not.
    #[default]
    None,
    /// Those of the host are seen in the container.
    HostToContainer,
    /// And those of the container on the host.
    Bidirectional,
}

/// A path of the host that a container sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerMount {
    /// Where in the container.
    pub container_path: String,
    /// What of the host.
    pub host_path: PathBuf,
    /// What may be done to it.
    pub access: VolumeAccess,
    /// Whether later mounts are seen.
    pub propagation: Propagation,
}

/// Makes the mounts of a pod's containers.
#[derive(Clone, Copy, Debug)]
pub struct MountMaker<'a, M> {
    /// Where the pod's files are.
    pub directories: &'a PodDirectories,
    /// Its volumes.
    pub volumes: &'a MountedVolumes,
    /// What mounts.
    pub mounter: &'a M,
}

impl<M: Mounter> MountMaker<'_, M> {
    /// The mounts of volumes into a container, in the order of its spec.
    ///
    /// Answers to kubelet's `makeMounts`.
    ///
    /// # Errors
    ///
    /// If a volume is not there, or a part of one leads outside of it.
    pub fn volume_mounts(
        &self,
        container: &Container,
        environment: &Environment,
    ) -> Result<Vec<ContainerMount>, VolumeError> {
        let mounts = container.volume_mounts.iter().flatten().enumerate();
        mounts
            .map(|(index, mount)| self.one(container, environment, index, mount))
            .collect()
    }

    /// The mount of the pod's hosts file, which is written here.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn hosts_mount(&self, content: &str) -> Result<ContainerMount, VolumeError> {
        let path = self.directories.hosts();
        fs::create_dir_all(self.directories.pod()).map_err(VolumeError::io(&path))?;
        write_open_to_all(&path, Some(content), 0o644)?;
        Ok(private("/etc/hosts", path))
    }

    /// The mount of the file that a container writes its termination message to, made here anew.
    ///
    /// # Errors
    ///
    /// If the file cannot be made.
    pub fn termination_log_mount(
        &self,
        container: &Container,
        restart_count: u32,
    ) -> Result<Option<ContainerMount>, VolumeError> {
        let target = container.termination_message_path.as_deref();
        let Some(target) = target.filter(|target| !target.is_empty()) else {
            return Ok(None);
        };
        let directory = self.directories.container(&container.name);
        fs::create_dir_all(&directory).map_err(VolumeError::io(&directory))?;
        let path = directory.join(restart_count.to_string());
        // Whatever user the container runs as is to write it.
        write_open_to_all(&path, None, 0o666)?;
        Ok(Some(private(target, path)))
    }

    fn one(
        &self,
        container: &Container,
        environment: &Environment,
        index: usize,
        mount: &VolumeMount,
    ) -> Result<ContainerMount, VolumeError> {
        let volume = self.volumes.get(&mount.name);
        let volume = volume.ok_or_else(|| VolumeError::NoVolume {
            volume: mount.name.clone(),
            container: container.name.clone(),
        })?;
        if mount.recursive_read_only.as_deref() == Some("Enabled") {
            let what = "recursiveReadOnly: Enabled".to_owned();
            return Err(VolumeError::Unsupported(what));
        }
        let is_read_only = mount.read_only == Some(true);
        Ok(ContainerMount {
            container_path: absolute(&mount.mount_path),
            host_path: self.host_path(container, environment, index, mount, volume)?,
            access: if is_read_only {
                VolumeAccess::ReadOnly
            } else {
                volume.access
            },
            propagation: propagation(mount.mount_propagation.as_deref())?,
        })
    }

    fn host_path(
        &self,
        container: &Container,
        environment: &Environment,
        index: usize,
        mount: &VolumeMount,
        volume: &MountedVolume,
    ) -> Result<PathBuf, VolumeError> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let sub_path = match given(&mount.sub_path_expr) {
            Some(expression) => Some(expand_strictly(&expression, environment)?),
            None => given(&mount.sub_path),
        };
        let Some(sub_path) = sub_path else {
            return Ok(volume.path.clone());
        };
        let path = Path::new(&sub_path);
        if path.is_absolute() {
            return Err(VolumeError::AbsoluteSubPath(sub_path));
        }
        if path.components().any(|part| part == Component::ParentDir) {
            return Err(VolumeError::Backstep(sub_path));
        }
        let failed = |source| VolumeError::SubPath {
            volume: mount.name.clone(),
            container: container.name.clone(),
            source,
        };
        let opened = open_sub_path(&volume.path, &sub_path).map_err(failed)?;
        let target = self
            .directories
            .sub_path(&mount.name, &container.name, index);
        let bound = self.mounter.bind(&opened, &target);
        bound.map_err(VolumeError::io(target))
    }
}

fn private(container_path: &str, host_path: PathBuf) -> ContainerMount {
    ContainerMount {
        container_path: container_path.to_owned(),
        host_path,
        access: VolumeAccess::ReadWrite,
        propagation: Propagation::None,
    }
}

fn write_open_to_all(path: &Path, content: Option<&str>, mode: u32) -> Result<(), VolumeError> {
    let io = || VolumeError::io(path);
    match content {
        // In place, since running containers have this very file mounted.
        Some(content) => fs::write(path, content).map_err(io())?,
        None => {
            let mut options = OpenOptions::new();
            let options = options.write(true).create(true).truncate(true);
            options.open(path).map(drop).map_err(io())?;
        }
    }
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(io())
}

/// A path in a container, from its root.
fn absolute(path: &str) -> String {
    match path.strip_prefix('/') {
        Some(_) => path.to_owned(),
        None => format!("/{path}"),
    }
}

fn propagation(mode: Option<&str>) -> Result<Propagation, VolumeError> {
    match mode {
        None | Some("" | "None") => Ok(Propagation::None),
        Some("HostToContainer") => Ok(Propagation::HostToContainer),
        Some("Bidirectional") => Ok(Propagation::Bidirectional),
        Some(other) => Err(VolumeError::Invalid {
            field: "mountPropagation",
            value: other.to_owned(),
        }),
    }
}
