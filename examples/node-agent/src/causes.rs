use std::error::Error;

/// An error and what caused it, in one line.
pub(crate) fn with_causes(error: &(dyn Error + 'static)) -> String {
    let texts: Vec<_> = anyhow::Chain::new(error).map(ToString::to_string).collect();
    texts.join(": ")
}
