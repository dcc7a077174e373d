//! A registry, over HTTP. Nothing that it says is believed: every answer is bounded, and content has its digest or is
//! refused.

use std::time::Duration;

use futures::StreamExt as _;
use http::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use reqwest::redirect::{Attempt as Redirect, Policy};
use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncRead;
use tokio_util::io::StreamReader;

use super::Name;
use super::credentials::Credentials;
use super::layers::read_bounded;
use super::manifest::{ACCEPTED, Descriptor, MAX_MANIFEST};
use crate::error::{Attempt as _, Error, Result};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// A registry that says nothing for this long is gone.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_REDIRECTS: usize = 10;
/// Most bytes of the answer with a token, and of words why something failed.
const MAX_TOKEN: u64 = 256 << 10;
const MAX_WORDS: u64 = 16 << 10;

/// A repository in a registry, for the time of a pull.
pub(super) struct Registry {
    client: Client,
    /// `https://host/v2/repository`
    base: String,
    repository: String,
    credentials: Credentials,
    /// What the registry wants to see, once it has said so.
    authorization: tokio::sync::Mutex<Option<HeaderValue>>,
}

/// Registries give either of them, or both.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

#[derive(Deserialize)]
struct Refusals {
    errors: Vec<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl Registry {
    pub(super) fn new(name: &Name, credentials: Credentials) -> Result<Self> {
        let scheme = if name.is_loopback() { "http" } else { "https" };
        let host = if name.registry == "docker.io" { "registry-1.docker.io" } else { &name.registry };
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .redirect(Policy::custom(follow))
            .user_agent(concat!("coracle/", env!("CARGO_PKG_VERSION")))
            .build()
            .attempt(|| "preparing to talk to a registry".into())?;
        Ok(Self {
            client,
            base: format!("{scheme}://{host}/v2/{}", name.repository),
            repository: name.repository.clone(),
            authorization: tokio::sync::Mutex::new(credentials.header()),
            credentials,
        })
    }

    /// A manifest by its tag or digest, and its digest.
    pub(super) async fn manifest(&self, reference: &str) -> Result<(Vec<u8>, String)> {
        let answer = self.get(&format!("manifests/{reference}")).await?;
        let told =
            answer.headers().get("docker-content-digest").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let bytes = read_bounded(body(answer, None), MAX_MANIFEST, "an image's manifest").await?;
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(&bytes)));
        let wanted = if reference.contains(':') { Some(reference) } else { told.as_deref() };
        match wanted.filter(|wanted| wanted.starts_with("sha256:") && *wanted != digest) {
            Some(wanted) => Err(Error::Invalid(format!("the manifest {wanted} has the digest {digest}"))),
            None => Ok((bytes, digest)),
        }
    }

    /// The content of a blob. The last read fails if digest or size are not as told.
    pub(super) async fn blob(&self, descriptor: &Descriptor) -> Result<impl AsyncRead + Unpin + use<>> {
        let size = descriptor.size()?;
        let digest = descriptor.digest.strip_prefix("sha256:").filter(|hex| hex.len() == 64);
        let digest = digest.filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        let digest = digest.ok_or_else(|| Error::Invalid(format!("{:?} is not a sha256 digest", descriptor.digest)))?;
        let answer = self.get(&format!("blobs/{}", descriptor.digest)).await?;
        Ok(body(answer, Some(Promise { digest: digest.to_owned(), size, hasher: Sha256::new(), read: 0 })))
    }

    /// Asks, and asks again with what the registry wants to see.
    async fn get(&self, path: &str) -> Result<Response> {
        let url = format!("{}/{path}", self.base);
        let known = self.authorization.lock().await.clone();
        let answer = self.send(&url, known.as_ref()).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return accept(answer, &url).await;
        }
        let authorization = self.authorize(answer.headers(), known.as_ref()).await?;
        let Some(authorization) = authorization else { return accept(answer, &url).await };
        let answer = self.send(&url, Some(&authorization)).await?;
        accept(answer, &url).await
    }

    async fn send(&self, url: &str, authorization: Option<&HeaderValue>) -> Result<Response> {
        let mut request = self.client.get(url).header(ACCEPT, ACCEPTED.join(", "));
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        request.send().await.attempt(|| format!("asking for {url}"))
    }

    /// What to show, if there is something that has not been shown yet.
    async fn authorize(&self, headers: &HeaderMap, shown: Option<&HeaderValue>) -> Result<Option<HeaderValue>> {
        let mut authorization = self.authorization.lock().await;
        if authorization.as_ref() != shown {
            return Ok(authorization.clone());
        }
        let challenge = headers.get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let fresh = match challenge.split_once(' ') {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => Some(self.token(rest).await?),
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("basic") => self.credentials.basic(),
            _ => None,
        };
        let fresh = fresh.filter(|fresh| Some(fresh) != shown);
        if fresh.is_some() {
            authorization.clone_from(&fresh);
        }
        Ok(fresh)
    }

    /// A token from where the challenge says.
    async fn token(&self, challenge: &str) -> Result<HeaderValue> {
        let what = || "asking for a token".to_owned();
        let realm = parameter(challenge, "realm").unwrap_or_default();
        let mut url = Url::parse(&realm).attempt(|| format!("asking {realm:?} for a token"))?;
        if url.scheme() != "https" && !self.base.starts_with("http:") {
            return Err(Error::Invalid(format!("asking {realm} for a token: it is not https")));
        }
        let scope = parameter(challenge, "scope").unwrap_or_else(|| format!("repository:{}:pull", self.repository));
        url.query_pairs_mut().append_pair("scope", &scope);
        if let Some(service) = parameter(challenge, "service") {
            url.query_pairs_mut().append_pair("service", &service);
        }
        let answer = self.send(url.as_str(), self.credentials.basic().as_ref()).await?;
        let answer = accept(answer, &realm).await?;
        let bytes = read_bounded(body(answer, None), MAX_TOKEN, "the answer with a token").await?;
        let token: Token = serde_json::from_slice(&bytes).attempt(what)?;
        let token = token.token.or(token.access_token);
        let token = token.ok_or_else(|| Error::Invalid(format!("{}: there is none in the answer", what())))?;
        let mut header = HeaderValue::try_from(format!("Bearer {token}")).attempt(what)?;
        header.set_sensitive(true);
        Ok(header)
    }
}

