//! What the shells of behaviours do.

/// What a container prints once it hears that it is told to end: a shell whose trap is not set yet
/// ends otherwise than it is to.
pub(crate) const LISTENS: &str = "listens";

/// Ends as soon as it is told to.
pub(crate) const OBEYS: &str = "trap 'exit 0' TERM; echo listens; while :; do sleep 0.05; done";

/// Goes on when it is told to end.
pub(crate) const DEAF: &str = "trap '' TERM; echo listens; while :; do sleep 0.1; done";

/// Does something when it is told to end, and ends.
pub(crate) fn ends_with(script: &str) -> String {
    format!("trap '{script}; exit 0' TERM; echo {LISTENS}; while :; do sleep 0.05; done")
}

/// Ends with a code as soon as it is told to, which it hears once a file is in the pod's volume at
/// `/v`.
pub(crate) fn heeds(file: &str, code: u8) -> String {
    format!(
        "trap 'exit {code}' TERM; touch $KUBEWRIGHT_ROOT/v/{file}; while :; do sleep 0.05; done"
    )
}

/// Waits for a file in the pod's volume at `/v`.
pub(crate) fn awaits(file: &str) -> String {
    format!("while [ ! -e $KUBEWRIGHT_ROOT/v/{file} ]; do sleep 0.05; done")
}
