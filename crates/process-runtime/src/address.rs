use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::str::FromStr;

use crate::Error;

/// A range of loopback addresses, such as `127.80.0.0/16`.
///
/// The first and the last address of a range are given to nobody, and neither is 127.0.0.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressRange {
    network: Ipv4Addr,
    prefix: u8,
}

impl AddressRange {
    /// The range that goes with a root directory: 1,022 addresses between 127.1.0.0 and
    /// 127.254.255.255.
    pub fn of(root_dir: &Path) -> Self {
        const PREFIX: u8 = 22;
        const FIRST: u32 = u32::from_be_bytes([127, 1, 0, 0]);
        const END: u32 = u32::from_be_bytes([127, 255, 0, 0]);
        const SIZE: u32 = 1 << (32 - PREFIX);
        let blocks = u64::from((END - FIRST) / SIZE);
        let block = u32::try_from(fnv(root_dir.as_os_str().as_bytes()) % blocks).unwrap_or(0);
        Self {
            network: Ipv4Addr::from_bits(FIRST + block * SIZE),
            prefix: PREFIX,
        }
    }

    fn last(self) -> u32 {
        self.network.to_bits() | (u32::MAX >> self.prefix)
    }
}

impl FromStr for AddressRange {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |reason| Error::Addresses {
            range: text.to_owned(),
            reason,
        };
        let (network, prefix) = text
            .split_once('/')
            .ok_or_else(|| wrong("write it as 127.80.0.0/16"))?;
        let network: Ipv4Addr = network
            .parse()
            .map_err(|_| wrong("what is before the slash is no IPv4 address"))?;
        let prefix: u8 = prefix
            .parse()
            .map_err(|_| wrong("what is after the slash is no length"))?;
        if !network.is_loopback() || !(8..=30).contains(&prefix) {
            return Err(wrong(
                "it must lie in 127.0.0.0/8 and hold two addresses or more",
            ));
        }
        let range = Self { network, prefix };
        if network.to_bits() & (u32::MAX >> prefix) != 0 {
            return Err(wrong("the address has bits set beyond the length"));
        }
        Ok(range)
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

/// Which addresses of a range are in use.
///
/// Each is given anew as late as possible, so that whoever still knows an old owner does not meet
/// another under its address.
#[derive(Debug)]
pub(crate) struct Addresses {
    range: AddressRange,
    taken: BTreeSet<u32>,
    /// The address that was given last.
    cursor: u32,
}

impl Addresses {
    pub(crate) fn new(range: AddressRange) -> Self {
        Self {
            range,
            taken: BTreeSet::new(),
            cursor: range.network.to_bits(),
        }
    }

    /// The next free address after the one that was given last.
    pub(crate) fn take(&mut self) -> Option<Ipv4Addr> {
        let (first, last) = (self.range.network.to_bits() + 1, self.range.last() - 1);
        let after = (self.cursor + 1).clamp(first, last + 1);
        let free = (after..=last)
            .chain(first..after)
            .find(|address| !self.taken.contains(address) && !is_reserved(*address))?;
        self.taken.insert(free);
        self.cursor = free;
        Some(Ipv4Addr::from_bits(free))
    }

    /// Takes an address that was given before; false if it is somebody else's.
    pub(crate) fn retake(&mut self, address: Ipv4Addr) -> bool {
        let is_free = self.taken.insert(address.to_bits());
        if is_free && (self.range.network.to_bits()..self.range.last()).contains(&address.to_bits())
        {
            self.cursor = address.to_bits();
        }
        is_free
    }

    pub(crate) fn give_back(&mut self, address: Ipv4Addr) {
        self.taken.remove(&address.to_bits());
    }
}

fn is_reserved(address: u32) -> bool {
    address == Ipv4Addr::LOCALHOST.to_bits()
}

fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> AddressRange {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_come_in_order_and_are_reused_last() {
        let mut addresses = Addresses::new(range("127.9.0.0/29"));
        let all: Vec<_> = std::iter::from_fn(|| addresses.take()).collect();
        assert_eq!(all.len(), 6);
        assert_eq!(all[0], Ipv4Addr::new(127, 9, 0, 1));
        assert_eq!(all[5], Ipv4Addr::new(127, 9, 0, 6));
        addresses.give_back(all[1]);
        addresses.give_back(all[3]);
        assert_eq!(addresses.take(), Some(all[1]));
        addresses.give_back(all[1]);
        assert_eq!(addresses.take(), Some(all[3]));
        assert_eq!(addresses.take(), Some(all[1]));
        assert_eq!(addresses.take(), None);
    }

    #[test]
    fn localhost_is_nobodys() {
        let mut addresses = Addresses::new(range("127.0.0.0/30"));
        assert_eq!(addresses.take(), Some(Ipv4Addr::new(127, 0, 0, 2)));
        assert_eq!(addresses.take(), None);
    }

    #[test]
    fn addresses_of_before_are_not_given_again() {
        let mut addresses = Addresses::new(range("127.9.0.0/29"));
        assert!(addresses.retake(Ipv4Addr::new(127, 9, 0, 2)));
        assert!(!addresses.retake(Ipv4Addr::new(127, 9, 0, 2)));
        assert_eq!(addresses.take(), Some(Ipv4Addr::new(127, 9, 0, 3)));
    }

    #[test]
    fn ranges_follow_from_the_root_directory() {
        let one = AddressRange::of(Path::new("/tmp/one"));
        assert_eq!(one, AddressRange::of(Path::new("/tmp/one")));
        assert_ne!(one, AddressRange::of(Path::new("/tmp/two")));
        assert!(one.network.is_loopback());
        assert_eq!(one, range(&one.to_string()));
    }

    #[test]
    fn ranges_that_cannot_be_are_refused() {
        for text in [
            "127.1.0.0",
            "10.0.0.0/16",
            "127.0.0.0/31",
            "127.0.0.1/16",
            "x/8",
            "127.0.0.0/x",
        ] {
            assert!(text.parse::<AddressRange>().is_err(), "{text}");
        }
    }
}
