use std::path::PathBuf;

use serde_json::{Value, json};

/// What sandboxes are made from. Every daemon has it.
pub(crate) const SANDBOX_IMAGE: &str = "localhost/sandbox:1";

/// An image: a busybox with all its commands, users `root`, `app` (1000) and `nobody` (65534), and
/// what it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    pub(crate) name: String,
    pub(crate) entrypoint: Vec<String>,
    pub(crate) command: Vec<String>,
    pub(crate) environment: Vec<String>,
    pub(crate) user: String,
    pub(crate) working_directory: String,
    /// Files of this machine, and where they are in the image.
    pub(crate) files: Vec<(PathBuf, String)>,
}

impl Image {
    /// A busybox of this name that runs a shell.
    pub fn busybox(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            entrypoint: Vec::new(),
            command: vec!["sh".to_owned()],
            environment: vec!["PATH=/bin".to_owned()],
            user: String::new(),
            working_directory: String::new(),
            files: Vec::new(),
        }
    }

    /// What every sandbox runs.
    pub(crate) fn sandbox() -> Self {
        // Its first process ignores signals that it has no handler for; the runtime kills it.
        Self::busybox(SANDBOX_IMAGE).entrypoint(["/bin/sh", "-c", "while :; do sleep 3600; done"])
    }

    /// With another entry point, and no command.
    #[must_use]
    pub fn entrypoint<S: Into<String>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.entrypoint = words.into_iter().map(Into::into).collect();
        self.command.clear();
        self
    }

    /// With another command.
    #[must_use]
    pub fn command<S: Into<String>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.command = words.into_iter().map(Into::into).collect();
        self
    }

    /// With one more variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push(format!("{name}={value}"));
        self
    }

    /// With another user than root.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = user.into();
        self
    }

    /// With another directory to start in.
    #[must_use]
    pub fn working_directory(mut self, directory: impl Into<String>) -> Self {
        self.working_directory = directory.into();
        self
    }

    /// With a file of this machine, under an absolute path.
    #[must_use]
    pub fn file(mut self, host: impl Into<PathBuf>, path: impl Into<String>) -> Self {
        self.files.push((host.into(), path.into()));
        self
    }

    /// The configuration by the OCI's image specification.
    pub(crate) fn config(&self, diff_ids: &[String]) -> Value {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        json!({
            "architecture": architecture,
            "os": "linux",
            "config": {
                "Entrypoint": self.entrypoint,
                "Cmd": self.command,
                "Env": self.environment,
                "User": self.user,
                "WorkingDir": self.working_directory,
            },
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        })
    }
}
