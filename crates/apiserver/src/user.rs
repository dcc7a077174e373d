//! Who makes a request, and over what kind of connection.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;

/// An authenticated caller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    pub name: String,
    /// Empty when the authenticator knows none.
    pub uid: String,
    pub groups: Vec<String>,
    pub extra: BTreeMap<String, Vec<String>>,
}

/// The group whose members may do everything.
pub const MASTERS: &str = "system:masters";
/// The group of every caller that has proven who it is.
pub const AUTHENTICATED: &str = "system:authenticated";
/// The name of a caller that has proven nothing.
pub const ANONYMOUS: &str = "system:anonymous";
/// The group of callers that have proven nothing.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";

impl User {
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    #[must_use]
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.groups.push(group.into());
        self
    }

    #[must_use]
    pub fn anonymous() -> Self {
        Self::new(ANONYMOUS).group(UNAUTHENTICATED)
    }

    /// The server itself, when it keeps objects of its own.
    #[must_use]
    pub fn loopback() -> Self {
        Self::new("system:apiserver").group(MASTERS)
    }

    #[must_use]
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|g| g == group)
    }

    /// Adds `system:authenticated`, as every authenticated caller has it.
    #[must_use]
    pub fn authenticated(self) -> Self {
        if self.name == ANONYMOUS || self.is_in(AUTHENTICATED) { self } else { self.group(AUTHENTICATED) }
    }
}

/// What a connection itself proves about its other end; decided when it is accepted, never by a header.
#[derive(Debug, Clone)]
pub enum Peer {
    /// A role in this process, which was given the identity with the connection.
    Memory(Arc<User>),
    /// A TLS client and the certificates it proved possession of, its own first; not yet checked against any client CA.
    Tls { address: SocketAddr, certificates: Arc<[CertificateDer<'static>]> },
}

impl Peer {
    /// The address that audit and metrics show.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Memory(_) => None,
            Self::Tls { address, .. } => Some(*address),
        }
    }
}
