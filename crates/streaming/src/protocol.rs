//! Names of protocols and headers, and the choice between what both ends speak.

use http::{HeaderMap, HeaderName, header};

pub(crate) const STREAM_VERSION: HeaderName = HeaderName::from_static("x-stream-protocol-version");
pub(crate) const ACCEPTED_VERSIONS: HeaderName = HeaderName::from_static("x-accepted-stream-protocol-versions");

pub(crate) const SPDY: &str = "SPDY/3.1";
pub(crate) const WEBSOCKET: &str = "websocket";

/// Port-forward over SPDY.
pub(crate) const FORWARD: &str = "portforward.k8s.io";
/// Port-forward over SPDY over WebSocket.
pub(crate) const FORWARD_TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";

/// The token of the `Upgrade` header when `Connection` asks for an upgrade.
pub(crate) fn upgrade_token(headers: &HeaderMap) -> Option<&str> {
    let wanted = list(headers, &header::CONNECTION).any(|token| token.eq_ignore_ascii_case("upgrade"));
    if !wanted {
        return None;
    }
    headers.get(header::UPGRADE)?.to_str().ok().map(str::trim)
}

/// The items of a comma-separated header that may also be repeated.
pub(crate) fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|item| !item.is_empty())
}

/// The client's first choice that the server knows.
pub(crate) fn choose<'a>(client: impl Iterator<Item = &'a str>, server: &[&'static str]) -> Option<&'static str> {
    let mut client = client;
    client.find_map(|wanted| server.iter().find(|known| **known == wanted).copied())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn upgrades_are_recognised() {
        let check = |connection: &'static str, upgrade: &'static str, expected: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONNECTION, HeaderValue::from_static(connection));
            headers.insert(header::UPGRADE, HeaderValue::from_static(upgrade));
            assert_eq!(upgrade_token(&headers), expected, "{connection} {upgrade}");
        };
        check("Upgrade", "SPDY/3.1", Some("SPDY/3.1"));
        check("keep-alive, upgrade", "websocket", Some("websocket"));
        check("close", "websocket", None);
    }

    #[test]
    fn the_client_chooses() {
        let server = ["v5.channel.k8s.io", "v4.channel.k8s.io"];
        assert_eq!(choose(["v4.channel.k8s.io", "v5.channel.k8s.io"].into_iter(), &server), Some("v4.channel.k8s.io"));
        assert_eq!(choose(["v9"].into_iter(), &server), None);
    }
}
