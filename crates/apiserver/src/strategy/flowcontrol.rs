//! Priority and fairness: which requests belong together, and how much of the server they get.

use object::field::{Error, ErrorList};
use object::names;
use serde_json::{Value, json};

use super::field::{At, required, required_name, supported, well_formed};
use super::{Context, Strategy, internal};

/// The most that a precedence can be: the last resort.
const MAX_PRECEDENCE: i64 = 10_000;
const MAX_QUEUES: i64 = 10_000_000;
/// The bits of a hash that shuffle sharding can use.
const MAX_HASH_BITS: i64 = 60;
const VERBS: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"];

pub(super) struct FlowSchema;
pub(super) struct PriorityLevel;

impl Strategy for FlowSchema {
    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let (root, mut errors) = (At::root(object), ErrorList::new());
        let (spec, name) = (root.at("spec"), object::meta::name(object));
        schema_spec(&spec, name, &mut errors);
        if mandatory_schema(name).is_some_and(|fixed| !same(spec.value, &fixed)) {
            let value = internal::shown("flowcontrol.v1.FlowSchemaSpec", spec.value);
            errors.push(Error::invalid(&spec.path, value, format!("spec of '{name}' must equal the fixed value")));
        }
        conditions(&root, &mut errors);
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, _: &Value) -> ErrorList {
        update(self, cx, object)
    }

    fn tracks_generation(&self) -> bool {
        true
    }
}

impl Strategy for PriorityLevel {
    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        const FORBIDDEN: &str = "flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares";
        let (root, mut errors) = (At::root(object), ErrorList::new());
        let annotations = root.at("metadata").at("annotations");
        if !annotations.value[FORBIDDEN].is_null() {
            errors.push(annotations.forbidden(format!("annotation '{FORBIDDEN}' is forbidden")));
        }
        let (spec, name) = (root.at("spec"), object::meta::name(object));
        level_spec(&spec, name, &mut errors);
        mandatory_level(&spec, name, &mut errors);
        conditions(&root, &mut errors);
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, _: &Value) -> ErrorList {
        update(self, cx, object)
    }

    fn tracks_generation(&self) -> bool {
        true
    }
}

fn update(strategy: &dyn Strategy, cx: &Context<'_>, object: &Value) -> ErrorList {
    if cx.subresource != "status" {
        return strategy.validate(cx, object);
    }
    let mut errors = ErrorList::new();
    conditions(&At::root(object), &mut errors);
    errors
}

/// One condition of each type.
fn conditions(root: &At<'_>, errors: &mut ErrorList) {
    let mut seen = std::collections::BTreeSet::new();
    for kind in root.at("status").at("conditions").items().map(|condition| condition.at("type")) {
        if !seen.insert(kind.text()) {
            errors.push(kind.duplicate());
        }
        required(&kind, errors);
    }
}

fn schema_spec(spec: &At<'_>, name: &str, errors: &mut ErrorList) {
    let precedence = spec.at("matchingPrecedence");
    let number = precedence.number().unwrap_or_default();
    let wrong = [
        (number <= 0, "must be a positive value".to_owned()),
        (number > MAX_PRECEDENCE, format!("must not be greater than {MAX_PRECEDENCE}")),
        (number == 1 && name != "exempt", "only the schema named 'exempt' may have matchingPrecedence 1".to_owned()),
    ];
    let wrong = wrong.into_iter().filter(|(wrong, _)| *wrong);
    errors.extend(wrong.map(|(_, detail)| Error::invalid(&precedence.path, number, detail)));
    let distinguisher = spec.at("distinguisherMethod");
    let methods = ["ByNamespace", "ByUser"];
    if distinguisher.is_set() && !methods.contains(&distinguisher.at("type").text()) {
        let value = internal::shown("flowcontrol.v1.FlowDistinguisherMethod", distinguisher.value);
        errors.push(Error::not_supported(&distinguisher.path.child("type"), value, &methods));
    }
    let level = spec.at("priorityLevelConfiguration").at("name");
    if level.is_empty() {
        errors.push(level.required("must reference a priority level"));
    } else {
        well_formed(&level, names::dns1123_subdomain, errors);
    }
    spec.at("rules").items().for_each(|rule| policy(&rule, errors));
}

fn policy(rule: &At<'_>, errors: &mut ErrorList) {
    let subjects = rule.at("subjects");
    if subjects.is_empty() {
        errors.push(subjects.required("subjects must contain at least one value"));
    }
    subjects.items().for_each(|entry| subject(&entry, errors));
    let (resources, paths) = (rule.at("resourceRules"), rule.at("nonResourceRules"));
    if resources.is_empty() && paths.is_empty() {
        errors.push(rule.required("at least one of resourceRules and nonResourceRules has to be non-empty"));
    }
    resources.items().for_each(|entry| resource_rule(&entry, errors));
    paths.items().for_each(|entry| path_rule(&entry, errors));
}

