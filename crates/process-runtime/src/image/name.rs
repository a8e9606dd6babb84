use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// What ids of images begin with.
const ID: &str = "process:";

/// The full name of an image, such as `docker.io/library/host:latest`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name(String);

#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("invalid reference format: {0:?}")]
pub(crate) struct InvalidName(String);

impl Name {
    /// The id of the image: its name, since a record has no content to be known by.
    pub(crate) fn id(&self) -> String {
        format!("{ID}{}", self.0)
    }

    pub(crate) fn of_id(id: &str) -> Option<Self> {
        id.strip_prefix(ID).map(|name| Self(name.to_owned()))
    }
}

impl FromStr for Name {
    type Err = InvalidName;

    /// Completes a name as container runtimes do: registry, `library/`, `latest`.
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let wrong = || InvalidName(text.to_owned());
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        let (domain, path) = match rest.split_once('/') {
            Some((first, path)) if is_domain(first) => (first, path),
            _ => ("docker.io", rest),
        };
        let (path, tag) = match path.rsplit_once(':') {
            Some((path, tag)) => (path, tag),
            None => (path, "latest"),
        };
        if !path.split('/').all(is_component) || !is_tag(tag) {
            return Err(wrong());
        }
        let library = if domain == "docker.io" && !path.contains('/') {
            "library/"
        } else {
            ""
        };
        Ok(Self(match digest {
            Some(digest) if digest.contains(':') => format!("{domain}/{library}{path}@{digest}"),
            Some(_) => return Err(wrong()),
            None => format!("{domain}/{library}{path}:{tag}"),
        }))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_domain(text: &str) -> bool {
    text.contains(['.', ':']) || text == "localhost"
}

fn is_component(text: &str) -> bool {
    let is_inner = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
    let is_outer = |byte: &u8| byte.is_ascii_alphanumeric();
    text.bytes().all(is_inner)
        && text.as_bytes().first().is_some_and(is_outer)
        && text.as_bytes().last().is_some_and(is_outer)
}

fn is_tag(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !text.is_empty()
        && text.len() <= 128
        && text.bytes().all(is_inner)
        && !text.starts_with(['.', '-'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed_as_container_runtimes_do() {
        for (text, full) in [
            ("host", "docker.io/library/host:latest"),
            ("host:v1", "docker.io/library/host:v1"),
            ("team/web", "docker.io/team/web:latest"),
            ("localhost/web", "localhost/web:latest"),
            ("localhost:5000/web:v1", "localhost:5000/web:v1"),
            ("registry.example/a/b", "registry.example/a/b:latest"),
            ("web@sha256:00", "docker.io/library/web@sha256:00"),
        ] {
            assert_eq!(text.parse::<Name>().unwrap().to_string(), full);
        }
    }

    #[test]
    fn names_that_cannot_be_are_refused() {
        for text in [
            "", "Web", "web:", "a//b", "web:a b", "-web", "web@x", "/web",
        ] {
            assert!(text.parse::<Name>().is_err(), "{text}");
        }
    }
}
