//! In which order node ports are tried.

use std::ops::RangeInclusive;

use host::Entropy;

use super::addresses::rotated;

/// The ports of a range from a random one on; the lowest, which are left to Services that choose their port, last.
pub(super) fn candidates(range: &RangeInclusive<u16>, entropy: &dyn Entropy) -> impl Iterator<Item = u16> + use<> {
    let (first, last) = (u128::from(*range.start()), u128::from(*range.end()));
    let size = (last + 1).saturating_sub(first);
    let low = if size <= 16 { 0 } else { (size / 32).clamp(16, 128) };
    let upper = rotated(first + low, last, entropy);
    let lower = (first..first + low).take(usize::from(u16::MAX));
    upper.chain(lower).filter_map(|port| u16::try_from(port).ok())
}
