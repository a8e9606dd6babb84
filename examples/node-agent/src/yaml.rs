//! Documents in YAML, as Kubernetes reads them.

use serde_json::Value;

/// Why a text is not one document.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum YamlError {
    /// It is not text at all.
    #[error("not UTF-8")]
    NotText(#[source] std::str::Utf8Error),
    /// It is neither YAML nor JSON.
    #[error("neither YAML nor JSON")]
    Syntax(#[source] Box<serde_saphyr::Error>),
    /// There is nothing in it.
    #[error("empty")]
    Empty,
    /// There is more than one document in it.
    #[error("{0} documents where one is expected")]
    Many(usize),
}

/// Reads the one document of a text in YAML, of which JSON is a part.
///
/// Plain scalars mean what they mean to Kubernetes, which is YAML 1.1: `y` is true and `0644` is
/// octal. Documents with nothing in them, as a `---` at the end makes one, do not count.
///
/// # Errors
///
/// When the text is not exactly one document.
pub fn read(content: &[u8]) -> Result<Value, YamlError> {
    let text = std::str::from_utf8(content).map_err(YamlError::NotText)?;
    let options = serde_saphyr::options! {
        strict_booleans: false,
        legacy_octal_numbers: true,
        with_snippet: false,
    };
    let documents: Vec<Value> = serde_saphyr::from_multiple_with_options(text, options)
        .map_err(|error| YamlError::Syntax(Box::new(error)))?;
    let mut documents: Vec<Value> = documents
        .into_iter()
        .filter(|document| !document.is_null())
        .collect();
    match (documents.pop(), documents.len()) {
        (None, _) => Err(YamlError::Empty),
        (Some(document), 0) => Ok(document),
        (Some(_), more) => Err(YamlError::Many(more + 1)),
    }
}
