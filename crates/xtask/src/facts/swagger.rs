//! Reading what is needed of an OpenAPI v2 definition.

use serde_json::{Map, Value};

/// Prefixes of definitions that are API types, and what stands for them in facts and in proto files.
const PREFIXES: &[(&str, &str, &str)] = &[
    ("io.k8s.api.", "", "k8s.io.api."),
    ("io.k8s.apimachinery.pkg.apis.", "", "k8s.io.apimachinery.pkg.apis."),
    ("io.k8s.apiextensions-apiserver.pkg.apis.", "", "k8s.io.apiextensions_apiserver.pkg.apis."),
    ("io.k8s.kube-aggregator.pkg.apis.", "", "k8s.io.kube_aggregator.pkg.apis."),
];

/// Definitions that are values of their own kind, not objects.
const SHAPES: &[(&str, &str)] = &[
    ("io.k8s.apimachinery.pkg.api.resource.Quantity", "quantity"),
    ("io.k8s.apimachinery.pkg.util.intstr.IntOrString", "intOrString"),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.Time", "time"),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime", "microTime"),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.Duration", "string"),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1", "any"),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.Patch", "any"),
    ("io.k8s.apimachinery.pkg.runtime.RawExtension", "any"),
    ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON", "any"),
    (
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray",
        "orList:apiextensions.v1.JSONSchemaProps",
    ),
    (
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool",
        "orBool:apiextensions.v1.JSONSchemaProps",
    ),
    (
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray",
        "orTexts:apiextensions.v1.JSONSchemaProps",
    ),
];

/// `apps.v1.DeploymentSpec`; `None` for definitions that are no API objects.
pub(super) fn short_name(name: &str) -> Option<String> {
    if SHAPES.iter().any(|(shape, _)| *shape == name) {
        return None;
    }
    PREFIXES.iter().find_map(|(prefix, short, _)| Some(format!("{short}{}", name.strip_prefix(prefix)?)))
}

pub(super) fn proto_name(name: &str) -> String {
    let found = PREFIXES.iter().find_map(|(prefix, _, proto)| Some(format!("{proto}{}", name.strip_prefix(prefix)?)));
    found.unwrap_or_default()
}

/// The property that a proto field is, if it is one: most have its name, some another spelling of it.
pub(super) fn json_name(proto: &str, properties: &Map<String, Value>) -> Option<String> {
    let mut dashed = String::new();
    for c in proto.chars() {
        if c.is_ascii_uppercase() {
            dashed.push('-');
        }
        dashed.push(c.to_ascii_lowercase());
    }
    let exact = [proto.to_owned(), format!("${proto}"), dashed].into_iter().find(|n| properties.contains_key(n));
    exact.or_else(|| properties.keys().find(|name| name.eq_ignore_ascii_case(proto)).cloned())
}

/// The line that starts a type.
pub(super) fn head(out: &mut String, short: &str, definition: &Value) {
    out.push_str(short);
    if let Some([gvk]) = definition["x-kubernetes-group-version-kind"].as_array().map(Vec::as_slice) {
        let part = |key: &str| gvk[key].as_str().unwrap_or_default();
        out.push_str(&format!(" gvk={}/{}/{}", part("group"), part("version"), part("kind")));
    }
    if definition["x-kubernetes-map-type"] == "atomic" {
        out.push_str(" atomic");
    }
    out.push('\n');
}

/// The shape of a property.
pub(super) fn shape(property: &Value) -> String {
    if let Some(reference) = property["$ref"].as_str() {
        let name = reference.trim_start_matches("#/definitions/");
        let known = SHAPES.iter().find(|(shape, _)| *shape == name).map(|(_, text)| (*text).to_owned());
        return known.or_else(|| short_name(name)).unwrap_or_else(|| "any".into());
    }
    match (property["type"].as_str(), property["format"].as_str()) {
        (Some("string"), Some("byte")) => "bytes".into(),
        (Some("string"), _) => "string".into(),
        (Some("boolean"), _) => "bool".into(),
        (Some("integer"), Some("int64")) => "int64".into(),
        (Some("integer"), _) => "int32".into(),
        (Some("number"), _) => "float".into(),
        (Some("array"), _) => format!("[]{}", shape(&property["items"])),
        (Some("object"), _) if property["additionalProperties"].is_object() => {
            format!("map:{}", shape(&property["additionalProperties"]))
        }
        _ => "any".into(),
    }
}

/// What a field's line says after its shape.
pub(super) fn words(out: &mut String, name: &str, property: &Value, definition: &Value) {
    if definition["required"].as_array().is_some_and(|r| r.iter().any(|r| r == name)) {
        out.push_str(" required");
    }
    match property["x-kubernetes-list-type"].as_str() {
        Some("set") => out.push_str(" list=set"),
        Some("map") => out.push_str(" list=map"),
        _ => {}
    }
    if let Some(keys) = property["x-kubernetes-list-map-keys"].as_array() {
        let keys: Vec<&str> = keys.iter().filter_map(Value::as_str).collect();
        out.push_str(&format!(" keys={}", keys.join(",")));
    }
    if property["x-kubernetes-map-type"] == "atomic" {
        out.push_str(" atomic");
    }
    if let Some(strategy) = property["x-kubernetes-patch-strategy"].as_str() {
        out.push_str(&format!(" patch={strategy}"));
        if let Some(key) = property["x-kubernetes-patch-merge-key"].as_str() {
            out.push_str(&format!(":{key}"));
        }
    }
}
