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

/// Every node within its bounds, every key between its fences; the height.
fn check(node: &Node<Pair>, root: bool, from: Option<u16>, to: Option<u16>) -> usize {
    assert!(node.len() <= MAX && (root || node.len() > 0));
    match node {
        Node::Leaf(items) => {
            assert!(items.is_sorted_by(|a, b| a.0 < b.0));
            assert!(
                items
                    .iter()
                    .all(|item| from.is_none_or(|from| from <= item.0))
            );
            assert!(items.iter().all(|item| to.is_none_or(|to| item.0 < to)));
            0
        }
        Node::Inner { fences, children } => {
            assert_eq!(fences.len() + 1, children.len());
            let from = std::iter::once(from).chain(fences.iter().copied().map(Some));
            let to = fences.iter().copied().map(Some).chain([to]);
            let heights: Vec<usize> = children
                .iter()
                .zip(from.zip(to))
                .map(|(child, (from, to))| check(child, false, from, to))
                .collect();
            assert!(heights.iter().all(|height| *height == heights[0]));
            heights[0] + 1
        }
    }
}

fn assert_same(tree: &Tree<Pair>, model: &BTreeMap<u16, u32>) {
    check(&tree.root, true, None, None);
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
    fn leaf_of(tree: &Tree<Pair>, key: u16) -> *const Pair {
        tree.from(&key).leaf.as_slice().as_ptr()
    }
    let mut tree = Tree::from_sorted((0..1000).map(|key| Pair(key, 0)).collect());
    let copy = tree.clone();
    tree.insert(Pair(500, 1));
    let place = leaf_of(&tree, 500);
    assert_ne!(place, leaf_of(&copy, 500));
    assert_eq!(leaf_of(&tree, 900), leaf_of(&copy, 900));
    tree.insert(Pair(500, 2));
    assert_eq!(place, leaf_of(&tree, 500));
    assert_eq!(
        (copy.get(&500), tree.get(&500)),
        (Some(&Pair(500, 0)), Some(&Pair(500, 2)))
    );
}

#[test]
fn a_tree_that_is_thinned_out_becomes_small() {
    fn leaves(node: &Node<Pair>) -> usize {
        match node {
            Node::Leaf(_) => 1,
            Node::Inner { children, .. } => children.iter().map(leaves).sum(),
        }
    }
    let mut tree = Tree::from_sorted((0..10_000).map(|key| Pair(key, 0)).collect());
    for key in (0..10_000).filter(|key| key % 25 != 0) {
        tree.remove(&key);
    }
    assert_eq!(tree.len(), 400);
    assert!(leaves(&tree.root) <= 100, "{}", leaves(&tree.root));
}
