//! Roles and bindings by what a request asks for: its user, its groups, its namespace.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::rule::Rule;
use crate::access::{Attributes, Decision};
use crate::user::User;

/// Roles that aggregate roles that aggregate roles: more than this many levels are not followed.
const DEPTH: usize = 8;

/// All roles and bindings. Empty namespaces stand for cluster-wide ones.
#[derive(Debug, Default)]
pub struct Index {
    roles: HashMap<Box<str>, HashMap<Box<str>, Role>>,
    /// Bindings of each namespace.
    grants: HashMap<Box<str>, Grants>,
    /// Subjects of each binding, to take it out again.
    bindings: HashMap<(Box<str>, Box<str>), Vec<Subject>>,
}

#[derive(Debug, Default)]
struct Role {
    rules: Arc<[Rule]>,
    labels: BTreeMap<String, String>,
    /// The labels that the rules are gathered by, each a way of its own; empty for a role with rules of its own.
    aggregates: Vec<BTreeMap<String, String>>,
    /// `rules`, or what is gathered.
    effective: Arc<[Rule]>,
}

/// The bindings of a namespace by subject; each names the binding and its role.
#[derive(Debug, Default)]
struct Grants {
    users: HashMap<Box<str>, BTreeMap<Box<str>, RoleRef>>,
    groups: HashMap<Box<str>, BTreeMap<Box<str>, RoleRef>>,
}

/// A role by the namespace it is in, which is empty for cluster roles, and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RoleRef {
    pub(super) namespace: Box<str>,
    pub(super) name: Box<str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Subject {
    User(Box<str>),
    Group(Box<str>),
}

/// What is read of a role.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct RoleObject {
    metadata: Meta,
    rules: Option<Vec<Rule>>,
    aggregation_rule: Option<AggregationRule>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Meta {
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct AggregationRule {
    cluster_role_selectors: Option<Vec<Selector>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Selector {
    match_labels: Option<BTreeMap<String, String>>,
    match_expressions: Option<Vec<Value>>,
}

impl Index {
    /// Takes a role or cluster role in.
    pub(super) fn put_role(&mut self, namespace: &str, name: &str, object: &[u8]) -> Result<(), serde_json::Error> {
        let object: RoleObject = serde_json::from_slice(object)?;
        let rules: Arc<[Rule]> = object.rules.unwrap_or_default().into();
        let selectors = object.aggregation_rule.and_then(|rule| rule.cluster_role_selectors).unwrap_or_default();
        // Expressions are left to the controller, which writes what it gathers into the role.
        let plain =
            selectors.into_iter().filter(|selector| selector.match_expressions.as_ref().is_none_or(Vec::is_empty));
        let aggregates = plain.filter_map(|selector| selector.match_labels).collect();
        let labels = object.metadata.labels.unwrap_or_default();
        let role = Role { effective: Arc::clone(&rules), rules, labels, aggregates };
        self.roles.entry(namespace.into()).or_default().insert(name.into(), role);
        self.gather(namespace);
        Ok(())
    }

    pub(super) fn remove_role(&mut self, namespace: &str, name: &str) {
        if let Some(roles) = self.roles.get_mut(namespace) {
            roles.remove(name);
        }
        self.gather(namespace);
    }

    /// Takes a binding or cluster role binding in.
    pub(super) fn put_binding(&mut self, namespace: &str, name: &str, object: &[u8]) -> Result<(), serde_json::Error> {
        let object: Value = serde_json::from_slice(object)?;
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let role_namespace = if text("/roleRef/kind") == "Role" { namespace } else { "" };
        let role = RoleRef { namespace: role_namespace.into(), name: text("/roleRef/name").into() };
        let subjects = object.get("subjects").and_then(Value::as_array).into_iter().flatten();
        let subjects: Vec<Subject> = subjects.filter_map(|subject| subject_of(subject, namespace)).collect();
        self.remove_binding(namespace, name);
        let grants = self.grants.entry(namespace.into()).or_default();
        for subject in &subjects {
            grants.of(subject).insert(name.into(), role.clone());
        }
        self.bindings.insert((namespace.into(), name.into()), subjects);
        Ok(())
    }

    pub(super) fn remove_binding(&mut self, namespace: &str, name: &str) {
        let Some(subjects) = self.bindings.remove(&(namespace.into(), name.into())) else { return };
        let Some(grants) = self.grants.get_mut(namespace) else { return };
        for subject in &subjects {
            grants.of(subject).remove(name);
        }
        grants.users.retain(|_, bindings| !bindings.is_empty());
        grants.groups.retain(|_, bindings| !bindings.is_empty());
        if grants.users.is_empty() && grants.groups.is_empty() {
            self.grants.remove(namespace);
        }
    }

    /// Whether a role grants what is asked; the reason names roles that bindings name and that are not there.
    pub(super) fn decide(&self, asked: &Attributes<'_>) -> Decision {
        let mut missing = BTreeSet::new();
        for role in self.granted(asked.user, asked.namespace) {
            match self.role(role) {
                Some(found) if found.effective.iter().any(|rule| rule.allows(asked)) => return Decision::Allow,
                Some(_) => {}
                None => {
                    missing.insert(role.missing());
                }
            }
        }
        match missing.len() {
            0 => Decision::NoOpinion(String::new()),
            1 => Decision::NoOpinion(format!("RBAC: {}", missing.into_iter().collect::<String>())),
            _ => Decision::NoOpinion(format!("RBAC: [{}]", missing.into_iter().collect::<Vec<_>>().join(", "))),
        }
    }

    /// Everything granted in a namespace, cluster-wide grants first.
    pub(super) fn rules(&self, user: &User, namespace: &str) -> Vec<Rule> {
        let roles = self.granted(user, namespace).filter_map(|role| self.role(role));
        let mut rules = Vec::new();
        for rule in roles.flat_map(|role| role.effective.iter()) {
            if !rules.contains(rule) {
                rules.push(rule.clone());
            }
        }
        rules
    }

    /// The rules of a role; `None` when it is not there.
    pub(super) fn rules_of(&self, role: &RoleRef) -> Option<Arc<[Rule]>> {
        self.role(role).map(|role| Arc::clone(&role.effective))
    }

    /// The roles bound to the user and its groups, cluster-wide and in the namespace.
    fn granted<'a>(&'a self, user: &'a User, namespace: &'a str) -> impl Iterator<Item = &'a RoleRef> {
        let places = ["", namespace].into_iter().take(if namespace.is_empty() { 1 } else { 2 });
        places.filter_map(|place| self.grants.get(place)).flat_map(|grants| {
            let users = grants.users.get(user.name.as_str());
            let groups = user.groups.iter().filter_map(|group| grants.groups.get(group.as_str()));
            users.into_iter().chain(groups).flat_map(BTreeMap::values)
        })
    }

    fn role(&self, role: &RoleRef) -> Option<&Role> {
        self.roles.get(&role.namespace)?.get(&role.name)
    }

    /// Works out what aggregating cluster roles grant. There are few of them, and roles change seldom.
    fn gather(&mut self, namespace: &str) {
        let Some(roles) = self.roles.get_mut(namespace).filter(|_| namespace.is_empty()) else { return };
        let names = roles.iter().filter(|(_, role)| !role.aggregates.is_empty()).map(|(name, _)| name.clone());
        let gathered: Vec<(Box<str>, Arc<[Rule]>)> = names
            .map(|name| {
                let mut seen = BTreeSet::new();
                let mut rules = Vec::new();
                collect(roles, &name, DEPTH, &mut seen, &mut rules);
                (name, rules.into())
            })
            .collect();
        for (name, effective) in gathered {
            if let Some(role) = roles.get_mut(&name) {
                role.effective = effective;
            }
        }
    }
}

