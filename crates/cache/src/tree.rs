//! An ordered map that can be copied in constant time.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::sync::Arc;

/// The most items of a leaf and branches of an inner node.
///
/// A write copies one node per level, and copying an item counts a reference: small nodes make
/// writes cheap, large ones make the tree low. See the bench `store` for the choice.
const MAX: usize = 32;

/// Something that bears its own key.
pub(crate) trait Keyed: Clone {
    type Key: Ord + Clone;

    fn key(&self) -> &Self::Key;
}

/// Items ordered by key, in a tree whose nodes are shared with its copies.
///
/// A copy costs one reference. A write copies the nodes on its way that are shared, so writes
/// between two copies copy each node at most once.
pub(crate) struct Tree<T: Keyed> {
    root: Arc<Node<T>>,
    len: usize,
}

enum Node<T: Keyed> {
    /// Items in ascending order of their keys.
    Leaf(Vec<T>),
    /// At least one branch, in ascending order.
    Inner(Vec<Branch<T>>),
}

struct Branch<T: Keyed> {
    /// Not above any key in `node`, and above all keys of the branches before this one.
    floor: T::Key,
    node: Arc<Node<T>>,
}

impl<T: Keyed> Tree<T> {
    /// Builds a tree of items in strictly ascending order.
    pub(crate) fn from_sorted(items: Vec<T>) -> Self {
        debug_assert!(items.is_sorted_by(|a, b| a.key() < b.key()));
        let len = items.len();
        let mut level: Vec<Branch<T>> = pack(items)
            .map(|items| Branch {
                floor: items[0].key().clone(),
                node: Arc::new(Node::Leaf(items)),
            })
            .collect();
        while level.len() > 1 {
            level = pack(level)
                .map(|branches| Branch {
                    floor: branches[0].floor.clone(),
                    node: Arc::new(Node::Inner(branches)),
                })
                .collect();
        }
        match level.pop() {
            Some(branch) => Self {
                root: branch.node,
                len,
            },
            None => Self::default(),
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&T>
    where
        T::Key: Borrow<Q>,
    {
        let mut node = &*self.root;
        loop {
            match node {
                Node::Leaf(items) => return items.get(find(items, key).ok()?),
                Node::Inner(branches) => node = &branches[branch_of(branches, key)].node,
            }
        }
    }

    /// Puts the item in the place of the one with its key, which is given back.
    pub(crate) fn insert(&mut self, item: T) -> Option<T> {
        let (old, split) = insert(Arc::make_mut(&mut self.root), item);
        if let Some(right) = split {
            let left = std::mem::take(&mut self.root);
            let floor = left.floor().clone();
            let branches = vec![Branch { floor, node: left }, right];
            self.root = Arc::new(Node::Inner(branches));
        }
        self.len += usize::from(old.is_none());
        old
    }

    pub(crate) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<T>
    where
        T::Key: Borrow<Q>,
    {
        // Looked for first, so that a miss copies nothing.
        self.get(key)?;
        let old = remove(Arc::make_mut(&mut self.root), key);
        self.len -= usize::from(old.is_some());
        while let Node::Inner(branches) = &*self.root
            && let [only] = &**branches
        {
            self.root = Arc::clone(&only.node);
        }
        old
    }

    pub(crate) fn iter(&self) -> Iter<'_, T> {
        let mut iter = Iter {
            above: Vec::new(),
            leaf: [].iter(),
        };
        iter.descend(&self.root);
        iter
    }

    /// The items from the first whose key is not below `key`.
    pub(crate) fn from<Q: Ord + ?Sized>(&self, key: &Q) -> Iter<'_, T>
    where
        T::Key: Borrow<Q>,
    {
        let mut above = Vec::new();
        let mut node = &*self.root;
        loop {
            match node {
                Node::Leaf(items) => {
                    let (Ok(start) | Err(start)) = find(items, key);
                    return Iter {
                        above,
                        leaf: items[start..].iter(),
                    };
                }
                Node::Inner(branches) => {
                    let at = branch_of(branches, key);
                    above.push(branches[at + 1..].iter());
                    node = &branches[at].node;
                }
            }
        }
    }
}

impl<T: Keyed> Clone for Tree<T> {
    fn clone(&self) -> Self {
        Self {
            root: Arc::clone(&self.root),
            len: self.len,
        }
    }
}

impl<T: Keyed> Default for Tree<T> {
    fn default() -> Self {
        Self {
            root: Arc::default(),
            len: 0,
        }
    }
}

/// The items of a tree in ascending order.
pub(crate) struct Iter<'a, T: Keyed> {
    /// What is left of the inner nodes above the leaf, the root's first.
    above: Vec<std::slice::Iter<'a, Branch<T>>>,
    leaf: std::slice::Iter<'a, T>,
}

impl<'a, T: Keyed> Iter<'a, T> {
    /// Goes to the first leaf below `node`.
    fn descend(&mut self, mut node: &'a Node<T>) {
        loop {
            match node {
                Node::Leaf(items) => {
                    self.leaf = items.iter();
                    return;
                }
                Node::Inner(branches) => {
                    let mut rest = branches.iter();
                    node = &rest.next().expect("an inner node has a branch").node;
                    self.above.push(rest);
                }
            }
        }
    }
}

