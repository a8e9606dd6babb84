//! Making containers: from what an agent and an image say to a record.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kubewright_cri::Status;
use kubewright_cri::v1::{self, ContainerEventType};
use rustix::process::Signal;

use super::{Core, blocking, on_disk};
use crate::container::{CONTAINER_ID, Container, Life};
use crate::image::ImageRecord;
use crate::mounts::{Tree, working_dir};
use crate::record::{ContainerRecord, Launch, MountRecord};
use crate::sandbox::Sandbox;
use crate::{durable, mounts, policy, signal};

/// Where the terminal of a container that has one can be looked up.
const TERM: &str = "xterm";

/// What is in the directory of a container beside its mounts.
const HOSTNAME: &str = "etc/hostname";
const RESOLVER: &str = "etc/resolv.conf";
const TMP: &str = "tmp";

impl Core {
    /// Makes a container; it does not run yet.
    pub(crate) async fn create_container(
        self: Arc<Self>,
        request: v1::CreateContainerRequest,
    ) -> Result<String, Status> {
        let sandbox = self.sandbox(&request.pod_sandbox_id)?;
        let _operation = sandbox.operation.read().await;
        if !sandbox.is_ready() {
            return Err(Status::failed_precondition("the sandbox is not ready"));
        }
        let config = request
            .config
            .ok_or_else(|| Status::invalid_argument("no container config"))?;
        let record = self.plan(config, &sandbox)?;
        let tree = Tree::new(&record.mounts).map_err(|error| refused(&error))?;
        let name = name(&record);
        let id = self.state.lock().reserve("container", name.clone())?;
        let core = Arc::clone(&self);
        let path = id.clone();
        let made = {
            let sandbox = Arc::clone(&sandbox);
            blocking(move || {
                core.store
                    .create_container(&path, |root| furnish(record, &path, root, &tree, &sandbox))
            })
            .await
        };
        let record = match made {
            Ok(record) => record,
            Err(error) => {
                self.state.lock().names.remove(&name);
                return Err(on_disk("create container")(error));
            }
        };
        let container = Container::new(record, self.store.container(&id), Life::Created);
        self.state
            .lock()
            .containers
            .insert(id.clone(), Arc::new(container));
        self.tell(ContainerEventType::ContainerCreatedEvent, &id, sandbox.id());
        Ok(id)
    }

    /// The record of a container, as far as it follows from what is wanted.
    fn plan(
        &self,
        config: v1::ContainerConfig,
        sandbox: &Sandbox,
    ) -> Result<ContainerRecord, Status> {
        let metadata = config
            .metadata
            .clone()
            .ok_or_else(|| Status::invalid_argument("the container has no metadata"))?;
        policy::check_container(&config, self.identity).map_err(Status::invalid_argument)?;
        let ignored = policy::ignored(&config);
        if !ignored.is_empty() {
            let ignored = ignored.join(", ");
            tracing::warn!(container = metadata.name, %ignored, "a container runs without what it asks for");
        }
        let spec = config.image.unwrap_or_default();
        let images = self.images.lock();
        let (image_name, image) = images
            .get(&spec.image)
            .ok_or_else(|| Status::not_found(format!("no image {:?}", spec.image)))?;
        let command = command(image, &config.command, &config.args);
        if command.is_empty() {
            return Err(Status::invalid_argument("no command specified"));
        }
        let mut env = environment(image, config.envs, sandbox)?;
        if config.tty {
            env.entry("TERM".to_owned())
                .or_insert_with(|| TERM.to_owned());
        }
        let devices = config.devices.into_iter().map(|device| MountRecord {
            container_path: device.container_path,
            host_path: device.host_path,
            readonly: false,
            propagation: 0,
        });
        let mounts = config.mounts.into_iter().map(|mount| MountRecord {
            container_path: mount.container_path,
            host_path: mount.host_path,
            readonly: mount.readonly,
            propagation: mount.propagation,
        });
        let working_dir = if config.working_dir.is_empty() {
            image.working_dir.clone()
        } else {
            config.working_dir
        };
        let stop_signal = image.stop_signal.as_deref().and_then(signal::parse);
        let logs = &sandbox.record.log_directory;
        let has_log = !config.log_path.is_empty() && !logs.as_os_str().is_empty();
        Ok(ContainerRecord {
            id: String::new(),
            sandbox_id: sandbox.id().to_owned(),
            name: metadata.name,
            attempt: metadata.attempt,
            image: image_name.to_string(),
            user_specified_image: spec.user_specified_image,
            image_id: image_name.id(),
            labels: config.labels,
            annotations: config.annotations,
            mounts: mounts.chain(devices).collect(),
            log_path: has_log.then(|| logs.join(&config.log_path)),
            stdin: config.stdin,
            stdin_once: config.stdin_once,
            tty: config.tty,
            stop_signal: stop_signal.unwrap_or(Signal::TERM).as_raw(),
            launch: Launch {
                command,
                env,
                working_dir: working_dir.into(),
                image_dir: image.directory.clone(),
            },
            created_at: self.now(),
        })
    }

