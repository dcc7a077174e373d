//! Roles and bindings.

use object::field::{Error, ErrorList};
use object::names;
use serde_json::Value;

use super::field::{At, required, required_name, supported, well_formed};
use super::{Context, Strategy, internal, labels};

const GROUP: &str = "rbac.authorization.k8s.io";

/// `Role` and `ClusterRole`.
pub(super) struct Role {
    pub(super) namespaced: bool,
}

/// `RoleBinding` and `ClusterRoleBinding`.
pub(super) struct RoleBinding {
    pub(super) namespaced: bool,
}

impl Strategy for Role {
    fn check_name(&self, name: &str, _: bool) -> Vec<String> {
        names::path_segment(name)
    }

    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let (role, mut errors) = (At::root(object), ErrorList::new());
        role.at("rules").items().for_each(|rule| policy_rule(&rule, self.namespaced, &mut errors));
        let aggregation = role.at("aggregationRule");
        if !self.namespaced && aggregation.is_set() {
            aggregation_rule(&aggregation.at("clusterRoleSelectors"), &mut errors);
        }
        errors
    }

    fn allows_create_on_update(&self) -> bool {
        true
    }
}

impl Strategy for RoleBinding {
    fn check_name(&self, name: &str, _: bool) -> Vec<String> {
        names::path_segment(name)
    }

    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let (binding, mut errors) = (At::root(object), ErrorList::new());
        let role = binding.at("roleRef");
        let kinds: &[&str] = if self.namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
        supported(&role.at("apiGroup"), &[GROUP], &mut errors);
        supported(&role.at("kind"), kinds, &mut errors);
        required_name(&role.at("name"), names::path_segment, &mut errors);
        binding.at("subjects").items().for_each(|entry| subject(&entry, self.namespaced, &mut errors));
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let mut errors = self.validate(cx, object);
        let role = At::root(object).at("roleRef");
        if role.value != &old["roleRef"] {
            let value = internal::shown("rbac.v1.RoleRef", role.value);
            errors.push(Error::invalid(&role.path, value, "cannot change roleRef"));
        }
        errors
    }

    fn allows_create_on_update(&self) -> bool {
        true
    }
}

fn policy_rule(rule: &At<'_>, namespaced: bool, errors: &mut ErrorList) {
    let verbs = rule.at("verbs");
    if verbs.is_empty() {
        errors.push(verbs.required("verbs must contain at least one value"));
    }
    let (paths, groups, resources) = (rule.at("nonResourceURLs"), rule.at("apiGroups"), rule.at("resources"));
    if !paths.is_empty() {
        if namespaced {
            errors.push(paths.invalid("namespaced rules cannot apply to non-resource URLs"));
        }
        if !(groups.is_empty() && resources.is_empty() && rule.at("resourceNames").is_empty()) {
            errors.push(paths.invalid("rules cannot apply to both regular resources and non-resource URLs"));
        }
        return;
    }
    if groups.is_empty() {
        errors.push(groups.required("resource rules must supply at least one api group"));
    }
    if resources.is_empty() {
        errors.push(resources.required("resource rules must supply at least one resource"));
    }
}

fn aggregation_rule(selectors: &At<'_>, errors: &mut ErrorList) {
    if selectors.is_empty() {
        errors.push(selectors.required("at least one clusterRoleSelector required if aggregationRule is non-nil"));
    }
    for selector in selectors.items() {
        let before = errors.len();
        labels::selector(&selector, errors);
        if errors.len() > before {
            // Upstream shows what became of the selector: nothing.
            errors.push(Error::invalid(&selector.path, Value::Null, "invalid label selector."));
        }
    }
}

fn subject(at: &At<'_>, namespaced: bool, errors: &mut ErrorList) {
    let (name, group, namespace) = (at.at("name"), at.at("apiGroup"), at.at("namespace"));
    required(&name, errors);
    match at.at("kind").text() {
        "ServiceAccount" => {
            if !name.is_empty() {
                well_formed(&name, names::dns1123_subdomain, errors);
            }
            supported(&group, &[""], errors);
            if !namespaced {
                required(&namespace, errors);
            }
        }
        "User" | "Group" => supported(&group, &[GROUP], errors),
        _ => supported(&at.at("kind"), &["ServiceAccount", "User", "Group"], errors),
    }
}
