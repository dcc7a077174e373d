//! Capability sets of a process.

use std::io;

use crate::spec::Capabilities;
use crate::sys;

/// Drops capabilities from the bounding set, which is what a program executed as root gets.
pub(super) fn bound(dropped: u64) -> io::Result<()> {
    members(dropped).try_for_each(sys::drop_bounding)
}

/// Sets effective, permitted and ambient capabilities, as far as this machine's root has them.
pub(super) fn take(wanted: Capabilities, held: u64) -> io::Result<()> {
    let (permitted, ambient) = (wanted.bounding & held, wanted.ambient & wanted.bounding & held);
    sys::set_capabilities(permitted, permitted, ambient)?;
    members(ambient).try_for_each(sys::raise_ambient)
}

fn members(set: u64) -> impl Iterator<Item = u32> {
    (0..u64::BITS).filter(move |capability| set & (1 << capability) != 0)
}
