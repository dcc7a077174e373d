//! The key that signs service-account tokens: ES256.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{Error, file};

/// What comes before the point in the DER form of a P-256 public key.
const SPKI_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// An uncompressed point.
const POINT: usize = 65;

/// Signs tokens.
pub struct SigningKey {
    pair: EcdsaKeyPair,
    random: SystemRandom,
    public: VerifyingKey,
}

/// Checks signatures of tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyingKey {
    id: String,
    point: [u8; POINT],
}

impl SigningKey {
    pub(crate) fn load_or_create(path: &Path) -> Result<Self, Error> {
        if let Some(pem) = file::read(path)? {
            return Self::from_pem(&pem).ok_or_else(|| Error::content("no usable P-256 key in PKCS #8", path));
        }
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).map_err(|_| Error::Key)?;
        let pem = pem(pkcs8.as_ref());
        file::write(path, &pem)?;
        Self::from_pem(&pem).ok_or(Error::Key)
    }

    /// Reads a P-256 key in PKCS #8 PEM.
    #[must_use]
    pub fn from_pem(pem: &str) -> Option<Self> {
        let key = rustls_pemfile::private_key(&mut pem.as_bytes()).ok()??;
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.secret_der(), &random).ok()?;
        let public = VerifyingKey::new(pair.public_key().as_ref().try_into().ok()?);
        Some(Self { pair, random, public })
    }

    /// The signature of `message` as JWS has it.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signature = self.pair.sign(&self.random, message).map_err(|_| Error::Key)?;
        Ok(signature.as_ref().to_vec())
    }

    #[must_use]
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.public
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.public.id).finish_non_exhaustive()
    }
}

impl VerifyingKey {
    fn new(point: [u8; POINT]) -> Self {
        let mut digest = Sha256::new();
        digest.update(SPKI_HEAD);
        digest.update(point);
        Self { id: URL_SAFE_NO_PAD.encode(digest.finalize()), point }
    }

    /// The key's id, `kid`: the digest of its DER form.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.point).verify(message, signature).is_ok()
    }

    /// The key as an item of a JWKS.
    #[must_use]
    pub fn jwk(&self) -> Value {
        let (x, y) = (self.point.get(1..33).unwrap_or_default(), self.point.get(33..).unwrap_or_default());
        let coordinate = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({
            "use": "sig", "kty": "EC", "kid": self.id, "crv": "P-256", "alg": "ES256",
            "x": coordinate(x), "y": coordinate(y),
        })
    }
}

fn pem(pkcs8: &[u8]) -> String {
    let mut pem = String::from("-----BEGIN PRIVATE KEY-----\n");
    for line in STANDARD.encode(pkcs8).as_bytes().chunks(64) {
        pem.extend(line.iter().map(|byte| char::from(*byte)));
        pem.push('\n');
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    pem
}
