//! Ingresses.

use object::field::{Error, ErrorList, Path};
use object::names;
use serde_json::Value;

use crate::strategy::field::{At, plain_ip, required_name, well_formed};
use crate::strategy::reference::named;
use crate::strategy::{Context, Strategy};

pub(in crate::strategy) struct Ingress;

/// What named the class before `spec.ingressClassName`.
const CLASS: &str = "kubernetes.io/ingress.class";
const PATH_TYPES: &[&str] = &["Exact", "ImplementationSpecific", "Prefix"];
const BAD_SEQUENCES: &[&str] = &["//", "/./", "/../", "%2f", "%2F"];
const BAD_ENDS: &[&str] = &["/..", "/."];

/// What is let be because it has been so before.
#[derive(Clone, Copy, Default)]
struct Lenience {
    secret_names: bool,
    wildcard_rules: bool,
}

impl Strategy for Ingress {
    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let spec = At::root(object).at("spec");
        let mut errors = validate_spec(&spec, Lenience::default());
        let (old, new) = (object::meta::annotation(object, CLASS), spec.at("ingressClassName"));
        if let Some(class) = old.filter(|class| new.is_set() && *class != new.text()) {
            let path = Path::new("annotations").child(CLASS);
            errors.push(Error::invalid(&path, class, "must match `ingressClassName` when both are specified"));
        }
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        if cx.subresource == "status" {
            return validate_status(object, old);
        }
        let before = At::root(old).at("spec");
        validate_spec(&At::root(object).at("spec"), lenience(&before))
    }

    fn warnings(&self, cx: &Context<'_>, object: &Value, old: Option<&Value>) -> Vec<String> {
        let root = At::root(object);
        if cx.subresource == "status" {
            let points = root.at("status").at("loadBalancer").at("ingress");
            return points
                .items()
                .filter_map(|at| names::ip_warning(at.at("ip").text()).map(|text| format!("{}: {text}", at.path)))
                .collect();
        }
        let deprecated = old.is_none()
            && object::meta::annotation(object, CLASS).is_some()
            && !root.at("spec").at("ingressClassName").is_set();
        deprecated
            .then(|| format!("annotation {CLASS:?} is deprecated, please use 'spec.ingressClassName' instead"))
            .into_iter()
            .collect()
    }

    fn tracks_generation(&self) -> bool {
        true
    }
}

fn lenience(before: &At<'_>) -> Lenience {
    let is_wrong = |check: &dyn Fn(&mut ErrorList)| {
        let mut errors = ErrorList::new();
        check(&mut errors);
        !errors.is_empty()
    };
    let wildcard = |rule: &At<'_>| rule.at("host").text().contains('*');
    Lenience {
        secret_names: before.at("tls").items().any(|entry| is_wrong(&|errors| secret_name(&entry, errors))),
        wildcard_rules: before
            .at("rules")
            .items()
            .any(|rule| wildcard(&rule) && is_wrong(&|errors| http(&rule.at("http"), errors))),
    }
}

fn validate_spec(spec: &At<'_>, lenience: Lenience) -> ErrorList {
    let mut errors = ErrorList::new();
    let (rules, fallback, class) = (spec.at("rules"), spec.at("defaultBackend"), spec.at("ingressClassName"));
    if rules.is_empty() && !fallback.is_set() {
        let text = "either `defaultBackend` or `rules` must be specified";
        errors.push(Error::invalid(&spec.path, rules.value.clone(), text));
    }
    if fallback.is_set() {
        backend(&fallback, &mut errors);
    }
    for rule in rules.items() {
        let host = rule.at("host");
        if !host.is_empty() && names::parse_ip(host.text()).is_some() {
            errors.push(host.invalid("must be a DNS name, not an IP address"));
        }
        if !host.is_empty() {
            host_name(&host, &mut errors);
        }
        if !host.text().contains('*') || !lenience.wildcard_rules {
            http(&rule.at("http"), &mut errors);
        }
    }
    for entry in spec.at("tls").items() {
        entry.at("hosts").items().for_each(|host| host_name(&host, &mut errors));
        if !lenience.secret_names {
            secret_name(&entry, &mut errors);
        }
    }
    if class.is_set() {
        well_formed(&class, names::dns1123_subdomain, &mut errors);
    }
    errors
}

