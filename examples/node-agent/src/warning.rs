/// An event of type Warning that is to be recorded about a pod.
///
/// Engines return warnings beside their result; whoever calls them has the recorder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The reason of the event, in a word.
    pub reason: &'static str,
    /// The message, for people.
    pub message: String,
}

impl Warning {
    /// A warning with this reason and message.
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }
}
