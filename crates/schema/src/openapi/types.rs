//! Schemas of types, in either version of OpenAPI.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::beyond;
use super::route::{Route, Subject};
use super::texts::Texts;
use crate::facts::{Field, ListType, Presence, Shape, Type, TypeFacts, TypeId};
use crate::resource::Served;
use crate::table::Snapshot;

/// What a patch of any form is.
pub(super) const PATCH: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";
pub(super) const VERSION: &str = "io.k8s.apimachinery.pkg.version.Info";
const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";
const INT_OR_STRING: &str = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";
const TIME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Time";
const MICRO_TIME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime";

/// Which OpenAPI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    V2,
    V3,
}

/// What writes schemas: the version, the groups there are, the descriptions.
pub(super) struct Writer<'a> {
    pub(super) dialect: Dialect,
    pub(super) snapshot: &'a Snapshot,
    pub(super) texts: &'a Texts,
}

/// A schema that a document needs, by its name there.
#[derive(Clone)]
pub(super) enum Wanted {
    Type(Type),
    Leaf(&'static str),
    Custom(Served),
    CustomList(Served),
}

/// Everything that the routes mention, with all that it is made of.
pub(super) fn wanted(routes: &[Route]) -> BTreeMap<String, Wanted> {
    let mut found = BTreeMap::new();
    let operations = routes.iter().flat_map(|route| &route.operations);
    for operation in operations {
        for subject in
            [Some(&operation.answer), operation.body.as_ref().map(|body| &body.subject)].into_iter().flatten()
        {
            want(subject, &mut found);
        }
    }
    // Every list of resources and every stream is about these.
    for name in ["meta.v1.WatchEvent", "meta.v1.DeleteOptions", "meta.v1.Status"] {
        if let (Some(ty), false) = (Type::builtin(name), found.is_empty()) {
            want(&Subject::Type(ty), &mut found);
        }
    }
    found
}

fn want(subject: &Subject, found: &mut BTreeMap<String, Wanted>) {
    let Some(name) = name_of(subject) else { return };
    match subject {
        Subject::Text => {}
        Subject::Leaf(leaf) => drop(found.insert(name, Wanted::Leaf(leaf))),
        Subject::Type(ty) => want_type(ty, found),
        Subject::Custom(served) => {
            found.insert(name, Wanted::Custom(served.clone()));
            want_builtin("meta.v1.ObjectMeta", found);
        }
        Subject::CustomList(served) => {
            found.insert(name, Wanted::CustomList(served.clone()));
            want_builtin("meta.v1.ListMeta", found);
        }
    }
}

fn want_builtin(name: &str, found: &mut BTreeMap<String, Wanted>) {
    if let Some(ty) = Type::builtin(name) {
        want_type(&ty, found);
    }
}

fn want_type(root: &Type, found: &mut BTreeMap<String, Wanted>) {
    let mut open = vec![root.clone()];
    while let Some(ty) = open.pop() {
        if found.insert(full_name(ty.name()), Wanted::Type(ty.clone())).is_some() {
            continue;
        }
        for field in &ty.get().fields {
            match leaf(ty.name(), field) {
                Some(leaf) => drop(found.insert(leaf.to_owned(), Wanted::Leaf(leaf))),
                None => open.extend(field.shape.object().map(|id| sibling(&ty, id))),
            }
        }
    }
}

fn sibling(ty: &Type, id: TypeId) -> Type {
    Type::builtin(&ty.facts().get(id).name).unwrap_or_else(|| ty.clone())
}

/// The type of lists of a resource.
pub(super) fn list_type(served: &Served) -> Option<Type> {
    let (module, _) = served.ty().name().rsplit_once('.')?;
    Type::builtin(&format!("{module}.{}", served.resource.list_kind))
}

/// The name of what a body is; none for text.
pub(super) fn name_of(subject: &Subject) -> Option<String> {
    match subject {
        Subject::Text => None,
        Subject::Type(ty) => Some(full_name(ty.name())),
        Subject::Leaf(name) => Some((*name).to_owned()),
        Subject::Custom(served) => Some(custom_name(served, &served.resource.kind)),
        Subject::CustomList(served) => Some(custom_name(served, &served.resource.list_kind)),
    }
}

/// `com.example.stable.v1.CronTab` for a kind of `stable.example.com`.
fn custom_name(served: &Served, kind: &str) -> String {
    let group: Vec<&str> = served.resource.group.rsplit('.').collect();
    format!("{}.{}.{kind}", group.join("."), served.version().name)
}

/// The name of a type: `io.k8s.api.apps.v1.Deployment` for `apps.v1.Deployment`.
fn full_name(short: &str) -> String {
    match short.split('.').next().unwrap_or_default() {
        "meta" => format!("io.k8s.apimachinery.pkg.apis.{short}"),
        "apiextensions" => format!("io.k8s.apiextensions-apiserver.pkg.apis.{short}"),
        "apiregistration" => format!("io.k8s.kube-aggregator.pkg.apis.{short}"),
        _ => format!("io.k8s.api.{short}"),
    }
}

/// The definition without fields that a field's values, or the entries of its list or map, have.
fn leaf(ty: &str, field: &Field) -> Option<&'static str> {
    fn innermost(shape: &Shape) -> &Shape {
        match shape {
            Shape::List(inner) | Shape::Map(inner) => innermost(inner),
            _ => shape,
        }
    }
    match innermost(&field.shape) {
        Shape::Quantity => Some(QUANTITY),
        Shape::IntOrString => Some(INT_OR_STRING),
        Shape::Time => Some(TIME),
        Shape::MicroTime => Some(MICRO_TIME),
        Shape::Any | Shape::ObjectOr(..) => Some(beyond::any(ty, &field.name)),
        _ => None,
    }
}

