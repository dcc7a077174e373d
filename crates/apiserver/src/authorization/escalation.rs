//! Nobody grants what they do not hold: checks on writes of roles and bindings.

use async_trait::async_trait;
use serde_json::Value;

use super::index::RoleRef;
use super::rule::{Rule, not_covered};
use super::{GROUP, Rbac};
use crate::access::{Attributes, Decision};
use crate::admit::{Admission, Admitted, Operation};
use crate::error::{About, Error, Result};
use crate::user::MASTERS;

/// Refuses roles and bindings that grant more than their writer holds, unless the writer may `escalate` or `bind`.
#[derive(Debug)]
pub struct EscalationCheck(pub Rbac);

#[async_trait]
impl Admission for EscalationCheck {
    fn name(&self) -> &'static str {
        "RBACEscalation"
    }

    fn handles(&self, admitted: &Admitted<'_>) -> bool {
        &*admitted.resource.group == GROUP
            && matches!(admitted.operation, Operation::Create | Operation::Update)
            && admitted.subresource.is_empty()
            && !admitted.user.is_in(MASTERS)
    }

    async fn validate(&self, admitted: &Admitted<'_>, object: &Value) -> Result<()> {
        match &*admitted.resource.resource {
            "roles" | "clusterroles" => self.check_role(admitted, object),
            "rolebindings" | "clusterrolebindings" => self.check_binding(admitted, object),
            _ => Ok(()),
        }
    }
}

impl EscalationCheck {
    fn check_role(&self, admitted: &Admitted<'_>, object: &Value) -> Result<()> {
        let granted = ["rules", "aggregationRule"];
        if admitted.old.is_some_and(|old| granted.iter().all(|field| old.get(field) == object.get(field))) {
            return Ok(());
        }
        let name = object::meta::name(object);
        let resource = &admitted.resource.resource;
        if self.may(admitted, "escalate", resource, admitted.namespace, name) {
            return Ok(());
        }
        let mut rules: Vec<Rule> =
            object.get("rules").and_then(|rules| serde_json::from_value(rules.clone()).ok()).unwrap_or_default();
        // What will be gathered is not known, so that it takes everything to let it be gathered.
        let aggregates = |object: &Value| object.get("aggregationRule").is_some_and(|rule| !rule.is_null());
        if aggregates(object)
            && admitted.old.is_none_or(|old| old.get("aggregationRule") != object.get("aggregationRule"))
        {
            rules.extend(everything());
        }
        self.confirm(admitted, name, &rules)
    }

    fn check_binding(&self, admitted: &Admitted<'_>, object: &Value) -> Result<()> {
        let granted = ["roleRef", "subjects"];
        if admitted.old.is_some_and(|old| granted.iter().all(|field| old.get(field) == object.get(field))) {
            return Ok(());
        }
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (kind, role_name) = (text("/roleRef/kind"), text("/roleRef/name"));
        let (resource, namespace) = if kind == "Role" { ("roles", admitted.namespace) } else { ("clusterroles", "") };
        if self.may(admitted, "bind", resource, admitted.namespace, role_name) {
            return Ok(());
        }
        let role = RoleRef { namespace: namespace.into(), name: role_name.into() };
        let rules = self.0.read(|index| index.rules_of(&role));
        let rules = rules.ok_or_else(|| Error::not_found(About { group: GROUP, resource }, role_name))?;
        self.confirm(admitted, object::meta::name(object), &rules)
    }

    fn may(&self, admitted: &Admitted<'_>, verb: &str, resource: &str, namespace: &str, name: &str) -> bool {
        let asked = Attributes {
            group: GROUP,
            version: "*",
            resource,
            namespace,
            name,
            path: None,
            ..Attributes::of_path(admitted.user, verb, "")
        };
        self.0.decide(&asked) == Decision::Allow
    }

    fn confirm(&self, admitted: &Admitted<'_>, name: &str, wanted: &[Rule]) -> Result<()> {
        let user = admitted.user;
        let held = self.0.rules(user, admitted.namespace);
        let missing = not_covered(&held, wanted);
        if missing.as_ref().is_some_and(Vec::is_empty) {
            return Ok(());
        }
        let lines: Vec<String> = missing.unwrap_or_default().iter().map(Rule::to_string).collect();
        let groups: Vec<String> = user.groups.iter().map(|group| format!("{group:?}")).collect();
        let why = format!(
            "user {:?} (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{}",
            user.name,
            groups.join(" "),
            lines.join("\n")
        );
        let about = About { group: GROUP, resource: &admitted.resource.resource };
        Err(Error::forbidden(about, name, why))
    }
}

fn everything() -> [Rule; 2] {
    let all = || vec!["*".to_owned()];
    [
        Rule { verbs: all(), api_groups: all(), resources: all(), ..Rule::default() },
        Rule { verbs: all(), non_resource_urls: all(), ..Rule::default() },
    ]
}
