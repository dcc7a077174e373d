//! Operations: what may be asked at which path.

use object::Gvk;
use serde_json::{Map, Value, json};

use super::schemas::{PATCH, list_type, reference};
use crate::facts::Type;
use crate::resource::{Served, Subresource, SubresourceKind, Verb, Verbs};

/// Forms of patches.
const PATCHES: &[&str] = &[
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];
const MEDIA_TYPES: &[&str] = &["application/json", "application/yaml"];
const PROXY_METHODS: &[&str] = &["get", "post", "put", "patch", "delete", "options", "head"];

/// A query parameter's name and JSON type.
type Parameter = (&'static str, &'static str);
const WRITE: &[Parameter] = &[("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string")];
const APPLY: &[Parameter] =
    &[("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string"), ("force", "boolean")];
const DELETE: &[Parameter] = &[
    ("dryRun", "string"),
    ("gracePeriodSeconds", "integer"),
    ("orphanDependents", "boolean"),
    ("propagationPolicy", "string"),
];
const LIST: &[Parameter] = &[
    ("allowWatchBookmarks", "boolean"),
    ("continue", "string"),
    ("fieldSelector", "string"),
    ("labelSelector", "string"),
    ("limit", "integer"),
    ("resourceVersion", "string"),
    ("resourceVersionMatch", "string"),
    ("sendInitialEvents", "boolean"),
    ("timeoutSeconds", "integer"),
    ("watch", "boolean"),
];

/// A verb as an operation: HTTP method, action, the word in its id, parameters.
struct Operation {
    verb: Verb,
    method: &'static str,
    action: &'static str,
    word: &'static str,
    parameters: &'static [Parameter],
}

const OPERATIONS: &[Operation] = &[
    Operation { verb: Verb::List, method: "get", action: "list", word: "list", parameters: LIST },
    Operation { verb: Verb::Create, method: "post", action: "post", word: "create", parameters: WRITE },
    Operation {
        verb: Verb::DeleteCollection,
        method: "delete",
        action: "deletecollection",
        word: "deleteCollection",
        parameters: LIST,
    },
    Operation { verb: Verb::Get, method: "get", action: "get", word: "read", parameters: &[] },
    Operation { verb: Verb::Update, method: "put", action: "put", word: "replace", parameters: WRITE },
    Operation { verb: Verb::Patch, method: "patch", action: "patch", word: "patch", parameters: APPLY },
    Operation { verb: Verb::Delete, method: "delete", action: "delete", word: "delete", parameters: DELETE },
];

/// Verbs that address the collection, not one object.
const OF_COLLECTION: &[Verb] = &[Verb::List, Verb::Create, Verb::DeleteCollection];

/// One path with what is written there.
struct Place<'a> {
    served: &'a Served,
    /// The kind that operations here are about, and its schema.
    kind: Gvk,
    body: Option<Value>,
    /// Ends the operation ids: empty, or the subresource.
    suffix: String,
    parameters: Vec<Value>,
}

/// Every path of a resource with its operations.
pub(super) fn of(served: &Served) -> Vec<(String, Value)> {
    let resource = &served.resource;
    let root = format!("/{}", super::path(&resource.group, &served.version().name));
    let namespaced = resource.is_namespaced();
    let collection = format!("{root}{}/{}", if namespaced { "/namespaces/{namespace}" } else { "" }, resource.plural);
    let plain = |parameters| Place {
        served,
        kind: served.gvk(),
        body: Some(reference(served.ty().name())),
        suffix: String::new(),
        parameters,
    };
    let mut paths =
        vec![(collection.clone(), plain(path_parameters(namespaced, false)).operations(resource.verbs, true))];
    if namespaced && resource.verbs.contains(Verb::List) {
        let all = Verbs::of(&[Verb::List]);
        paths.push((format!("{root}/{}", resource.plural), plain(Vec::new()).operations(all, true)));
    }
    let item = format!("{collection}/{{name}}");
    paths.push((item.clone(), plain(path_parameters(namespaced, true)).operations(resource.verbs, false)));
    paths.extend(resource.subresources.iter().map(|sub| (format!("{item}/{}", sub.name), subresource(served, sub))));
    paths.retain(|(_, operations)| operations.as_object().is_some_and(|o| o.keys().any(|key| key != "parameters")));
    paths
}

fn path_parameters(namespaced: bool, named: bool) -> Vec<Value> {
    let names = [(named, "name"), (namespaced, "namespace")];
    let parameter =
        |name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "uniqueItems": true}});
    names.iter().filter(|(is, _)| *is).map(|(_, name)| parameter(name)).collect()
}

fn subresource(served: &Served, sub: &Subresource) -> Value {
    let kind = sub.body.clone().unwrap_or_else(|| served.gvk());
    let body = match &sub.body {
        Some(body) => Type::of_kind(body).map(|ty| reference(ty.name())),
        None => Some(reference(served.ty().name())),
    };
    let parameters = path_parameters(served.resource.is_namespaced(), true);
    let place = Place { served, kind, body, suffix: camel(&sub.name), parameters };
    match sub.kind {
        SubresourceKind::Connect => place.connections(sub),
        // What is created below an object is posted to the object's own path.
        SubresourceKind::Action => place.operations(sub.verbs, true),
        _ => place.operations(sub.verbs, false),
    }
}

