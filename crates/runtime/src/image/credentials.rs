//! Credentials of a pull.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

use crate::error::{Error, Result};

/// What a registry may be shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Credentials {
    None,
    Password { user: String, password: String },
    Token(String),
}

impl Credentials {
    /// Credentials for a registry; none when they are for another one.
    pub(super) fn of(auth: &cri::AuthConfig, registry: &str) -> Result<Self> {
        let server = auth.server_address.trim_start_matches("https://").trim_start_matches("http://");
        let server = server.split('/').next().unwrap_or_default();
        let server = if server == "index.docker.io" { "docker.io" } else { server };
        if !server.is_empty() && server != registry {
            return Ok(Self::None);
        }
        if !auth.registry_token.is_empty() {
            return Ok(Self::Token(auth.registry_token.clone()));
        }
        if !auth.identity_token.is_empty() {
            return Err(Error::Invalid(format!("identity tokens, as given for {registry}, are not supported")));
        }
        if !auth.username.is_empty() {
            return Ok(Self::Password { user: auth.username.clone(), password: auth.password.clone() });
        }
        if auth.auth.is_empty() {
            return Ok(Self::None);
        }
        let decoded = STANDARD.decode(&auth.auth).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = decoded.as_deref().and_then(|text| text.trim_end_matches('\0').split_once(':'));
        let (user, password) = pair
            .ok_or_else(|| Error::Invalid(format!("the credentials for {registry} are not user:password in base64")))?;
        Ok(Self::Password { user: user.to_owned(), password: password.to_owned() })
    }

    /// What is shown before anybody asks.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        let Self::Token(token) = self else { return None };
        let mut header = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
        header.set_sensitive(true);
        Some(header)
    }

    /// User and password, if there are any.
    pub(super) fn basic(&self) -> Option<HeaderValue> {
        let Self::Password { user, password } = self else { return None };
        let pair = STANDARD.encode(format!("{user}:{password}"));
        let mut header = HeaderValue::try_from(format!("Basic {pair}")).ok()?;
        header.set_sensitive(true);
        Some(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_for_their_registry_only() {
        let user = |server: &str| cri::AuthConfig {
            username: "u".into(),
            password: "p".into(),
            server_address: server.into(),
            ..Default::default()
        };
        let given = |auth: &cri::AuthConfig| Credentials::of(auth, "docker.io").unwrap() != Credentials::None;
        assert!(given(&user("")));
        assert!(given(&user("https://index.docker.io/v1/")));
        assert!(!given(&user("ghcr.io")));
        let encoded = cri::AuthConfig { auth: STANDARD.encode("u:p:q"), ..Default::default() };
        let expected = Credentials::Password { user: "u".into(), password: "p:q".into() };
        assert!(Credentials::of(&encoded, "x").unwrap() == expected);
        assert!(Credentials::of(&cri::AuthConfig { auth: "?".into(), ..Default::default() }, "x").is_err());
    }
}
