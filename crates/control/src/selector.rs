//! Label selectors against labels.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt};

/// A selector ready to match. A malformed one matches nothing, as does an empty one where [`Matcher::nonempty`] is used.
#[derive(Debug, Clone)]
pub struct Matcher(Option<Selector>);

impl Matcher {
    /// Matches what `selector` selects; an empty selector selects everything.
    #[must_use]
    pub fn new(selector: &LabelSelector) -> Self {
        Self(Selector::try_from(selector.clone()).ok())
    }

    /// Matches what `selector` selects; an empty selector selects nothing.
    #[must_use]
    pub fn nonempty(selector: &LabelSelector) -> Self {
        Self(Selector::try_from(selector.clone()).ok().filter(|selector| !selector.selects_all()))
    }

    /// Matches objects that carry all of `labels`; none select nothing, as a service's selector.
    #[must_use]
    pub fn exact(labels: &BTreeMap<String, String>) -> Self {
        Self((!labels.is_empty()).then(|| labels.clone().into_iter().collect()))
    }

    #[must_use]
    pub fn matches(&self, labels: Option<&BTreeMap<String, String>>) -> bool {
        let none = BTreeMap::new();
        self.0.as_ref().is_some_and(|selector| selector.matches(labels.unwrap_or(&none)))
    }
}
