/// How often a container was restarted, by the names of the files in its log directory: one more
/// than the highest number of a log, 0 without any.
///
/// This is for containers that the runtime has forgotten, as after a reboot, so that their new logs
/// do not overwrite the old ones. Answers to kubelet's `calcRestartCountByLogDir`.
pub fn restart_count_by_logs<'a>(names: impl IntoIterator<Item = &'a str>) -> u32 {
    let numbers = names.into_iter().filter_map(number_of_log);
    numbers
        .map(|number| number.saturating_add(1))
        .max()
        .unwrap_or_default()
}

/// The number of a log: 3 of `3.log`, and of `3.log.20260102-030405.gz`, which is a rotated part.
fn number_of_log(name: &str) -> Option<u32> {
    let (number, rest) = name.split_once('.')?;
    let is_log = rest == "log" || rest.starts_with("log.");
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_log && is_number).then(|| number.parse().ok()).flatten()
}
