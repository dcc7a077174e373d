//! Image references: registry, repository, tag, digest.

/// What is no reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("couldn't parse image name \"{0}\": invalid reference format")]
pub struct Invalid(String);

/// The reference with `:latest` where it has neither tag nor digest.
pub fn with_default_tag(image: &str) -> Result<String, Invalid> {
    let (name, digest) = match image.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (image, None),
    };
    let (repository, tag) = split_tag(name);
    let valid = valid_repository(repository) && tag.is_none_or(valid_tag) && digest.is_none_or(valid_digest);
    match valid {
        false => Err(Invalid(image.to_owned())),
        true if tag.is_none() && digest.is_none() => Ok(format!("{image}:latest")),
        true => Ok(image.to_owned()),
    }
}

/// The pull policy of an image for which none is given.
#[must_use]
pub fn default_policy(image: &str) -> &'static str {
    let latest = !image.contains('@') && split_tag(image).1.is_none_or(|tag| tag == "latest");
    if latest { "Always" } else { "IfNotPresent" }
}

/// The registry's host and port, and the path in it.
#[must_use]
pub fn registry(image: &str) -> (&str, &str) {
    match image.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path),
        _ => ("docker.io", image),
    }
}

fn split_tag(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (name, None),
    }
}

fn valid_repository(repository: &str) -> bool {
    let (host, path) = match registry(repository) {
        ("docker.io", path) if path == repository => ("", path),
        found => found,
    };
    let host_ok = host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b));
    let component_ok = |part: &str| {
        let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        edge(part.bytes().next())
            && edge(part.bytes().last())
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
    };
    repository.len() <= 255 && host_ok && path.split('/').all(component_ok)
}

fn valid_tag(tag: &str) -> bool {
    let first = tag.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
    first && tag.len() <= 128 && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

fn valid_digest(digest: &str) -> bool {
    digest.split_once(':').is_some_and(|(algorithm, hex)| {
        !algorithm.is_empty() && hex.len() >= 32 && hex.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_tags() {
        let digest = format!("a@sha256:{}", "0".repeat(64));
        for (image, expected) in [
            ("busybox", Some("busybox:latest")),
            ("busybox:1", Some("busybox:1")),
            ("localhost:5000/a/b", Some("localhost:5000/a/b:latest")),
            ("localhost:5000/a/b:x", Some("localhost:5000/a/b:x")),
            (digest.as_str(), Some(digest.as_str())),
            ("INVALID", None),
            ("a b", None),
            ("", None),
            ("a:", None),
            ("http://a", None),
        ] {
            assert_eq!(with_default_tag(image).ok().as_deref(), expected, "{image}");
        }
    }

    #[test]
    fn default_policies() {
        assert_eq!(default_policy("a:latest"), "Always");
        assert_eq!(default_policy("a:1"), "IfNotPresent");
        assert_eq!(default_policy("localhost:5000/a"), "Always");
        assert_eq!(default_policy("a@sha256:00"), "IfNotPresent");
    }
}
