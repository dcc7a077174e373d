//! Capability sets of a process.

use std::io;

use crate::spec::Capabilities;
use crate::sys;

/// Keeps nothing but `keep` in the bounding set, which is what a program executed as root gets.
pub(super) fn bound(keep: u64) -> io::Result<()> {
    for capability in 0..u64::BITS {
        match sys::bounding(capability) {
            Some(true) if keep & (1 << capability) == 0 => sys::drop_bounding(capability)?,
            Some(_) => {}
            None => break,
        }
    }
    Ok(())
}

/// Sets effective, permitted and ambient capabilities, as far as this machine's root has them.
pub(super) fn take(wanted: Capabilities) -> io::Result<()> {
    let ours = (0..u64::BITS).take_while(|c| sys::bounding(*c).is_some()).filter(|c| sys::bounding(*c) == Some(true));
    let ours: u64 = ours.fold(0, |set, capability| set | 1 << capability);
    let (held, ambient) = (wanted.bounding & ours, wanted.ambient & wanted.bounding & ours);
    sys::set_capabilities(held, held, ambient)?;
    for capability in (0..u64::BITS).filter(|c| ambient & (1 << c) != 0) {
        sys::raise_ambient(capability)?;
    }
    Ok(())
}
