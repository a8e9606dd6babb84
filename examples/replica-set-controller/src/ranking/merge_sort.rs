//! A sort for comparisons that need not be consistent.

use std::cmp::Ordering;

/// Sorts stably, and ends well whatever `compare` says.
///
/// The standard library's sort may panic when the comparison is no total order, and the order of
/// deletion is none. Where the comparison is consistent the result is the same.
pub(super) fn sort_by<T: Copy>(items: &mut [T], compare: impl Fn(&T, &T) -> Ordering + Copy) {
    let middle = items.len() / 2;
    if middle == 0 {
        return;
    }
    sort_by(&mut items[..middle], compare);
    sort_by(&mut items[middle..], compare);
    let left = items[..middle].to_vec();
    let mut right = middle;
    let mut slot = 0;
    for item in left {
        while right < items.len() && compare(&items[right], &item).is_lt() {
            items[slot] = items[right];
            slot += 1;
            right += 1;
        }
        items[slot] = item;
        slot += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sorts_as_the_standard_library(items: Vec<(u8, u8)>) {
            let by_first = |one: &(u8, u8), other: &(u8, u8)| one.0.cmp(&other.0);
            let mut expected = items.clone();
            expected.sort_by(by_first);
            let mut sorted = items;
            sort_by(&mut sorted, by_first);
            prop_assert_eq!(sorted, expected);
        }

        #[test]
        fn keeps_all_items_when_the_comparison_contradicts_itself(mut items: Vec<u8>) {
            let mut expected = items.clone();
            expected.sort_unstable();
            sort_by(&mut items, |one, other| one.wrapping_sub(*other).cmp(&128));
            items.sort_unstable();
            prop_assert_eq!(items, expected);
        }
    }
}
