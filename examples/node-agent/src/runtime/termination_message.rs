//! The last words of containers.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use kubewright_cri::v1;
use rustix::fs::OFlags;

use super::ContainerRecord;

/// The most of a file that is told.
const MAX_LENGTH: u64 = 4096;
/// The most of a log that is told: so many lines, and so many bytes.
const MAX_LOG_LINES: usize = 80;
const MAX_LOG_LENGTH: usize = 2048;
/// So much of the end of a log holds as many lines as are told: more than 80 of their heads, and
/// one line of the length at which runtimes cut lines.
const LOG_WINDOW: u64 = 64 * 1024;

/// The last words of a container that ended: what it wrote to its file, or the end of its log if it
/// failed without a word and asks for that. `None` if there are none.
///
/// Answers to kubelet's `getTerminationMessage`.
pub(super) fn termination_message(
    status: &v1::ContainerStatus,
    record: &ContainerRecord,
) -> Option<String> {
    let words = read_file(status, record.termination_message_path.as_deref());
    let asks_for_log =
        record.termination_message_policy.as_deref() == Some("FallbackToLogsOnError");
    // One that could not even be started has no log.
    let has_failed = status.exit_code != 0 && status.reason != "ContainerCannotRun";
    let words = match words {
        Some(words) => words,
        None if asks_for_log && has_failed => read_log(Path::new(&status.log_path)),
        None => return None,
    };
    Some(words).filter(|words| !words.is_empty())
}

/// What is in the file; `None` if there is nothing.
fn read_file(status: &v1::ContainerStatus, path: Option<&str>) -> Option<String> {
    let mut mounts = status.mounts.iter();
    let mount = mounts.find(|mount| Some(&*mount.container_path) == path)?;
    match read_end(Path::new(&mount.host_path), MAX_LENGTH) {
        Ok((bytes, _)) => text(&bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => Some(format!(
            "Error on reading termination log {}: {error}",
            mount.host_path
        )),
    }
}

fn text(bytes: &[u8]) -> Option<String> {
    (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned())
}

/// The end of a log, without what the runtime wrote at the head of each line.
fn read_log(path: &Path) -> String {
    match read_end(path, LOG_WINDOW) {
        Ok((bytes, is_cut)) => log_tail(&bytes, is_cut),
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => format!("Error on reading termination message from logs: {error}"),
    }
}

/// The last bytes of a file, and whether there are more before them.
fn read_end(path: &Path, most: u64) -> io::Result<(Vec<u8>, bool)> {
    let mut file = open(path)?;
    let length = file.metadata()?.len();
    let is_cut = length > most;
    if is_cut {
        file.seek(SeekFrom::Start(length - most))?;
    }
    let mut bytes = Vec::new();
    // A file that grows is not followed.
    file.take(most).read_to_end(&mut bytes)?;
    Ok((bytes, is_cut))
}

/// Opens a file that a container may have written, which is not to be waited for.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    if !file.metadata()?.is_file() {
        let message = "it is not a regular file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    Ok(file)
}

/// The last lines of a log in CRI's format.
fn log_tail(bytes: &[u8], is_cut: bool) -> String {
    let mut tail = VecDeque::new();
    let mut lines: Vec<_> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    // The rest of a line whose head is not there.
    if is_cut && lines.len() > 1 {
        lines.remove(0);
    }
    for line in lines.iter().rev().take(MAX_LOG_LINES) {
        for byte in content(line).iter().rev() {
            if tail.len() == MAX_LOG_LENGTH {
                break;
            }
            tail.push_front(*byte);
        }
    }
    let tail: Vec<u8> = tail.into();
    String::from_utf8_lossy(&tail).into_owned()
}

/// What a container wrote, of a line `TIME STREAM F|P WORDS`. A part of a line has no end of its
/// own; a line in no such format is told as it is.
fn content(line: &[u8]) -> &[u8] {
    let mut parts = line.splitn(4, |byte| *byte == b' ');
    let (Some(_), Some(stream), Some(tag), Some(words)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return line;
    };
    if ![&b"stdout"[..], b"stderr"].contains(&stream) {
        return line;
    }
    let is_partial = tag.split(|byte| *byte == b':').any(|tag| tag == b"P");
    match is_partial {
        true => words.strip_suffix(b"\n").unwrap_or(words),
        false => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_lines_are_left_out_and_parts_are_joined() {
        let log = b"2024-01-01T00:00:00.1Z stdout F one\n\
            2024-01-01T00:00:00.2Z stderr P tw\n\
            2024-01-01T00:00:00.3Z stderr F o\n\
            2024-01-01T00:00:00.4Z stdout F \n\
            nobody's format\n";
        assert_eq!(log_tail(log, false), "one\ntwo\n\nnobody's format\n");
    }

    #[test]
    fn only_the_last_80_lines_and_2_kib_are_told() {
        let line = |number| format!("2024-01-01T00:00:00Z stdout F {number}\n");
        let log: String = (0..100).map(line).collect();
        let expected: String = (20..100).map(|number| format!("{number}\n")).collect();
        assert_eq!(log_tail(log.as_bytes(), false), expected);

        let long = format!("2024-01-01T00:00:00Z stdout F {}\n", "x".repeat(3000));
        let tail = log_tail(long.as_bytes(), false);
        assert_eq!(tail.len(), MAX_LOG_LENGTH);
        assert!(tail.ends_with("xx\n"));
    }

    #[test]
    fn the_rest_of_a_line_that_begins_before_the_window_is_left_out() {
        let log = b"st of it\n2024-01-01T00:00:00Z stdout F whole\n";
        assert_eq!(log_tail(log, true), "whole\n");
    }
}
