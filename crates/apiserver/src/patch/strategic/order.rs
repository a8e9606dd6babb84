//! The order of merged lists: the patch's order first, then that of the object.

use serde_json::Value;

use super::{PATCH, Problem, no_merge_key, shown_list};

/// What tells the items of a list apart.
#[derive(Clone, Copy, Debug)]
pub(super) enum Key<'a> {
    Itself,
    Field(&'a str),
}

impl Key<'_> {
    fn of(self, item: &Value) -> Option<&Value> {
        match self {
            Self::Itself => Some(item),
            Self::Field(name) => item.get(name),
        }
    }

    fn required(self, item: &Value) -> Result<&Value, Problem> {
        self.of(item).ok_or_else(|| match self {
            Self::Field(name) => no_merge_key(item, name),
            Self::Itself => Problem::Unexpected("a list item without a value".to_owned()),
        })
    }

    fn position(self, items: &[Value], wanted: &Value) -> Option<usize> {
        items.iter().position(|item| self.of(item) == Some(wanted))
    }
}

/// Arranges merged items.
///
/// Those that `patch_order` names come in that order, the others in the order of `current`.
/// Each of the others goes before the first of the former that it preceded in `current`.
pub(super) fn arrange(
    merged: Vec<Value>,
    patch_order: &[Value],
    current: &[Value],
    key: Key<'_>,
) -> Result<Vec<Value>, Problem> {
    let mut patched = Vec::new();
    let mut others = Vec::new();
    for item in merged {
        let name = key.required(&item)?.clone();
        let in_current = key.position(current, &name);
        match key.position(patch_order, &name) {
            Some(position) => patched.push((position, in_current, item)),
            None => others.push((in_current.unwrap_or(usize::MAX), item)),
        }
    }
    for item in patch_order {
        key.required(item)?;
    }
    patched.sort_by_key(|(position, ..)| *position);
    others.sort_by_key(|(position, _)| *position);
    let mut arranged = Vec::with_capacity(patched.len() + others.len());
    let mut others = others.into_iter().peekable();
    for (_, in_current, item) in patched {
        while let Some((position, _)) = others.peek()
            && in_current.is_some_and(|at| *position < at)
        {
            arranged.extend(others.next().map(|(_, item)| item));
        }
        arranged.push(item);
    }
    arranged.extend(others.map(|(_, item)| item));
    Ok(arranged)
}

/// Refuses an order that does not name the patched items in the order in which the patch has them.
pub(super) fn check(patch: &[Value], order: &[Value], key: Key<'_>) -> Result<(), Problem> {
    if order.is_empty() {
        return Ok(());
    }
    let mut order_left = order.iter();
    for item in patch.iter().filter(|item| item.get(PATCH).is_none()) {
        let wanted = key.required(item)?;
        if !order_left.any(|other| key.of(other) == Some(wanted)) {
            return Err(Problem::Unexpected(format!(
                "The order in patch list:\n{}\n doesn't match $setElementOrder list:\n{}\n",
                shown_list(patch),
                shown_list(order),
            )));
        }
    }
    Ok(())
}
