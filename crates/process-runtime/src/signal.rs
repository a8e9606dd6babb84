//! Signals by their names, and what they make of exit codes.

use rustix::process::{Signal, WaitStatus};

const NAMES: [(&str, Signal); 22] = [
    ("ABRT", Signal::ABORT),
    ("ALRM", Signal::ALARM),
    ("BUS", Signal::BUS),
    ("CHLD", Signal::CHILD),
    ("CONT", Signal::CONT),
    ("FPE", Signal::FPE),
    ("HUP", Signal::HUP),
    ("ILL", Signal::ILL),
    ("INT", Signal::INT),
    ("KILL", Signal::KILL),
    ("PIPE", Signal::PIPE),
    ("PROF", Signal::PROF),
    ("PWR", Signal::POWER),
    ("QUIT", Signal::QUIT),
    ("SEGV", Signal::SEGV),
    ("STOP", Signal::STOP),
    ("SYS", Signal::SYS),
    ("TERM", Signal::TERM),
    ("TRAP", Signal::TRAP),
    ("USR1", Signal::USR1),
    ("USR2", Signal::USR2),
    ("WINCH", Signal::WINCH),
];

/// A signal as images name it: `SIGQUIT`, `QUIT` or `3`.
pub(crate) fn parse(name: &str) -> Option<Signal> {
    if let Ok(number) = name.parse() {
        return Signal::from_named_raw(number);
    }
    let name = name.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    let (_, signal) = NAMES.iter().find(|(known, _)| *known == name)?;
    Some(*signal)
}

/// The exit code of a process as container runtimes tell it: 128 and the signal that ended it.
pub(crate) fn exit_code(status: WaitStatus) -> Option<i32> {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Some(code),
        (None, Some(signal)) => Some(128 + signal),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        assert_eq!(parse("SIGQUIT"), Some(Signal::QUIT));
        assert_eq!(parse("quit"), Some(Signal::QUIT));
        assert_eq!(parse("3"), Some(Signal::QUIT));
        assert_eq!(parse("SIGNOTHING"), None);
        assert_eq!(parse(""), None);
    }
}
