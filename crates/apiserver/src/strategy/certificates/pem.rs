//! PEM as Go reads it: what is no block is passed over.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";

/// One block.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block<'a> {
    /// `CERTIFICATE`
    pub(super) kind: &'a str,
    /// Whether lines of `key: value` come before the data.
    pub(super) has_headers: bool,
    pub(super) der: Vec<u8>,
}

/// The bytes that base64 text of an object stands for; what is not base64 was refused when the object was read.
pub(super) fn bytes(text: &str) -> Vec<u8> {
    STANDARD.decode(text).unwrap_or_default()
}

/// The blocks of a text, in order.
pub(super) fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = begin(rest) {
        let after = &rest[start + BEGIN.len()..];
        match block(after) {
            Some((block, left)) => {
                found.push(block);
                rest = left;
            }
            None => rest = after,
        }
    }
    found
}

/// Where a block begins: at the beginning of a line.
fn begin(text: &str) -> Option<usize> {
    if text.starts_with(BEGIN) {
        return Some(0);
    }
    text.find(&format!("\n{BEGIN}")).map(|at| at + 1)
}

/// The block after its `-----BEGIN `, and what follows it.
fn block(text: &str) -> Option<(Block<'_>, &str)> {
    let (first, body) = text.split_once('\n')?;
    let kind = first.trim_end().strip_suffix(DASHES)?;
    let end = format!("-----END {kind}{DASHES}");
    let at = if body.starts_with(&end) { 0 } else { body.find(&format!("\n{end}"))? + 1 };
    let (mut data, mut has_headers) = (&body[..at], false);
    while let Some((line, below)) = data.split_once('\n').filter(|(line, _)| line.contains(':')) {
        has_headers |= !line.is_empty();
        data = below;
    }
    let encoded: String = data.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let der = STANDARD.decode(encoded).ok()?;
    Some((Block { kind, has_headers, der }, &body[at + end.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found() {
        let check = |text: &str, expected: &[(&str, bool, &[u8])]| {
            let found = blocks(text);
            let found: Vec<_> = found.iter().map(|b| (b.kind, b.has_headers, b.der.as_slice())).collect();
            assert_eq!(found, expected, "{text}");
        };
        check("", &[]);
        check("-----BEGIN A-----\nAAAA\n-----END A-----\n", &[("A", false, &[0, 0, 0])]);
        check("x\n-----BEGIN A-----\nk: v\n\nAAAA\n-----END A-----", &[("A", true, &[0, 0, 0])]);
        check("-----BEGIN A-----\nAAAA\n-----END B-----\n", &[]);
        check("-----BEGIN A-----\n?\n-----END A-----\n-----BEGIN B-----\n-----END B-----", &[("B", false, &[])]);
        check("-----BEGIN A", &[]);
        check("x-----BEGIN A-----\nAAAA\n-----END A-----\n", &[]);
    }
}
