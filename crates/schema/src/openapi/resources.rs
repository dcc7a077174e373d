//! The routes of a resource.

use object::Gvk;

use super::parameters::{self, Row};
use super::route::{
    ACCEPTED, Body, CREATED, Code, OK, Operation, Parameter, Route, Subject, camel, group_tag, group_word,
};
use super::types::{PATCH, list_type};
use crate::facts::Type;
use crate::resource::{Resource, Served, Subresource, SubresourceKind, Verb, Verbs};

/// Media types of objects, of streams of them, and of patches; those that custom resources lack stand last.
const OBJECT: &[&str] = &["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
const STREAM: &[&str] = &["application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch"];
const PATCHES: &[&str] = &[
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/apply-patch+yaml",
    "application/strategic-merge-patch+json",
];
const ANY: &[&str] = &["*/*"];
const PROXY_METHODS: &[&str] = &["get", "put", "post", "delete", "options", "head", "patch"];
const STREAM_METHODS: &[&str] = &["get", "post"];

/// Types whose deletion answers with the object, by group and plural.
const RETURNED: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "persistentvolumeclaims",
            "persistentvolumes",
            "pods",
            "podtemplates",
            "resourcequotas",
            "serviceaccounts",
            "services",
        ],
    ),
    (
        "resource.k8s.io",
        &[
            "deviceclasses",
            "devicetaintrules",
            "resourceclaims",
            "resourceclaimtemplates",
            "resourcepoolstatusrequests",
            "resourceslices",
        ],
    ),
    ("storage.k8s.io", &["csidrivers", "csinodes", "storageclasses", "volumeattachments", "volumeattributesclasses"]),
];

/// A verb as an operation.
struct Pattern {
    verb: Verb,
    method: &'static str,
    action: &'static str,
    /// Begins the operation id; what stands between version and kind.
    word: &'static str,
    infix: &'static str,
    /// Begins the description.
    text: &'static str,
    parameters: &'static [&'static [Row]],
    codes: &'static [Code],
}

const PATTERNS: &[Pattern] = &[
    Pattern {
        verb: Verb::List,
        method: "get",
        action: "list",
        word: "list",
        infix: "",
        text: "list or watch objects of kind",
        parameters: &[parameters::LIST],
        codes: &[OK],
    },
    Pattern {
        verb: Verb::Create,
        method: "post",
        action: "post",
        word: "create",
        infix: "",
        text: "create",
        parameters: &[parameters::WRITE],
        codes: &[OK, CREATED, ACCEPTED],
    },
    Pattern {
        verb: Verb::DeleteCollection,
        method: "delete",
        action: "deletecollection",
        word: "delete",
        infix: "Collection",
        text: "delete collection of",
        parameters: &[parameters::DELETE, parameters::SELECT],
        codes: &[OK],
    },
    Pattern {
        verb: Verb::Get,
        method: "get",
        action: "get",
        word: "read",
        infix: "",
        text: "read",
        parameters: &[],
        codes: &[OK],
    },
    Pattern {
        verb: Verb::Update,
        method: "put",
        action: "put",
        word: "replace",
        infix: "",
        text: "replace",
        parameters: &[parameters::WRITE],
        codes: &[OK, CREATED],
    },
    Pattern {
        verb: Verb::Patch,
        method: "patch",
        action: "patch",
        word: "patch",
        infix: "",
        text: "partially update",
        parameters: &[parameters::PATCH],
        codes: &[OK, CREATED],
    },
    Pattern {
        verb: Verb::Delete,
        method: "delete",
        action: "delete",
        word: "delete",
        infix: "",
        text: "delete",
        parameters: &[parameters::DELETE],
        codes: &[OK, ACCEPTED],
    },
];

/// Verbs that address the collection, not one object.
const OF_COLLECTION: &[Verb] = &[Verb::List, Verb::Create, Verb::DeleteCollection];

/// A path with what is the same for all its operations.
struct Site<'a> {
    served: &'a Served,
    path: String,
    namespaced: bool,
    named: bool,
    /// The kind that is asked about, and what bodies are.
    kind: Gvk,
    body: Subject,
    /// Empty, or the subresource.
    subresource: &'a str,
}

