//! NetworkPolicies.

use object::field::{Error, ErrorList};
use object::names;
use serde_json::Value;

use crate::strategy::field::{At, plain_cidr, port, well_formed};
use crate::strategy::{Context, Strategy, labels};

pub(in crate::strategy) struct NetworkPolicy;

const PROTOCOLS: &[&str] = &["TCP", "UDP", "SCTP"];
const TYPES: &[&str] = &["Ingress", "Egress"];
/// Each direction and its peers.
const DIRECTIONS: &[(&str, &str)] = &[("ingress", "from"), ("egress", "to")];

impl Strategy for NetworkPolicy {
    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        validate_spec(&At::root(object).at("spec"), &[])
    }

    fn validate_update(&self, _: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let before = At::root(old).at("spec");
        let known: Vec<&str> = blocks(&before).flat_map(|block| ranges(&block)).map(|range| range.text()).collect();
        validate_spec(&At::root(object).at("spec"), &known)
    }

    fn warnings(&self, _: &Context<'_>, object: &Value, _: Option<&Value>) -> Vec<String> {
        let spec = At::root(object).at("spec");
        let all = blocks(&spec).flat_map(|block| ranges(&block));
        all.flat_map(|range| {
            let warnings = names::cidr_warnings(range.text()).into_iter();
            warnings.map(move |text| format!("{}: {text}", range.path))
        })
        .collect()
    }

    fn tracks_generation(&self) -> bool {
        true
    }
}

/// All address blocks of a policy.
fn blocks<'a>(spec: &At<'a>) -> impl Iterator<Item = At<'a>> {
    let rules = DIRECTIONS
        .iter()
        .flat_map(|(direction, peers)| spec.at(direction).items().map(|rule| rule.at(peers)).collect::<Vec<_>>());
    rules
        .flat_map(|peers| peers.items())
        .map(|peer| peer.at("ipBlock"))
        .filter(At::is_set)
        .collect::<Vec<_>>()
        .into_iter()
}

fn ranges<'a>(block: &At<'a>) -> Vec<At<'a>> {
    std::iter::once(block.at("cidr")).chain(block.at("except").items()).collect()
}

/// `known` are blocks that the policy had before, which may have a form that is refused today.
fn validate_spec(spec: &At<'_>, known: &[&str]) -> ErrorList {
    let mut errors = ErrorList::new();
    labels::selector(&spec.at("podSelector"), &mut errors);
    for (direction, peers) in DIRECTIONS {
        for rule in spec.at(direction).items() {
            rule.at("ports").items().for_each(|entry| ports(&entry, &mut errors));
            rule.at(peers).items().for_each(|entry| peer(&entry, known, &mut errors));
        }
    }
    let types = spec.at("policyTypes");
    if types.items().count() > TYPES.len() {
        errors.push(types.invalid("may not specify more than two policyTypes"));
        return errors;
    }
    errors.extend(types.items().filter(|kind| !TYPES.contains(&kind.text())).map(|kind| kind.unsupported(TYPES)));
    errors
}

fn ports(at: &At<'_>, errors: &mut ErrorList) {
    let (protocol, first, last) = (at.at("protocol"), at.at("port"), at.at("endPort"));
    if protocol.is_set() && !PROTOCOLS.contains(&protocol.text()) {
        errors.push(protocol.unsupported(PROTOCOLS));
    }
    match first.value {
        Value::Null if last.is_set() => errors.push(last.invalid("may not be specified when `port` is not specified")),
        Value::Null => {}
        Value::String(name) => {
            if last.is_set() {
                errors.push(last.invalid("may not be specified when `port` is non-numeric"));
            }
            errors.extend_invalid(&first.path, name, names::port_name(name));
        }
        _ => {
            port(&first, errors);
            if last.is_set() {
                if last.number() < first.number() {
                    let text = "must be greater than or equal to `port`";
                    errors.push(Error::invalid(&last.path, first.value.clone(), text));
                }
                port(&last, errors);
            }
        }
    }
}

fn peer(at: &At<'_>, known: &[&str], errors: &mut ErrorList) {
    let selectors = [at.at("podSelector"), at.at("namespaceSelector")];
    let block = at.at("ipBlock");
    selectors.iter().for_each(|selector| labels::selector(selector, errors));
    if block.is_set() {
        ip_block(&block, known, errors);
    }
    match (selectors.iter().any(At::is_set), block.is_set()) {
        (false, false) => errors.push(at.required("must specify a peer")),
        (true, true) => errors.push(at.forbidden("may not specify both ipBlock and another peer")),
        _ => {}
    }
}

fn ip_block(at: &At<'_>, known: &[&str], errors: &mut ErrorList) {
    let cidr = at.at("cidr");
    if cidr.is_empty() {
        errors.push(cidr.required(""));
        return;
    }
    plain_cidr(&cidr, known, errors);
    let Some((whole, bits)) = names::parse_cidr(cidr.text()) else { return };
    for except in at.at("except").items() {
        plain_cidr(&except, known, errors);
        let Some((part, longer)) = names::parse_cidr(except.text()) else { continue };
        let inside =
            part.is_ipv4() == whole.is_ipv4() && names::network(part, bits.min(longer)) == names::network(whole, bits);
        if !inside || bits >= longer {
            well_formed(&except, |_| vec!["must be a strict subset of `cidr`".to_owned()], errors);
        }
    }
}