impl<'a, T: Keyed> Iterator for Iter<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        loop {
            if let Some(item) = self.leaf.next() {
                return Some(item);
            }
            match self.above.last_mut()?.next() {
                Some(branch) => self.descend(&branch.node),
                None => drop(self.above.pop()),
            }
        }
    }
}

impl<T: Keyed> Node<T> {
    /// The least key.
    fn floor(&self) -> &T::Key {
        match self {
            Self::Leaf(items) => items[0].key(),
            Self::Inner(branches) => &branches[0].floor,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Leaf(items) => items.len(),
            Self::Inner(branches) => branches.len(),
        }
    }
}

impl<T: Keyed> Default for Node<T> {
    fn default() -> Self {
        Self::Leaf(Vec::new())
    }
}

impl<T: Keyed> Clone for Node<T> {
    /// With room for the write that a copy is made for.
    fn clone(&self) -> Self {
        fn roomy<E: Clone>(elements: &[E]) -> Vec<E> {
            let mut copy = Vec::with_capacity(with_room(elements.len()));
            copy.extend_from_slice(elements);
            copy
        }
        match self {
            Self::Leaf(items) => Self::Leaf(roomy(items)),
            Self::Inner(branches) => Self::Inner(roomy(branches)),
        }
    }
}

impl<T: Keyed> Clone for Branch<T> {
    fn clone(&self) -> Self {
        Self {
            floor: self.floor.clone(),
            node: Arc::clone(&self.node),
        }
    }
}

/// The capacity for a node of `len` elements: a little more, never more than it can use.
fn with_room(len: usize) -> usize {
    (len + len / 8 + 1).min(MAX + 1)
}

/// Splits a level into nodes of even size that leave room for a few insertions each.
fn pack<E>(elements: Vec<E>) -> impl Iterator<Item = Vec<E>> {
    let count = elements.len().div_ceil(MAX - MAX / 8).max(1);
    let (size, larger) = (elements.len() / count, elements.len() % count);
    let mut elements = elements.into_iter();
    (0..count)
        .map(move |at| {
            let size = size + usize::from(at < larger);
            let mut node = Vec::with_capacity(size);
            node.extend(elements.by_ref().take(size));
            node
        })
        .filter(|node| !node.is_empty())
}

fn find<T: Keyed, Q: Ord + ?Sized>(items: &[T], key: &Q) -> Result<usize, usize>
where
    T::Key: Borrow<Q>,
{
    items.binary_search_by(|item| item.key().borrow().cmp(key))
}

/// The branch that holds `key` if any does.
fn branch_of<T: Keyed, Q: Ord + ?Sized>(branches: &[Branch<T>], key: &Q) -> usize
where
    T::Key: Borrow<Q>,
{
    branches
        .partition_point(|branch| branch.floor.borrow().cmp(key) != Ordering::Greater)
        .saturating_sub(1)
}

/// Inserts below `node`: the item replaced, and the right half where `node` had to be split.
fn insert<T: Keyed>(node: &mut Node<T>, item: T) -> (Option<T>, Option<Branch<T>>) {
    match node {
        Node::Leaf(items) => {
            let at = match find(items, item.key()) {
                Ok(at) => return (Some(std::mem::replace(&mut items[at], item)), None),
                Err(at) => at,
            };
            insert_at(items, at, item);
            let split = split_off(items).map(|right| Branch {
                floor: right[0].key().clone(),
                node: Arc::new(Node::Leaf(right)),
            });
            (None, split)
        }
        Node::Inner(branches) => {
            let at = branch_of(branches, item.key());
            let branch = &mut branches[at];
            if at == 0 && *item.key() < branch.floor {
                branch.floor = item.key().clone();
            }
            let (old, split) = insert(Arc::make_mut(&mut branch.node), item);
            let Some(right) = split else {
                return (old, None);
            };
            insert_at(branches, at + 1, right);
            let split = split_off(branches).map(|right| Branch {
                floor: right[0].floor.clone(),
                node: Arc::new(Node::Inner(right)),
            });
            (old, split)
        }
    }
}

/// Inserts without growing to twice the size, as a vector would by itself.
fn insert_at<E>(elements: &mut Vec<E>, at: usize, element: E) {
    if elements.len() == elements.capacity() {
        elements.reserve_exact(with_room(elements.len()) - elements.len());
    }
    elements.insert(at, element);
}

/// The right half of an overfull node.
fn split_off<E>(elements: &mut Vec<E>) -> Option<Vec<E>> {
    (elements.len() > MAX).then(|| {
        let right = elements.split_off(elements.len() / 2);
        elements.shrink_to_fit();
        right
    })
}