fn host_name(at: &At<'_>, errors: &mut ErrorList) {
    let wildcard = at.text().contains('*');
    well_formed(at, if wildcard { names::wildcard_dns1123_subdomain } else { names::dns1123_subdomain }, errors);
}

fn secret_name(tls: &At<'_>, errors: &mut ErrorList) {
    let name = tls.at("secretName");
    if !name.is_empty() {
        well_formed(&name, names::dns1123_subdomain, errors);
    }
}

fn http(at: &At<'_>, errors: &mut ErrorList) {
    let paths = at.at("paths");
    if at.is_set() && paths.is_empty() {
        errors.push(paths.required(""));
    }
    for entry in paths.items() {
        let kind = entry.at("pathType");
        if !kind.is_set() {
            errors.push(kind.required("pathType must be specified"));
            continue;
        }
        url_path(&entry.at("path"), &kind, errors);
        backend(&entry.at("backend"), errors);
    }
}

fn url_path(at: &At<'_>, kind: &At<'_>, errors: &mut ErrorList) {
    let path = at.text();
    let exact = matches!(kind.text(), "Exact" | "Prefix");
    if !exact && kind.text() != "ImplementationSpecific" {
        errors.push(kind.unsupported(PATH_TYPES));
        return;
    }
    let invalid = |detail: String| Error::invalid(&at.path, path, detail);
    if !path.starts_with('/') && (exact || !path.is_empty()) {
        errors.push(invalid("must be an absolute path".to_owned()));
    }
    if exact {
        let found = BAD_SEQUENCES.iter().filter(|bad| path.contains(**bad));
        errors.extend(found.map(|bad| invalid(format!("must not contain '{bad}'"))));
        let found = BAD_ENDS.iter().filter(|bad| path.ends_with(**bad));
        errors.extend(found.map(|bad| invalid(format!("cannot end with '{bad}'"))));
    }
}

fn backend(at: &At<'_>, errors: &mut ErrorList) {
    let (resource, service) = (at.at("resource"), at.at("service"));
    match (resource.is_set(), service.is_set()) {
        (true, true) => errors.push(Error::invalid(&at.path, "", "cannot set both resource and service backends")),
        (true, false) => {
            let group = resource.at("apiGroup");
            if group.is_set() {
                well_formed(&group, names::dns1123_subdomain, errors);
            }
            named(&resource, &["kind", "name"], errors);
        }
        (false, true) => {
            required_name(&service.at("name"), names::dns1123_label, errors);
            service_port(&service.at("port"), &at.path, errors);
        }
        (false, false) => errors.push(Error::invalid(&at.path, "", "resource or service backend is required")),
    }
}

fn service_port(at: &At<'_>, backend: &Path, errors: &mut ErrorList) {
    let (name, number) = (at.at("name"), at.at("number"));
    match (!name.is_empty(), number.number().unwrap_or(0)) {
        (true, 0) => well_formed(&name, names::port_name, errors),
        (true, _) => errors.push(Error::invalid(backend, "", "cannot set both port name & port number")),
        (false, 0) => errors.push(Error::required(backend, "port name or number is required")),
        (false, port) => errors.extend(names::port_number(port).into_iter().map(|text| number.invalid(text))),
    }
}

fn validate_status(object: &Value, old: &Value) -> ErrorList {
    let mut errors = ErrorList::new();
    let points = |object| At::root(object).at("status").at("loadBalancer").at("ingress");
    let before: Vec<&str> =
        points(old).items().map(|point| point.at("ip").text()).filter(|ip| !ip.is_empty()).collect();
    for point in points(object).items() {
        let (ip, host) = (point.at("ip"), point.at("hostname"));
        if !ip.is_empty() {
            plain_ip(&ip, &before, &mut errors);
        }
        if !host.is_empty() {
            well_formed(&host, names::dns1123_subdomain, &mut errors);
            if names::parse_ip(host.text()).is_some() {
                errors.push(host.invalid("must be a DNS name, not an IP address"));
            }
        }
    }
    errors
}