impl Place<'_> {
    fn operations(&self, verbs: Verbs, of_collection: bool) -> Value {
        let wanted = |o: &&Operation| verbs.contains(o.verb) && OF_COLLECTION.contains(&o.verb) == of_collection;
        let operations = OPERATIONS.iter().filter(wanted).map(|o| (o.method.to_owned(), self.operation(o)));
        let mut all: Map<_, _> = operations.collect();
        if !self.parameters.is_empty() {
            all.insert("parameters".into(), self.parameters.clone().into());
        }
        Value::Object(all)
    }

    fn connections(&self, sub: &Subresource) -> Value {
        let methods: &[&str] = match &*sub.name {
            "log" => &["get"],
            "proxy" => PROXY_METHODS,
            _ => &["get", "post"],
        };
        let mut all: Map<_, _> = methods.iter().map(|method| ((*method).to_owned(), self.connection(method))).collect();
        all.insert("parameters".into(), self.parameters.clone().into());
        Value::Object(all)
    }

    fn connection(&self, method: &str) -> Value {
        json!({
            "operationId": self.id(&format!("connect{}", camel(method))),
            "responses": {"200": {"description": "OK"}},
            "x-kubernetes-action": "connect",
            "x-kubernetes-group-version-kind": self.kind(),
        })
    }

    fn operation(&self, operation: &Operation) -> Value {
        let mut value = Map::new();
        value.insert("operationId".into(), self.id(operation.word).into());
        let parameters: Vec<_> = operation.parameters.iter().map(|(name, kind)| query(name, kind)).collect();
        if !parameters.is_empty() {
            value.insert("parameters".into(), parameters.into());
        }
        if let Some(body) = self.request_body(operation.verb) {
            value.insert("requestBody".into(), body);
        }
        value.insert("responses".into(), self.responses(operation.verb));
        value.insert("x-kubernetes-action".into(), operation.action.into());
        value.insert("x-kubernetes-group-version-kind".into(), self.kind());
        Value::Object(value)
    }

    fn kind(&self) -> Value {
        json!({"group": self.kind.group, "version": self.kind.version, "kind": self.kind.kind})
    }

    fn request_body(&self, verb: Verb) -> Option<Value> {
        let content = match verb {
            Verb::Create | Verb::Update => json!({"*/*": {"schema": self.body.clone()?}}),
            Verb::Delete | Verb::DeleteCollection => json!({"*/*": {"schema": reference("meta.v1.DeleteOptions")}}),
            Verb::Patch => content(PATCHES, &json!({"$ref": format!("#/components/schemas/{PATCH}")})),
            _ => return None,
        };
        let optional = matches!(verb, Verb::Delete | Verb::DeleteCollection);
        Some(if optional { json!({"content": content}) } else { json!({"content": content, "required": true}) })
    }

    fn responses(&self, verb: Verb) -> Value {
        let schema = match verb {
            Verb::List => list_type(self.served).map(|ty| reference(ty.name())),
            Verb::Delete | Verb::DeleteCollection => Some(reference("meta.v1.Status")),
            _ => self.body.clone(),
        };
        let answer = |text: &str| match &schema {
            Some(schema) => json!({"description": text, "content": content(MEDIA_TYPES, schema)}),
            None => json!({"description": text}),
        };
        let mut responses = Map::from_iter([("200".to_owned(), answer("OK"))]);
        if matches!(verb, Verb::Create | Verb::Update | Verb::Patch) {
            responses.insert("201".into(), answer("Created"));
        }
        responses.insert("401".into(), json!({"description": "Unauthorized"}));
        Value::Object(responses)
    }

    /// `createAppsV1NamespacedDeployment`, `replaceCoreV1NamespacedPodStatus`.
    fn id(&self, word: &str) -> String {
        let resource = &self.served.resource;
        let group = resource.group.trim_end_matches(".k8s.io").split('.').map(camel).collect::<String>();
        let group = if group.is_empty() { "Core".to_owned() } else { group };
        let version = camel(&self.served.version().name);
        let scope = match (self.parameters.iter().any(|p| p["name"] == "namespace"), resource.is_namespaced()) {
            (true, _) => "Namespaced",
            (false, true) => return format!("{word}{group}{version}{}ForAllNamespaces", resource.kind),
            (false, false) => "",
        };
        format!("{word}{group}{version}{scope}{}{}", resource.kind, self.suffix)
    }
}

fn query(name: &str, kind: &str) -> Value {
    json!({"name": name, "in": "query", "schema": {"type": kind, "uniqueItems": true}})
}

fn content(media_types: &[&str], schema: &Value) -> Value {
    Value::Object(media_types.iter().map(|media| ((*media).to_owned(), json!({"schema": schema}))).collect())
}

/// The first letter in upper case.
fn camel(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}
