//! An ordered map that can be copied in constant time.

mod iter;
#[cfg(test)]
mod tests;

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::sync::Arc;

pub(crate) use iter::Iter;

/// The most items of a leaf and children of an inner node.
///
/// A write copies one node per level, and copying an element counts a reference somewhere else in
/// memory: small nodes make writes cheap, large ones make the tree low and reads cheap.
const MAX: usize = 16;

/// How full a node is that is built of sorted items, so that a few more find room.
const PACKED: usize = MAX - MAX / 8;

/// Something that bears its own key.
pub(crate) trait Keyed: Clone {
    type Key: Ord + Clone;

    fn key(&self) -> &Self::Key;
}

/// Items ordered by key, in a tree whose nodes are shared with its copies.
///
/// A copy costs one reference. A write copies the nodes on its way that are shared, one allocation
/// each, so many writes between two copies copy each node about once.
pub(crate) struct Tree<T: Keyed> {
    root: Node<T>,
    len: usize,
}

enum Node<T: Keyed> {
    /// Items in strictly ascending order of their keys.
    Leaf(Arc<[T]>),
    /// At least one child; all of the same height.
    Inner {
        /// Between each child and the next: above the keys of the one, not above those of the
        /// other. They are apart from the children because most writes leave them alone.
        fences: Arc<[T::Key]>,
        children: Arc<[Node<T>]>,
    },
}

/// What a removal leaves below a node.
#[derive(PartialEq)]
enum Left {
    Something,
    Nothing,
}

/// What comes after a node that had to be split.
struct Split<T: Keyed> {
    fence: T::Key,
    right: Node<T>,
}

impl<T: Keyed> Tree<T> {
    /// Builds a tree of items in strictly ascending order.
    pub(crate) fn from_sorted(items: Vec<T>) -> Self {
        debug_assert!(items.is_sorted_by(|a, b| a.key() < b.key()));
        let len = items.len();
        // The nodes of a level, each behind a key that is not above its own.
        let mut level: Vec<(T::Key, Node<T>)> = pack(items)
            .map(|items| (items[0].key().clone(), Node::Leaf(items.into())))
            .collect();
        while level.len() > 1 {
            level = pack(level)
                .map(|nodes| {
                    let (mut floors, children): (Vec<_>, Vec<_>) = nodes.into_iter().unzip();
                    let floor = floors.remove(0);
                    let node = Node::Inner {
                        fences: floors.into(),
                        children: children.into(),
                    };
                    (floor, node)
                })
                .collect();
        }
        let root = level.pop().map_or_else(Node::default, |(_, node)| node);
        Self { root, len }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&T>
    where
        T::Key: Borrow<Q>,
    {
        let mut node = &self.root;
        loop {
            match node {
                Node::Leaf(items) => return items.get(find(items, key).ok()?),
                Node::Inner { fences, children } => node = &children[child_of(fences, key)],
            }
        }
    }

    /// Puts the item in the place of the one with its key, which is given back.
    pub(crate) fn insert(&mut self, item: T) -> Option<T> {
        let (old, split) = self.root.insert(item);
        if let Some(Split { fence, right }) = split {
            let left = std::mem::take(&mut self.root);
            self.root = Node::Inner {
                fences: [fence].into(),
                children: [left, right].into(),
            };
        }
        self.len += usize::from(old.is_none());
        old
    }

    pub(crate) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<T>
    where
        T::Key: Borrow<Q>,
    {
        // Looked for first, so that a miss copies nothing.
        let old = self.get(key)?.clone();
        if self.root.remove(key) == Left::Nothing {
            self.root = Node::default();
        }
        self.len -= 1;
        while let Node::Inner { children, .. } = &self.root
            && let [only] = &**children
        {
            self.root = only.clone();
        }
        Some(old)
    }

    pub(crate) fn iter(&self) -> Iter<'_, T> {
        Iter::all(&self.root)
    }

    /// The items from the first whose key is not below `key`.
    pub(crate) fn from<Q: Ord + ?Sized>(&self, key: &Q) -> Iter<'_, T>
    where
        T::Key: Borrow<Q>,
    {
        Iter::from(&self.root, key)
    }
}

impl<T: Keyed> Clone for Tree<T> {
    fn clone(&self) -> Self {
        Self {
            root: self.root.clone(),
            len: self.len,
        }
    }
}

impl<T: Keyed> Default for Tree<T> {
    fn default() -> Self {
        Self {
            root: Node::default(),
            len: 0,
        }
    }
}

impl<T: Keyed> Node<T> {
    fn len(&self) -> usize {
        match self {
            Self::Leaf(items) => items.len(),
            Self::Inner { children, .. } => children.len(),
        }
    }

    /// Inserts: the item replaced, and what is split off because it no longer fits.
    fn insert(&mut self, item: T) -> (Option<T>, Option<Split<T>>) {
        match self {
            Self::Leaf(items) => match find(items, item.key()) {
                Ok(at) => {
                    let place = &mut Arc::make_mut(items)[at];
                    (Some(std::mem::replace(place, item)), None)
                }
                Err(at) => {
                    *items = inserted(items, at, item);
                    let split = split(items).map(|(left, right)| {
                        *items = left;
                        Split {
                            fence: right[0].key().clone(),
                            right: Self::Leaf(right),
                        }
                    });
                    (None, split)
                }
            },
            Self::Inner { fences, children } => {
                let at = child_of(fences, item.key());
                let (old, below) = Arc::make_mut(children)[at].insert(item);
                let Some(Split { fence, right }) = below else {
                    return (old, None);
                };
                *fences = inserted(fences, at, fence);
                *children = inserted(children, at + 1, right);
                let split = split(children).map(|(left, right)| {
                    // The fence between the halves goes up a level.
                    let (before, after) = fences.split_at(left.len() - 1);
                    let (fence, after) = after.split_first().expect("a fence for each gap");
                    let split = Split {
                        fence: fence.clone(),
                        right: Self::Inner {
                            fences: after.into(),
                            children: right,
                        },
                    };
                    *fences = before.into();
                    *children = left;
                    split
                });
                (old, split)
            }
        }
    }

