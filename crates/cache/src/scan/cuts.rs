use std::ops::Range;

/// The parts of a text that are left out of its copy: in order, without overlap.
///
/// There is one in nearly every object, so the first needs no allocation.
#[derive(Clone, Debug, Default)]
pub(super) struct Cuts {
    first: Option<Range<usize>>,
    more: Vec<Range<usize>>,
}

impl Cuts {
    /// Adds a part that ends behind all others; it may swallow earlier ones.
    pub(super) fn add(&mut self, cut: Range<usize>) {
        while self.more.last().is_some_and(|last| last.start >= cut.start) {
            self.more.pop();
        }
        match &self.first {
            Some(first) if first.start < cut.start => self.more.push(cut),
            _ => self.first = Some(cut),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Range<usize>> {
        self.first.iter().chain(&self.more)
    }

    /// How many bytes are left out.
    pub(super) fn length(&self) -> usize {
        self.iter().map(Range::len).sum()
    }

    /// Where in the copy the byte is that was at `offset`, which must not be in a cut.
    pub(super) fn shift(&self, offset: usize) -> usize {
        let before: usize = self
            .iter()
            .take_while(|cut| cut.end <= offset)
            .map(Range::len)
            .sum();
        offset - before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_cut_swallows_those_it_covers() {
        let mut cuts = Cuts::default();
        cuts.add(2..4);
        cuts.add(10..12);
        cuts.add(14..16);
        cuts.add(9..20);
        assert_eq!(cuts.iter().cloned().collect::<Vec<_>>(), [2..4, 9..20]);
        assert_eq!(cuts.length(), 13);
        cuts.add(1..30);
        assert!(cuts.iter().eq(std::iter::once(&(1..30))));
    }

    #[test]
    fn offsets_shift_by_what_is_cut_before_them() {
        let mut cuts = Cuts::default();
        cuts.add(2..4);
        cuts.add(10..15);
        assert_eq!([1, 4, 9, 15, 20].map(|at| cuts.shift(at)), [1, 2, 7, 8, 13]);
    }
}
