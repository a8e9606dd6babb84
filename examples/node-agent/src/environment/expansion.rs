use super::{Environment, EnvironmentError};

/// A piece of a text with references.
enum Piece<'a> {
    Text(&'a str),
    Reference(&'a str),
}

/// Replaces each `$(NAME)` by what `lookup` says of the name.
///
/// `$$` stands for a dollar sign. A reference to what is not there stays as it is, and so does one
/// that is never closed. What comes out is not expanded again.
///
/// Answers to upstream's `third_party/forked/golang/expansion`.
pub fn expand<'a>(text: &str, lookup: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut out = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Reference(name) => match lookup(name) {
                Some(value) => out.push_str(value),
                None => {
                    out.push_str("$(");
                    out.push_str(name);
                    out.push(')');
                }
            },
        }
    }
    out
}

/// Expands each text of a command or of arguments from a container's environment.
pub fn expand_all(texts: &[String], environment: &Environment) -> Vec<String> {
    let lookup = |name: &str| environment.get(name).map(String::as_str);
    texts.iter().map(|text| expand(text, lookup)).collect()
}

/// Expands a text in which no reference may be left, as in a mount's `subPathExpr`.
///
/// # Errors
///
/// If the environment lacks a variable that the text refers to.
pub fn expand_strictly(text: &str, environment: &Environment) -> Result<String, EnvironmentError> {
    let mut out = String::with_capacity(text.len());
    for piece in pieces(text) {
        out.push_str(match piece {
            Piece::Text(text) => text,
            Piece::Reference(name) => match environment.get(name) {
                Some(value) => value,
                None => return Err(EnvironmentError::Missing(name.to_owned())),
            },
        });
    }
    Ok(out)
}

fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, length) = match rest.find('$') {
            None => (Piece::Text(rest), rest.len()),
            Some(0) => after_dollar(rest),
            Some(dollar) => (Piece::Text(&rest[..dollar]), dollar),
        };
        rest = &rest[length..];
        Some(piece)
    })
}

/// The piece at the head of a text that begins with a dollar sign, and how long it is there.
fn after_dollar(text: &str) -> (Piece<'_>, usize) {
    match text.as_bytes().get(1) {
        Some(b'$') => (Piece::Text("$"), 2),
        Some(b'(') => match text.find(')') {
            Some(end) => (Piece::Reference(&text[2..end]), end + 1),
            None => (Piece::Text("$("), 2),
        },
        _ => (Piece::Text("$"), 1),
    }
}
