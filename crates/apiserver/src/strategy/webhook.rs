//! Where webhooks are: the URL or the Service that admission and conversion call.

use object::field::{Error, ErrorList};
use object::names;

use super::field::{At, required};

/// What a URL should look like.
const FORM: &str = "; desired format: https://host[/path]";

/// One of `url` and `service`, and what is wrong with it.
pub(super) fn client_config(at: &At<'_>, errors: &mut ErrorList) {
    let (url, service) = (at.at("url"), at.at("service"));
    match (url.is_set(), service.is_set()) {
        (true, false) => location(&url, errors),
        (false, true) => reference(&service, errors),
        _ => errors.push(at.required("exactly one of url or service is required")),
    }
}

/// An `https` URL without user, query and fragment.
fn location(at: &At<'_>, errors: &mut ErrorList) {
    let url = match Url::parse(at.text()) {
        Ok(url) => url,
        Err(why) => {
            let quoted = object::field::quote(at.text());
            errors.push(at.required(&format!("url must be a valid URL: parse {quoted}: {why}{FORM}")));
            return;
        }
    };
    let mut invalid = |value: &str, detail: &str| errors.push(Error::invalid(&at.path, value, detail));
    if url.scheme != "https" {
        invalid(&url.scheme, &format!("'https' is the only allowed URL scheme{FORM}"));
    }
    if url.host.is_empty() {
        invalid("", &format!("host must be specified{FORM}"));
    }
    if let Some(user) = url.user {
        invalid(user, "user information is not permitted in the URL");
    }
    if !url.fragment.is_empty() {
        invalid(url.fragment, "fragments are not permitted in the URL");
    }
    if !url.query.is_empty() {
        invalid(url.query, "query parameters are not permitted in the URL");
    }
}

/// A Service's name, namespace, port and path.
fn reference(at: &At<'_>, errors: &mut ErrorList) {
    required(&at.at("name"), errors);
    required(&at.at("namespace"), errors);
    service_port(&at.at("port"), errors);
    service_path(&at.at("path"), errors);
}

/// The port of a Service that is called.
pub(super) fn service_port(at: &At<'_>, errors: &mut ErrorList) {
    let number = at.number().unwrap_or_default();
    let wrong = names::port_number(number);
    if !wrong.is_empty() {
        errors.push(Error::invalid(&at.path, number, format!("port is not valid: {}", wrong.join(", "))));
    }
}

/// Whether a text is a URL with scheme and host.
pub(super) fn is_absolute_url(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| !url.scheme.is_empty() && !url.host.is_empty())
}

/// Segments that are subdomains, after a slash.
fn service_path(at: &At<'_>, errors: &mut ErrorList) {
    let path = at.text();
    if matches!(path, "" | "/") {
        return;
    }
    if path == "//" {
        errors.push(at.invalid("segment[0] may not be empty"));
        return;
    }
    if !path.starts_with('/') {
        errors.push(at.invalid("must start with a '/'"));
    }
    // Upstream drops the first byte whatever it is.
    let steps = path.get(1..).unwrap_or_default();
    for (index, step) in steps.strip_suffix('/').unwrap_or(steps).split('/').enumerate() {
        if step.is_empty() {
            errors.push(at.invalid(format!("segment[{index}] may not be empty")));
            continue;
        }
        let wrong = names::dns1123_subdomain(step);
        errors.extend(wrong.into_iter().map(|why| at.invalid(format!("segment[{index}]: {why}"))));
    }
}

/// The parts of a URL that are checked.
#[derive(Debug, Default, PartialEq, Eq)]
struct Url<'a> {
    /// In lower case.
    scheme: String,
    user: Option<&'a str>,
    host: &'a str,
    query: &'a str,
    fragment: &'a str,
}

impl<'a> Url<'a> {
    /// Takes a URL apart as Go does, and complains in its words.
    fn parse(text: &'a str) -> Result<Self, String> {
        if text.bytes().any(|b| b < b' ' || b == 0x7f) {
            return Err("net/url: invalid control character in URL".to_owned());
        }
        let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
        let (scheme, rest) = split_scheme(text)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut url = Self { scheme: scheme.to_ascii_lowercase(), query, fragment, ..Self::default() };
        if let Some(after) = rest.strip_prefix("//") {
            let authority = after.split('/').next().unwrap_or_default();
            let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
            check_host(host)?;
            (url.user, url.host) = (user, host);
        } else if scheme.is_empty() && rest.split('/').next().is_some_and(|first| first.contains(':')) {
            return Err("first path segment in URL cannot contain colon".to_owned());
        }
        check_escapes(rest)?;
        Ok(url)
    }
}

fn split_scheme(text: &str) -> Result<(&str, &str), String> {
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if index > 0 => {}
            b':' if index == 0 => return Err("missing protocol scheme".to_owned()),
            b':' => return Ok((&text[..index], &text[index + 1..])),
            _ => break,
        }
    }
    Ok(("", text))
}

fn check_host(host: &str) -> Result<(), String> {
    if let Some(c) = host.chars().find(|c| matches!(c, ' ' | '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}')) {
        return Err(format!("invalid character {} in host name", object::field::quote(&c.to_string())));
    }
    let port = match host.strip_prefix('[') {
        None => host.rfind(':').map(|at| &host[at..]),
        Some(_) => match host.rfind(']') {
            None => return Err("missing ']' in host".to_owned()),
            Some(end) => Some(&host[end + 1..]).filter(|port| !port.is_empty()),
        },
    };
    match port {
        Some(port) if !port.starts_with(':') || !port[1..].bytes().all(|b| b.is_ascii_digit()) => {
            Err(format!("invalid port {} after host", object::field::quote(port)))
        }
        _ => Ok(()),
    }
}

fn check_escapes(text: &str) -> Result<(), String> {
    for (at, _) in text.match_indices('%') {
        let escape = &text.as_bytes()[at..text.len().min(at + 3)];
        if escape.len() < 3 || !escape[1..].iter().all(u8::is_ascii_hexdigit) {
            return Err(format!("invalid URL escape {}", object::field::quote(&String::from_utf8_lossy(escape))));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let check = |text: &str, expected: Result<(&str, &str), &str>| {
            let found = Url::parse(text);
            let found = found.as_ref().map(|url| (url.scheme.as_str(), url.host)).map_err(String::as_str);
            assert_eq!(found, expected, "{text}");
        };
        check("https://a.b:8443/x", Ok(("https", "a.b:8443")));
        check("HTTPS://[::1]:80", Ok(("https", "[::1]:80")));
        check("https:a", Ok(("https", "")));
        check("", Ok(("", "")));
        check("a/b", Ok(("", "")));
        check("1a:b", Err("first path segment in URL cannot contain colon"));
        check(":a", Err("missing protocol scheme"));
        check("https://a:b", Err("invalid port \":b\" after host"));
        check("https://[::1", Err("missing ']' in host"));
        check("https://a b", Err("invalid character \" \" in host name"));
        check("https://a/%zz", Err("invalid URL escape \"%zz\""));
        check("https://a/\n", Err("net/url: invalid control character in URL"));
    }
}
