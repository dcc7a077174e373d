//! One rule of a role: what it allows, and whether it covers another.

use std::fmt;

use object::field::quote;
use serde::{Deserialize, Serialize};

use crate::access::Attributes;

/// `PolicyRule` of `rbac.authorization.k8s.io/v1`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rule {
    #[serde(deserialize_with = "list")]
    pub verbs: Vec<String>,
    #[serde(deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub api_groups: Vec<String>,
    #[serde(deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    #[serde(deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub resource_names: Vec<String>,
    #[serde(rename = "nonResourceURLs", deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub non_resource_urls: Vec<String>,
}

const ALL: &str = "*";

impl Rule {
    /// Whether the rule allows the request.
    #[must_use]
    pub fn allows(&self, asked: &Attributes<'_>) -> bool {
        if !has(&self.verbs, asked.verb) {
            return false;
        }
        match asked.path {
            Some(path) => self.allows_path(path),
            None => {
                has(&self.api_groups, asked.group)
                    && self.resources.iter().any(|rule| matches_resource(rule, asked.resource, asked.subresource))
                    && (self.resource_names.is_empty() || self.resource_names.iter().any(|name| name == asked.name))
            }
        }
    }

    fn allows_path(&self, path: &str) -> bool {
        self.non_resource_urls.iter().any(|rule| match rule.strip_suffix(ALL) {
            Some(prefix) => path.starts_with(prefix.trim_end_matches('*')),
            None => rule == path,
        })
    }

    /// Whether everything that `other`, which has one value of each kind, allows is allowed by this rule too.
    fn covers(&self, other: &Self) -> bool {
        let verbs = includes(&self.verbs, &other.verbs);
        if !other.non_resource_urls.is_empty() {
            return verbs && other.non_resource_urls.iter().all(|url| self.allows_path(url));
        }
        let resources = self.resources.iter().any(|rule| rule == ALL)
            || other.resources.iter().all(|resource| {
                let (name, subresource) = resource.split_once('/').unwrap_or((resource, ""));
                self.resources.iter().any(|rule| matches_resource(rule, name, subresource))
            });
        let names = self.resource_names.is_empty()
            || (!other.resource_names.is_empty() && includes_exactly(&self.resource_names, &other.resource_names));
        verbs && includes(&self.api_groups, &other.api_groups) && resources && names
    }

    /// How many rules of one value each this one is worth.
    fn size(&self) -> usize {
        let resources = [&self.api_groups, &self.resources].iter().map(|list| list.len()).product::<usize>();
        let per_verb = resources.saturating_mul(self.resource_names.len().max(1));
        self.verbs.len().saturating_mul(per_verb.saturating_add(self.non_resource_urls.len()))
    }

    /// The rules of one value each.
    fn parts(&self) -> impl Iterator<Item = Self> + '_ {
        let one = |value: &String| vec![value.clone()];
        self.verbs.iter().flat_map(move |verb| {
            let resources = self.api_groups.iter().flat_map(move |group| {
                self.resources.iter().flat_map(move |resource| {
                    let rule =
                        Self { verbs: one(verb), api_groups: one(group), resources: one(resource), ..Self::default() };
                    let names =
                        self.resource_names.iter().map(Some).chain(self.resource_names.is_empty().then_some(None));
                    names.map(move |name| Self { resource_names: name.map(one).unwrap_or_default(), ..rule.clone() })
                })
            });
            let urls = self.non_resource_urls.iter().map(move |url| Self {
                verbs: one(verb),
                non_resource_urls: one(url),
                ..Self::default()
            });
            resources.chain(urls)
        })
    }
}

/// Parts of rules that a check looks at; roles beyond that cannot be granted by those who do not hold everything.
const PARTS: usize = 100_000;

/// What of `wanted` the holder of `held` does not hold, in parts; `None` when there is too much to tell.
pub(super) fn not_covered(held: &[Rule], wanted: &[Rule]) -> Option<Vec<Rule>> {
    let total = wanted.iter().map(Rule::size).fold(0, usize::saturating_add);
    let whole = |rule: &&Rule| !held.iter().any(|held| held.covers(rule));
    let open: Vec<&Rule> = wanted.iter().filter(whole).collect();
    if total > PARTS && !open.is_empty() {
        return None;
    }
    let parts = open.into_iter().flat_map(Rule::parts);
    Some(parts.filter(|part| !held.iter().any(|held| held.covers(part))).collect())
}

fn has(list: &[String], value: &str) -> bool {
    list.iter().any(|item| item == ALL || item == value)
}

fn includes(list: &[String], values: &[String]) -> bool {
    list.iter().any(|item| item == ALL) || includes_exactly(list, values)
}

fn includes_exactly(list: &[String], values: &[String]) -> bool {
    values.iter().all(|value| list.contains(value))
}

/// `*`, `pods`, `pods/log`, `*/scale`.
fn matches_resource(rule: &str, resource: &str, subresource: &str) -> bool {
    if rule == ALL {
        return true;
    }
    match rule.split_once('/') {
        None => subresource.is_empty() && rule == resource,
        Some((name, sub)) => !subresource.is_empty() && sub == subresource && (name == ALL || name == resource),
    }
}

/// The form that upstream shows in refusals: `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists = [
            ("NonResourceURLs", &self.non_resource_urls),
            ("APIGroups", &self.api_groups),
            ("Resources", &self.resources),
            ("ResourceNames", &self.resource_names),
            ("Verbs", &self.verbs),
        ];
        let shown = lists.iter().filter(|(_, list)| !list.is_empty()).map(|(name, list)| {
            let items: Vec<String> = list.iter().map(|item| quote(item)).collect();
            format!("{name}:[{}]", items.join(" "))
        });
        write!(f, "{{{}}}", shown.collect::<Vec<_>>().join(", "))
    }
}

/// A list, or null.
fn list<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::<Vec<String>>::deserialize(deserializer)?.unwrap_or_default())
}