impl Writer<'_> {
    pub(super) fn schema(&self, name: &str, wanted: &Wanted) -> Value {
        match wanted {
            Wanted::Leaf(VERSION) => version(),
            Wanted::Leaf(leaf) => self.leaf(leaf),
            Wanted::Type(ty) => self.object(name, ty.get(), false),
            Wanted::Custom(served) => {
                let mut schema = self.object(name, served.ty().get(), true);
                schema["x-kubernetes-group-version-kind"] = self.kinds(&served.resource, &served.resource.kind, served);
                schema
            }
            Wanted::CustomList(served) => self.custom_list(served),
        }
    }

    /// A schema that refers to another by its name.
    pub(super) fn reference(&self, name: &str) -> Value {
        let section = if self.dialect == Dialect::V2 { "definitions" } else { "components/schemas" };
        json!({"$ref": format!("#/{section}/{name}")})
    }

    fn leaf(&self, name: &str) -> Value {
        let either = |a: &str, b: &str| json!([{"type": a}, {"type": b}]);
        let mut schema = match (name, self.dialect) {
            (QUANTITY, Dialect::V2) => json!({"type": "string"}),
            (QUANTITY, Dialect::V3) => json!({"oneOf": either("string", "number")}),
            (INT_OR_STRING, Dialect::V2) => json!({"format": "int-or-string", "type": "string"}),
            (INT_OR_STRING, Dialect::V3) => json!({"format": "int-or-string", "oneOf": either("integer", "string")}),
            (TIME | MICRO_TIME, _) => json!({"format": "date-time", "type": "string"}),
            _ if name.starts_with("io.k8s.apiextensions") => json!({}),
            _ => json!({"type": "object"}),
        };
        if let Some(text) = self.texts.ty(name) {
            schema["description"] = text.into();
        }
        schema
    }

    fn object(&self, name: &str, facts: &TypeFacts, custom: bool) -> Value {
        let mut schema = Map::new();
        if let Some(text) = self.texts.ty(name) {
            schema.insert("description".into(), text.into());
        }
        let mut properties: Vec<_> = facts
            .fields
            .iter()
            .map(|field| (field.name.to_string(), self.property(name, facts, field, custom)))
            .collect();
        properties.sort_by(|a, b| a.0.cmp(&b.0));
        if !properties.is_empty() {
            schema.insert("properties".into(), Value::Object(properties.into_iter().collect()));
        }
        let mut required: Vec<&str> = facts.fields.iter().filter(|f| f.required).map(|f| &*f.name).collect();
        required.sort_unstable();
        if !required.is_empty() {
            schema.insert("required".into(), required.into());
        }
        schema.insert("type".into(), "object".into());
        if let Some(kinds) = self.kinds_of(facts) {
            schema.insert("x-kubernetes-group-version-kind".into(), kinds);
        }
        if facts.atomic {
            schema.insert("x-kubernetes-map-type".into(), "atomic".into());
        }
        if facts.open {
            schema.insert("x-kubernetes-preserve-unknown-fields".into(), true.into());
        }
        if let Some(unions) = beyond::unions(&facts.name) {
            schema.insert("x-kubernetes-unions".into(), unions);
        }
        Value::Object(schema)
    }

    fn property(&self, owner: &str, facts: &TypeFacts, field: &Field, custom: bool) -> Value {
        let metadata = custom && &*field.name == "metadata";
        let mut schema = match leaf(&facts.name, field) {
            _ if metadata => self.reference(&full_name("meta.v1.ObjectMeta")),
            leaf => self.shape(&field.shape, leaf),
        };
        if self.dialect == Dialect::V3
            && let Some(default) = beyond::default(&facts.name, field)
        {
            schema["default"] = default;
        }
        let text = self.texts.field(owner, &field.name);
        let text = text.or_else(|| beyond::text(&facts.name, &field.name).map(str::to_owned));
        if let Some(text) = text.or_else(|| self.common_text(&field.name, &field.shape)) {
            schema["description"] = text.into();
        }
        if let Some(extensions) = schema.as_object_mut().filter(|_| !metadata) {
            list_facts(extensions, &facts.name, field);
            patch_facts(extensions, &facts.name, field);
        }
        self.wrapped(schema)
    }

    /// What the crate does not say about lists: their kind and version are those of all objects.
    fn common_text(&self, field: &str, shape: &Shape) -> Option<String> {
        let scalar = matches!(field, "kind" | "apiVersion") && *shape == Shape::String;
        scalar.then(|| self.texts.field("io.k8s.api.core.v1.ConfigMap", field)).flatten()
    }

    /// In v3 nothing stands beside a reference.
    fn wrapped(&self, mut schema: Value) -> Value {
        let Some(object) = schema.as_object_mut() else { return schema };
        if self.dialect == Dialect::V3
            && object.len() > 1
            && let Some(reference) = object.shift_remove("$ref")
        {
            object.shift_insert(0, "allOf".into(), json!([{"$ref": reference}]));
        }
        schema
    }

    fn shape(&self, shape: &Shape, leaf: Option<&str>) -> Value {
        match shape {
            Shape::String => json!({"type": "string"}),
            Shape::Bytes => json!({"format": "byte", "type": "string"}),
            Shape::Bool => json!({"type": "boolean"}),
            Shape::Int32 => json!({"format": "int32", "type": "integer"}),
            Shape::Int64 => json!({"format": "int64", "type": "integer"}),
            Shape::Float => json!({"format": "double", "type": "number"}),
            Shape::Object(id) => self.reference(&full_name(&crate::Facts::builtin().get(*id).name)),
            Shape::List(item) => json!({"items": self.entry(item, leaf), "type": "array"}),
            Shape::Map(value) => json!({"additionalProperties": self.entry(value, leaf), "type": "object"}),
            Shape::Quantity
            | Shape::IntOrString
            | Shape::Time
            | Shape::MicroTime
            | Shape::Any
            | Shape::ObjectOr(..) => leaf.map_or_else(|| json!({}), |name| self.reference(name)),
        }
    }

    /// An entry of a list or map, which always has a zero value.
    fn entry(&self, shape: &Shape, leaf: Option<&str>) -> Value {
        let mut schema = self.shape(shape, leaf);
        if self.dialect == Dialect::V3
            && let Some(zero) = beyond::zero(shape)
        {
            schema["default"] = zero;
        }
        self.wrapped(schema)
    }

    fn kinds_of(&self, facts: &TypeFacts) -> Option<Value> {
        if matches!(&*facts.name, "meta.v1.DeleteOptions" | "meta.v1.WatchEvent") {
            let kind = facts.go_name();
            let all = super::group_versions(self.snapshot);
            return Some(
                all.map(|(group, version)| json!({"group": group, "kind": kind, "version": version})).collect(),
            );
        }
        let gvk = facts.gvk.as_ref()?;
        Some(json!([{"group": gvk.group, "kind": gvk.kind, "version": gvk.version}]))
    }

    fn kinds(&self, row: &crate::resource::Resource, kind: &str, served: &Served) -> Value {
        json!([{"group": row.group, "kind": kind, "version": served.version().name}])
    }

    fn custom_list(&self, served: &Served) -> Value {
        let row = &served.resource;
        let text = |field: &str| self.common_text(field, &Shape::String).unwrap_or_default();
        let items = self.reference(&custom_name(served, &row.kind));
        json!({
            "description": format!("{} is a list of {}", row.list_kind, row.kind),
            "properties": {
                "apiVersion": {"description": text("apiVersion"), "type": "string"},
                "items": {"items": items, "type": "array"},
                "kind": {"description": text("kind"), "type": "string"},
                "metadata": self.reference(&full_name("meta.v1.ListMeta")),
            },
            "required": ["items"],
            "type": "object",
            "x-kubernetes-group-version-kind": self.kinds(row, &row.list_kind, served),
        })
    }
}

