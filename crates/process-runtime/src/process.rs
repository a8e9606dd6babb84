//! The processes of the host, as `/proc` shows them.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// One process, at the time at which it was looked at.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    pub(crate) session: i32,
    /// When it started, in ticks since the machine did; tells apart processes of one number.
    pub(crate) start: u64,
    pub(crate) is_zombie: bool,
    /// The processor time of itself, in ticks.
    pub(crate) ticks: u64,
    /// The processor time of children that ended and were waited for, in ticks.
    pub(crate) ended_ticks: u64,
    /// In pages.
    pub(crate) resident: u64,
    pub(crate) minor_faults: u64,
    pub(crate) major_faults: u64,
}

impl Process {
    pub(crate) fn read(pid: i32) -> Option<Self> {
        let text = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
        Self::parse(pid, &String::from_utf8_lossy(&text))
    }

    /// The name of a program may hold anything, and ends with the last parenthesis.
    fn parse(pid: i32, stat: &str) -> Option<Self> {
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<_> = rest.split_ascii_whitespace().collect();
        // The first of them is the third field of the manual page.
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        let id = |field: usize| fields.get(field - 3)?.parse::<i32>().ok();
        Some(Self {
            pid,
            parent: id(4)?,
            session: id(6)?,
            start: number(22)?,
            is_zombie: matches!(*fields.first()?, "Z" | "X"),
            ticks: number(14)? + number(15)?,
            ended_ticks: number(16)? + number(17)?,
            resident: number(24)?,
            minor_faults: number(10)?,
            major_faults: number(12)?,
        })
    }

    /// Sends a signal to this very process, never to another that got its number since.
    pub(crate) fn signal(&self, signal: Signal) {
        let Some(pid) = Pid::from_raw(self.pid) else {
            return;
        };
        let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else {
            return;
        };
        if Self::read(self.pid).is_some_and(|process| process.start == self.start) {
            // It may have ended by now, which is as good.
            let _ = pidfd_send_signal(handle, signal);
        }
    }

    /// Whether it was started with an environment variable; false if that may not be seen.
    fn has_env(&self, variable: &OsStr) -> bool {
        std::fs::read(format!("/proc/{}/environ", self.pid)).is_ok_and(|environment| {
            environment
                .split(|byte| *byte == 0)
                .any(|entry| entry == variable.as_bytes())
        })
    }
}

/// All processes.
#[derive(Debug)]
pub(crate) struct ProcessTable {
    processes: HashMap<i32, Process>,
}

impl ProcessTable {
    /// Looks at `/proc`; what ends meanwhile may be missing.
    pub(crate) fn read() -> Self {
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let processes = entries
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter_map(|pid| Some((pid, Process::read(pid)?)))
            .collect();
        Self { processes }
    }

    /// All of them, in no order.
    #[cfg(feature = "testing")]
    pub(crate) fn into_processes(self) -> Vec<Process> {
        self.processes.into_values().collect()
    }

    pub(crate) fn get(&self, pid: i32) -> Option<&Process> {
        self.processes.get(&pid)
    }

    /// What a process started, what those started, and so on; without itself.
    pub(crate) fn descendants(&self, ancestor: i32) -> Vec<&Process> {
        let mut children: HashMap<i32, Vec<&Process>> = HashMap::new();
        for process in self.processes.values() {
            children.entry(process.parent).or_default().push(process);
        }
        let mut found = Vec::new();
        let mut seen = HashSet::from([ancestor]);
        let mut ancestors = vec![ancestor];
        while let Some(ancestor) = ancestors.pop() {
            for process in children.get(&ancestor).into_iter().flatten() {
                if seen.insert(process.pid) {
                    ancestors.push(process.pid);
                    found.push(*process);
                }
            }
        }
        found
    }

    /// Those that were started with an environment variable, and what shares the session with one
    /// of them if it is that session.
    ///
    /// The number of a session alone tells nothing: it may be another one's by now.
    pub(crate) fn remnants(&self, session: i32, variable: &OsStr) -> Vec<&Process> {
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        let others = || {
            let others = self.processes.values();
            others.filter(move |process| !process.is_zombie && process.pid != own)
        };
        let mut found: Vec<_> = others()
            .filter(|process| process.has_env(variable))
            .collect();
        if found.iter().any(|process| process.session == session) {
            found.extend(others().filter(|process| process.session == session));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_may_be_named_anything() {
        let stat = "7 (a) b (c)) S 1 7 6 0 -1 4194560 11 0 12 0 3 4 5 6 20 0 1 0 99 4096 25 18446744073709551615";
        let process = Process::parse(7, stat).unwrap();
        assert_eq!((process.parent, process.session, process.start), (1, 6, 99));
        assert_eq!((process.ticks, process.ended_ticks), (7, 11));
        assert_eq!((process.minor_faults, process.major_faults), (11, 12));
        assert_eq!(process.resident, 25);
        assert!(!process.is_zombie);
        assert!(Process::parse(7, "7 (x) S 1").is_none());
    }

    #[test]
    fn this_process_is_a_descendant_of_its_parent() {
        let own = i32::try_from(std::process::id()).unwrap();
        let table = ProcessTable::read();
        let parent = table.get(own).unwrap().parent;
        let family = table.descendants(parent);
        assert!(family.iter().any(|process| process.pid == own));
        assert!(family.iter().all(|process| process.pid != parent));
    }
}
