//! Admission policies: what they match, and what they do then.

use std::collections::BTreeSet;

use object::field::{Error, ErrorList};
use object::names;

use super::{Phase, rule};
use crate::strategy::field::{At, conditions, optional_supported, required, supported, well_formed};
use crate::strategy::internal;

const REASONS: &[&str] = &["Forbidden", "Invalid", "RequestEntityTooLarge"];
const REINVOCATIONS: &[&str] = &["IfNeeded", "Never"];
const PATCHES: &[&str] = &["ApplyConfiguration", "JSONPatch"];
const MAX_ANNOTATIONS: usize = 20;
/// In bytes.
const MAX_ANNOTATION_EXPRESSION: usize = 5 << 10;
/// Words that cannot name a variable.
const RESERVED: &[&str] = &[
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

pub(super) fn validate(root: &At<'_>, phase: Phase, check_conditions: bool) -> ErrorList {
    let (spec, mut errors) = (root.at("spec"), ErrorList::new());
    let failure = spec.at("failurePolicy");
    if failure.is_set() {
        supported(&failure, rule::FAILURE_POLICIES, &mut errors);
    } else {
        errors.push(failure.required(""));
    }
    if spec.at("paramKind").is_set() {
        param_kind(&spec.at("paramKind"), &mut errors);
    }
    constraints(&spec.at("matchConstraints"), phase, &mut errors);
    if check_conditions {
        rule::conditions(&spec.at("matchConditions"), &mut errors);
    }
    spec.at("variables").items().for_each(|entry| variable(&entry, &mut errors));
    match phase {
        Phase::Validating => validations(&spec, object::meta::name(root.value), &mut errors),
        Phase::Mutating => mutations(&spec, &mut errors),
    }
    errors
}

fn param_kind(at: &At<'_>, errors: &mut ErrorList) {
    let (version, kind) = (at.at("apiVersion"), at.at("kind"));
    if required(&version, errors) {
        group_version(&version, errors);
    }
    if required(&kind, errors) {
        let wrong = names::dns1035_label(&kind.text().to_lowercase());
        if !wrong.is_empty() {
            let detail = format!("may have mixed case, but should otherwise match: {}", wrong.join(","));
            errors.push(kind.invalid(detail));
        }
    }
}

fn group_version(at: &At<'_>, errors: &mut ErrorList) {
    let text = if at.text() == "/" { "" } else { at.text() };
    let (group, version) = text.split_once('/').unwrap_or(("", text));
    if version.contains('/') {
        errors.push(at.invalid(format!("unexpected GroupVersion string: {text}")));
        return;
    }
    let mut invalid = |part: &str, wrong: Vec<String>| {
        if !wrong.is_empty() {
            errors.push(Error::invalid(&at.path, part, wrong.join(",")));
        }
    };
    if !group.is_empty() {
        invalid(group, names::dns1123_subdomain(group));
    }
    if version.is_empty() {
        invalid(at.text(), vec!["version must be specified".to_owned()]);
    } else {
        invalid(version, names::dns1035_label(version));
    }
}

fn constraints(at: &At<'_>, phase: Phase, errors: &mut ErrorList) {
    if !at.is_set() {
        errors.push(at.required(""));
        return;
    }
    rule::match_resources(at, errors);
    required(&at.at("resourceRules"), errors);
    if phase == Phase::Mutating {
        rule::only_mutable(at, errors);
    }
}

fn variable(at: &At<'_>, errors: &mut ErrorList) {
    let (name, expression) = (at.at("name"), at.at("expression"));
    if name.text().trim().is_empty() {
        errors.push(name.required("name is not specified"));
    } else if !is_identifier(name.text()) {
        errors.push(name.invalid("must be a valid CEL identifier"));
    }
    if expression.text().trim().is_empty() {
        errors.push(expression.required("expression is not specified"));
    }
}

fn is_identifier(name: &str) -> bool {
    let letters = name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric());
    letters && !name.starts_with(|c: char| c.is_ascii_digit()) && !RESERVED.contains(&name)
}

