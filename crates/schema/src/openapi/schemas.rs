//! Schemas of the types that a group's documents mention.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::facts::{Field, ListType, Presence, Shape, Type, TypeFacts, TypeId};
use crate::resource::Served;

/// Types that every document mentions in its operations.
const COMMON: &[&str] = &["meta.v1.DeleteOptions", "meta.v1.Status", "meta.v1.WatchEvent"];
/// What a patch of any form is.
pub(super) const PATCH: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";

/// The schemas of all types reachable from `served`, by name.
pub(super) fn of(served: &[Served]) -> Map<String, Value> {
    let mut found = BTreeMap::from([(PATCH.to_owned(), json!({"type": "object"}))]);
    let mut seen = BTreeSet::new();
    let common = COMMON.iter().filter_map(|name| Type::builtin(name));
    for ty in served.iter().flat_map(mentioned).chain(common) {
        collect(&ty, &mut seen, &mut found);
    }
    found.into_iter().collect()
}

/// The types that a resource's operations name: objects, lists, bodies of subresources.
fn mentioned(served: &Served) -> Vec<Type> {
    let list = list_type(served);
    let bodies = served.resource.subresources.iter().filter_map(|sub| Type::of_kind(sub.body.as_ref()?));
    std::iter::once(served.ty().clone()).chain(list).chain(bodies).collect()
}

/// The type of lists of a resource.
pub(super) fn list_type(served: &Served) -> Option<Type> {
    let (ty, kind) = (served.ty(), &served.resource.list_kind);
    let (module, _) = ty.name().rsplit_once('.')?;
    sibling(ty, &format!("{module}.{kind}"))
}

fn sibling(ty: &Type, name: &str) -> Option<Type> {
    Type::builtin(name).filter(|found| std::ptr::eq(found.facts(), ty.facts()))
}

fn collect(root: &Type, seen: &mut BTreeSet<String>, found: &mut BTreeMap<String, Value>) {
    let mut open = vec![root.id()];
    while let Some(id) = open.pop() {
        let facts = root.facts().get(id);
        if seen.insert(facts.name.to_string()) {
            found.insert(name(&facts.name), schema(root, facts));
            open.extend(facts.fields.iter().filter_map(|field| referenced(&field.shape)));
        }
    }
}

fn referenced(shape: &Shape) -> Option<TypeId> {
    match shape {
        Shape::Object(id) | Shape::ObjectOr(id, _) => Some(*id),
        Shape::List(inner) | Shape::Map(inner) => referenced(inner),
        _ => None,
    }
}

/// The name of a type in OpenAPI: `io.k8s.api.apps.v1.Deployment` for `apps.v1.Deployment`.
pub(super) fn name(short: &str) -> String {
    match short.split('.').next().unwrap_or_default() {
        "meta" => format!("io.k8s.apimachinery.pkg.apis.{short}"),
        "runtime" | "version" | "api" | "util" => format!("io.k8s.apimachinery.pkg.{short}"),
        "apiextensions" => format!("io.k8s.apiextensions-apiserver.pkg.apis.{short}"),
        "apiregistration" => format!("io.k8s.kube-aggregator.pkg.apis.{short}"),
        _ => format!("io.k8s.api.{short}"),
    }
}

pub(super) fn reference(short: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{}", name(short))})
}

fn schema(root: &Type, facts: &TypeFacts) -> Value {
    let mut schema = Map::from_iter([("type".to_owned(), Value::from("object"))]);
    let mut properties: Vec<_> =
        facts.fields.iter().map(|field| (field.name.to_string(), property(root, field))).collect();
    properties.sort_by(|a, b| a.0.cmp(&b.0));
    if !properties.is_empty() {
        schema.insert("properties".into(), Value::Object(properties.into_iter().collect()));
    }
    let mut required: Vec<&str> = facts.fields.iter().filter(|f| f.required).map(|f| &*f.name).collect();
    required.sort_unstable();
    if !required.is_empty() {
        schema.insert("required".into(), required.into());
    }
    if let Some(gvk) = &facts.gvk {
        let kind = json!([{"group": gvk.group, "version": gvk.version, "kind": gvk.kind}]);
        schema.insert("x-kubernetes-group-version-kind".into(), kind);
    }
    if facts.atomic {
        schema.insert("x-kubernetes-map-type".into(), "atomic".into());
    }
    Value::Object(schema)
}

fn property(root: &Type, field: &Field) -> Value {
    let mut schema = shape(root, &field.shape);
    let Some(object) = schema.as_object_mut() else { return schema };
    if field.presence == Presence::Always && matches!(field.shape, Shape::Object(_)) {
        object.insert("default".into(), json!({}));
    }
    list_facts(object, field);
    patch_facts(object, field);
    schema
}

fn list_facts(schema: &mut Map<String, Value>, field: &Field) {
    match (&field.shape, field.list) {
        (Shape::List(_), ListType::Atomic) => drop(schema.insert("x-kubernetes-list-type".into(), "atomic".into())),
        (Shape::List(_), ListType::Set) => drop(schema.insert("x-kubernetes-list-type".into(), "set".into())),
        (Shape::List(_), ListType::Map) => {
            let keys: Value = field.keys.iter().map(|key| Value::from(&**key)).collect();
            schema.insert("x-kubernetes-list-type".into(), "map".into());
            schema.insert("x-kubernetes-list-map-keys".into(), keys);
        }
        _ if field.atomic => drop(schema.insert("x-kubernetes-map-type".into(), "atomic".into())),
        _ => {}
    }
}

fn patch_facts(schema: &mut Map<String, Value>, field: &Field) {
    let strategies = [(field.patch.merge, "merge"), (field.patch.retain_keys, "retainKeys")];
    let strategies: Vec<_> = strategies.iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
    if !strategies.is_empty() {
        schema.insert("x-kubernetes-patch-strategy".into(), strategies.join(",").into());
    }
    if let Some(key) = &field.patch.merge_key {
        schema.insert("x-kubernetes-patch-merge-key".into(), (&**key).into());
    }
}

fn shape(root: &Type, shape_: &Shape) -> Value {
    match shape_ {
        Shape::String => json!({"type": "string"}),
        Shape::Bytes => json!({"type": "string", "format": "byte"}),
        Shape::Bool => json!({"type": "boolean"}),
        Shape::Int32 => json!({"type": "integer", "format": "int32"}),
        Shape::Int64 => json!({"type": "integer", "format": "int64"}),
        Shape::Float => json!({"type": "number", "format": "double"}),
        Shape::Quantity => json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
        Shape::IntOrString => json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}),
        Shape::Time | Shape::MicroTime => json!({"type": "string", "format": "date-time"}),
        Shape::Any | Shape::ObjectOr(..) => json!({"x-kubernetes-preserve-unknown-fields": true}),
        Shape::Object(id) => json!({"allOf": [reference(&root.facts().get(*id).name)]}),
        Shape::List(item) => json!({"type": "array", "items": shape(root, item)}),
        Shape::Map(value) => json!({"type": "object", "additionalProperties": shape(root, value)}),
    }
}
