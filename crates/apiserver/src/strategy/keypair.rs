//! Whether a certificate and a private key belong together, and if not, why, in upstream's words.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

/// A block of PEM: its type and what it holds.
struct Block {
    kind: String,
    bytes: Vec<u8>,
}

/// What is wrong with a pair, both in PEM.
pub(super) fn problem(certificate: &[u8], key: &[u8]) -> Option<String> {
    let (certificate, key) = match certificate_of(certificate).and_then(|c| Ok((c, key_of(key)?))) {
        Ok(pair) => pair,
        Err(why) => return Some(format!("tls: {why}")),
    };
    if let Err(error) = x509_parser::parse_x509_certificate(&certificate) {
        return Some(format!("x509: malformed certificate: {error}"));
    }
    let Ok(signing) = PrivateKeyDer::try_from(key).map_err(drop).and_then(|key| any_supported_type(&key).map_err(drop))
    else {
        return Some("tls: failed to parse private key".to_owned());
    };
    match CertifiedKey::new(vec![CertificateDer::from(certificate)], signing).keys_match() {
        Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => {
            Some("tls: private key does not match public key".to_owned())
        }
        _ => None,
    }
}

fn certificate_of(pem: &[u8]) -> Result<Vec<u8>, String> {
    let blocks = blocks(pem);
    let kinds: Vec<_> = blocks.iter().map(|block| block.kind.as_str()).collect();
    let why = match kinds[..] {
        [] => "failed to find any PEM data in certificate input".to_owned(),
        [kind] if kind.ends_with("PRIVATE KEY") => {
            "failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched".to_owned()
        }
        _ => format!(
            "failed to find \"CERTIFICATE\" PEM block in certificate input after skipping PEM blocks of the following types: [{}]",
            kinds.join(" ")
        ),
    };
    blocks.into_iter().find(|block| block.kind == "CERTIFICATE").map(|block| block.bytes).ok_or(why)
}

fn key_of(pem: &[u8]) -> Result<Vec<u8>, String> {
    let blocks = blocks(pem);
    let kinds: Vec<_> = blocks.iter().map(|block| block.kind.as_str()).collect();
    let why = match kinds[..] {
        [] => "failed to find any PEM data in key input".to_owned(),
        ["CERTIFICATE"] => "found a certificate rather than a key in the PEM for the private key".to_owned(),
        _ => format!(
            "failed to find PEM block with type ending in \"PRIVATE KEY\" in key input after skipping PEM blocks of the following types: [{}]",
            kinds.join(" ")
        ),
    };
    let is_key = |block: &Block| block.kind == "PRIVATE KEY" || block.kind.ends_with(" PRIVATE KEY");
    blocks.into_iter().find(is_key).map(|block| block.bytes).ok_or(why)
}

fn blocks(pem: &[u8]) -> Vec<Block> {
    let text = String::from_utf8_lossy(pem);
    let mut blocks = Vec::new();
    let mut rest = &*text;
    while let Some((_, after)) = rest.split_once("-----BEGIN ") {
        let Some((kind, body)) = after.split_once("-----") else { break };
        rest = body;
        if let Some((body, after)) = body.split_once(&format!("-----END {kind}-----")) {
            let plain: String = body.lines().filter(|line| !line.contains(':')).map(str::trim).collect();
            if let Ok(bytes) = STANDARD.decode(plain) {
                blocks.push(Block { kind: kind.to_owned(), bytes });
            }
            rest = after;
        }
    }
    blocks
}