fn remove<T: Keyed, Q: Ord + ?Sized>(node: &mut Node<T>, key: &Q) -> Option<T>
where
    T::Key: Borrow<Q>,
{
    match node {
        Node::Leaf(items) => find(items, key).ok().map(|at| items.remove(at)),
        Node::Inner(branches) => {
            let at = branch_of(branches, key);
            let old = remove(Arc::make_mut(&mut branches[at].node), key)?;
            if branches[at].node.len() == 0 {
                branches.remove(at);
            } else if !merge(branches, at) && at > 0 {
                merge(branches, at - 1);
            }
            Some(old)
        }
    }
}

/// Joins a branch with the one after it if they make at most half a node.
fn merge<T: Keyed>(branches: &mut Vec<Branch<T>>, at: usize) -> bool {
    let Some(next) = branches.get(at + 1) else {
        return false;
    };
    if branches[at].node.len() + next.node.len() > MAX / 2 {
        return false;
    }
    let right = branches.remove(at + 1).node;
    match (Arc::make_mut(&mut branches[at].node), &*right) {
        (Node::Leaf(left), Node::Leaf(right)) => left.extend_from_slice(right),
        (Node::Inner(left), Node::Inner(right)) => left.extend_from_slice(right),
        _ => unreachable!("nodes of one level are of one kind"),
    }
    true
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Pair(u16, u32);

    impl Keyed for Pair {
        type Key = u16;

        fn key(&self) -> &u16 {
            &self.0
        }
    }

    /// Every node within its bounds, every floor in order; the depth of the leaves.
    fn check(node: &Node<Pair>, root: bool) -> usize {
        assert!(node.len() <= MAX && (root || node.len() > 0));
        match node {
            Node::Leaf(items) => {
                assert!(items.is_sorted_by(|a, b| a.0 < b.0));
                0
            }
            Node::Inner(branches) => {
                assert!(branches.is_sorted_by(|a, b| a.floor < b.floor));
                let depths: Vec<usize> = branches
                    .iter()
                    .map(|branch| {
                        assert!(branch.floor <= *branch.node.floor());
                        check(&branch.node, false)
                    })
                    .collect();
                assert!(depths.iter().all(|depth| *depth == depths[0]));
                depths[0] + 1
            }
        }
    }

    fn assert_same(tree: &Tree<Pair>, model: &BTreeMap<u16, u32>) {
        check(&tree.root, true);
        assert_eq!(tree.len(), model.len());
        assert!(
            tree.iter()
                .map(|pair| (pair.0, pair.1))
                .eq(model.iter().map(|(k, v)| (*k, *v)))
        );
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u16, u32),
        Remove(u16),
        RemoveRange(u16, u16),
        Copy,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let key = 0_u16..600;
        let step = prop_oneof![
            10 => (key.clone(), any::<u32>()).prop_map(|(k, v)| Step::Insert(k, v)),
            6 => key.clone().prop_map(Step::Remove),
            1 => (key, 0_u16..200).prop_map(|(from, count)| Step::RemoveRange(from, count)),
            1 => Just(Step::Copy),
        ];
        prop::collection::vec(step, 0..400)
    }

    proptest! {
        #[test]
        fn it_is_an_ordered_map_whose_copies_never_change(
            start in prop::collection::btree_map(0_u16..600, any::<u32>(), 0..500),
            steps in steps(),
        ) {
            let mut model = start.clone();
            let mut tree = Tree::from_sorted(start.into_iter().map(|(k, v)| Pair(k, v)).collect());
            let mut copies = vec![(tree.clone(), model.clone())];
            for step in steps {
                match step {
                    Step::Insert(key, value) => {
                        let old = tree.insert(Pair(key, value));
                        prop_assert_eq!(old.map(|pair| pair.1), model.insert(key, value));
                    }
                    Step::Remove(key) => {
                        let old = tree.remove(&key);
                        prop_assert_eq!(old.map(|pair| pair.1), model.remove(&key));
                    }
                    Step::RemoveRange(from, count) => {
                        for key in from..from + count {
                            let old = tree.remove(&key);
                            prop_assert_eq!(old.map(|pair| pair.1), model.remove(&key));
                        }
                    }
                    Step::Copy => copies.push((tree.clone(), model.clone())),
                }
            }
            copies.push((tree, model));
            for (tree, model) in &copies {
                assert_same(tree, model);
                for key in (0..610).step_by(7) {
                    prop_assert_eq!(tree.get(&key).map(|pair| pair.1), model.get(&key).copied());
                    prop_assert!(
                        tree.from(&key).map(|pair| pair.0).eq(model.range(key..).map(|(k, _)| *k))
                    );
                }
            }
        }
    }

    #[test]
    fn a_node_is_copied_only_while_it_is_shared() {
        let mut tree = Tree::from_sorted((0..1000).map(|key| Pair(key, 0)).collect());
        let copy = tree.clone();
        tree.insert(Pair(500, 1));
        let root = Arc::as_ptr(&tree.root);
        tree.insert(Pair(500, 2));
        assert_eq!(Arc::as_ptr(&tree.root), root);
        assert_eq!(
            (copy.get(&500), tree.get(&500)),
            (Some(&Pair(500, 0)), Some(&Pair(500, 2)))
        );
    }
}