/// Every path of a resource with its operations.
pub(super) fn routes(served: &Served) -> Vec<Route> {
    let row = &served.resource;
    let root = format!("/{}", super::path(&row.group, &served.version().name));
    let place = if row.is_namespaced() { "/namespaces/{namespace}" } else { "" };
    let (collection, item) = (format!("{place}/{}", row.plural), format!("{place}/{}/{{name}}", row.plural));
    let site = |path: String, namespaced, named| Site {
        served,
        path: format!("{root}{path}"),
        namespaced,
        named,
        kind: served.gvk(),
        body: subject(served),
        subresource: "",
    };
    let scoped = row.is_namespaced();
    let mut routes = vec![
        site(collection.clone(), scoped, false).route(row.verbs, true),
        site(item.clone(), scoped, true).route(row.verbs, false),
    ];
    if scoped && row.verbs.contains(Verb::List) {
        routes.push(site(format!("/{}", row.plural), false, false).route(Verbs::of(&[Verb::List]), true));
    }
    for sub in &row.subresources {
        let site = Site { subresource: &sub.name, ..site(format!("{item}/{}", sub.name), scoped, true) };
        site.subresource_routes(sub, &mut routes);
    }
    if row.verbs.contains(Verb::Watch) && !row.custom {
        routes.push(site(format!("/watch{collection}"), scoped, false).watch());
        routes.push(site(format!("/watch{item}"), scoped, true).watch());
        if scoped {
            routes.push(site(format!("/watch/{}", row.plural), false, false).watch());
        }
    }
    routes.retain(|route| !route.operations.is_empty());
    routes
}

fn subject(served: &Served) -> Subject {
    if served.resource.custom { Subject::Custom(served.clone()) } else { Subject::Type(served.ty().clone()) }
}

fn status() -> Subject {
    Type::builtin("meta.v1.Status").map_or(Subject::Text, Subject::Type)
}

