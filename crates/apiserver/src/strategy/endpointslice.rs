//! EndpointSlices.

use object::field::{Error, ErrorList};
use object::names;
use serde_json::{Value, json};

use super::field::{At, Check, immutable, well_formed};
use super::{Context, Strategy, endpoints, labels};

pub(super) struct EndpointSlice;

const MAX_ENDPOINTS: usize = 1000;
const MAX_PORTS: usize = 20_000;
const MAX_ADDRESSES: usize = 100;
const MAX_TOPOLOGY: usize = 16;
const MAX_HINTS: usize = 8;

const ADDRESS_TYPES: &[&str] = &["FQDN", "IPv4", "IPv6"];
const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const CONTROLLERS: &[&str] = &["endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io"];
const HOSTNAME: &str = "kubernetes.io/hostname";

impl Strategy for EndpointSlice {
    fn prepare_create(&self, _: &Context<'_>, object: &mut Value) {
        drop_topology(object, None);
    }

    fn prepare_update(&self, _: &Context<'_>, object: &mut Value, old: &Value) {
        if object["metadata"]["labels"] != old["metadata"]["labels"] {
            object["metadata"]["generation"] = json!(old["metadata"]["generation"].as_i64().unwrap_or(0) + 1);
        }
        drop_topology(object, Some(old));
    }

    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let mut errors = surroundings(object);
        errors.extend(members(object));
        errors
    }

    fn validate_update(&self, _: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let mut errors = surroundings(object);
        if object["endpoints"] != old["endpoints"] {
            errors.extend(members(object));
        }
        immutable(&At::root(object).at("addressType"), &old["addressType"], &mut errors);
        errors
    }

    fn warnings(&self, _: &Context<'_>, object: &Value, old: Option<&Value>) -> Vec<String> {
        let (root, mut warnings) = (At::root(object), Vec::new());
        if old.is_none() && root.at("addressType").text() == "FQDN" {
            warnings.push("spec.addressType: FQDN endpoints are deprecated".to_owned());
        }
        let manager = object["metadata"]["labels"][MANAGED_BY].as_str().unwrap_or_default();
        if !CONTROLLERS.contains(&manager) {
            let all = root.at("endpoints").items().flat_map(|endpoint| endpoint.at("addresses").items());
            warnings
                .extend(all.filter_map(|at| names::ip_warning(at.text()).map(|text| format!("{}: {text}", at.path))));
        }
        warnings
    }

    fn tracks_generation(&self) -> bool {
        true
    }
}

/// The topology of old versions: new slices go without; a node's name that stood in it is kept.
fn drop_topology(object: &mut Value, old: Option<&Value>) {
    if old.is_some_and(|old| old["endpoints"] == object["endpoints"]) {
        return;
    }
    let known = |name: &str| {
        let before = old.and_then(|old| old["endpoints"].as_array()).into_iter().flatten();
        before.into_iter().any(|endpoint| endpoint["deprecatedTopology"][HOSTNAME] == name)
    };
    for endpoint in object["endpoints"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        let topology = endpoint.shift_remove("deprecatedTopology").unwrap_or_default();
        let name = topology[HOSTNAME].as_str().unwrap_or_default();
        if !endpoint.contains_key("nodeName") && known(name) && names::dns1123_subdomain(name).is_empty() {
            endpoint.insert("nodeName".to_owned(), name.into());
        }
    }
}

fn surroundings(object: &Value) -> ErrorList {
    let (root, mut errors) = (At::root(object), ErrorList::new());
    let kind = root.at("addressType");
    if kind.is_empty() {
        errors.push(kind.required(""));
    } else if !ADDRESS_TYPES.contains(&kind.text()) {
        errors.push(kind.unsupported(ADDRESS_TYPES));
    }
    ports(&root.at("ports"), &mut errors);
    errors
}

