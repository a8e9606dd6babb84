use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use kubewright_cri::{Endpoint, Runtime, RuntimeOptions};
use rustix::mount::{UnmountFlags, unmount};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::config::{cni_conflist, containerd_toml};
use crate::layout::archive;
use crate::{Error, Image, Options, Requirements, shims};

/// How long the daemon may take to answer, on a machine where many of them start.
const START: Duration = Duration::from_secs(120);

/// A containerd that runs.
///
/// Dropping it kills the daemon and leaves the rest; [`stop`](Self::stop) is the clean end.
#[derive(Debug)]
pub struct Containerd {
    directory: TempDir,
    found: Requirements,
    endpoint: Endpoint,
    daemon: Child,
}

impl Containerd {
    /// Starts a daemon and gives it what sandboxes are made from.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] on a machine that lacks what it needs.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let found = Requirements::find()?;
        // A short path: names of sockets have a limit.
        let directory = tempfile::Builder::new().prefix("ctd-").tempdir();
        let directory = directory.map_err(Error::io("a temporary directory"))?;
        let path = directory.path();
        write(
            &path.join("containerd.toml"),
            &containerd_toml(path, &found),
        )?;
        let networks = path.join("cni");
        fs::create_dir(&networks).map_err(Error::io(&networks))?;
        write(
            &networks.join("pods.conflist"),
            &cni_conflist(path, &options),
        )?;
        let socket = path.join("containerd.sock");
        let endpoint = format!("unix://{}", socket.display());
        let endpoint = endpoint.parse().map_err(Error::Socket)?;
        let daemon = spawn(path, &found)?;
        let containerd = Self {
            directory,
            found,
            endpoint,
            daemon,
        };
        containerd.wait().await?;
        containerd.import(&[Image::sandbox()]).await?;
        Ok(containerd)
    }

    /// Where it listens.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The directory that it has to itself.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The process of the daemon; `None` if it was killed.
    pub fn process(&self) -> Option<u32> {
        self.daemon.id()
    }

    /// Makes images and gives them to the daemon.
    ///
    /// # Errors
    ///
    /// If a file of an image cannot be read, or the daemon refuses it.
    pub async fn import(&self, images: &[Image]) -> Result<(), Error> {
        let images = archive(images, &self.found.busybox)?;
        let mut ctr = Command::new(&self.found.ctr);
        ctr.arg("--address")
            .arg(self.directory().join("containerd.sock"));
        ctr.args(["--namespace", "k8s.io", "images", "import", "-"]);
        ctr.stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut running = ctr.spawn().map_err(Error::io(&self.found.ctr))?;
        if let Some(mut input) = running.stdin.take() {
            // If it does not read to the end, its output says why.
            let _ = input.write_all(&images).await;
        }
        let ended = running.wait_with_output().await;
        let ended = ended.map_err(Error::io(&self.found.ctr))?;
        if ended.status.success() {
            return Ok(());
        }
        Err(Error::Program {
            program: "ctr images import".to_owned(),
            output: String::from_utf8_lossy(&ended.stderr).into_owned(),
        })
    }

    /// Kills the daemon, as a crash would. Containers go on.
    ///
    /// # Errors
    ///
    /// If it cannot be waited for.
    pub async fn kill(&mut self) -> Result<(), Error> {
        self.daemon.kill().await.map_err(Error::io("containerd"))
    }

    /// Starts the daemon again after it was killed.
    ///
    /// # Errors
    ///
    /// If it cannot be started or does not answer.
    pub async fn start_again(&mut self) -> Result<(), Error> {
        self.daemon = spawn(self.directory(), &self.found)?;
        self.wait().await
    }

    /// Ends all pods and the daemon, and takes away what they had.
    ///
    /// # Errors
    ///
    /// If something cannot be taken away.
    pub async fn stop(mut self) -> Result<(), Error> {
        let runtime = Runtime::lazy(&self.endpoint, RuntimeOptions::default());
        let sandboxes = runtime.list_pod_sandbox(None).await.map_err(Error::Clear)?;
        for sandbox in sandboxes {
            // Calls of whoever made it may still be under way, and remove it meanwhile.
            for cleared in [
                runtime.stop_pod_sandbox(&sandbox.id).await,
                runtime.remove_pod_sandbox(&sandbox.id).await,
            ] {
                match cleared {
                    Err(error) if !error.is_not_found() => return Err(Error::Clear(error)),
                    _ => {}
                }
            }
        }
        shims::gone(&self.directory().join("containerd.sock")).await;
        self.kill().await?;
        for mount in mounts_below(self.directory())?.into_iter().rev() {
            let unmounted = unmount(&mount, UnmountFlags::DETACH);
            unmounted.map_err(|error| Error::io(mount)(error.into()))?;
        }
        let path = self.directory().to_owned();
        self.directory.close().map_err(Error::io(path))
    }

    /// Waits until the daemon answers as a container runtime that has a network.
    async fn wait(&self) -> Result<(), Error> {
        let runtime = Runtime::lazy(&self.endpoint, RuntimeOptions::default());
        let end = Instant::now() + START;
        while Instant::now() < end {
            if let Ok(answer) = runtime.status().await
                && let Some(status) = answer.status
                && status.conditions.iter().all(|condition| condition.status)
            {
                return Ok(());
            }
            sleep(Duration::from_millis(20)).await;
        }
        let log = fs::read_to_string(self.directory().join("containerd.log"));
        let log = log.unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(20).collect();
        let log = lines.into_iter().rev().collect::<Vec<_>>().join("\n");
        Err(Error::Silent { log })
    }
}

fn spawn(directory: &Path, found: &Requirements) -> Result<Child, Error> {
    let path = directory.join("containerd.log");
    let log = File::options().append(true).create(true).open(&path);
    let log = log.map_err(Error::io(&path))?;
    let output = log.try_clone().map_err(Error::io(&path))?;
    let mut daemon = Command::new(&found.containerd);
    daemon
        .arg("--config")
        .arg(directory.join("containerd.toml"));
    daemon.stdin(Stdio::null()).stdout(output).stderr(log);
    // Its shims are not to be hit by what a terminal sends.
    daemon.process_group(0).kill_on_drop(true);
    daemon.spawn().map_err(Error::io(&found.containerd))
}

fn write(path: &Path, content: &str) -> Result<(), Error> {
    fs::write(path, content).map_err(Error::io(path))
}

/// What is mounted below a directory, in the order in which it was mounted.
fn mounts_below(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let path = "/proc/self/mounts";
    let mounts = fs::read_to_string(path).map_err(Error::io(path))?;
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    let points = points.map(PathBuf::from);
    Ok(points
        .filter(|point| point.starts_with(directory))
        .collect())
}
