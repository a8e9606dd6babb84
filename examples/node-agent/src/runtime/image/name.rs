use std::str::FromStr;

/// The name of an image, taken apart and completed.
///
/// Answers to upstream's `parsers.ParseImageName`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageName {
    /// The repository with its registry: `docker.io/library/busybox`.
    pub repository: String,
    /// The tag; `latest` without a tag and a digest.
    pub tag: Option<String>,
    /// The digest: `sha256:…`.
    pub digest: Option<String>,
}

/// A text is not the name of an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("couldn't parse image name {name:?}: {cause}")]
pub struct InvalidImageName {
    /// The text.
    pub name: String,
    /// What is wrong with it.
    pub cause: &'static str,
}

const DEFAULT_REGISTRY: &str = "docker.io";
const DEFAULT_TAG: &str = "latest";
const MAX_REPOSITORY: usize = 255;
const MAX_TAG: usize = 128;

impl ImageName {
    /// The name as it was given, with the default tag if there was neither a tag nor a digest.
    ///
    /// Nothing else is added: which registry a short name is of is for the runtime to say.
    /// Answers to kubelet's `applyDefaultImageTag`.
    pub fn complete(&self, given: &str) -> String {
        match (&self.tag, &self.digest) {
            (Some(tag), None) if !given.ends_with(&format!(":{tag}")) => format!("{given}:{tag}"),
            _ => given.to_owned(),
        }
    }

    /// When the image is pulled unless a container says: one whose tag moves, which is `latest`, each
    /// time, also if there is a digest with it.
    ///
    /// Answers to the defaults of core/v1.
    pub fn default_pull_policy(&self) -> &'static str {
        match self.tag.as_deref() {
            Some(DEFAULT_TAG) => "Always",
            _ => "IfNotPresent",
        }
    }
}

impl FromStr for ImageName {
    type Err = InvalidImageName;

    fn from_str(text: &str) -> Result<Self, InvalidImageName> {
        parse(text).map_err(|cause| InvalidImageName {
            name: text.to_owned(),
            cause,
        })
    }
}

const MALFORMED: &str = "invalid reference format";

fn parse(text: &str) -> Result<ImageName, &'static str> {
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) if is_digest(digest) => (rest, Some(digest.to_owned())),
        Some(_) => return Err(MALFORMED),
        None => (text, None),
    };
    // A colon before a slash is that of a port.
    let slash = rest.rfind('/').map_or(0, |slash| slash + 1);
    let (name, tag) = match rest[slash..].split_once(':') {
        Some((last, tag)) if is_tag(tag) => (&rest[..slash + last.len()], Some(tag.to_owned())),
        Some(_) => return Err(MALFORMED),
        None => (rest, None),
    };
    if name.len() == 64
        && name
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    {
        return Err("invalid repository name, cannot specify 64-byte hexadecimal strings");
    }
    let (registry, path) = split_registry(name);
    if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err("invalid reference format: repository name must be lowercase");
    }
    if !is_registry(registry) || !path.split('/').all(is_component) {
        return Err(MALFORMED);
    }
    let repository = match registry {
        DEFAULT_REGISTRY if !path.contains('/') => format!("{registry}/library/{path}"),
        _ => format!("{registry}/{path}"),
    };
    if repository.len() > MAX_REPOSITORY {
        return Err("repository name must not be more than 255 characters");
    }
    let tag = match (tag, &digest) {
        (None, None) => Some(DEFAULT_TAG.to_owned()),
        (tag, _) => tag,
    };
    Ok(ImageName {
        repository,
        tag,
        digest,
    })
}

/// The registry of a name, and what it is called there. What comes first is a registry only if it
/// looks like one.
fn split_registry(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some(("index.docker.io", path)) => (DEFAULT_REGISTRY, path),
        Some((first, path))
            if first.contains(['.', ':'])
                || first == "localhost"
                || first.bytes().any(|byte| byte.is_ascii_uppercase()) =>
        {
            (first, path)
        }
        _ => (DEFAULT_REGISTRY, name),
    }
}