fn ports(at: &At<'_>, errors: &mut ErrorList) {
    if too_many(at, MAX_PORTS, errors) {
        return;
    }
    let mut seen = std::collections::BTreeSet::new();
    for entry in at.items() {
        let (name, protocol, application) = (entry.at("name"), entry.at("protocol"), entry.at("appProtocol"));
        if !name.is_empty() {
            well_formed(&name, names::dns1123_label, errors);
        }
        if !seen.insert(name.text()) {
            errors.push(name.duplicate());
        }
        if !protocol.is_set() {
            errors.push(protocol.required(""));
        } else if !PROTOCOLS.contains(&protocol.text()) {
            errors.push(protocol.unsupported(PROTOCOLS));
        }
        if application.is_set() {
            well_formed(&application, names::qualified_name, errors);
        }
    }
}

fn members(object: &Value) -> ErrorList {
    let (root, mut errors) = (At::root(object), ErrorList::new());
    let all = root.at("endpoints");
    if too_many(&all, MAX_ENDPOINTS, &mut errors) {
        return errors;
    }
    for endpoint in all.items() {
        addresses(&endpoint.at("addresses"), root.at("addressType").text(), &mut errors);
        let (node, topology, host) =
            (endpoint.at("nodeName"), endpoint.at("deprecatedTopology"), endpoint.at("hostname"));
        if node.is_set() {
            well_formed(&node, names::dns1123_subdomain, &mut errors);
        }
        if topology.entries().count() > MAX_TOPOLOGY {
            errors.push(Error::too_many(&topology.path, topology.entries().count(), MAX_TOPOLOGY));
        }
        labels::labels(&topology, &mut errors);
        if host.is_set() {
            well_formed(&host, names::dns1123_label, &mut errors);
        }
        let hints = endpoint.at("hints");
        if named(&hints.at("forZones"), names::label_value, &mut errors) {
            named(&hints.at("forNodes"), names::dns1123_subdomain, &mut errors);
        }
    }
    errors
}

fn addresses(at: &At<'_>, kind: &str, errors: &mut ErrorList) {
    if at.is_empty() {
        errors.push(at.required("must contain at least 1 address"));
    }
    too_many(at, MAX_ADDRESSES, errors);
    for entry in at.items() {
        let check: Check = match kind {
            "IPv4" => names::strict_ip,
            "IPv6" => names::canonical_ip,
            "FQDN" => {
                domain(&entry, errors);
                continue;
            }
            _ => continue,
        };
        let messages = check(entry.text());
        if !messages.is_empty() {
            errors.extend_invalid(&entry.path, entry.text(), messages);
            continue;
        }
        let is_v4 = names::parse_ip(entry.text()).is_some_and(|ip| ip.is_ipv4());
        if is_v4 != (kind == "IPv4") {
            errors.push(Error::invalid(&at.path, entry.text(), format!("must be an {kind} address")));
        }
        endpoints::reachable(&entry, errors);
    }
}

/// A domain of at least two parts, which may end in a dot.
fn domain(at: &At<'_>, errors: &mut ErrorList) {
    let name = at.text().strip_suffix('.').unwrap_or_else(|| at.text());
    let mut refuse = |value: &str, detail: String| errors.push(Error::invalid(&at.path, value, detail));
    let messages = names::dns1123_subdomain(name);
    if at.is_empty() {
        errors.push(at.required(""));
    } else if !messages.is_empty() {
        refuse(name, messages.join(","));
    } else if !name.contains('.') {
        refuse(name, "should be a domain with at least two segments separated by dots".to_owned());
    } else if let Some(label) = name.split('.').find(|label| !names::dns1123_label(label).is_empty()) {
        refuse(label, names::dns1123_label(label).join(","));
    }
}

/// A list of names without repetition. Returns whether it is short enough.
fn named(at: &At<'_>, check: Check, errors: &mut ErrorList) -> bool {
    if too_many(at, MAX_HINTS, errors) {
        return false;
    }
    let mut seen = Vec::new();
    for name in at.items().map(|hint| hint.at("name")) {
        if seen.contains(&name.text()) {
            errors.push(Error::duplicate(&name.path, name.text()));
        }
        seen.push(name.text());
        well_formed(&name, check, errors);
    }
    true
}

fn too_many(at: &At<'_>, max: usize, errors: &mut ErrorList) -> bool {
    let count = at.items().count();
    if count > max {
        errors.push(Error::too_many(&at.path, count, max));
    }
    count > max
}
