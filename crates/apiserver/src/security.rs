//! Putting authentication, authorization, admission and the endpoints that belong to them together.

use std::sync::Arc;

use host::RoleError;
use pki::{Certified, SigningKey};
use rustls::RootCertStore;

use crate::admission;
use crate::authentication::{Authentications, ClientCertificates, SelfSubjectReviews, TokenReviews};
use crate::authorization::{
    LocalSubjectAccessReviews, Rbac, RulesReviews, SelfSubjectAccessReviews, SubjectAccessReviews, follow,
};
use crate::connect::{self, Nodes};
use crate::endpoints::Endpoints;
use crate::options::{Parts, Security};
use crate::token::{TokenOptions, TokenRequests, Tokens};

/// What security needs to be told.
#[derive(Debug)]
pub struct SecurityOptions {
    /// Signs service-account tokens.
    pub signing_key: Arc<SigningKey>,
    /// The issuer of tokens and, when they name none, their audience.
    pub issuer: String,
    /// Where others reach the server: `https://10.42.0.1:6443`.
    pub server: String,
    /// Who signs certificates of users and of kubelets.
    pub authority: RootCertStore,
    /// What the server shows kubelets.
    pub kubelet_client: Certified,
}

/// The constructor that [`crate::options::Options::new`] takes.
pub fn security(options: SecurityOptions) -> impl FnOnce(Parts) -> Result<Security, RoleError> + Send + 'static {
    move |parts| build(options, parts)
}

fn build(options: SecurityOptions, parts: Parts) -> Result<Security, RoleError> {
    let Parts { objects, host, .. } = parts;
    let failed = |error: &dyn std::fmt::Display| RoleError::new("setting up security", error);
    let issued = TokenOptions { audiences: vec![options.issuer.clone()], issuer: options.issuer };
    let tokens = Arc::new(Tokens::new(issued, options.signing_key, objects.clone(), host.clone()));
    let certificates = ClientCertificates::new(options.authority.clone(), Arc::clone(&host.clock));
    let certificates = certificates.map_err(|error| failed(&error))?;
    let rbac = Rbac::default();
    follow(&rbac, &objects, &host);
    let authorizer: Arc<dyn crate::Authorizer> = Arc::new(rbac.clone());
    let tls = pki::client_config(options.authority, Some(&options.kubelet_client));
    let nodes = Arc::new(Nodes::new(objects, tls.map_err(|error| failed(&error))?, host.tasks.clone()));
    let endpoints = tokens.discovery(Endpoints::default(), &options.server);
    let endpoints = reviews(endpoints, &tokens, &rbac, &authorizer);
    // Roles decide what callers may that prove nothing.
    Ok(Security {
        authenticator: Arc::new(Authentications { certificates, tokens }),
        anonymous: true,
        admission: admission::plugins(&rbac, &host),
        endpoints: connect::endpoints(endpoints, &nodes, &authorizer),
        authorizer,
    })
}

fn reviews(
    endpoints: Endpoints,
    tokens: &Arc<Tokens>,
    rbac: &Rbac,
    authorizer: &Arc<dyn crate::Authorizer>,
) -> Endpoints {
    const AUTHENTICATION: &str = "authentication.k8s.io";
    const AUTHORIZATION: &str = "authorization.k8s.io";
    endpoints
        .computed(AUTHENTICATION, "tokenreviews", "", TokenReviews(Arc::clone(tokens)))
        .computed(AUTHENTICATION, "selfsubjectreviews", "", SelfSubjectReviews)
        .computed("", "serviceaccounts", "token", TokenRequests(Arc::clone(tokens)))
        .computed(AUTHORIZATION, "subjectaccessreviews", "", SubjectAccessReviews(Arc::clone(authorizer)))
        .computed(AUTHORIZATION, "localsubjectaccessreviews", "", LocalSubjectAccessReviews(Arc::clone(authorizer)))
        .computed(AUTHORIZATION, "selfsubjectaccessreviews", "", SelfSubjectAccessReviews(Arc::clone(authorizer)))
        .computed(AUTHORIZATION, "selfsubjectrulesreviews", "", RulesReviews(rbac.clone()))
}
