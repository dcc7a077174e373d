//! Names that keep the objects of several instances on one machine apart.

use sha2::{Digest, Sha256};

/// Characters of generated names; the kernel takes them all in link names.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// 25 bits are enough to tell instances apart.
const INSTANCE_CHARS: usize = 5;
/// 35 bits; with the prefix they fill the 15 characters of a link name.
pub(crate) const SLOT_CHARS: usize = 7;

/// The start of the names of all host ends of an instance: `cor` and a hash of the instance, 8 characters.
pub(crate) fn link_prefix(instance: &str) -> String {
    format!("cor{}", hash(instance, INSTANCE_CHARS))
}

/// The host end of slot `slot`: 15 characters, the most that the kernel takes.
pub(crate) fn link_name(instance: &str, slot: &str) -> String {
    format!("{}{slot}", link_prefix(instance))
}

/// What marks an instance's addresses on the loopback link, so that they are found without a file: the kernel asks for
/// labels that begin with the link's name.
pub(crate) fn address_label(instance: &str) -> String {
    format!("lo:{}", link_prefix(instance))
}

/// The nftables table of an instance's pod network.
pub(crate) fn table_name(instance: &str) -> String {
    format!("coracle-{instance}-pods")
}

/// A slot id from random bytes.
pub(crate) fn slot(random: [u8; SLOT_CHARS]) -> String {
    random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()
}

/// The hardware address of a slot's `eth0`: locally administered, the same after a restart.
pub(crate) fn pod_mac(slot: &str) -> [u8; 6] {
    let digest = Sha256::digest(slot.as_bytes());
    [0x02, digest[0], digest[1], digest[2], digest[3], digest[4]]
}

fn hash(text: &str, length: usize) -> String {
    Sha256::digest(text.as_bytes()).iter().take(length).map(|b| char::from(ALPHABET[usize::from(b % 32)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_fit_the_kernel() {
        let name = link_name("a-rather-long-instance-name", &slot([255; SLOT_CHARS]));
        assert_eq!(name.len(), 15);
        assert!(name.starts_with(&link_prefix("a-rather-long-instance-name")));
        assert_ne!(link_prefix("one"), link_prefix("two"));
        assert!(address_label("a-rather-long-instance-name").len() <= 15, "labels are as long as names of links");
    }

    #[test]
    fn hardware_addresses_are_local_unicast() {
        assert_eq!(pod_mac("abc")[0] & 0b11, 0b10);
    }
}
