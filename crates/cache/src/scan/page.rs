use super::cursor::{Cursor, Field, ScanError};
use super::object::prefix;
use crate::source::{Page, PageSink, Undecodable};
use crate::version::ResourceVersion;

/// How much more text to wait for, at least, before an incomplete item is tried again.
const PATIENCE: usize = 256 * 1024;

/// Splits the text of a list into its items while it arrives, in one pass.
///
/// What has been handed on is forgotten, so no more than an item and a chunk are held.
#[derive(Debug)]
pub(crate) struct PageScanner {
    /// The text that is not scanned yet.
    text: Vec<u8>,
    /// The length of `text` before which another attempt is not worth it.
    enough: usize,
    place: Place,
    /// Whether the list's items have been seen, if only to be none.
    items: bool,
    page: Page,
    /// The longest item.
    max_item: usize,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Start,
    FirstMember,
    Member,
    AfterMember,
    FirstItem,
    Item,
    AfterItem,
    End,
}

impl PageScanner {
    pub(crate) fn new(max_item: usize) -> Self {
        Self {
            text: Vec::new(),
            enough: 0,
            place: Place::default(),
            items: false,
            page: Page::default(),
            max_item,
        }
    }

    /// Takes in more of the text.
    pub(crate) fn feed(&mut self, chunk: &[u8], items: &mut dyn PageSink) -> Result<(), ScanError> {
        self.text.extend_from_slice(chunk);
        if self.text.len() < self.enough {
            return Ok(());
        }
        match self.advance(items) {
            Err(error) if error.is_incomplete() && self.text.len() > self.max_item => {
                Err(ScanError::invalid(0, "an item above the maximum"))
            }
            Err(error) if error.is_incomplete() => {
                // An item is scanned from its beginning again, so waiting for as much again as
                // there is keeps the whole effort linear.
                self.enough = self.text.len() + self.text.len().max(PATIENCE);
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// The text is complete.
    pub(crate) fn finish(mut self, items: &mut dyn PageSink) -> Result<Page, ScanError> {
        self.advance(items)?;
        if !self.items {
            // Taken for an empty list, any other answer would delete everything there is.
            return Err(ScanError::invalid(0, "a list without items"));
        }
        Ok(self.page)
    }

    fn advance(&mut self, items: &mut dyn PageSink) -> Result<(), ScanError> {
        let text = std::mem::take(&mut self.text);
        let mut cursor = Cursor::new(&text, 0);
        let outcome = loop {
            let before = cursor.clone();
            match self.step(&text, &mut cursor, items) {
                Ok(()) if self.place == Place::End => break cursor.finish(),
                Ok(()) => {}
                Err(error) => {
                    cursor = before;
                    break Err(error);
                }
            }
        };
        let at = cursor.at();
        self.text = text;
        self.text.drain(..at);
        outcome
    }

    /// Goes on to the next place, or leaves everything as it is.
    fn step<'a>(
        &mut self,
        text: &'a [u8],
        cursor: &mut Cursor<'a>,
        items: &mut dyn PageSink,
    ) -> Result<(), ScanError> {
        self.place = match self.place {
            Place::Start => {
                cursor.expect(b'{', "a list")?;
                Place::FirstMember
            }
            Place::FirstMember if cursor.accept(b'}')? => Place::End,
            Place::FirstMember | Place::Member => self.member(text, cursor)?,
            Place::AfterMember if cursor.accept(b',')? => Place::Member,
            Place::AfterMember => {
                cursor.expect(b'}', "`,` or `}`")?;
                Place::End
            }
            Place::FirstItem if cursor.accept(b']')? => Place::AfterMember,
            Place::FirstItem | Place::Item => {
                item(text, cursor, items)?;
                Place::AfterItem
            }
            Place::AfterItem if cursor.accept(b',')? => Place::Item,
            Place::AfterItem => {
                cursor.expect(b']', "`,` or `]`")?;
                Place::AfterMember
            }
            Place::End => Place::End,
        };
        Ok(())
    }

    fn member(&mut self, text: &[u8], cursor: &mut Cursor<'_>) -> Result<Place, ScanError> {
        let key = cursor.key()?;
        if key.is(text, "items") {
            if cursor.peek()? == b'n' {
                cursor.skip_value()?;
                self.items = true;
                return Ok(Place::AfterMember);
            }
            cursor.expect(b'[', "an array of items")?;
            self.items = true;
            return Ok(Place::FirstItem);
        }
        if key.is(text, "kind") {
            // A table's rows are no objects; it comes where it was not asked for.
            let start = cursor.at();
            if matches!(cursor.field()?, Field::Text(kind) if kind.is(text, "Table")) {
                return Err(ScanError::invalid(
                    start,
                    "a Table where a list was asked for",
                ));
            }
            return Ok(Place::AfterMember);
        }
        let value = cursor.skip_value()?;
        if key.is(text, "metadata") {
            self.page =
                metadata(&text[value.clone()]).map_err(|error| error.within(value.start))?;
        }
        Ok(Place::AfterMember)
    }
}

fn item<'a>(
    text: &'a [u8],
    cursor: &mut Cursor<'a>,
    items: &mut dyn PageSink,
) -> Result<(), ScanError> {
    cursor.peek()?;
    let start = cursor.at();
    match prefix(&text[start..], 0) {
        Ok((item, length)) => {
            items.item(&item);
            *cursor = Cursor::new(text, start + length);
        }
        Err(error) if error.is_incomplete() => return Err(error),
        Err(error) => {
            cursor.skip_value()?;
            items.undecodable(Undecodable::unreadable(error));
        }
    }
    Ok(())
}

/// The metadata of a list.
fn metadata(source: &[u8]) -> Result<Page, ScanError> {
    let mut page = Page::default();
    Cursor::new(source, 0).members(|cursor, key| {
        if key.is(source, "resourceVersion") {
            if let Some(version) = cursor.field()?.string()? {
                page.resource_version = ResourceVersion::from(&*version.text(source)?);
            }
        } else if key.is(source, "continue") {
            page.continue_token = match cursor.field()?.string()? {
                Some(token) if token.start < token.end => Some(token.text(source)?.into_owned()),
                _ => None,
            };
        } else if key.is(source, "remainingItemCount") {
            page.remaining_item_count = serde_json::from_slice(&source[cursor.skip_value()?]).ok();
        } else {
            cursor.skip_value()?;
        }
        Ok(())
    })?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::scan::Scanned;

    #[derive(Default)]
    struct Names(Vec<String>);

    impl PageSink for Names {
        fn item(&mut self, item: &Scanned<'_>) {
            self.0.push(
                item.key()
                    .map_or_else(|error| error.to_string(), |key| key.to_string()),
            );
        }

        fn undecodable(&mut self, item: Undecodable) {
            self.0.push(item.to_string());
        }
    }

    /// Scans a text that arrives in chunks of the given sizes.
    fn scan(text: &str, sizes: &[usize], enough: usize) -> Result<(Page, Vec<String>), ScanError> {
        let mut names = Names::default();
        let mut scanner = PageScanner::new(1 << 20);
        let mut rest = text.as_bytes();
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, later) = rest.split_at((*size).clamp(1, rest.len()));
            rest = later;
            // Makes it try with whatever there is, as large items would.
            scanner.enough = scanner.enough.min(enough);
            scanner.feed(chunk, &mut names)?;
        }
        Ok((scanner.finish(&mut names)?, names.0))
    }

    const LIST: &str = r#" {"kind":"PodList", "items" : [
        {"metadata":{"name":"a"}}, {"metadata":{"name":"b","namespace":"n"},"spec":{"x":"]}\""}},
        5, {"metadata":[]}, {"metadata":{"name":"c"}} ] ,
        "metadata":{"resourceVersion":"7","continue":"t","remainingItemCount":12} } "#;

    proptest! {
        #[test]
        fn chunks_make_no_difference(
            sizes in prop::collection::vec(1_usize..40, 1..20),
            enough in prop_oneof![Just(0), Just(usize::MAX), 0_usize..200],
        ) {
            let (page, names) = scan(LIST, &sizes, enough).unwrap();
            prop_assert_eq!(page.resource_version, ResourceVersion::from(7));
            prop_assert_eq!(page.continue_token.as_deref(), Some("t"));
            prop_assert_eq!(page.remaining_item_count, Some(12));
            prop_assert_eq!(names, [
                "a",
                "n/b",
                "an object without a readable key: expected an object at byte 0",
                "an object without a readable key: expected an object as metadata at byte 12",
                "c",
            ]);
        }

        #[test]
        fn a_truncated_list_is_an_error(length in 1_usize..LIST.len() - 2) {
            let error = scan(&LIST[..length], &[16], 0).unwrap_err();
            prop_assert!(error.is_incomplete());
        }
    }

    #[test]
    fn lists_without_items_are_empty() {
        for list in [
            r#"{"items":null,"metadata":{"resourceVersion":"3"}}"#,
            r#"{"metadata":{"resourceVersion":"3","continue":""},"items":[]}"#,
            r#"{"metadata":{"resourceVersion":"3"},"items":null,"kind":"PodList"}"#,
        ] {
            let (page, names) = scan(list, &[1000], 0).unwrap();
            assert_eq!(page, Page::last(ResourceVersion::from(3)), "{list}");
            assert!(names.is_empty());
        }
    }

    /// Answers to client-go's `TestIsUnsupportedTableObject`.
    #[test]
    fn tables_and_other_texts_are_refused() {
        let table = r#"{"kind":"Table","metadata":{},"rows":[]}"#;
        let error = scan(table, &[1000], 0).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a Table where a list was asked for at byte 8"
        );
        for text in [
            "[]",
            "{}",
            r#"{"kind":"Status","metadata":{}}"#,
            "{\"items\":{}}",
            "{\"items\":[] \"a\"}",
            "{} {}",
        ] {
            assert!(
                !scan(text, &[1000], 0).unwrap_err().is_incomplete(),
                "{text}"
            );
        }
    }

    #[test]
    fn an_endless_item_is_given_up() {
        let mut names = Names::default();
        let mut scanner = PageScanner::new(1000);
        let item = r#"{"metadata":{"name":"a"}},"#;
        scanner.feed(b"{\"items\":[", &mut names).unwrap();
        for _ in 0..100 {
            scanner.feed(item.as_bytes(), &mut names).unwrap();
        }
        scanner.enough = 0;
        scanner.feed(b"{\"spec\":\"", &mut names).unwrap();
        assert_eq!(names.0.len(), 100, "many small ones are no matter");
        let error = (0..10_000).find_map(|_| scanner.feed(&[b'x'; 100], &mut names).err());
        assert_eq!(
            error.unwrap().to_string(),
            "an item above the maximum at byte 0"
        );
    }
}