    /// Takes in a container of an earlier run.
    pub(super) fn adopt_container(&self, record: ContainerRecord, life: Life) -> Arc<Container> {
        let id = record.id.clone();
        let name = name(&record);
        let container = Arc::new(Container::new(record, self.store.container(&id), life));
        let mut state = self.state.lock();
        state.names.insert(name, id.clone());
        state.containers.insert(id, Arc::clone(&container));
        container
    }

    /// Nothing of a container is left.
    pub(super) fn forget_container(&self, container: &Container) {
        let mut state = self.state.lock();
        state.names.remove(&name(&container.record));
        state.containers.remove(container.id());
    }
}

/// Makes the directory of a container, and completes its record with what is in there.
fn furnish(
    mut record: ContainerRecord,
    id: &str,
    root: &Path,
    tree: &Tree,
    sandbox: &Sandbox,
) -> io::Result<ContainerRecord> {
    let hostname = &sandbox.record.hostname;
    let mut files = Vec::new();
    if !hostname.is_empty() {
        files.push((HOSTNAME, format!("{hostname}\n")));
    }
    if let Some(resolver) = &sandbox.record.resolver {
        files.push((RESOLVER, resolver.clone()));
    }
    tree.build(root, &files)?;
    let tmp = root.join(TMP);
    if !tmp.exists() {
        durable::make_dir(&tmp)?;
    }
    let wanted = record.launch.working_dir.to_string_lossy().into_owned();
    record.launch.working_dir = working_dir(root, &wanted)?;
    id.clone_into(&mut record.id);
    let env = &mut record.launch.env;
    let mut set = |key: &str, value: &Path| {
        let value = value.to_string_lossy().into_owned();
        env.entry(key.to_owned()).or_insert(value);
    };
    set("HOME", root);
    set("TMPDIR", &tmp);
    // Whatever a container says of these would not be true.
    let own = [
        ("KUBEWRIGHT_ROOT", root.to_path_buf()),
        ("KUBEWRIGHT_IMAGE", record.launch.image_dir.clone()),
        (CONTAINER_ID, PathBuf::from(id)),
    ];
    for (key, value) in own {
        let value = value.to_string_lossy().into_owned();
        env.insert(key.to_owned(), value);
    }
    Ok(record)
}

/// As container runtimes have it: a command replaces the entrypoint and its arguments, arguments
/// replace those of the image.
fn command(image: &ImageRecord, command: &[String], args: &[String]) -> Vec<String> {
    match (command, args) {
        ([], []) => [image.entrypoint.as_slice(), &image.command].concat(),
        ([], args) => [image.entrypoint.as_slice(), args].concat(),
        (command, args) => [command, args].concat(),
    }
}

fn environment(
    image: &ImageRecord,
    own: Vec<v1::KeyValue>,
    sandbox: &Sandbox,
) -> Result<BTreeMap<String, String>, Status> {
    let mut env = image.env.clone();
    let hostname = &sandbox.record.hostname;
    if !hostname.is_empty() {
        env.insert("HOSTNAME".to_owned(), hostname.clone());
    }
    for v1::KeyValue { key, value } in own {
        let is_name = !key.is_empty() && !key.contains(['=', '\0']);
        let value = String::from_utf8(value).ok();
        let value = value.filter(|value| is_name && !value.contains('\0'));
        let value = value.ok_or_else(|| {
            Status::invalid_argument(format!("environment variable {key:?} is no text"))
        })?;
        env.insert(key, value);
    }
    env.insert("KUBEWRIGHT_SANDBOX_ID".to_owned(), sandbox.id().to_owned());
    match sandbox.record.address {
        Some(address) => env.insert("KUBEWRIGHT_POD_IP".to_owned(), address.to_string()),
        None => env.remove("KUBEWRIGHT_POD_IP"),
    };
    Ok(env)
}

fn refused(error: &mounts::MountError) -> Status {
    Status::invalid_argument(format!("failed to generate container mounts: {error}"))
}

fn name(record: &ContainerRecord) -> String {
    let ContainerRecord {
        name,
        sandbox_id,
        attempt,
        ..
    } = record;
    format!("{name}_{sandbox_id}_{attempt}")
}
