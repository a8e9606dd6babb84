/// What a `resolv.conf` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolverConfig {
    /// The addresses of name servers.
    pub servers: Vec<String>,
    /// The domains that short names are looked for in.
    pub searches: Vec<String>,
    /// Options such as `ndots:5`.
    pub options: Vec<String>,
}

/// Why a `resolv.conf` cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolverError {
    /// A line names no server.
    #[error("nameserver list is empty")]
    NoServer,
}

impl ResolverConfig {
    /// Reads the text of a `resolv.conf`.
    ///
    /// The last list of domains counts, and the last value of each option.
    /// Answers to kubelet's `parseResolvConf`.
    ///
    /// # Errors
    ///
    /// If a line names no server.
    pub fn parse(text: &str) -> Result<Self, ResolverError> {
        let mut config = Self::default();
        for line in text.lines() {
            let line = line.trim();
            if line.starts_with('#') {
                continue;
            }
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let server = words.next().ok_or(ResolverError::NoServer)?;
                    config.servers.push(server.to_owned());
                }
                Some("search") => config.searches = words.map(without_dot).collect(),
                Some("options") => {
                    for option in words {
                        set_option(&mut config.options, option);
                    }
                }
                _ => {}
            }
        }
        Ok(config)
    }
}

/// Sets an option, in the place of an earlier one of the same name.
pub(super) fn set_option(options: &mut Vec<String>, option: &str) {
    let name = |option: &str| option.split(':').next().map(str::to_owned);
    match options.iter_mut().find(|set| name(set) == name(option)) {
        Some(set) => option.clone_into(set),
        None => options.push(option.to_owned()),
    }
}

/// A domain without the dot at its end, unless it is the root.
fn without_dot(domain: &str) -> String {
    match domain.strip_suffix('.') {
        Some(rest) if !rest.is_empty() => rest.to_owned(),
        _ => domain.to_owned(),
    }
}
