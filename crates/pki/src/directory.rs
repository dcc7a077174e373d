//! The directory that holds a cluster's keys and certificates.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use host::{Clock, Host};

use crate::{Authority, Certified, Error, Profile, SigningKey, file};

/// A cluster's keys and certificates.
///
/// `ca.crt` signs all servers and clients of the cluster; `front-proxy-ca.crt` signs proxies that vouch for users;
/// `sa.key` signs service-account tokens.
pub struct Pki {
    directory: PathBuf,
    clock: Arc<dyn Clock>,
    authority: Authority,
    front_proxy: Authority,
    signing: Arc<SigningKey>,
}

impl Pki {
    /// Opens the directory, making it, the authorities and the signing key when they are not there.
    ///
    /// # Errors
    /// When a file cannot be read or written, holds something else, or an authority has expired.
    pub fn open(directory: impl Into<PathBuf>, host: &Host) -> Result<Self, Error> {
        let directory = directory.into();
        file::directory(&directory)?;
        let now = host.now();
        let authority = Authority::load_or_create(&directory.join("ca"), "kubernetes", now)?;
        let front_proxy = Authority::load_or_create(&directory.join("front-proxy-ca"), "front-proxy-ca", now)?;
        let signing = Arc::new(SigningKey::load_or_create(&directory.join("sa.key"))?);
        Ok(Self { directory, clock: Arc::clone(&host.clock), authority, front_proxy, signing })
    }

    /// Who signs servers and clients.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Who signs proxies that vouch for users.
    #[must_use]
    pub fn front_proxy(&self) -> &Authority {
        &self.front_proxy
    }

    /// What signs service-account tokens.
    #[must_use]
    pub fn signing_key(&self) -> &Arc<SigningKey> {
        &self.signing
    }

    /// The certificate in `<name>.crt` with the key in `<name>.key`. It is made again when it is not there, says
    /// something else than `profile`, is about to expire, or was issued by an authority that is gone.
    ///
    /// # Errors
    /// When files cannot be read or written, or a name is none.
    pub fn certificate(&self, name: &str, profile: &Profile) -> Result<Certified, Error> {
        let base = self.directory.join(name);
        let (certificate, key) = (with(&base, ".crt"), with(&base, ".key"));
        let now = self.clock.now();
        if let (Some(certificate_pem), Some(key_pem)) = (file::read(&certificate)?, file::read(&key)?) {
            match Certified::new(certificate_pem, key_pem, &certificate) {
                Ok(stored) if profile.is_met(&stored, &self.authority, now) => return Ok(stored),
                Ok(_) => tracing::info!(name, "making the certificate again: it expires or says something else"),
                Err(error) => tracing::warn!(name, %error, "making the certificate again"),
            }
        }
        let made = self.authority.issue(profile, now)?;
        // The key first: a certificate never stands beside a key it does not fit without the next start noticing.
        file::write(&key, &made.key_pem)?;
        file::write(&certificate, &made.certificate_pem)?;
        Ok(made)
    }

    /// Where `ca.crt` is, for programs that take a path.
    #[must_use]
    pub fn authority_path(&self) -> PathBuf {
        self.directory.join("ca.crt")
    }
}

impl std::fmt::Debug for Pki {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pki").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// Names may have dots, so that the extension is appended.
fn with(base: &Path, extension: &str) -> PathBuf {
    let mut path = base.as_os_str().to_owned();
    path.push(extension);
    path.into()
}
