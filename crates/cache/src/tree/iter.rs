use std::borrow::Borrow;

use super::{Keyed, Node, child_of, find};

/// The items of a tree in ascending order.
pub(crate) struct Iter<'a, T: Keyed> {
    /// What is left of the inner nodes above the leaf, the root's first.
    above: Vec<std::slice::Iter<'a, Node<T>>>,
    pub(super) leaf: std::slice::Iter<'a, T>,
}

impl<'a, T: Keyed> Iter<'a, T> {
    pub(super) fn all(root: &'a Node<T>) -> Self {
        let mut iter = Self {
            above: Vec::new(),
            leaf: [].iter(),
        };
        iter.descend(root);
        iter
    }

    /// From the first item whose key is not below `key`.
    pub(super) fn from<Q: Ord + ?Sized>(root: &'a Node<T>, key: &Q) -> Self
    where
        T::Key: Borrow<Q>,
    {
        let mut above = Vec::new();
        let mut node = root;
        loop {
            match node {
                Node::Leaf(items) => {
                    let (Ok(start) | Err(start)) = find(items, key);
                    return Self {
                        above,
                        leaf: items[start..].iter(),
                    };
                }
                Node::Inner { fences, children } => {
                    let at = child_of(fences, key);
                    above.push(children[at + 1..].iter());
                    node = &children[at];
                }
            }
        }
    }

    /// Goes to the first leaf below `node`.
    fn descend(&mut self, mut node: &'a Node<T>) {
        loop {
            match node {
                Node::Leaf(items) => {
                    self.leaf = items.iter();
                    return;
                }
                Node::Inner { children, .. } => {
                    let mut rest = children.iter();
                    node = rest.next().expect("an inner node has a child");
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
                Some(node) => self.descend(node),
                None => drop(self.above.pop()),
            }
        }
    }
}
