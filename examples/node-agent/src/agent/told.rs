use std::collections::HashSet;

use parking_lot::Mutex;

use crate::pod::PodUid;

/// Of which pods something was told that lasts: it is told once, and not in each round.
#[derive(Debug, Default)]
pub(super) struct Told {
    of: Mutex<HashSet<PodUid>>,
}

impl Told {
    /// Whether it was not told of this pod before. It is from now on.
    pub(super) fn is_first(&self, uid: &PodUid) -> bool {
        self.of.lock().insert(uid.clone())
    }

    /// What does not last any more is told if it comes again.
    pub(super) fn retain(&self, lasts: impl Fn(&PodUid) -> bool) {
        self.of.lock().retain(|uid| lasts(uid));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_is_told_once() {
        let (told, uid) = (Told::default(), PodUid::new("1"));
        assert!(told.is_first(&uid) && !told.is_first(&uid));
        told.retain(|lasts| *lasts == uid);
        assert!(!told.is_first(&uid));
        told.retain(|_| false);
        assert!(told.is_first(&uid));
    }
}
