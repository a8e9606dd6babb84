use std::cmp::Ordering;
use std::iter::Peekable;

use crate::key::ObjectKey;
use crate::object::Object;
use crate::tree::Tree;

/// What a complete picture changes.
pub(super) struct Diff<K> {
    /// The objects there are from now on.
    pub(super) objects: Tree<Object<K>>,
    /// Those that are there no more.
    pub(super) gone: Vec<Object<K>>,
    /// Those that are new or not what they were, beside what they were.
    pub(super) changed: Vec<(Option<Object<K>>, Object<K>)>,
    /// Those that are what they were, as the store has them.
    pub(super) same: Vec<Object<K>>,
}

/// Compares the objects there were with a complete picture.
///
/// Objects that are missing from it stay if `keep` says so. Of several items with one key the
/// last counts.
pub(super) fn diff<K>(
    old: &Tree<Object<K>>,
    mut items: Vec<Object<K>>,
    keep: impl Fn(&ObjectKey) -> bool,
) -> Diff<K> {
    sort(&mut items);
    let mut diff = Diff {
        objects: Tree::default(),
        gone: Vec::new(),
        changed: Vec::new(),
        same: Vec::new(),
    };
    let mut objects = Vec::with_capacity(items.len());
    let mut old = old.iter().cloned().peekable();
    let mut new = items.into_iter().peekable();
    loop {
        match next(&mut old, &mut new) {
            (Some(old), Some(new)) if old.same_version(&new) => {
                objects.push(old.clone());
                diff.same.push(old);
            }
            (old, Some(new)) => {
                objects.push(new.clone());
                diff.changed.push((old, new));
            }
            (Some(old), None) if keep(old.key()) => objects.push(old),
            (Some(old), None) => diff.gone.push(old),
            (None, None) => break,
        }
    }
    diff.objects = Tree::from_sorted(objects);
    diff
}

/// Orders by key and keeps the last of those that share one; lists mostly come so already.
fn sort<K>(items: &mut Vec<Object<K>>) {
    if items.is_sorted_by(|a, b| a.key() < b.key()) {
        return;
    }
    items.sort_by(|a, b| a.key().cmp(b.key()));
    items.dedup_by(|later, kept| {
        let same = later.key() == kept.key();
        if same {
            std::mem::swap(later, kept);
        }
        same
    });
}

/// The next key of either side, with what each side has of it.
fn next<K, I: Iterator<Item = Object<K>>, J: Iterator<Item = Object<K>>>(
    old: &mut Peekable<I>,
    new: &mut Peekable<J>,
) -> (Option<Object<K>>, Option<Object<K>>) {
    let order = match (old.peek(), new.peek()) {
        (Some(old), Some(new)) => old.key().cmp(new.key()),
        (Some(_), None) => Ordering::Less,
        (None, _) => Ordering::Greater,
    };
    match order {
        Ordering::Less => (old.next(), None),
        Ordering::Equal => (old.next(), new.next()),
        Ordering::Greater => (None, new.next()),
    }
}
