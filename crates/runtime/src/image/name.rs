//! Names of images, made whole as Docker does: `busybox` is `docker.io/library/busybox:latest`.

use std::fmt;

use crate::error::Error;

/// A whole name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) registry: String,
    pub(crate) repository: String,
    tag: Option<String>,
    digest: Option<String>,
}

impl Name {
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let invalid = || Error::Invalid(format!("couldn't parse image name {text:?}: invalid reference format"));
        let (rest, digest) = text.split_once('@').map_or((text, None), |(rest, digest)| (rest, Some(digest)));
        let (registry, path) = match rest.split_once('/') {
            Some((first, path)) if first.contains(['.', ':']) || first == "localhost" => (first, path),
            _ => ("docker.io", rest),
        };
        let (repository, tag) = path.rsplit_once(':').map_or((path, None), |(path, tag)| (path, Some(tag)));
        let registry = if registry == "index.docker.io" { "docker.io" } else { registry };
        let official = registry == "docker.io" && !repository.contains('/');
        let repository = if official { format!("library/{repository}") } else { repository.to_owned() };
        let valid = is_repository(&repository) && tag.is_none_or(is_tag) && digest.is_none_or(is_digest);
        if !valid || registry.is_empty() || text.len() > 1024 {
            return Err(invalid());
        }
        let (tag, digest) = (tag.map(str::to_owned), digest.map(str::to_owned));
        let tag = tag.or_else(|| digest.is_none().then(|| "latest".to_owned()));
        Ok(Self { registry: registry.to_owned(), repository, tag, digest })
    }

    /// `registry/repository:tag`.
    pub(crate) fn tag_reference(&self) -> String {
        format!("{}/{}:{}", self.registry, self.repository, self.tag.as_deref().unwrap_or("latest"))
    }

    /// `registry/repository@digest`, when the name has a digest, which then outranks the tag.
    pub(crate) fn digest_reference(&self) -> Option<String> {
        self.digest.as_deref().map(|digest| self.with_digest(digest))
    }

    /// What the registry is asked for: the digest, else the tag.
    pub(crate) fn reference(&self) -> &str {
        self.digest.as_deref().or(self.tag.as_deref()).unwrap_or("latest")
    }

    /// The name of a manifest in the same repository.
    pub(crate) fn with_digest(&self, digest: &str) -> String {
        format!("{}/{}@{digest}", self.registry, self.repository)
    }

    /// Whether the registry is on this machine, and so may speak plain HTTP.
    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.registry.rsplit_once(':').map_or(self.registry.as_str(), |(host, _)| host);
        let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.digest_reference().unwrap_or_else(|| self.tag_reference()))
    }
}

fn is_repository(text: &str) -> bool {
    let part = |part: &str| {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
        let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let bytes = part.as_bytes();
        edge(bytes.first()) && edge(bytes.last()) && bytes.iter().copied().all(inner)
    };
    text.len() <= 255 && text.split('/').all(part)
}

fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let bytes = text.as_bytes();
    bytes.first().copied().is_some_and(word)
        && bytes.len() <= 128
        && bytes.iter().all(|b| word(*b) || matches!(b, b'.' | b'-'))
}

fn is_digest(text: &str) -> bool {
    let hex = text.strip_prefix("sha256:").unwrap_or_default();
    hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_whole() {
        let check = |text: &str, whole: &str| assert_eq!(Name::parse(text).unwrap().to_string(), whole);
        check("busybox", "docker.io/library/busybox:latest");
        check("busybox:1.36", "docker.io/library/busybox:1.36");
        check("a/b:1", "docker.io/a/b:1");
        check("index.docker.io/a/b", "docker.io/a/b:latest");
        check("localhost/x", "localhost/x:latest");
        check("127.0.0.1:5000/x/y", "127.0.0.1:5000/x/y:latest");
        check("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10");
        let digest = format!("sha256:{}", "a".repeat(64));
        check(&format!("x:1@{digest}"), &format!("docker.io/library/x@{digest}"));
    }

    #[test]
    fn broken_names_are_refused() {
        for text in ["", "A", "a/", "/a", "a:", "a:b:c d", "a@sha256:12", "a//b", "-a", "a/_b", "x/../y", "http://a/b"]
        {
            assert!(Name::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn registries_on_this_machine_are_known() {
        let check =
            |text: &str, expected: bool| assert_eq!(Name::parse(text).unwrap().is_loopback(), expected, "{text}");
        check("localhost:5000/x", true);
        check("127.0.0.1:80/x", true);
        check("127.1.2.3:80/x", true);
        check("10.0.0.1:5000/x", false);
        check("localhost.example.com/x", false);
    }
}
