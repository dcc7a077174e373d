//! The compact form of signed claims: three parts in base64url, ES256 and nothing else.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pki::{SigningKey, VerifyingKey};
use serde::Deserialize;

use super::{Claims, TokenError};

const ALGORITHM: &str = "ES256";
/// Bytes of a token that is looked at.
const LIMIT: usize = 16 * 1024;

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: String,
    /// Extensions that must be understood; none is.
    #[serde(default)]
    crit: Option<serde::de::IgnoredAny>,
}

/// Signs the claims.
pub(super) fn sign(claims: &Claims, key: &SigningKey) -> Result<String, pki::Error> {
    let header = serde_json::json!({ "alg": ALGORITHM, "kid": key.verifying_key().id() });
    let part = |json: Vec<u8>| URL_SAFE_NO_PAD.encode(json);
    let claims = serde_json::to_vec(claims).expect("claims are always JSON");
    let mut token = format!("{}.{}", part(header.to_string().into_bytes()), part(claims));
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

/// The claims of a token that `key` signed and `issuer` issued. Times and audiences are not looked at.
pub(super) fn verify(token: &str, key: &VerifyingKey, issuer: &str) -> Result<Claims, TokenError> {
    if token.len() > LIMIT {
        return Err(TokenError::Malformed);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
    let (header, claims) = signed.split_once('.').ok_or(TokenError::Malformed)?;
    let part = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::Malformed);
    let (header, claims, signature) = (part(header)?, part(claims)?, part(signature)?);
    let header: Header = serde_json::from_slice(&header).map_err(|_| TokenError::Malformed)?;
    let known = header.alg == ALGORITHM && header.crit.is_none() && (header.kid.is_empty() || header.kid == key.id());
    if !known || !key.verify(signed.as_bytes(), &signature) {
        return Err(TokenError::Signature);
    }
    let claims: Claims = serde_json::from_slice(&claims).map_err(|_| TokenError::Malformed)?;
    if claims.iss != issuer {
        return Err(TokenError::Issuer);
    }
    let bound = &claims.bound;
    let subject = format!("system:serviceaccount:{}:{}", bound.namespace, bound.serviceaccount.name);
    if claims.sub == subject { Ok(claims) } else { Err(TokenError::Malformed) }
}