/// Follows as long as it ends somewhere, and never from a safe connection to an open one.
fn follow(redirect: Redirect<'_>) -> reqwest::redirect::Action {
    let was_safe = redirect.previous().iter().any(|url| url.scheme() == "https");
    if redirect.previous().len() > MAX_REDIRECTS {
        redirect.error(format!("more than {MAX_REDIRECTS} redirects"))
    } else if was_safe && redirect.url().scheme() != "https" {
        redirect.error("a redirect from https to something else")
    } else {
        redirect.follow()
    }
}

/// An answer that is what was asked for; else why not.
async fn accept(answer: Response, url: &str) -> Result<Response> {
    let status = answer.status();
    if status == StatusCode::OK {
        return Ok(answer);
    }
    let words = read_bounded(body(answer, None), MAX_WORDS, "why it failed").await.unwrap_or_default();
    let refusals = serde_json::from_slice::<Refusals>(&words).map(|found| found.errors).unwrap_or_default();
    let unknown = ["MANIFEST_UNKNOWN", "NAME_UNKNOWN", "NOT_FOUND", "BLOB_UNKNOWN"];
    if status == StatusCode::NOT_FOUND || refusals.iter().any(|refusal| unknown.contains(&refusal.code.as_str())) {
        return Err(Error::NotFound(url.to_owned()));
    }
    let first = refusals.first().map(|refusal| format!("{}: {}", refusal.code, refusal.message));
    let first = first.map(|text| format!(" ({})", printable(&text))).unwrap_or_default();
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        return Err(Error::Denied(format!(
            "pull access denied, repository does not exist or may require authorization: {url} answered {status}{first}"
        )));
    }
    Err(Error::Failed { what: format!("asking for {url}"), source: format!("it answered {status}{first}").into() })
}

/// Foreign words go into statuses and terminals.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// What the content of a blob has to be.
struct Promise {
    digest: String,
    size: u64,
    hasher: Sha256,
    read: u64,
}

impl Promise {
    fn note(&mut self, chunk: &[u8]) -> std::io::Result<()> {
        self.read += chunk.len() as u64;
        if self.read > self.size {
            let Self { digest, size, .. } = self;
            return Err(broken(format!("sha256:{digest} has more than the {size} bytes that were told")));
        }
        self.hasher.update(chunk);
        Ok(())
    }

    fn settle(self) -> std::io::Result<()> {
        if self.read < self.size {
            let Self { digest, size, read, .. } = self;
            return Err(broken(format!("sha256:{digest} has {read} bytes, not the {size} that were told")));
        }
        let found = hex::encode(self.hasher.finalize());
        if found == self.digest {
            return Ok(());
        }
        Err(broken(format!("the content of sha256:{} has the digest sha256:{found}", self.digest)))
    }
}

/// Marks lies, which another attempt does not turn into truth.
fn broken(words: String) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, words)
}

/// The body as a reader, held to a promise if there is one.
fn body(answer: Response, promise: Option<Promise>) -> impl AsyncRead + Unpin + use<> {
    let chunks = answer.bytes_stream().map(|chunk| chunk.map_err(std::io::Error::other)).boxed();
    let checked = futures::stream::unfold((chunks, promise), |(mut chunks, mut promise)| async move {
        let item = match chunks.next().await {
            Some(Ok(chunk)) => promise.as_mut().map_or(Ok(()), |promise| promise.note(&chunk)).map(|()| chunk),
            Some(Err(error)) => Err(error),
            None => Err(promise.take()?.settle().err()?),
        };
        if item.is_ok() {
            return Some((item, (chunks, promise)));
        }
        // Nothing comes after a failure.
        Some((item, (futures::stream::empty().boxed(), None)))
    });
    StreamReader::new(checked.boxed())
}

/// The value of a challenge's parameter, in quotes or not.
fn parameter(challenge: &str, name: &str) -> Option<String> {
    let mut rest = challenge;
    while let Some((key, after)) = rest.split_once('=') {
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        if key.trim_matches([' ', ',']).eq_ignore_ascii_case(name) {
            return Some(value.to_owned());
        }
        rest = next;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let check = |challenge: &str, name: &str, expected: Option<&str>| {
            assert_eq!(parameter(challenge, name).as_deref(), expected, "{challenge} {name}");
        };
        let usual = r#"realm="https://auth.example/token",service="a, b=c",scope="repository:a/b:pull""#;
        check(usual, "realm", Some("https://auth.example/token"));
        check(usual, "service", Some("a, b=c"));
        check(usual, "scope", Some("repository:a/b:pull"));
        check(usual, "error", None);
        check("realm=plain, service=x", "service", Some("x"));
        check(r#"realm="open"#, "realm", None);
        check("", "realm", None);
    }
}