fn subject(at: &At<'_>, errors: &mut ErrorList) {
    /// Kind and its field, in the order in which upstream names those that do not belong.
    const KINDS: &[(&str, &str)] = &[("ServiceAccount", "serviceAccount"), ("User", "user"), ("Group", "group")];
    let kind = at.at("kind");
    let Some((_, field)) = KINDS.iter().find(|(name, _)| *name == kind.text()) else {
        return supported(&kind, &["Group", "ServiceAccount", "User"], errors);
    };
    let own = at.at(field);
    if !own.is_set() {
        errors.push(own.required(&format!("{field} is required when subject kind is '{}'", kind.text())));
    } else if *field == "serviceAccount" {
        service_account(&own, errors);
    } else {
        required(&own.at("name"), errors);
    }
    for (name, field) in KINDS.iter().filter(|(name, _)| *name != kind.text()) {
        let other = at.at(field);
        if other.is_set() {
            errors.push(other.forbidden(format!("{field} is forbidden when subject kind is not '{name}'")));
        }
    }
}

fn service_account(at: &At<'_>, errors: &mut ErrorList) {
    let (name, namespace) = (at.at("name"), at.at("namespace"));
    if name.text() != "*" {
        required_name(&name, names::dns1123_subdomain, errors);
    }
    if namespace.is_empty() {
        errors.push(namespace.required("must specify namespace for service account"));
    } else {
        well_formed(&namespace, names::dns1123_label, errors);
    }
}

/// A star stands alone. Returns whether there is none.
fn star_alone(list: &At<'_>, what: &str, errors: &mut ErrorList) -> bool {
    let star = list.texts().any(|text| text == "*");
    if star && list.count() > 1 {
        errors.push(list.invalid(format!("if '*' is present, must not specify other {what}")));
    }
    !star
}

fn verbs(at: &At<'_>, errors: &mut ErrorList) {
    if at.is_empty() {
        errors.push(at.required("verbs must contain at least one value"));
    } else if star_alone(at, "verbs", errors) && !at.texts().all(|verb| VERBS.contains(&verb)) {
        errors.push(at.unsupported(VERBS));
    }
}

fn path_rule(rule: &At<'_>, errors: &mut ErrorList) {
    verbs(&rule.at("verbs"), errors);
    let paths = rule.at("nonResourceURLs");
    if paths.is_empty() {
        errors.push(paths.required("nonResourceURLs must contain at least one value"));
    } else if star_alone(&paths, "non-resource URLs", errors) {
        for path in paths.items() {
            errors.extend(url_path(path.text()).map(|why| path.invalid(why)));
        }
    }
}

/// What is wrong with a path, which may end in `/*`.
fn url_path(path: &str) -> Option<&'static str> {
    let stars = path.matches('*').count();
    match path {
        "" => Some("must not be empty"),
        "/" => None,
        _ if !path.starts_with('/') => Some("must start with slash"),
        _ if path.contains(' ') => Some("must not contain white-space"),
        _ if path.contains("//") => Some("must not contain double slash"),
        _ if stars > 1 || (stars == 1 && !path.ends_with("/*")) => Some("wildcard can only do suffix matching"),
        _ => None,
    }
}

fn resource_rule(rule: &At<'_>, errors: &mut ErrorList) {
    verbs(&rule.at("verbs"), errors);
    for (field, missing, others) in [
        ("apiGroups", "resource rules must supply at least one api group", "api groups"),
        ("resources", "resource rules must supply at least one resource", "resources"),
    ] {
        let list = rule.at(field);
        if list.is_empty() {
            errors.push(list.required(missing));
        } else {
            star_alone(&list, others, errors);
        }
    }
    let namespaces = rule.at("namespaces");
    if namespaces.is_empty() && !rule.at("clusterScope").flag() {
        let detail = "resource rules that are not cluster scoped must supply at least one namespace";
        errors.push(namespaces.required(detail));
    } else if star_alone(&namespaces, "namespaces", errors) {
        for namespace in namespaces.items() {
            let wrong = names::dns1123_label(namespace.text()).into_iter();
            let intro = "each member of this list must be '*' or a DNS-1123 label; ";
            errors.extend(wrong.map(|why| namespace.invalid(format!("{intro}{why}"))));
        }
    }
}

fn level_spec(spec: &At<'_>, name: &str, errors: &mut ErrorList) {
    let (kind, limited, exempt) = (spec.at("type"), spec.at("limited"), spec.at("exempt"));
    if (name == "exempt") != (kind.text() == "Exempt") {
        let detail = "must be 'Exempt' if and only if `name` is 'exempt'";
        errors.push(Error::invalid(&kind.path, kind.text(), detail));
    }
    match kind.text() {
        "Exempt" => {
            if limited.is_set() {
                errors.push(limited.forbidden("must be nil if the type is not Limited"));
            }
            shares(&exempt, errors);
            percent(&exempt.at("lendablePercent"), errors);
        }
        "Limited" => {
            if exempt.is_set() {
                errors.push(exempt.forbidden("must be nil if the type is Limited"));
            }
            if limited.is_set() {
                limits(&limited, errors);
            } else {
                errors.push(limited.required("must not be empty when type is Limited"));
            }
        }
        "" => errors.push(kind.required("")),
        _ => supported(&kind, &["Exempt", "Limited"], errors),
    }
}