fn is_registry(registry: &str) -> bool {
    let (host, port) = match registry.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (registry, None),
    };
    let is_port =
        port.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
    let address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let is_host = match address {
        Some(address) => {
            let is_part = |byte: u8| byte.is_ascii_hexdigit() || byte == b':';
            !address.is_empty() && address.bytes().all(is_part)
        }
        None => host.split('.').all(|label| {
            let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            !label.is_empty()
                && label.bytes().all(is_inner)
                && !label.starts_with('-')
                && !label.ends_with('-')
        }),
    };
    is_port && is_host
}

/// Lower-case letters and digits, with a `.`, a `_`, two of them, or any number of `-` between.
fn is_component(component: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut separators = component.split(|c: char| c.is_ascii() && is_word(c as u8));
    let bytes = component.as_bytes();
    let is_end = |byte: Option<&u8>| byte.is_some_and(|byte| is_word(*byte));
    is_end(bytes.first())
        && is_end(bytes.last())
        && separators.all(|separator| {
            matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-')
        })
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let mut bytes = tag.bytes();
    tag.len() <= MAX_TAG
        && bytes.next().is_some_and(is_word)
        && bytes.all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
}

/// `ALGORITHM:HEX`, where what is known to be of some length has it.
fn is_digest(digest: &str) -> bool {
    let Some((algorithm, hex)) = digest.split_once(':') else {
        return false;
    };
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"+._-".contains(&byte);
    let is_long_enough = match algorithm {
        "sha256" => hex.len() == 64,
        "sha384" => hex.len() == 96,
        "sha512" => hex.len() == 128,
        _ => hex.len() >= 32,
    };
    let starts_well = algorithm
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic());
    starts_well
        && algorithm.bytes().all(is_letter)
        && is_long_enough
        && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(name: &str) -> String {
        name.parse::<ImageName>().unwrap().complete(name)
    }

    #[test]
    fn apply_default_image_tag() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let cases = [
            ("root", "root:latest"),
            ("root:tag", "root:tag"),
            ("user/image", "user/image:latest"),
            ("host:5000/image", "host:5000/image:latest"),
            ("host:5000/image:1.0", "host:5000/image:1.0"),
            ("localhost/a/b__c", "localhost/a/b__c:latest"),
            ("[::1]:5000/image", "[::1]:5000/image:latest"),
            ("a.b/c-d--e/f.g_h", "a.b/c-d--e/f.g_h:latest"),
        ];
        for (given, expected) in cases {
            assert_eq!(complete(given), expected);
        }
        let with_digest = format!("root@{digest}");
        assert_eq!(complete(&with_digest), with_digest);
        let with_both = format!("root:tag@{digest}");
        assert_eq!(complete(&with_both), with_both);
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long = "a".repeat(260);
        let hex = "a".repeat(64);
        let no = [
            "",
            ":tag",
            "a:",
            "a:-b",
            "a//b",
            "a/",
            "/a",
            "Upper",
            "a/Upper",
            "-a",
            "a-",
            "a..b",
            "a___b",
            "a b",
            "a@sha256:12",
            "a@b",
            "host:port/a",
            "host:/a",
            &long,
            &hex,
        ];
        for name in no {
            assert!(name.parse::<ImageName>().is_err(), "{name:?}");
        }
    }

    #[test]
    fn names_are_completed() {
        let parsed = |name: &str| name.parse::<ImageName>().unwrap().repository;
        assert_eq!(parsed("busybox"), "docker.io/library/busybox");
        assert_eq!(parsed("docker.io/busybox:1"), "docker.io/library/busybox");
        assert_eq!(parsed("index.docker.io/a/b"), "docker.io/a/b");
        assert_eq!(parsed("quay.io/a"), "quay.io/a");
        assert_eq!(parsed("localhost:80/a"), "localhost:80/a");
    }

    #[test]
    fn images_without_a_tag_or_digest_are_pulled_always() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (image, policy) in [
            ("busybox", "Always"),
            ("busybox:latest", "Always"),
            ("registry:5000/busybox", "Always"),
            ("registry:5000/busybox:1", "IfNotPresent"),
            (&format!("busybox@{digest}"), "IfNotPresent"),
            (&format!("busybox:1@{digest}"), "IfNotPresent"),
            (&format!("busybox:latest@{digest}"), "Always"),
        ] {
            let name: ImageName = image.parse().unwrap();
            assert_eq!(name.default_pull_policy(), policy, "{image}");
        }
    }
}