fn list_facts(schema: &mut Map<String, Value>, ty: &str, field: &Field) {
    let list = match (&field.shape, field.list) {
        (Shape::List(_), ListType::Atomic) => (!beyond::is_untyped(ty, field)).then_some("atomic"),
        (Shape::List(_), ListType::Set) => Some("set"),
        (Shape::List(_), ListType::Map) => Some("map"),
        _ => beyond::list_type(ty, &field.name),
    };
    if field.list == ListType::Map {
        let keys: Value = field.keys.iter().map(|key| Value::from(&**key)).collect();
        schema.insert("x-kubernetes-list-map-keys".into(), keys);
    }
    if let Some(list) = list {
        schema.insert("x-kubernetes-list-type".into(), list.into());
    }
    let map = if field.atomic { Some("atomic") } else { beyond::map_type(ty, &field.name) };
    if let (Some(map), false) = (map, matches!(field.shape, Shape::List(_))) {
        schema.insert("x-kubernetes-map-type".into(), map.into());
    }
}

fn patch_facts(schema: &mut Map<String, Value>, ty: &str, field: &Field) {
    if let Some(key) = &field.patch.merge_key {
        schema.insert("x-kubernetes-patch-merge-key".into(), (&**key).into());
    }
    let strategies = [(field.patch.merge, "merge"), (field.patch.retain_keys, "retainKeys")];
    let strategies = strategies.iter().filter(|(is, _)| *is).map(|(_, name)| *name);
    let strategies: Vec<_> = strategies.chain(beyond::patch_strategy(ty, &field.name)).collect();
    if !strategies.is_empty() {
        schema.insert("x-kubernetes-patch-strategy".into(), strategies.join(",").into());
    }
}

/// What `/version` answers with.
fn version() -> Value {
    const ALWAYS: [&str; 9] =
        ["buildDate", "compiler", "gitCommit", "gitTreeState", "gitVersion", "goVersion", "major", "minor", "platform"];
    const SOMETIMES: [&str; 4] = ["emulationMajor", "emulationMinor", "minCompatibilityMajor", "minCompatibilityMinor"];
    let fields = ALWAYS.iter().chain(&SOMETIMES).map(|name| ((*name).to_owned(), json!({"type": "string"})));
    json!({
        "description": "What version a server is of.",
        "properties": fields.collect::<Map<_, _>>(),
        "required": ALWAYS,
        "type": "object",
    })
}

impl Presence {
    /// Whether absent fields are printed as their zero value.
    pub(super) fn has_zero(self) -> bool {
        self == Self::Always
    }
}