/// The rules of a role and of all that it aggregates, each role once.
fn collect<'a>(
    roles: &'a HashMap<Box<str>, Role>,
    name: &'a str,
    depth: usize,
    seen: &mut BTreeSet<&'a str>,
    rules: &mut Vec<Rule>,
) {
    let Some(role) = roles.get(name).filter(|_| depth > 0) else { return };
    if !seen.insert(name) {
        return;
    }
    rules.extend(role.rules.iter().filter(|rule| !rules.contains(rule)).cloned().collect::<Vec<_>>());
    for selector in &role.aggregates {
        let matches = |other: &Role| selector.iter().all(|(key, value)| other.labels.get(key) == Some(value));
        let mut names: Vec<&str> = roles.iter().filter(|(_, other)| matches(other)).map(|(name, _)| &**name).collect();
        names.sort_unstable();
        for name in names {
            collect(roles, name, depth - 1, seen, rules);
        }
    }
}

impl Grants {
    fn of(&mut self, subject: &Subject) -> &mut BTreeMap<Box<str>, RoleRef> {
        match subject {
            Subject::User(name) => self.users.entry(name.clone()).or_default(),
            Subject::Group(name) => self.groups.entry(name.clone()).or_default(),
        }
    }
}

impl RoleRef {
    fn missing(&self) -> String {
        let kind = if self.namespace.is_empty() { "clusterrole" } else { "role" };
        format!("{kind}.{} {:?} not found", super::GROUP, self.name)
    }
}

fn subject_of(subject: &Value, binding_namespace: &str) -> Option<Subject> {
    let text = |field: &str| subject.get(field).and_then(Value::as_str).unwrap_or_default();
    let name = text("name");
    match text("kind") {
        "User" => Some(Subject::User(name.into())),
        "Group" => Some(Subject::Group(name.into())),
        "ServiceAccount" => {
            let namespace = if text("namespace").is_empty() { binding_namespace } else { text("namespace") };
            (!namespace.is_empty()).then(|| Subject::User(format!("system:serviceaccount:{namespace}:{name}").into()))
        }
        _ => None,
    }
}