impl Site<'_> {
    fn row(&self) -> &Resource {
        &self.served.resource
    }

    fn route(&self, verbs: Verbs, of_collection: bool) -> Route {
        let wanted = |p: &&Pattern| verbs.contains(p.verb) && OF_COLLECTION.contains(&p.verb) == of_collection;
        Route {
            path: self.path.clone(),
            operations: PATTERNS.iter().filter(wanted).map(|p| self.operation(p)).collect(),
        }
    }

    fn subresource_routes(mut self, sub: &Subresource, routes: &mut Vec<Route>) {
        if let Some(kind) = &sub.body {
            self.kind = kind.clone();
            self.body = Type::of_kind(kind).map_or(Subject::Text, Subject::Type);
        }
        match (sub.kind.clone(), &*sub.name) {
            (SubresourceKind::Connect, "log") => routes.push(self.log()),
            (SubresourceKind::Connect, "proxy") => {
                routes.push(self.connections(PROXY_METHODS, ""));
                self.path.push_str("/{path}");
                routes.push(self.connections(PROXY_METHODS, "WithPath"));
            }
            (SubresourceKind::Connect, _) => routes.push(self.connections(STREAM_METHODS, "")),
            // What is created below an object is posted to the object's own path.
            (SubresourceKind::Action, _) => routes.push(self.route(sub.verbs, true)),
            _ => routes.push(self.route(sub.verbs, false)),
        }
    }

    /// An operation of this place without parameters, body and answer.
    fn bare(&self, method: &'static str, action: &'static str, id: String, text: String) -> Operation {
        Operation {
            method,
            id,
            text,
            tag: format!("{}_{}", group_tag(&self.row().group), self.served.version().name),
            action: Some(action),
            kind: Some(self.kind.clone()),
            parameters: Vec::new(),
            body: None,
            consumes: ANY.to_vec(),
            produces: self.media(OBJECT),
            codes: &[OK],
            answer: Subject::Text,
        }
    }

    fn operation(&self, pattern: &Pattern) -> Operation {
        let suffix = match (pattern.verb, self.namespaced || !self.row().is_namespaced()) {
            (Verb::List, false) => "ForAllNamespaces".to_owned(),
            _ => camel(self.subresource),
        };
        let id = self.id(pattern.word, pattern.infix, &suffix);
        let mut operation = self.bare(pattern.method, pattern.action, id, self.text(pattern));
        operation.parameters = self.parameters(pattern.parameters);
        operation.codes = pattern.codes;
        operation.body = self.request(pattern.verb);
        operation.answer = self.answer(pattern.verb);
        match pattern.verb {
            Verb::Patch => operation.consumes = self.media(PATCHES),
            Verb::List => operation.produces.extend(self.media(STREAM)),
            _ => {}
        }
        operation
    }

    fn request(&self, verb: Verb) -> Option<Body> {
        let body = |subject, required| Some(Body { subject, required });
        match verb {
            Verb::Create | Verb::Update => body(self.body.clone(), true),
            Verb::Patch => body(Subject::Leaf(PATCH), true),
            Verb::Delete | Verb::DeleteCollection => {
                body(Type::builtin("meta.v1.DeleteOptions").map_or(Subject::Text, Subject::Type), false)
            }
            _ => None,
        }
    }

    fn answer(&self, verb: Verb) -> Subject {
        let row = self.row();
        let returned =
            || RETURNED.iter().any(|(group, plurals)| *group == row.group && plurals.contains(&&*row.plural));
        match verb {
            Verb::List if row.custom => Subject::CustomList(self.served.clone()),
            Verb::List => list_type(self.served).map_or(Subject::Text, Subject::Type),
            Verb::DeleteCollection => status(),
            Verb::Delete if !returned() => status(),
            _ => self.body.clone(),
        }
    }

    /// `/watch/…`, which older clients use.
    fn watch(&self) -> Route {
        let (suffix, action) = match (self.named, self.namespaced || !self.row().is_namespaced()) {
            (true, _) => ("", "watch"),
            (false, true) => ("List", "watchlist"),
            (false, false) => ("ListForAllNamespaces", "watchlist"),
        };
        let text = format!("deprecated: list objects of kind {} with the 'watch' parameter", self.row().kind);
        let mut operation = self.bare("get", action, self.id("watch", "", suffix), text);
        operation.parameters = self.parameters(&[parameters::LIST]);
        operation.produces.extend(STREAM);
        operation.answer = Type::builtin("meta.v1.WatchEvent").map_or(Subject::Text, Subject::Type);
        Route { path: self.path.clone(), operations: vec![operation] }
    }

    fn log(&self) -> Route {
        let text = format!("read log of the specified {}", self.row().kind);
        let mut operation = self.bare("get", "get", self.id("read", "", "Log"), text);
        operation.parameters = self.path_parameters();
        operation.parameters.extend(parameters::query(parameters::LOG));
        sort(&mut operation.parameters);
        operation.produces.insert(0, "text/plain");
        Route { path: self.path.clone(), operations: vec![operation] }
    }

    fn connections(&self, methods: &[&'static str], suffix: &str) -> Route {
        let operations = methods.iter().map(|method| self.connection(method, suffix)).collect();
        Route { path: self.path.clone(), operations }
    }

    fn connection(&self, method: &'static str, suffix: &str) -> Operation {
        let text =
            format!("connect {} requests to {} of {}", method.to_ascii_uppercase(), self.subresource, self.row().kind);
        let word = format!("{}{suffix}", camel(self.subresource));
        let mut operation = self.bare(method, "connect", self.id("connect", &camel(method), &word), text);
        operation.produces = ANY.to_vec();
        operation.parameters = self.path_parameters();
        operation.parameters.extend(parameters::query(parameters::of_connection(self.subresource)));
        sort(&mut operation.parameters);
        operation
    }

    /// `createAppsV1NamespacedDeployment`, `deleteCoreV1CollectionNamespacedPod`, `replaceCoreV1NamespacedPodStatus`.
    fn id(&self, word: &str, infix: &str, suffix: &str) -> String {
        let row = self.row();
        let version = camel(&self.served.version().name);
        let scope = if self.namespaced { "Namespaced" } else { "" };
        format!("{word}{}{version}{infix}{scope}{}{suffix}", group_word(&row.group), row.kind)
    }

    fn text(&self, pattern: &Pattern) -> String {
        let (row, text) = (self.row(), pattern.text);
        let kind = &row.kind;
        let article = if kind.starts_with(['A', 'E', 'I', 'O', 'U']) { "an" } else { "a" };
        match (pattern.verb, self.subresource) {
            (Verb::List, _) if !row.verbs.contains(Verb::Watch) => format!("list objects of kind {kind}"),
            (Verb::List | Verb::DeleteCollection, _) => format!("{text} {kind}"),
            (Verb::Create, "") | (Verb::Delete, _) => format!("{text} {article} {kind}"),
            (Verb::Create, sub) => format!("{text} {sub} of {article} {kind}"),
            (_, "") => format!("{text} the specified {kind}"),
            (_, sub) => format!("{text} {sub} of the specified {kind}"),
        }
    }

    fn parameters(&self, rows: &[&[Row]]) -> Vec<Parameter> {
        let mut all = self.path_parameters();
        all.extend(rows.iter().flat_map(|rows| parameters::query(rows)));
        all.extend(parameters::query(&[parameters::PRETTY]));
        sort(&mut all);
        all
    }

    fn path_parameters(&self) -> Vec<Parameter> {
        let name = || parameters::in_path("name", format!("name of the {}", self.kind.kind));
        let namespace = || parameters::in_path("namespace", "the namespace of the object");
        let rest = || parameters::in_path("path", "path to the resource");
        let wanted = [(self.named, name()), (self.namespaced, namespace()), (self.path.ends_with("{path}"), rest())];
        wanted.into_iter().filter(|(is, _)| *is).map(|(_, parameter)| parameter).collect()
    }

    /// Custom resources have no protobuf and no strategic merge.
    fn media(&self, types: &[&'static str]) -> Vec<&'static str> {
        let lacking = |media: &&str| media.contains("protobuf") || media.contains("strategic");
        types.iter().copied().filter(|media| !self.row().custom || !lacking(media)).collect()
    }
}

fn sort(parameters: &mut [Parameter]) {
    parameters.sort_by(|a, b| (a.name, a.place).cmp(&(b.name, b.place)));
}
