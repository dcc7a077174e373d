//! Certificate authorities.

use std::path::Path;

use jiff::Timestamp;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, ParsedExtension, X509Certificate};

use crate::certificate::{Certified, Profile, set_validity};
use crate::{Error, file};

/// Days that an authority is trusted.
const LIFETIME: i64 = 3650;

/// An authority: its certificate, which others are to trust, and the key that signs with it.
pub struct Authority {
    pem: String,
    der: CertificateDer<'static>,
    key_id: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// The certificate, for `certificate-authority-data` and `kube-root-ca.crt`.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    #[must_use]
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// What peers that trust this authority alone trust.
    #[must_use]
    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        if let Err(error) = roots.add(self.der.clone()) {
            tracing::error!(%error, "the authority's certificate cannot be trusted by this program");
        }
        roots
    }

    /// Makes a key and a certificate for it, valid from yesterday for the profile's time.
    pub fn issue(&self, profile: &Profile, now: Timestamp) -> Result<Certified, Error> {
        let failed = |source| Error::Certificate { name: profile.common_name.clone(), source };
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = profile.params(now)?.signed_by(&key, &self.issuer).map_err(failed)?;
        Certified::new(certificate.pem(), key.serialize_pem(), Path::new(&profile.common_name))
    }

    /// Loads the authority in `<base>.crt` and `<base>.key`, or makes it.
    pub(crate) fn load_or_create(base: &Path, name: &str, now: Timestamp) -> Result<Self, Error> {
        let (certificate, key) = (base.with_extension("crt"), base.with_extension("key"));
        if let (Some(certificate_pem), Some(key_pem)) = (file::read(&certificate)?, file::read(&key)?) {
            let key_pair = KeyPair::from_pem(&key_pem).map_err(|_| Error::content("no usable private key", &key))?;
            return Self::load(certificate_pem, key_pair, &certificate, now);
        }
        let failed = |source| Error::Certificate { name: name.to_owned(), source };
        let key_pair = KeyPair::generate().map_err(failed)?;
        let made = params(name, now).self_signed(&key_pair).map_err(failed)?;
        file::write(&key, &key_pair.serialize_pem())?;
        file::write(&certificate, &made.pem())?;
        Self::load(made.pem(), key_pair, &certificate, now)
    }

    fn load(pem: String, key: KeyPair, path: &Path, now: Timestamp) -> Result<Self, Error> {
        let der = crate::certificate::chain(&pem, path)?.remove(0);
        let (_, parsed) =
            X509Certificate::from_der(&der).map_err(|_| Error::content("a malformed certificate", path))?;
        if parsed.validity().not_after.timestamp() <= now.as_second() {
            return Err(Error::Expired { path: path.to_owned() });
        }
        if !parsed.public_key().raw.ends_with(key.public_key_raw()) {
            return Err(Error::content("the certificate of another key than the one beside it", path));
        }
        let key_id = subject_key_id(&parsed).ok_or_else(|| Error::content("no authority", path))?;
        let issuer = Issuer::from_ca_cert_der(&der, key).map_err(|_| Error::content("no authority", path))?;
        Ok(Self { pem, key_id, issuer, der })
    }

    /// Whether this authority, by its present key, issued the certificate.
    pub(crate) fn issued(&self, certificate: &X509Certificate<'_>) -> bool {
        let key_ids = certificate.extensions().iter().filter_map(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0),
            _ => None,
        });
        key_ids.into_iter().any(|id| id == self.key_id)
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

fn params(name: &str, now: Timestamp) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    set_validity(&mut params, now, LIFETIME);
    params
}

fn subject_key_id(certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
        _ => None,
    })
}
