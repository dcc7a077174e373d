//! Keys that certificates may be asked for, and that the asker holds them.

use object::field::Error;
use x509_parser::der_parser::asn1_rs::{Any, BitString, Oid};
use x509_parser::oid_registry;
use x509_parser::prelude::FromDer;
use x509_parser::prelude::{AlgorithmIdentifier, SubjectPublicKeyInfo, X509CertificationRequest};

use crate::strategy::field::At;

/// The parameters of RSA-PSS with SHA-256, in DER: digest, mask generation by the same, 32 bytes of salt.
const PSS_SHA256: &[u8] = &[
    0x30, 0x34, 0xa0, 0x0f, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
    0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08, 0x30, 0x0d, 0x06, 0x09,
    0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0xa2, 0x03, 0x02, 0x01, 0x20,
];

/// The kinds of keys.
enum Kind {
    Ed25519,
    Ecdsa,
    Rsa,
}

/// A request in PKCS#10, signed with the key that it is for.
pub(super) fn check_request(at: &At<'_>, der: &[u8]) -> Result<(), Box<Error>> {
    let invalid = |detail: &str| Box::new(Error::invalid_unshown(&at.path, detail));
    let (_, request) = X509CertificationRequest::from_der(der).map_err(|_| invalid("must be a valid PKCS#10 CSR"))?;
    let curves = "P256, P384, or P521";
    let key = &request.certification_request_info.subject_pki;
    kind(at, key, curves)?.ok_or_else(|| invalid(UNKNOWN))?;
    request.verify_signature().map_err(|_| invalid("invalid signature"))
}

/// A key, and the pod's uid signed with it.
pub(super) fn check_proof(key: (&At<'_>, &[u8]), proof: (&At<'_>, &[u8]), uid: &str) -> Result<(), Box<Error>> {
    let ((at, der), (proof_at, signature)) = (key, proof);
    let invalid = |detail: &str| Box::new(Error::invalid(&at.path, at.text(), detail));
    let (_, key) =
        SubjectPublicKeyInfo::from_der(der).map_err(|_| invalid("must be a valid PKIX-serialized public key"))?;
    let kind = kind(at, &key, "P256 or P384")?.ok_or_else(|| invalid(UNKNOWN))?;
    let algorithm = match kind {
        Kind::Ed25519 => AlgorithmIdentifier::new(oid_registry::OID_SIG_ED25519, None),
        Kind::Ecdsa => AlgorithmIdentifier::new(oid_registry::OID_SIG_ECDSA_WITH_SHA256, None),
        Kind::Rsa => {
            let parameters = Any::from_der(PSS_SHA256).ok().map(|(_, parameters)| parameters);
            AlgorithmIdentifier::new(oid_registry::OID_PKCS1_RSASSAPSS, parameters)
        }
    };
    let signature = BitString::new(0, signature);
    x509_parser::verify::verify_signature(&key, &algorithm, &signature, uid.as_bytes())
        .map_err(|_| Error::invalid_unshown(&proof_at.path, "could not verify proof-of-possession signature").into())
}

const UNKNOWN: &str = "unknown public key type; supported types are Ed25519, ECDSA, and RSA";

/// What a key is, if it is strong enough; `None` for an unknown kind.
fn kind(at: &At<'_>, key: &SubjectPublicKeyInfo<'_>, curves: &str) -> Result<Option<Kind>, Box<Error>> {
    let algorithm = &key.algorithm.algorithm;
    if *algorithm == oid_registry::OID_SIG_ED25519 {
        return Ok(Some(Kind::Ed25519));
    }
    if *algorithm == oid_registry::OID_KEY_TYPE_EC_PUBLIC_KEY {
        let curve = key.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
        return match curve_name(curve.as_ref()) {
            "P-256" | "P-384" | "P-521" => Ok(Some(Kind::Ecdsa)),
            name => {
                let detail = format!("elliptic public keys must use curve {curves}");
                Err(Error::invalid(&at.path, format!("curve {name}"), detail).into())
            }
        };
    }
    match key.parsed() {
        Ok(x509_parser::public_key::PublicKey::RSA(rsa)) => match rsa.key_size().div_ceil(8) * 8 {
            3072 | 4096 => Ok(Some(Kind::Rsa)),
            bits => {
                let detail = "RSA keys must have modulus size 3072 or 4096";
                Err(Error::invalid(&at.path, format!("{bits}-bit modulus"), detail).into())
            }
        },
        _ => Ok(None),
    }
}

fn curve_name(curve: Option<&Oid<'_>>) -> &'static str {
    let names = [
        (oid_registry::OID_EC_P256, "P-256"),
        (oid_registry::OID_NIST_EC_P384, "P-384"),
        (oid_registry::OID_NIST_EC_P521, "P-521"),
    ];
    names.iter().find(|(oid, _)| Some(oid) == curve).map_or("P-224", |(_, name)| name)
}
