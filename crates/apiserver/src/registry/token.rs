//! Continue tokens: where a list goes on, in upstream's form.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

const VERSION: &str = "meta.k8s.io/v1";
/// The revision that stands for "whatever is current": lists that go on after theirs has expired.
const INCONSISTENT: i64 = -1;

/// Where a list goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    /// The revision of the list; `None` goes on with the present state.
    pub(super) revision: Option<u64>,
    /// The first key, relative to the resource, that has not been listed.
    pub(super) start: String,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    v: String,
    rv: i64,
    start: String,
}

impl Token {
    /// The token after the object at `last`.
    pub(super) fn after(last: &str, revision: Option<u64>) -> Self {
        Self { revision, start: format!("{last}\0") }
    }

    pub(super) fn encode(&self) -> String {
        let rv = self.revision.map_or(INCONSISTENT, |revision| i64::try_from(revision).unwrap_or(i64::MAX));
        let wire = Wire { v: VERSION.to_owned(), rv, start: self.start.clone() };
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&wire).expect("a token is always JSON"))
    }

    pub(super) fn decode(text: &str) -> Result<Self> {
        let invalid = |why: String| Error::bad_request(format!("continue key is not valid: {why}"));
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|error| invalid(error.to_string()))?;
        let wire: Wire = serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
        if wire.v != VERSION {
            return Err(invalid(format!("server does not recognize this encoded version {:?}", wire.v)));
        }
        if wire.start.is_empty() || wire.start.split('/').any(|part| matches!(part, "." | "..")) {
            return Err(invalid(format!("{:?}", wire.start)));
        }
        match wire.rv {
            0 => Err(invalid("incorrect encoded start resourceVersion (version meta.k8s.io/v1)".to_owned())),
            rv => Ok(Self { revision: u64::try_from(rv).ok(), start: wire.start }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_round_trip() {
        for revision in [Some(42), None] {
            let token = Token::after("ns/a", revision);
            assert_eq!(Token::decode(&token.encode()).expect("a token"), token);
        }
    }

    #[test]
    fn others_are_refused() {
        let encode = |json: &str| URL_SAFE_NO_PAD.encode(json);
        for bad in [
            "!".to_owned(),
            encode("{}"),
            encode(r#"{"v":"meta.k8s.io/v2","rv":1,"start":"a"}"#),
            encode(r#"{"v":"meta.k8s.io/v1","rv":0,"start":"a"}"#),
            encode(r#"{"v":"meta.k8s.io/v1","rv":1,"start":""}"#),
            encode(r#"{"v":"meta.k8s.io/v1","rv":1,"start":"../secrets/a"}"#),
        ] {
            assert!(Token::decode(&bad).is_err(), "{bad}");
        }
    }
}
