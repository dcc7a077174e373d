//! References of images: `[host[:port]/]path[:tag][@digest]`.

/// The tag a reference is pulled by: its own, `latest` where it has neither tag nor digest, none where it is no
/// reference or has a digest alone.
pub(super) fn tag(image: &str) -> Option<&str> {
    let (name, digest) = match image.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (image, None),
    };
    let last = name.rfind('/').map_or(0, |at| at + 1);
    let (path, tag) = match name.get(last..)?.split_once(':') {
        Some((file, tag)) => (name.get(..last + file.len())?, Some(tag)),
        None => (name, None),
    };
    let whole_hash = path.len() == 64 && path.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let valid = is_path(path) && !whole_hash && tag.is_none_or(is_tag) && digest.is_none_or(is_digest);
    if !valid {
        return None;
    }
    match (tag, digest) {
        (None, None) => Some("latest"),
        _ => tag,
    }
}

/// A repository, whose first part may be a host.
fn is_path(path: &str) -> bool {
    let hosted = |first: &str| {
        first.contains(['.', ':']) || first == "localhost" || first.bytes().any(|b| b.is_ascii_uppercase())
    };
    let rest = match path.split_once('/') {
        Some((first, rest)) if hosted(first) && is_host(first) => rest,
        _ => path,
    };
    path.len() <= 255 && rest.split('/').all(is_part)
}

fn is_host(host: &str) -> bool {
    if let Some(rest) = host.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else { return false };
        let plain = !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
        return plain && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    let label = |label: &str| {
        label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.split('.').all(label) && port.is_none_or(is_port)
}

fn is_port(port: &str) -> bool {
    !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())
}

/// Small letters and digits, joined by a dot, one or two underscores, or dashes.
fn is_part(part: &str) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let joined = |joint: &[u8]| matches!(joint, b"." | b"_" | b"__") || joint.iter().all(|b| *b == b'-');
    let bytes = part.as_bytes();
    let ends = |b: Option<&u8>| b.copied().is_some_and(word);
    ends(bytes.first()) && ends(bytes.last()) && bytes.split(|b| word(*b)).all(joined)
}

fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= 128 && tag.bytes().next().is_some_and(word) && tag.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

/// A digest by one of the algorithms in use, which fix its length.
fn is_digest(digest: &str) -> bool {
    let Some((algorithm, hash)) = digest.split_once(':') else { return false };
    let length = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return false,
    };
    hash.len() == length && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::tag;

    #[test]
    fn tags() {
        let hash = "0123456789abcdef".repeat(4);
        for (image, expected) in [
            ("nginx", Some("latest")),
            ("library/nginx:1.27", Some("1.27")),
            ("localhost:5000/a/b", Some("latest")),
            ("localhost:5000", Some("5000")),
            ("[fd00::1]:5000/x:1", Some("1")),
            ("Registry/x", Some("latest")),
            ("a--b__c.d/x", Some("latest")),
            ("a___b", None),
            ("a..b", None),
            ("x/", None),
            ("/x", None),
            ("", None),
            ("Nginx", None),
            ("nginx:", None),
            ("nginx:-a", None),
            ("nginx@sha256:abc", None),
            (hash.as_str(), None),
            (&format!("nginx@sha256:{hash}"), None),
            (&format!("nginx:latest@sha256:{hash}"), Some("latest")),
            (&format!("nginx:latest@md5:{hash}"), None),
        ] {
            assert_eq!(tag(image), expected, "{image}");
        }
    }
}
