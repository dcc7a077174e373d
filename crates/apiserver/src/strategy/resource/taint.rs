//! Taints of devices: what drives claims away, and what tolerates that.

use object::field::{Error, ErrorList};
use object::names;
use serde_json::Value;

use super::{driver, pool_name};
use crate::strategy::field::{At, conditions, required, supported, well_formed};
use crate::strategy::{Context, Strategy};

const EFFECTS: &[&str] = &["NoExecute", "NoSchedule", "None"];
const MAX_CONDITIONS: usize = 8;

pub(in crate::strategy) struct DeviceTaintRule;

impl Strategy for DeviceTaintRule {
    fn prepare_create(&self, cx: &Context<'_>, object: &mut Value) {
        stamp(cx, &mut object["spec"]["taint"]);
    }

    /// Another effect is another taint.
    fn prepare_update(&self, cx: &Context<'_>, object: &mut Value, old: &Value) {
        if cx.subresource == "status" {
            return;
        }
        let (taint, before) = (&mut object["spec"]["taint"], &old["spec"]["taint"]);
        if taint["effect"] != before["effect"] && taint["timeAdded"] == before["timeAdded"] {
            taint["timeAdded"] = Value::Null;
        }
        stamp(cx, taint);
    }

    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        rule(&At::root(object).at("spec"), None, &mut errors);
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let (root, mut errors) = (At::root(object), ErrorList::new());
        if cx.subresource != "status" {
            rule(&root.at("spec"), Some(&old["spec"]["taint"]), &mut errors);
            return errors;
        }
        let list = root.at("status").at("conditions");
        conditions(&list, &mut errors);
        if list.count() > MAX_CONDITIONS {
            errors.push(Error::too_many(&list.path, list.count(), MAX_CONDITIONS));
        }
        errors
    }

    fn tracks_generation(&self) -> bool {
        true
    }
}

/// Says when a taint came, where its writer does not.
pub(super) fn stamp(cx: &Context<'_>, taint: &mut Value) {
    if taint.is_object() && taint["timeAdded"].is_null() {
        taint["timeAdded"] = object::time::seconds(cx.now).into();
    }
}

fn rule(spec: &At<'_>, old: Option<&Value>, errors: &mut ErrorList) {
    let selector = spec.at("deviceSelector");
    if selector.at("driver").is_set() {
        driver(&selector.at("driver"), errors);
    }
    if selector.at("pool").is_set() {
        pool_name(&selector.at("pool"), errors);
    }
    if selector.at("device").is_set() {
        well_formed(&selector.at("device"), names::dns1123_label, errors);
    }
    taint(&spec.at("taint"), old, errors);
}

/// A `DeviceTaint`; an effect that was there before is let be.
pub(super) fn taint(at: &At<'_>, old: Option<&Value>, errors: &mut ErrorList) {
    well_formed(&at.at("key"), names::qualified_name, errors);
    if !at.at("value").is_empty() {
        well_formed(&at.at("value"), names::label_value, errors);
    }
    let effect = at.at("effect");
    if old.is_none_or(|old| &old["effect"] != effect.value) && required(&effect, errors) {
        supported(&effect, EFFECTS, errors);
    }
}

/// A `DeviceToleration`.
pub(super) fn toleration(at: &At<'_>, errors: &mut ErrorList) {
    let (key, value, operator, effect) = (at.at("key"), at.at("value"), at.at("operator"), at.at("effect"));
    if !key.is_empty() {
        well_formed(&key, names::qualified_name, errors);
    }
    match operator.text() {
        "Exists" if !value.is_empty() => errors.push(value.invalid("must be empty for operator `Exists`")),
        "Exists" => {}
        "Equal" => well_formed(&value, names::label_value, errors),
        "" => errors.push(operator.required("")),
        _ => supported(&operator, &["Equal", "Exists"], errors),
    }
    if !effect.is_empty() {
        supported(&effect, EFFECTS, errors);
    }
}
