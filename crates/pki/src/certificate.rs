//! Certificates of servers and clients: what they should say, and whether a stored one says it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyUsagePurpose, SanType};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::{Authority, Error};

/// Days that a certificate is valid.
const LIFETIME: i64 = 365;
/// One that is valid for less than this many days is made again.
const RENEWAL: i64 = 90;

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    Server,
    Client,
}

/// What a certificate should say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// For clients, the user's name.
    pub common_name: String,
    /// For clients, the user's groups.
    pub organizations: Vec<String>,
    /// For servers, the DNS names and addresses that clients use.
    pub names: BTreeSet<String>,
    pub usage: Usage,
}

impl Profile {
    /// A server that is reached by `names`, each a DNS name or an address.
    pub fn server<N: Into<String>>(common_name: &str, names: impl IntoIterator<Item = N>) -> Self {
        let names = names.into_iter().map(Into::into).collect();
        Self { common_name: common_name.into(), organizations: Vec::new(), names, usage: Usage::Server }
    }

    /// A user with groups.
    pub fn client<O: Into<String>>(user: &str, groups: impl IntoIterator<Item = O>) -> Self {
        let organizations = groups.into_iter().map(Into::into).collect();
        Self { common_name: user.into(), organizations, names: BTreeSet::new(), usage: Usage::Client }
    }

    /// The user who may do everything.
    #[must_use]
    pub fn admin() -> Self {
        Self::client("kubernetes-admin", ["system:masters"])
    }

    /// A component by its upstream user name: `system:kube-scheduler`.
    #[must_use]
    pub fn component(user: &str) -> Self {
        Self::client::<String>(user, [])
    }

    /// The kubelet of a node as a client of the API.
    #[must_use]
    pub fn kubelet_client(node: &str) -> Self {
        Self::client(&format!("system:node:{node}"), ["system:nodes"])
    }

    /// The kubelet of a node as a server.
    pub fn kubelet_server<N: Into<String>>(node: &str, names: impl IntoIterator<Item = N>) -> Self {
        let mut profile = Self::server(&format!("system:node:{node}"), names);
        profile.names.insert(node.to_owned());
        profile.organizations.push("system:nodes".into());
        profile
    }

    /// The API server as a client of kubelets.
    #[must_use]
    pub fn apiserver_kubelet_client() -> Self {
        Self::client("kube-apiserver-kubelet-client", ["system:masters"])
    }

    pub(crate) fn params(&self, now: Timestamp) -> Result<CertificateParams, Error> {
        let failed = |source| Error::Certificate { name: self.common_name.clone(), source };
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for organization in &self.organizations {
            params.distinguished_name.push(DnType::OrganizationName, organization.as_str());
        }
        params.distinguished_name.push(DnType::CommonName, self.common_name.as_str());
        for name in &self.names {
            let san = match name.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(name.as_str().try_into().map_err(failed)?),
            };
            params.subject_alt_names.push(san);
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = vec![match self.usage {
            Usage::Server => ExtendedKeyUsagePurpose::ServerAuth,
            Usage::Client => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, now, LIFETIME);
        Ok(params)
    }

    /// Whether a certificate says this, was issued by `authority`, and is valid for long enough.
    pub(crate) fn is_met(&self, certificate: &Certified, authority: &Authority, now: Timestamp) -> bool {
        let Some(Ok((_, parsed))) = certificate.chain.first().map(|der| X509Certificate::from_der(der)) else {
            return false;
        };
        let subject = parsed.subject();
        let organizations: Vec<&str> = subject.iter_organization().filter_map(|o| o.as_str().ok()).collect();
        let remaining = parsed.validity().not_after.timestamp() - now.as_second();
        subject.iter_common_name().filter_map(|name| name.as_str().ok()).eq([self.common_name.as_str()])
            && organizations == self.organizations
            && names(&parsed) == self.names
            && remaining > RENEWAL * 24 * 60 * 60
            && parsed.validity().not_before.timestamp() <= now.as_second()
            && authority.issued(&parsed)
    }
}

/// A certificate and its key.
#[derive(Debug)]
pub struct Certified {
    pub certificate_pem: String,
    /// Secret.
    pub key_pem: String,
    pub chain: Vec<CertificateDer<'static>>,
    /// Secret.
    pub key: PrivateKeyDer<'static>,
}

impl Clone for Certified {
    fn clone(&self) -> Self {
        Self {
            certificate_pem: self.certificate_pem.clone(),
            key_pem: self.key_pem.clone(),
            chain: self.chain.clone(),
            key: self.key.clone_key(),
        }
    }
}

impl Certified {
    /// Reads both from PEM; `path` is for the error.
    pub(crate) fn new(certificate_pem: String, key_pem: String, path: &Path) -> Result<Self, Error> {
        let chain = chain(&certificate_pem, path)?;
        let key = rustls_pemfile::private_key(&mut key_pem.as_bytes()).ok().flatten();
        let key = key.ok_or_else(|| Error::content("no usable private key", path))?;
        Ok(Self { certificate_pem, key_pem, chain, key })
    }
}

/// The certificates of a PEM text, at least one.
pub(crate) fn chain(pem: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let chain: Result<Vec<_>, _> = rustls_pemfile::certs(&mut pem.as_bytes()).collect();
    let chain = chain.map_err(Error::file("reading the certificate", path))?;
    if chain.is_empty() { Err(Error::content("no certificate", path)) } else { Ok(chain) }
}

/// Sets the days, UTC, between which a certificate is valid.
pub(crate) fn set_validity(params: &mut CertificateParams, now: Timestamp, days: i64) {
    let day = |after: Span| {
        let date = now.to_zoned(TimeZone::UTC).saturating_add(after).date();
        rcgen::date_time_ymd(i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    params.not_before = day((-1).days());
    params.not_after = day(days.days());
}

fn names(certificate: &X509Certificate<'_>) -> BTreeSet<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return BTreeSet::new() };
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => <[u8; 4]>::try_from(*bytes)
            .map(IpAddr::from)
            .or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from))
            .ok()
            .map(|address| address.to_string()),
        _ => None,
    };
    extension.value.general_names.iter().filter_map(text).collect()
}
