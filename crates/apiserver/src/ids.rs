//! Uids, generated names and other chance, all from one seed.

use std::time::Duration;

use parking_lot::Mutex;

/// The characters of generated suffixes: neither vowels nor look-alikes, so that no words come out.
const SUFFIX_ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const SUFFIX_LENGTH: usize = 5;
/// The longest a generated name is.
const MAX_NAME: usize = 63;

/// A source of ids. The same seed gives the same ids.
#[derive(Debug)]
pub(crate) struct Ids {
    random: Mutex<fastrand::Rng>,
}

impl Ids {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: Mutex::new(fastrand::Rng::with_seed(seed)),
        }
    }

    /// A random (version 4) UUID.
    pub(crate) fn uid(&self) -> String {
        let bits = self.random.lock().u128(..);
        let bits = bits & !(0xf000 << 64) & !(0xc000 << 48) | 0x4000 << 64 | 0x8000 << 48;
        let hex = format!("{bits:032x}");
        [
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..],
        ]
        .join("-")
    }

    /// A name that begins with `base`, cut so that the whole fits a label.
    pub(crate) fn name(&self, base: &str) -> String {
        let mut end = base.len().min(MAX_NAME - SUFFIX_LENGTH);
        while !base.is_char_boundary(end) {
            end -= 1;
        }
        let mut name = base[..end].to_owned();
        let mut random = self.random.lock();
        for _ in 0..SUFFIX_LENGTH {
            name.push(char::from(
                SUFFIX_ALPHABET[random.usize(..SUFFIX_ALPHABET.len())],
            ));
        }
        name
    }

    /// A time between `least` and `most`.
    pub(crate) fn duration(&self, least: Duration, most: Duration) -> Duration {
        least + most.saturating_sub(least).mul_f64(self.random.lock().f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_are_of_version_4_and_follow_the_seed() {
        let (ids, same, other) = (Ids::new(7), Ids::new(7), Ids::new(8));
        for _ in 0..100 {
            let uid = ids.uid();
            let parts: Vec<usize> = uid.split('-').map(str::len).collect();
            assert_eq!(parts, [8, 4, 4, 4, 12], "{uid}");
            assert_eq!(&uid[14..15], "4", "{uid}");
            assert!("89ab".contains(&uid[19..20]), "{uid}");
            assert_eq!(uid, same.uid());
            assert_ne!(uid, other.uid());
        }
    }

    #[test]
    fn names_keep_their_base_and_fit() {
        let ids = Ids::new(1);
        let name = ids.name("web-");
        assert_eq!((name.len(), &name[..4]), (9, "web-"));
        assert!(name[4..].bytes().all(|c| SUFFIX_ALPHABET.contains(&c)));
        assert_eq!(ids.name(&"a".repeat(80)).len(), 63);
        assert_eq!(
            ids.name(&"ä".repeat(40))
                .chars()
                .filter(|c| *c == 'ä')
                .count(),
            29
        );
    }

    #[test]
    fn durations_stay_in_their_range() {
        let ids = Ids::new(1);
        let (least, most) = (Duration::from_secs(10), Duration::from_secs(20));
        for _ in 0..100 {
            let time = ids.duration(least, most);
            assert!((least..=most).contains(&time));
        }
    }
}
