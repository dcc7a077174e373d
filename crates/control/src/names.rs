//! Names of children, and upstream's hash labels.

use serde::Serialize;

/// Characters of generated suffixes: no vowels and no look-alikes.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
/// The longest base that leaves room for a suffix in a name of 63 characters.
const LONGEST_BASE: usize = 57;

/// FNV-1a, 32 bits.
#[must_use]
pub fn fnv32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

fn fnv64(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// The hash label of a template: a decimal hash whose digits are spelled without vowels.
#[must_use]
pub fn hash_label<T: Serialize>(template: &T, collisions: Option<i32>) -> String {
    let mut bytes = serde_json::to_vec(template).expect("API types have string keys only");
    if let Some(collisions) = collisions {
        bytes.extend_from_slice(&collisions.to_le_bytes());
    }
    fnv32(&bytes).to_string().bytes().map(|digit| char::from(ALPHABET[usize::from(digit) % ALPHABET.len()])).collect()
}

/// The name of the `number`th child that an owner makes in one plan: the same for a retry, another for the next plan.
#[must_use]
pub fn child(base: &str, owner_uid: &str, nonce: u64, number: u64) -> String {
    let mut hash = fnv64(format!("{owner_uid}/{nonce}/{number}").as_bytes());
    hash ^= hash >> 32;
    let letters = ALPHABET.len() as u64;
    let suffix: String = (0..5)
        .map(|_| {
            let letter = usize::try_from(hash % letters).unwrap_or(0);
            hash /= letters;
            char::from(ALPHABET[letter])
        })
        .collect();
    let end = (0..=LONGEST_BASE.min(base.len())).rev().find(|end| base.is_char_boundary(*end)).unwrap_or(0);
    format!("{}-{suffix}", &base[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_differ_by_number_and_plan_and_repeat_for_a_retry() {
        let name = child("web", "uid", 1, 0);
        assert_eq!(name, child("web", "uid", 1, 0));
        assert_eq!(name.len(), 9);
        for other in [child("web", "uid", 1, 1), child("web", "uid", 2, 0), child("web", "other", 1, 0)] {
            assert_ne!(name, other);
        }
        assert_eq!(child(&"x".repeat(80), "uid", 1, 0).len(), 63);
    }

    #[test]
    fn fnv_is_the_published_function() {
        assert_eq!(fnv32(b"foobar"), 0xbf9c_f968);
        assert_eq!(fnv64(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn hash_labels_depend_on_collisions() {
        let label = hash_label(&"template", None);
        assert!(label.bytes().all(|letter| ALPHABET.contains(&letter)));
        assert_ne!(label, hash_label(&"template", Some(1)));
    }
}