fn shares(at: &At<'_>, errors: &mut ErrorList) {
    let shares = at.at("nominalConcurrencyShares");
    if shares.number().is_some_and(|n| n < 0) {
        errors.push(shares.invalid("must be a non-negative integer"));
    }
}

fn percent(at: &At<'_>, errors: &mut ErrorList) {
    if at.number().is_some_and(|n| !(0..=100).contains(&n)) {
        errors.push(at.invalid("must be between 0 and 100, inclusive"));
    }
}

fn limits(at: &At<'_>, errors: &mut ErrorList) {
    shares(at, errors);
    limit_response(&at.at("limitResponse"), errors);
    percent(&at.at("lendablePercent"), errors);
    let borrowing = at.at("borrowingLimitPercent");
    if borrowing.number().is_some_and(|n| n < 0) {
        errors.push(borrowing.invalid("if specified, must be a non-negative integer"));
    }
}

fn limit_response(at: &At<'_>, errors: &mut ErrorList) {
    let (kind, queuing) = (at.at("type"), at.at("queuing"));
    match kind.text() {
        "Reject" if queuing.is_set() => {
            errors.push(queuing.forbidden("must be nil if limited.limitResponse.type is not Limited"));
        }
        "Reject" => {}
        "Queue" if queuing.is_set() => queues(&queuing, errors),
        "Queue" => errors.push(queuing.required("must not be empty if limited.limitResponse.type is Limited")),
        "" => errors.push(kind.required("")),
        _ => supported(&kind, &["Queue", "Reject"], errors),
    }
}

fn queues(at: &At<'_>, errors: &mut ErrorList) {
    let number = |field: &str| at.at(field).number().unwrap_or_default();
    let (limit, queues, hand) = (number("queueLengthLimit"), number("queues"), number("handSize"));
    let mut invalid = |field: &str, value: i64, detail: String| {
        errors.push(Error::invalid(&at.path.child(field), value, detail));
    };
    if limit <= 0 {
        invalid("queueLengthLimit", limit, "must be positive".to_owned());
    }
    if queues <= 0 {
        invalid("queues", queues, "must be positive".to_owned());
    } else if queues > MAX_QUEUES {
        invalid("queues", queues, format!("must not be greater than {MAX_QUEUES}"));
    }
    if hand <= 0 {
        invalid("handSize", hand, "must be positive".to_owned());
    } else if hand > queues {
        invalid("handSize", hand, format!("should not be greater than queues ({queues})"));
    } else if entropy(queues, hand) > MAX_HASH_BITS {
        let detail = format!(
            "required entropy bits of deckSize {queues} and handSize {hand} should not be greater than {MAX_HASH_BITS}"
        );
        invalid("handSize", hand, detail);
    }
}

/// The bits that it takes to deal a hand of queues.
fn entropy(queues: i64, hand: i64) -> i64 {
    ((queues as f64).log2() * hand as f64).ceil() as i64
}

/// Whether two specs say the same; what is empty says nothing.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(a), Value::Object(b)) => {
            a.keys().chain(b.keys()).all(|key| same(&one[key.as_str()], &other[key.as_str()]))
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Null, Value::Array(list)) | (Value::Array(list), Value::Null) => list.is_empty(),
        _ => one == other,
    }
}

/// What the two schemas that must be there say.
fn mandatory_schema(name: &str) -> Option<Value> {
    let spec = |precedence: i64, groups: &[&str]| {
        let subjects: Vec<Value> =
            groups.iter().map(|name| json!({"kind": "Group", "group": {"name": name}})).collect();
        json!({
            "priorityLevelConfiguration": {"name": name},
            "matchingPrecedence": precedence,
            "rules": [{
                "subjects": subjects,
                "resourceRules": [{
                    "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": true, "namespaces": ["*"],
                }],
                "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            }],
        })
    };
    match name {
        "exempt" => Some(spec(1, &["system:masters"])),
        "catch-all" => {
            let mut spec = spec(MAX_PRECEDENCE, &["system:unauthenticated", "system:authenticated"]);
            spec["distinguisherMethod"] = json!({"type": "ByUser"});
            Some(spec)
        }
        _ => None,
    }
}

/// The two levels that must be there are fixed, but for the shares of the one without limits.
fn mandatory_level(spec: &At<'_>, name: &str, errors: &mut ErrorList) {
    let (same, except) = match name {
        "exempt" => {
            (spec.at("type").text() == "Exempt" && !spec.at("limited").is_set(), " except the 'spec.exempt' field")
        }
        "catch-all" => {
            let limited = json!({
                "nominalConcurrencyShares": 5, "lendablePercent": 0, "limitResponse": {"type": "Reject"},
            });
            (same(spec.value, &json!({"type": "Limited", "limited": limited})), "")
        }
        _ => return,
    };
    if !same {
        let value = internal::shown("flowcontrol.v1.PriorityLevelConfigurationSpec", spec.value);
        let detail = format!("spec of '{name}'{except} must equal the fixed value");
        errors.push(Error::invalid(&spec.path, value, detail));
    }
}
