//! Tokens that are forged, cut, or of others.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pki::{Pki, SigningKey};
use proptest::prelude::*;
use serde_json::json;

use super::*;

const ISSUER: &str = "https://issuer";

/// A key that all tests share.
fn key() -> Arc<SigningKey> {
    static KEY: std::sync::OnceLock<Arc<SigningKey>> = std::sync::OnceLock::new();
    Arc::clone(KEY.get_or_init(another_key))
}

fn another_key() -> Arc<SigningKey> {
    let directory = tempfile::tempdir().unwrap();
    Pki::open(directory.path(), &Host::system()).unwrap().signing_key().clone()
}

fn claims() -> Claims {
    let serviceaccount = Reference { name: "robot".into(), uid: "u1".into() };
    Claims {
        aud: vec!["api".into()],
        exp: 1000,
        iat: 0,
        iss: ISSUER.into(),
        jti: "id".into(),
        bound: Bound { namespace: "ns".into(), serviceaccount, ..Bound::default() },
        nbf: 0,
        sub: "system:serviceaccount:ns:robot".into(),
    }
}

#[test]
fn what_was_signed_is_read() {
    let key = key();
    let token = jws::sign(&claims(), &key).unwrap();
    assert_eq!(jws::verify(&token, key.verifying_key(), ISSUER), Ok(claims()));
    let user = claims().user();
    assert_eq!(user.name, "system:serviceaccount:ns:robot");
    assert_eq!(user.groups, ["system:serviceaccounts", "system:serviceaccounts:ns"]);
    assert_eq!(user.extra["authentication.kubernetes.io/credential-id"], ["JTI=id"]);
}

#[test]
fn forgeries_are_refused() {
    let key = key();
    let token = jws::sign(&claims(), &key).unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let check = |token: String, expected: TokenError| {
        assert_eq!(jws::verify(&token, key.verifying_key(), ISSUER), Err(expected), "{token}");
    };
    let none = part(json!({ "alg": "none" }));
    check(format!("{none}.{}.", parts[1]), TokenError::Signature);
    check(format!("{none}.{}.{}", parts[1], parts[2]), TokenError::Signature);
    let hmac = part(json!({ "alg": "HS256", "kid": key.verifying_key().id() }));
    check(format!("{hmac}.{}.{}", parts[1], parts[2]), TokenError::Signature);
    let critical = part(json!({ "alg": "ES256", "crit": ["exp"] }));
    check(format!("{critical}.{}.{}", parts[1], parts[2]), TokenError::Signature);
    let other = part(json!({ "alg": "ES256", "kid": "other" }));
    check(format!("{other}.{}.{}", parts[1], parts[2]), TokenError::Signature);
    let mut richer = claims();
    richer.bound.serviceaccount.name = "root".into();
    let richer = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&richer).unwrap());
    check(format!("{}.{richer}.{}", parts[0], parts[2]), TokenError::Signature);
    check(format!("{}.{}", parts[0], parts[1]), TokenError::Malformed);
    check(format!("{token}.{}", parts[2]), TokenError::Malformed);
    check("a".repeat(1 << 20), TokenError::Malformed);
    check(String::new(), TokenError::Malformed);
    let foreign = jws::sign(&claims(), &another_key()).unwrap();
    check(foreign, TokenError::Signature);
}

#[test]
fn signed_nonsense_is_refused() {
    let key = key();
    let check = |change: &dyn Fn(&mut Claims), expected: TokenError| {
        let mut claims = claims();
        change(&mut claims);
        let token = jws::sign(&claims, &key).unwrap();
        assert_eq!(jws::verify(&token, key.verifying_key(), ISSUER), Err(expected));
    };
    check(&|claims| claims.iss = "https://other".into(), TokenError::Issuer);
    check(&|claims| claims.sub = "system:serviceaccount:ns:root".into(), TokenError::Malformed);
    check(&|claims| claims.bound.namespace = "kube-system".into(), TokenError::Malformed);
}

#[test]
fn times_have_leeway_and_no_more() {
    let check = |now: i64, expected: Result<(), TokenError>| {
        let mut claims = claims();
        claims.nbf = 100;
        assert_eq!(claims.check_time(Timestamp::from_second(now).unwrap()), expected, "{now}");
    };
    check(39, Err(TokenError::Early));
    check(40, Ok(()));
    check(1060, Ok(()));
    check(1061, Err(TokenError::Expired));
    let eternal = Claims { exp: i64::MAX, nbf: i64::MIN, ..claims() };
    assert_eq!(eternal.check_time(Timestamp::MAX), Ok(()));
}

proptest! {
    #[test]
    fn any_text_is_refused(text in "[A-Za-z0-9_.-]{0,300}") {
        let key = key();
        prop_assert!(jws::verify(&text, key.verifying_key(), ISSUER).is_err());
    }
}
