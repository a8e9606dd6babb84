use std::time::Duration;

/// How the containers of a name live and die.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Behaviour {
    /// After how long the container exits by itself, and with which code; by default it does not.
    pub exits: Option<(Duration, i32)>,
    /// What it does when it is asked to stop.
    pub on_stop: OnStop,
}

/// What a container does when it is asked to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnStop {
    /// It takes its time and exits with a code; if that is past its grace, it is killed.
    Exits {
        /// How long it takes.
        after: Duration,
        /// With which code it then exits.
        code: i32,
    },
    /// It ignores that, and is killed when its grace is over.
    Ignores,
}

/// How a command in a container ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exec {
    /// What it writes to its standard output.
    pub stdout: Vec<u8>,
    /// What it writes to its standard error.
    pub stderr: Vec<u8>,
    /// With which code it exits.
    pub exit_code: i32,
    /// How long it takes.
    pub takes: Duration,
}

impl Default for OnStop {
    /// At once, with the code 143 of a process that SIGTERM ends.
    fn default() -> Self {
        Self::Exits {
            after: Duration::ZERO,
            code: 143,
        }
    }
}

impl Behaviour {
    /// Containers that exit by themselves.
    pub fn exits(after: Duration, code: i32) -> Self {
        Self {
            exits: Some((after, code)),
            ..Self::default()
        }
    }

    /// Containers that are asked to stop in vain.
    pub fn ignores_stop() -> Self {
        Self {
            on_stop: OnStop::Ignores,
            ..Self::default()
        }
    }
}
