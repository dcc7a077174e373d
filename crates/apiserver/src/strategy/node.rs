//! Nodes: the kubelet brings their status along, little else ever changes.

use object::field::{Error, ErrorList, Path};
use object::names;
use serde_json::Value;

use super::field::{At, one_of, remove, well_formed};
use super::{Context, Strategy};

pub(super) struct Node;

const EFFECTS: &[&str] = &["NoExecute", "NoSchedule", "PreferNoSchedule"];

/// What an update may change in the spec.
const MUTABLE: &[&str] = &["taints", "unschedulable", "podCIDR", "podCIDRs", "providerID", "configSource"];

impl Strategy for Node {
    fn keeps_status_on_create(&self) -> bool {
        true
    }

    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let (spec, mut errors) = (At::root(object).at("spec"), ErrorList::new());
        taints(&spec.at("taints"), &mut errors);
        let cidrs = spec.at("podCIDRs");
        cidrs.items().for_each(|cidr| well_formed(&cidr, names::cidr, &mut errors));
        if cidrs.items().count() > 2 {
            errors.push(cidrs.invalid("may specify no more than one CIDR for each IP family"));
        }
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let mut errors = self.validate(cx, object);
        if cx.subresource == "status" {
            return errors;
        }
        let (spec, before) = (At::root(object).at("spec"), &old["spec"]);
        if !before["podCIDRs"].is_null() && spec.at("podCIDRs").value != &before["podCIDRs"] {
            errors.push(spec.at("podCIDRs").forbidden("node updates may not change podCIDR except from \"\" to valid"));
        }
        let provider = before["providerID"].as_str().unwrap_or_default();
        if !provider.is_empty() && spec.at("providerID").text() != provider {
            let detail = "node updates may not change providerID except from \"\" to valid";
            errors.push(spec.at("providerID").forbidden(detail));
        }
        if frozen(spec.value) != frozen(before) {
            let detail = "node updates may only change labels, taints, or capacity";
            errors.push(Error::forbidden(&Path::new("spec"), detail));
        }
        errors
    }
}

fn taints(at: &At<'_>, errors: &mut ErrorList) {
    let mut seen = Vec::new();
    for taint in at.items() {
        let (key, value, effect) = (taint.at("key"), taint.at("value"), taint.at("effect"));
        well_formed(&key, names::qualified_name, errors);
        if !value.is_empty() {
            well_formed(&value, names::label_value, errors);
        }
        one_of(&effect, EFFECTS, errors);
        let pair = (key.text(), effect.text());
        if seen.contains(&pair) {
            let mut error = taint.duplicate();
            error.detail = "taints must be unique by key and effect pair".to_owned();
            errors.push(error);
        }
        seen.push(pair);
    }
}

fn frozen(spec: &Value) -> Value {
    let mut spec = spec.clone();
    MUTABLE.iter().for_each(|field| remove(&mut spec, field));
    if spec.as_object().is_some_and(serde_json::Map::is_empty) { Value::Null } else { spec }
}
