//! Who may do what: role-based access control over the watch cache.

mod escalation;
mod follow;
mod index;
mod policy;
mod reconcile;
mod review;
mod rule;
#[cfg(test)]
mod tests;

use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;

use crate::access::{Attributes, Authorizer, Decision};
use crate::bootstrap::Bootstrap;
use crate::user::{MASTERS, User};

pub use escalation::EscalationCheck;
pub use follow::follow;
pub use index::Index;
pub use reconcile::{Policy, Reconciled, desired, reconcile};
pub use review::{LocalSubjectAccessReviews, RulesReviews, SelfSubjectAccessReviews, SubjectAccessReviews};
pub use rule::Rule;

/// The API group of roles and bindings.
pub const GROUP: &str = "rbac.authorization.k8s.io";

/// What makes and repairs the policy that every cluster starts with.
#[must_use]
pub fn bootstrap() -> Box<dyn Bootstrap> {
    Box::new(Policy)
}

/// Allows what roles grant; cheap to clone. [`follow`] keeps it up to date.
#[derive(Clone, Default)]
pub struct Rbac(Arc<RwLock<Index>>);

impl Rbac {
    /// Looks at the index as it is now.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Index) -> T) -> T {
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn write<T>(&self, change: impl FnOnce(&mut Index) -> T) -> T {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Judges without waiting.
    #[must_use]
    pub fn decide(&self, attributes: &Attributes<'_>) -> Decision {
        if attributes.user.is_in(MASTERS) {
            return Decision::Allow;
        }
        self.read(|index| index.decide(attributes))
    }

    /// Everything that roles grant the user in a namespace, cluster-wide grants included.
    #[must_use]
    pub fn rules(&self, user: &User, namespace: &str) -> Vec<Rule> {
        self.read(|index| index.rules(user, namespace))
    }
}

#[async_trait]
impl Authorizer for Rbac {
    async fn authorize(&self, attributes: &Attributes<'_>) -> Decision {
        self.decide(attributes)
    }
}

impl std::fmt::Debug for Rbac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rbac")
    }
}
