//! Finding the bearer token of a request.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, header};

/// The subprotocol with which clients that cannot set headers, browsers, show a token.
pub(crate) const WEBSOCKET_PREFIX: &str = "base64url.bearer.authorization.k8s.io.";

/// The token of the `Authorization` header, or of a WebSocket's subprotocol, which counts only beside another one.
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    from_header(headers).map(Cow::Borrowed).or_else(|| from_subprotocol(headers).map(Cow::Owned))
}

fn from_header(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim();
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim_start();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn from_subprotocol(headers: &HeaderMap) -> Option<String> {
    let upgrade = headers.get(header::UPGRADE)?.to_str().ok()?;
    if !upgrade.eq_ignore_ascii_case("websocket") {
        return None;
    }
    let offered: Vec<&str> = subprotocols(headers).collect();
    let mut tokens = offered.iter().filter_map(|name| name.strip_prefix(WEBSOCKET_PREFIX));
    let (token, more) = (tokens.next()?, tokens.next());
    if more.is_some() || offered.len() < 2 {
        return None;
    }
    String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()
}

/// The subprotocols that a WebSocket client offers.
pub(crate) fn subprotocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|name| !name.is_empty())
}

/// The subprotocols that a WebSocket client offers, but not its token, as a header's value.
pub(crate) fn subprotocols_without_token(headers: &HeaderMap) -> String {
    subprotocols(headers).filter(|name| !name.starts_with(WEBSOCKET_PREFIX)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pairs: &[(&'static str, &str)]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        bearer(&headers).map(Cow::into_owned)
    }

    #[test]
    fn tokens_are_found_where_clients_put_them() {
        let check = |pairs: &[(&'static str, &str)], expected: Option<&str>| {
            assert_eq!(found(pairs).as_deref(), expected, "{pairs:?}");
        };
        check(&[("authorization", "Bearer abc")], Some("abc"));
        check(&[("authorization", "bearer  abc")], Some("abc"));
        check(&[("authorization", "Bearer ")], None);
        check(&[("authorization", "Basic abc")], None);
        check(&[("authorization", "abc")], None);
        let websocket = ("upgrade", "websocket");
        let token = "base64url.bearer.authorization.k8s.io.YWJj";
        check(&[websocket, ("sec-websocket-protocol", &format!("{token}, v5.channel.k8s.io"))], Some("abc"));
        check(&[websocket, ("sec-websocket-protocol", token)], None);
        check(&[websocket, ("sec-websocket-protocol", &format!("{token}, {token}, x"))], None);
        check(&[("sec-websocket-protocol", &format!("{token}, x"))], None);
        check(&[websocket, ("sec-websocket-protocol", "base64url.bearer.authorization.k8s.io.!!, x")], None);
    }

    #[test]
    fn the_token_is_not_passed_on() {
        let mut headers = HeaderMap::new();
        let offered = "base64url.bearer.authorization.k8s.io.YWJj, v5.channel.k8s.io, v4.channel.k8s.io";
        headers.insert("sec-websocket-protocol", offered.parse().unwrap());
        assert_eq!(subprotocols_without_token(&headers), "v5.channel.k8s.io, v4.channel.k8s.io");
    }
}
