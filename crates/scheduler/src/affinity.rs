//! Node selectors and node affinity, compiled once for each pod.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{NodeSelectorRequirement, NodeSelectorTerm, PodSpec};

type Labels = BTreeMap<String, String>;

/// Which nodes a pod may use, and which it prefers.
#[derive(Debug, Clone, Default)]
pub(crate) struct NodeChoice {
    /// All of `nodeSelector`.
    selector: Labels,
    /// Any of the required terms; `None` when there is no requirement.
    required: Option<Vec<Term>>,
    preferred: Vec<(i64, Term)>,
}

/// All of its expressions; a term without any matches nothing.
#[derive(Debug, Clone, Default)]
struct Term {
    labels: Vec<Expression>,
    fields: Vec<Expression>,
}

#[derive(Debug, Clone)]
struct Expression {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
    Gt,
    Lt,
    /// Matches nothing; validation keeps it out of the API.
    Unknown,
}

impl NodeChoice {
    pub(crate) fn of(spec: &PodSpec) -> Self {
        let affinity = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
        let required =
            affinity.and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
        let preferred =
            affinity.and_then(|affinity| affinity.preferred_during_scheduling_ignored_during_execution.as_ref());
        Self {
            selector: spec.node_selector.clone().unwrap_or_default(),
            required: required.map(|selector| selector.node_selector_terms.iter().map(Term::of).collect()),
            preferred: preferred
                .into_iter()
                .flatten()
                .map(|preference| (i64::from(preference.weight), Term::of(&preference.preference)))
                .collect(),
        }
    }

    pub(crate) fn is_free(&self) -> bool {
        self.selector.is_empty() && self.required.is_none()
    }

    pub(crate) fn has_preferences(&self) -> bool {
        !self.preferred.is_empty()
    }

    pub(crate) fn allows(&self, name: &str, labels: &Labels) -> bool {
        let selected = self.selector.iter().all(|(key, value)| labels.get(key) == Some(value));
        selected && self.required.as_ref().is_none_or(|terms| terms.iter().any(|term| term.matches(name, labels)))
    }

    /// The weights of the preferred terms that a node matches, added up.
    pub(crate) fn preference(&self, name: &str, labels: &Labels) -> i64 {
        self.preferred.iter().filter(|(_, term)| term.matches(name, labels)).map(|(weight, _)| weight).sum()
    }
}

impl Term {
    fn of(term: &NodeSelectorTerm) -> Self {
        let compile = |list: &Option<Vec<NodeSelectorRequirement>>| list.iter().flatten().map(Expression::of).collect();
        Self { labels: compile(&term.match_expressions), fields: compile(&term.match_fields) }
    }

    fn matches(&self, name: &str, labels: &Labels) -> bool {
        let field = |expression: &Expression| expression.matches((expression.key == "metadata.name").then_some(name));
        !(self.labels.is_empty() && self.fields.is_empty())
            && self.labels.iter().all(|expression| expression.matches(labels.get(&expression.key).map(String::as_str)))
            && self.fields.iter().all(field)
    }
}

impl Expression {
    fn of(requirement: &NodeSelectorRequirement) -> Self {
        let operator = match requirement.operator.as_str() {
            "In" => Operator::In,
            "NotIn" => Operator::NotIn,
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            "Gt" => Operator::Gt,
            "Lt" => Operator::Lt,
            _ => Operator::Unknown,
        };
        Self { key: requirement.key.clone(), operator, values: requirement.values.clone().unwrap_or_default() }
    }

    fn matches(&self, value: Option<&str>) -> bool {
        let listed = || value.is_some_and(|value| self.values.iter().any(|listed| listed == value));
        let numbers = || Some((value?.parse::<i64>().ok()?, self.values.first()?.parse::<i64>().ok()?));
        match self.operator {
            Operator::In => listed(),
            Operator::NotIn => !listed(),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::Gt => numbers().is_some_and(|(value, bound)| value > bound),
            Operator::Lt => numbers().is_some_and(|(value, bound)| value < bound),
            Operator::Unknown => false,
        }
    }
}
