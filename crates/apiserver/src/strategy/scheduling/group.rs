//! Groups of pods that are scheduled together, and the workloads that describe them.

use object::field::{Error, ErrorList};
use object::names;
use serde_json::Value;

use crate::strategy::field::{At, optional_name, remove, required_name};
use crate::strategy::reference::named;
use crate::strategy::{Context, Strategy, status};

pub(in crate::strategy) struct PodGroup;
pub(in crate::strategy) struct Workload;

const MAX_TEMPLATES: usize = 8;

/// Fields behind gates that are closed: they stay only where they have been.
const DISABLED: &[&str] =
    &["schedulingConstraints", "resourceClaims", "disruptionMode", "priorityClassName", "priority"];

impl Strategy for PodGroup {
    fn prepare_create(&self, _: &Context<'_>, object: &mut Value) {
        drop_disabled(&mut object["spec"], None);
    }

    fn prepare_update(&self, cx: &Context<'_>, object: &mut Value, old: &Value) {
        if cx.subresource == "status" {
            status::keep_metadata(object, old, status::IDENTITY);
            if old["spec"]["resourceClaims"].is_null() {
                remove(&mut object["status"], "resourceClaimStatuses");
            }
        } else {
            drop_disabled(&mut object["spec"], Some(&old["spec"]));
        }
    }

    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let (spec, mut errors) = (At::root(object).at("spec"), ErrorList::new());
        let template = spec.at("podGroupTemplateRef");
        if template.is_set() {
            one_of(&template, &["workload"], &mut errors);
            let workload = template.at("workload");
            if workload.is_set() {
                required_name(&workload.at("workloadName"), names::dns1123_subdomain, &mut errors);
                required_name(&workload.at("podGroupTemplateName"), names::dns1123_label, &mut errors);
            }
        }
        policy(&spec.at("schedulingPolicy"), &mut errors);
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        if cx.subresource == "status" {
            status::conditions(&At::root(object).at("status").at("conditions"), &mut errors);
            return errors;
        }
        let spec = At::root(object).at("spec");
        for field in ["podGroupTemplateRef", "schedulingPolicy"] {
            unchanged(&spec.at(field), &old["spec"][field], &mut errors);
        }
        errors
    }
}

impl Strategy for Workload {
    fn prepare_create(&self, _: &Context<'_>, object: &mut Value) {
        templates(object).for_each(|template| drop_disabled(template, None));
    }

    fn prepare_update(&self, _: &Context<'_>, object: &mut Value, old: &Value) {
        for (index, template) in templates(object).enumerate() {
            drop_disabled(template, old["spec"]["podGroupTemplates"].get(index));
        }
    }

    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let (spec, mut errors) = (At::root(object).at("spec"), ErrorList::new());
        let controller = spec.at("controllerRef");
        if controller.is_set() {
            optional_name(&controller.at("apiGroup"), names::dns1123_subdomain, &mut errors);
            named(&controller, &["kind", "name"], &mut errors);
        }
        listed(&spec.at("podGroupTemplates"), &mut errors);
        errors
    }

    fn validate_update(&self, _: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let (spec, mut errors) = (At::root(object).at("spec"), ErrorList::new());
        for field in ["controllerRef", "podGroupTemplates"] {
            unchanged(&spec.at(field), &old["spec"][field], &mut errors);
        }
        errors
    }
}

fn templates(workload: &mut Value) -> impl Iterator<Item = &mut Value> {
    workload["spec"]["podGroupTemplates"].as_array_mut().into_iter().flatten()
}

fn drop_disabled(spec: &mut Value, old: Option<&Value>) {
    for field in DISABLED {
        if !spec[*field].is_null() && old.is_none_or(|old| old[*field].is_null()) {
            remove(spec, field);
        }
    }
}

fn listed(at: &At<'_>, errors: &mut ErrorList) {
    let all: Vec<At<'_>> = at.items().collect();
    if all.is_empty() {
        errors.push(at.required(""));
        return;
    }
    if all.len() > MAX_TEMPLATES {
        errors.push(Error::too_many(&at.path, all.len(), MAX_TEMPLATES));
        return;
    }
    let repeated = |index: usize| all[..index].iter().any(|other| other.value["name"] == all[index].value["name"]);
    errors.extend((0..all.len()).filter(|index| repeated(*index)).map(|index| all[index].duplicate()));
    for template in &all {
        required_name(&template.at("name"), names::dns1123_label, errors);
        policy(&template.at("schedulingPolicy"), errors);
    }
}

fn policy(at: &At<'_>, errors: &mut ErrorList) {
    one_of(at, &["basic", "gang"], errors);
    let count = at.at("gang").at("minCount");
    if at.at("gang").is_set() {
        match count.number().unwrap_or(0) {
            0 => errors.push(count.required("")),
            1.. => {}
            _ => errors.push(count.invalid("must be greater than or equal to 1")),
        }
    }
}

/// Exactly one of `fields` must be set.
fn one_of(at: &At<'_>, fields: &[&str], errors: &mut ErrorList) {
    let quoted: Vec<String> = fields.iter().map(|field| format!("`{field}`")).collect();
    let all = quoted.join(", ");
    match at.present(fields).collect::<Vec<_>>()[..] {
        [] => errors.push(Error::invalid(&at.path, "", format!("must specify one of: {all}"))),
        [_] => {}
        ref several => {
            let shown = format!("{{{}}}", several.join(", "));
            errors.push(Error::invalid(&at.path, shown, format!("must specify exactly one of: {all}")));
        }
    }
}

fn unchanged(at: &At<'_>, old: &Value, errors: &mut ErrorList) {
    if at.value != old {
        errors.push(Error::invalid(&at.path, Value::Null, "field is immutable"));
    }
}
