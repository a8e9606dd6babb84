//! The `Accept` header.

/// The media ranges of an `Accept` header, the most wanted first.
#[derive(Clone, Debug)]
pub(crate) struct Accept<'a> {
    ranges: Vec<MediaRange<'a>>,
}

/// One media range: `application/json;as=Table;v=v1;g=meta.k8s.io;q=0.5`.
#[derive(Clone, Debug)]
pub(crate) struct MediaRange<'a> {
    media_type: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    quality: f32,
}

impl<'a> Accept<'a> {
    /// Reads a header; what is no media range in it is passed over.
    pub(crate) fn parse(header: &'a str) -> Self {
        let mut ranges: Vec<MediaRange<'a>> =
            header.split(',').filter_map(MediaRange::parse).collect();
        // Stable: of ranges wanted alike the first comes first.
        ranges.sort_by(|a, b| b.quality.total_cmp(&a.quality));
        Self { ranges }
    }

    /// Whether it lists nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The ranges that are wanted at all.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = &MediaRange<'a>> {
        self.ranges.iter().filter(|range| range.quality > 0.0)
    }
}

impl<'a> MediaRange<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let media_type = parts.next().filter(|media_type| media_type.contains('/'))?;
        let parameters: Vec<(&str, &str)> = parts
            .filter_map(|part| part.split_once('='))
            .map(|(key, value)| (key.trim(), value.trim().trim_matches('"')))
            .collect();
        let quality = parameters
            .iter()
            .find(|(key, _)| *key == "q")
            .and_then(|(_, value)| value.parse().ok())
            .unwrap_or(1.0);
        Some(Self {
            media_type,
            parameters,
            quality,
        })
    }

    /// Whether `media_type` is in the range.
    pub(crate) fn includes(&self, media_type: &str) -> bool {
        self.media_type == "*/*"
            || self.media_type.eq_ignore_ascii_case(media_type)
            || self
                .media_type
                .strip_suffix('*')
                .is_some_and(|prefix| prefix.ends_with('/') && media_type.starts_with(prefix))
    }

    /// The value of a parameter.
    pub(crate) fn parameter(&self, key: &str) -> Option<&'a str> {
        self.parameters
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(header: &str) -> Vec<String> {
        let accept = Accept::parse(header);
        accept
            .ranges()
            .map(|range| range.media_type.to_owned())
            .collect()
    }

    #[test]
    fn the_most_wanted_comes_first_and_ties_keep_their_order() {
        assert_eq!(
            order("a/a;q=0.2, b/b, c/c;q=0.9,d/d"),
            ["b/b", "d/d", "c/c", "a/a"]
        );
        assert_eq!(order("a/a;q=0,nonsense,,b/b"), ["b/b"]);
        assert!(Accept::parse("").is_empty());
    }

    #[test]
    fn ranges_include_types_by_wildcard() {
        let accept = Accept::parse("application/*; v = \"v2\"");
        let range = accept.ranges().next().unwrap();
        assert!(range.includes("application/json"));
        assert!(!range.includes("text/plain"));
        assert_eq!(range.parameter("v"), Some("v2"));
        assert_eq!(range.parameter("w"), None);
    }
}
