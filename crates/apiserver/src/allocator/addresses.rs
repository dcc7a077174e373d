//! Ranges of addresses, and in which order they are tried.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use host::Entropy;

/// Not more addresses than this are used of a range.
const MAX_SIZE: u128 = 1 << 16;

/// IPv4 or IPv6, in upstream's spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    IPv4,
    IPv6,
}

impl Family {
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::IPv4 } else { Self::IPv6 }
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::IPv4 => "IPv4",
            Self::IPv6 => "IPv6",
        }
    }

    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::IPv4 => Self::IPv6,
            Self::IPv6 => Self::IPv4,
        }
    }

    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::IPv4, Self::IPv6].into_iter().find(|family| family.name() == name)
    }
}

/// A range of addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    base: IpAddr,
    prefix: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an address range such as 10.43.0.0/16")]
pub struct ParseRangeError(String);

impl FromStr for Range {
    type Err = ParseRangeError;

    fn from_str(text: &str) -> Result<Self, ParseRangeError> {
        let parse = || {
            let (address, prefix) = text.split_once('/')?;
            let (address, prefix): (IpAddr, u8) = (address.parse().ok()?, prefix.parse().ok()?);
            let bits = if address.is_ipv4() { 32 } else { 128 };
            let host = u128::MAX.checked_shr(u32::from(128 - (bits - prefix.min(bits)))).unwrap_or(0);
            (prefix <= bits).then(|| Self { base: address_at(address, number(address) & !host), prefix })
        };
        parse().ok_or_else(|| ParseRangeError(text.to_owned()))
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

impl Range {
    #[must_use]
    pub fn family(&self) -> Family {
        Family::of(self.base)
    }

    /// Whether the address can be used: the first of the range cannot, nor can the last of an IPv4 range.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let offset = number(address).checked_sub(number(self.base));
        Family::of(address) == self.family() && offset.is_some_and(|offset| offset > 0 && offset <= self.last())
    }

    /// The usable addresses, from a random one on: first those that are rarely asked for by number, then the lower
    /// ones, which are left to Services that choose their address.
    pub(super) fn candidates(&self, entropy: &dyn Entropy) -> impl Iterator<Item = IpAddr> + use<> {
        let last = self.last().min(MAX_SIZE);
        let low = if last <= 16 { 0 } else { (last / 16).clamp(16, 256) };
        let upper = rotated(low + 1, last, entropy);
        let lower = rotated(1, low, entropy);
        let base = self.base;
        upper.chain(lower).map(move |offset| address_at(base, number(base) + offset))
    }

    /// The offset of the last usable address.
    fn last(&self) -> u128 {
        match self.base {
            IpAddr::V4(_) => (1_u128 << (32 - self.prefix)).saturating_sub(2),
            IpAddr::V6(_) => u128::MAX.checked_shr(u32::from(self.prefix)).unwrap_or(0),
        }
    }
}

/// The numbers from `first` to `last`, beginning anywhere.
pub(super) fn rotated(first: u128, last: u128, entropy: &dyn Entropy) -> impl Iterator<Item = u128> + use<> {
    let count = (last + 1).saturating_sub(first);
    let mut bytes = [0; 8];
    entropy.fill(&mut bytes);
    let start = u128::from(u64::from_le_bytes(bytes)) % count.max(1);
    (0..count).map(move |step| first + (start + step) % count)
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

/// The address with a number, in the family of `like`.
fn address_at(like: IpAddr, number: u128) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX)).into(),
        IpAddr::V6(_) => Ipv6Addr::from(number).into(),
    }
}

#[cfg(test)]
mod tests {
    use host::SeededEntropy;

    use super::*;

    #[test]
    fn ranges_parse() {
        for (text, shown) in
            [("10.43.7.1/16", "10.43.0.0/16"), ("fd00:1::5/112", "fd00:1::/112"), ("1.2.3.4/32", "1.2.3.4/32")]
        {
            assert_eq!(text.parse::<Range>().map(|range| range.to_string()).as_deref(), Ok(shown));
        }
        for text in ["10.0.0.0", "10.0.0.0/33", "fd00::/129", "x/8", ""] {
            assert!(text.parse::<Range>().is_err(), "{text}");
        }
    }

    #[test]
    fn candidates_are_all_usable_and_the_low_ones_come_last() {
        let range: Range = "10.0.0.0/24".parse().unwrap();
        let all: Vec<_> = range.candidates(&SeededEntropy::new(1)).collect();
        assert_eq!(all.len(), 254);
        assert!(all.iter().all(|address| range.contains(*address)));
        let low: IpAddr = "10.0.0.16".parse().unwrap();
        assert!(all[..238].iter().all(|address| *address > low));
        let small: Range = "10.0.0.0/31".parse().unwrap();
        assert_eq!(small.candidates(&SeededEntropy::new(1)).count(), 0);
        let large: Range = "fd00::/64".parse().unwrap();
        assert_eq!(large.candidates(&SeededEntropy::new(1)).count(), 1 << 16);
    }
}