fn validations(spec: &At<'_>, name: &str, errors: &mut ErrorList) {
    let (validations, annotations) = (spec.at("validations"), spec.at("auditAnnotations"));
    if validations.is_empty() && annotations.is_empty() {
        let detail = "validations or auditAnnotations must contain at least one item";
        errors.extend([validations.required(detail), annotations.required(detail)]);
        return;
    }
    validations.items().for_each(|entry| validation(&entry, errors));
    if annotations.count() > MAX_ANNOTATIONS {
        let shown =
            annotations.items().map(|entry| internal::shown("admissionregistration.v1.AuditAnnotation", entry.value));
        let detail = format!("must not have more than {MAX_ANNOTATIONS} auditAnnotations");
        errors.push(Error::invalid(&annotations.path, shown.collect::<serde_json::Value>(), detail));
    }
    let mut seen = BTreeSet::new();
    for entry in annotations.items() {
        audit_annotation(&entry, name, errors);
        if !seen.insert(entry.at("key").text()) {
            errors.push(entry.at("key").duplicate());
        }
    }
}

fn validation(at: &At<'_>, errors: &mut ErrorList) {
    if at.at("expression").text().trim().is_empty() {
        errors.push(at.at("expression").required("expression is not specified"));
    }
    let blank = |at: &At<'_>| !at.is_empty() && at.text().trim().is_empty();
    let (message, message_expression) = (at.at("message"), at.at("messageExpression"));
    if blank(&message_expression) {
        errors.push(message_expression.invalid("must be non-empty if specified"));
    }
    if blank(&message) {
        errors.push(message.invalid("must be non-empty if specified"));
    } else if message.text().trim().contains(['\n', '\r']) {
        errors.push(message.invalid("must not contain line breaks"));
    }
    optional_supported(&at.at("reason"), REASONS, errors);
}

fn audit_annotation(at: &At<'_>, policy: &str, errors: &mut ErrorList) {
    let (key, value) = (at.at("key"), at.at("valueExpression"));
    if policy.is_empty() {
        errors.push(key.invalid("requires metadata.name be non-empty"));
    } else {
        let full = format!("{policy}/{}", key.text());
        errors.extend_invalid(&key.path, &full, names::qualified_name(&full));
    }
    let expression = value.text().trim();
    if expression.is_empty() {
        errors.push(value.required("valueExpression is not specified"));
    } else if expression.len() > MAX_ANNOTATION_EXPRESSION {
        errors.push(value.required(&format!("must not exceed {MAX_ANNOTATION_EXPRESSION} bytes in length")));
    }
}

fn mutations(spec: &At<'_>, errors: &mut ErrorList) {
    let mutations = spec.at("mutations");
    if mutations.is_empty() {
        errors.push(mutations.required("mutations must contain at least one item"));
    }
    mutations.items().for_each(|entry| mutation(&entry, errors));
    let reinvocation = spec.at("reinvocationPolicy");
    if required(&reinvocation, errors) {
        supported(&reinvocation, REINVOCATIONS, errors);
    }
}

fn mutation(at: &At<'_>, errors: &mut ErrorList) {
    let kind = at.at("patchType");
    let (wanted, other) = match kind.text() {
        "JSONPatch" => ("jsonPatch", "applyConfiguration"),
        "ApplyConfiguration" => ("applyConfiguration", "jsonPatch"),
        "" => return errors.push(kind.required("")),
        _ => return supported(&kind, PATCHES, errors),
    };
    let (wanted, unwanted) = (at.at(wanted), at.at(other));
    if !wanted.is_set() {
        errors.push(wanted.required(&format!("must be specified when patchType is {}", kind.text())));
    } else if wanted.at("expression").text().trim().is_empty() {
        errors.push(wanted.at("expression").required(""));
    }
    if unwanted.is_set() {
        let detail = format!("must not be specified when patchType is {}", kind.text());
        errors.push(Error::invalid(&unwanted.path, format!("{{{other}}}"), detail));
    }
}

/// The status of a policy: warnings of its type checking, and conditions.
pub(super) fn validate_status(status: &At<'_>) -> ErrorList {
    let mut errors = ErrorList::new();
    for warning in status.at("typeChecking").at("expressionWarnings").items() {
        required(&warning.at("warning"), &mut errors);
        let field = warning.at("fieldRef");
        if field.text().trim().is_empty() {
            errors.push(field.required(""));
        } else {
            well_formed(&field, field_reference, &mut errors);
        }
    }
    conditions(&status.at("conditions"), &mut errors);
    errors
}

/// A JSONPath; brackets must close.
fn field_reference(path: &str) -> Vec<String> {
    let open = path.bytes().filter(|b| *b == b'[').count();
    let closed = path.bytes().filter(|b| *b == b']').count();
    if open > closed { vec!["invalid JSONPath: unterminated array".to_owned()] } else { Vec::new() }
}
