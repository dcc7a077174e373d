//! ServiceCIDRs: where cluster addresses come from.

use object::field::ErrorList;
use object::names;
use serde_json::Value;

use crate::strategy::field::{At, immutable, well_formed};
use crate::strategy::{Context, Strategy, status};

pub(in crate::strategy) struct ServiceCidr;

impl Strategy for ServiceCidr {
    fn prepare_update(&self, cx: &Context<'_>, object: &mut Value, old: &Value) {
        if cx.subresource == "status" {
            status::keep_metadata(object, old, status::IDENTITY);
        }
    }

    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        validate_spec(&At::root(object).at("spec"), &mut errors);
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        if cx.subresource == "status" {
            return errors;
        }
        let spec = At::root(object).at("spec");
        let cidrs = spec.at("cidrs");
        let before = old["spec"]["cidrs"].as_array().map_or(&[][..], Vec::as_slice);
        match (before.len(), cidrs.items().count()) {
            (old, new) if old == new => {
                cidrs.items().zip(before).for_each(|(cidr, old)| immutable(&cidr, old, &mut errors));
            }
            // A second family may be added.
            (1, 2) => {
                cidrs.items().zip(before).for_each(|(cidr, old)| immutable(&cidr, old, &mut errors));
                validate_spec(&spec, &mut errors);
            }
            _ => errors.push(cidrs.invalid("field is immutable")),
        }
        errors
    }
}

fn validate_spec(spec: &At<'_>, errors: &mut ErrorList) {
    let cidrs = spec.at("cidrs");
    let listed: Vec<At<'_>> = cidrs.items().collect();
    match listed.len() {
        0 => errors.push(cidrs.required("at least one CIDR required")),
        1 | 2 => {
            listed.iter().for_each(|cidr| well_formed(cidr, names::canonical_cidr, errors));
            let families: Vec<bool> =
                listed.iter().filter_map(|cidr| names::parse_cidr(cidr.text())).map(|(ip, _)| ip.is_ipv4()).collect();
            if matches!(families[..], [one, other] if one == other) {
                errors.push(cidrs.invalid(
                    "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64",
                ));
            }
        }
        _ => {
            let whole = At { value: spec.value, path: cidrs.path };
            errors.push(whole.invalid_struct("networking.v1.ServiceCIDRSpec", "may only hold up to 2 values"));
        }
    }
}