    /// Removes an item that is there.
    fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Left
    where
        T::Key: Borrow<Q>,
    {
        match self {
            Self::Leaf(items) => {
                let at = find(items, key).expect("the item is there");
                *items = removed(items, at);
            }
            Self::Inner { fences, children } => {
                let at = child_of(fences, key);
                if Arc::make_mut(children)[at].remove(key) == Left::Nothing {
                    *children = removed(children, at);
                    if !fences.is_empty() {
                        *fences = removed(fences, at.saturating_sub(1));
                    }
                } else if !merge(fences, children, at) && at > 0 {
                    merge(fences, children, at - 1);
                }
            }
        }
        if self.len() == 0 {
            Left::Nothing
        } else {
            Left::Something
        }
    }
}

impl<T: Keyed> Default for Node<T> {
    fn default() -> Self {
        Self::Leaf(Arc::default())
    }
}

impl<T: Keyed> Clone for Node<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Leaf(items) => Self::Leaf(Arc::clone(items)),
            Self::Inner { fences, children } => Self::Inner {
                fences: Arc::clone(fences),
                children: Arc::clone(children),
            },
        }
    }
}

/// Splits a level into nodes of even size that leave room for a few insertions each.
fn pack<E>(elements: Vec<E>) -> impl Iterator<Item = Vec<E>> {
    let count = elements.len().div_ceil(PACKED);
    let (size, larger) = match count {
        0 => (0, 0),
        count => (elements.len() / count, elements.len() % count),
    };
    let mut elements = elements.into_iter();
    (0..count).map(move |at| {
        let size = size + usize::from(at < larger);
        elements.by_ref().take(size).collect()
    })
}

fn find<T: Keyed, Q: Ord + ?Sized>(items: &[T], key: &Q) -> Result<usize, usize>
where
    T::Key: Borrow<Q>,
{
    search(items.len(), |at| items[at].key().borrow().cmp(key))
}

/// The child that holds `key` if any does.
fn child_of<K: Borrow<Q>, Q: Ord + ?Sized>(fences: &[K], key: &Q) -> usize {
    match search(fences.len(), |at| fences[at].borrow().cmp(key)) {
        Ok(at) => at + 1,
        Err(at) => at,
    }
}

/// Where among `len` ordered elements the one is that compares equal, or would be.
///
/// The standard library's search is free of branches. Here each comparison reads a key that is
/// somewhere else in memory, so it pays to guess and read ahead.
fn search(len: usize, compare: impl Fn(usize) -> Ordering) -> Result<usize, usize> {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = usize::midpoint(low, high);
        match compare(middle) {
            Ordering::Less => low = middle + 1,
            Ordering::Greater => high = middle,
            Ordering::Equal => return Ok(middle),
        }
    }
    Err(low)
}

fn inserted<E: Clone>(elements: &[E], at: usize, element: E) -> Arc<[E]> {
    let (before, after) = elements.split_at(at);
    let before = before.iter().cloned();
    before
        .chain(std::iter::once(element))
        .chain(after.iter().cloned())
        .collect()
}

fn removed<E: Clone>(elements: &[E], at: usize) -> Arc<[E]> {
    let (before, after) = (&elements[..at], &elements[at + 1..]);
    before
        .iter()
        .cloned()
        .chain(after.iter().cloned())
        .collect()
}

type Halves<E> = (Arc<[E]>, Arc<[E]>);

/// The halves of an overfull node.
fn split<E: Clone>(elements: &[E]) -> Option<Halves<E>> {
    (elements.len() > MAX).then(|| {
        let (left, right) = elements.split_at(elements.len() / 2);
        (left.into(), right.into())
    })
}

fn joined<E: Clone>(left: &[E], right: &[E]) -> Arc<[E]> {
    left.iter().cloned().chain(right.iter().cloned()).collect()
}

/// Joins a child with the one after it if they make at most half a node.
fn merge<T: Keyed>(fences: &mut Arc<[T::Key]>, children: &mut Arc<[Node<T>]>, at: usize) -> bool {
    let [left, right, ..] = &children[at..] else {
        return false;
    };
    if left.len() + right.len() > MAX / 2 {
        return false;
    }
    let merged = match (left, right) {
        (Node::Leaf(left), Node::Leaf(right)) => Node::Leaf(joined(left, right)),
        (
            Node::Inner {
                fences: a,
                children: left,
            },
            Node::Inner {
                fences: b,
                children: right,
            },
        ) => Node::Inner {
            fences: joined(&inserted(a, a.len(), fences[at].clone()), b),
            children: joined(left, right),
        },
        _ => unreachable!("nodes of one level are of one kind"),
    };
    let mut rest = removed(children, at + 1);
    Arc::make_mut(&mut rest)[at] = merged;
    *children = rest;
    *fences = removed(fences, at);
    true
}
