//! OpenAPI v2 and v3 beside upstream's documents: everything but the descriptions, difference by difference.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails where it stands, and says when it is skipped"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use schema::openapi::{self, Texts};
use schema::{Snapshot, Table};
use serde_json::{Map, Value, json};

/// Where we differ: what the difference says, and why.
type Allowed = &'static [(&'static str, &'static str)];

const V2: Allowed = &[
    ("paths /logs", "log files of the machine are not served"),
    (
        "definitions io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions.x-kubernetes-group-version-kind",
        "group versions that nobody serves are not named",
    ),
    (
        "definitions io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent.x-kubernetes-group-version-kind",
        "group versions that nobody serves are not named",
    ),
    ("parameters dryRun", "stands once where upstream repeats it"),
    ("parameters fieldValidation", "stands once where upstream repeats it"),
    ("parameters body", "bodies stand where they belong"),
    ("parameters logpath", "log files of the machine are not served"),
    ("parameters stderr", "attach and exec share a description"),
    ("parameters stdin", "attach and exec share a description"),
    ("parameters stdout", "attach and exec share a description"),
    ("parameters tty", "attach and exec share a description"),
    ("parameters container", "attach, exec and log share a description"),
    ("parameters path", "nodes, pods and services share a description"),
    ("parameters shardSelector", "sharded lists are an alpha feature"),
    ("info", "the version is ours"),
];

/// The reference data; none where it is absent.
fn reference(name: &str) -> Option<PathBuf> {
    let default = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let path = std::env::var_os("CORACLE_REFERENCE_DATA").map_or(default, PathBuf::from).join(name);
    if !path.exists() {
        println!("skipped: no reference document at {}", path.display());
        return None;
    }
    Some(path)
}

fn read(path: &std::path::Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Differences that no row allows; every row must allow one.
fn judge(differences: &BTreeSet<String>, allowed: Allowed) {
    let reason = |text: &&String| allowed.iter().find(|(start, _)| text.contains(start));
    let open: Vec<_> = differences.iter().filter(|text| reason(text).is_none()).map(String::as_str).collect();
    assert!(open.is_empty(), "{} differences:\n{}", open.len(), open[..open.len().min(200)].join("\n"));
    for (start, why) in allowed {
        assert!(differences.iter().any(|text| text.contains(start)), "no longer needed: {start} ({why})");
    }
}

/// What we say (`ours`) beside what upstream says, member by member, as lines.
fn compare(place: &str, ours: &Value, theirs: &Value, out: &mut BTreeSet<String>) {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let separator = if place.contains(' ') { "." } else { " " };
                let side = |map: &Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                compare(&format!("{place}{separator}{key}"), &side(a), &side(b), out);
            }
        }
        _ if ours == theirs => {}
        (Value::Null, _) => drop(out.insert(format!("{place}: we lack {}", short(theirs)))),
        (_, Value::Null) => drop(out.insert(format!("{place}: upstream lacks {}", short(ours)))),
        _ => drop(out.insert(format!("{place}: {} is not {}", short(ours), short(theirs)))),
    }
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(300).collect()
}

/// Without descriptions, except where a field has this name, and without what we do not speak.
fn plain(value: &Value, parameters: &Map<String, Value>) -> Value {
    match value {
        Value::Object(map) => {
            match map.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix("#/parameters/")) {
                Some(name) => plain(&parameters[name], parameters),
                None => {
                    let kept = map
                        .iter()
                        .filter(|(key, value)| !(key.contains("cbor") || *key == "description" && value.is_string()));
                    kept.map(|(key, value)| (key.clone(), plain(value, parameters))).collect::<Map<_, _>>().into()
                }
            }
        }
        Value::Array(items) => {
            let spoken = |item: &&Value| !item.as_str().is_some_and(|text| text.contains("cbor"));
            let alpha = |item: &Value| item["name"] == "shardSelector";
            let items: Vec<Value> =
                items.iter().filter(spoken).map(|item| plain(item, parameters)).filter(|item| !alpha(item)).collect();
            // Sets: media types, parameters, kinds.
            let mut sorted: Vec<(String, Value)> = items.into_iter().map(|item| (item.to_string(), item)).collect();
            sorted.sort_by(|a, b| a.0.cmp(&b.0));
            sorted.into_iter().map(|(_, item)| item).collect()
        }
        other => other.clone(),
    }
}

/// Discovery speaks JSON and YAML here; elsewhere upstream's protobuf as well.
fn without_discovery_protobuf(paths: &mut Map<String, Value>) {
    for (path, item) in paths.iter_mut().filter(|(path, _)| path.ends_with('/')) {
        for list in ["consumes", "produces"] {
            if let Some(media) = item["get"][list].as_array_mut() {
                media.retain(|media| media != "application/vnd.kubernetes.protobuf");
            }
        }
        if let Some(content) = item["get"]["responses"]["200"]["content"].as_object_mut() {
            content.shift_remove("application/vnd.kubernetes.protobuf");
        }
        assert!(item["get"].is_object(), "{path}");
    }
}

/// Paths of groups and versions that are served; upstream's documents have them all.
fn is_served(path: &str, snapshot: &Snapshot) -> bool {
    match path.trim_matches('/').split('/').collect::<Vec<_>>().as_slice() {
        ["apis", group, version, ..] => openapi::group_versions(snapshot).any(|found| found == (group, version)),
        ["apis", group] => snapshot.groups().iter().any(|found| found.name == *group),
        _ => true,
    }
}

/// All members of `$ref`.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

/// The definitions that paths need, with what those need.
fn reached(paths: &Map<String, Value>, definitions: &Value, prefix: &str) -> BTreeSet<String> {
    let (mut open, mut found) = (BTreeSet::new(), BTreeSet::new());
    paths.values().for_each(|path| references(path, &mut open));
    while let Some(reference) = open.pop_first() {
        let Some(name) = reference.strip_prefix(prefix) else { continue };
        if found.insert(name.to_owned()) {
            references(&definitions[name], &mut open);
        }
    }
    found
}

fn v2() -> (Value, std::sync::Arc<Snapshot>) {
    let snapshot = Table::builtin().snapshot();
    let mut json = Vec::new();
    openapi::write_v2(&snapshot, &Texts::read(), &mut json).unwrap();
    (serde_json::from_slice(&json).unwrap(), snapshot)
}

#[test]
fn v2_is_upstreams() {
    let Some(path) = reference("swagger-1.36.json") else { return };
    let (ours, snapshot) = v2();
    let mut theirs = read(&path);
    theirs["paths"].as_object_mut().unwrap().retain(|path, _| is_served(path, &snapshot));
    let paths = plain(&theirs["paths"], theirs["parameters"].as_object().unwrap());
    let reached = reached(paths.as_object().unwrap(), &theirs["definitions"], "#/definitions/");
    theirs["definitions"].as_object_mut().unwrap().retain(|name, _| reached.contains(name));
    let mut differences = BTreeSet::new();
    for section in ["info", "paths", "definitions", "security", "securityDefinitions", "swagger"] {
        let parameters = |document: &Value| document["parameters"].as_object().unwrap().clone();
        let mut sides = [&ours, &theirs].map(|document| plain(&document[section], &parameters(document)));
        if section == "paths" {
            sides.iter_mut().for_each(|side| without_discovery_protobuf(side.as_object_mut().unwrap()));
        }
        compare(section, &sides[0], &sides[1], &mut differences);
    }
    compare("parameters", &kinds_of_parameters(&ours), &kinds_of_parameters(&theirs), &mut differences);
    judge(&differences, V2);
}

/// How often each name is shared, whatever digest follows it.
fn kinds_of_parameters(document: &Value) -> Value {
    let mut counts = BTreeMap::<&str, u32>::new();
    for parameter in document["parameters"].as_object().unwrap().values() {
        *counts.entry(parameter["name"].as_str().unwrap()).or_default() += 1;
    }
    json!(counts)
}

/// The documents of 1.35 beside ours of 1.36.
const V3: Allowed = &[
    ("v1.DeleteOptions.x-kubernetes-group-version-kind", "group versions that nobody serves are not named"),
    ("v1.WatchEvent.x-kubernetes-group-version-kind", "group versions that nobody serves are not named"),
];

/// What differs between upstream's own two versions: those differences are not ours.
#[test]
fn v3_is_upstreams() {
    let (Some(folder), Some(newer)) = (reference("openapi-v3-1.35"), reference("swagger-1.36.json")) else { return };
    let (snapshot, newer) = (Table::builtin().snapshot(), read(&newer));
    let mut differences = BTreeSet::new();
    let mut compared = 0;
    let texts = Texts::read();
    for name in openapi::documents(&snapshot) {
        let path = folder.join(format!("{name}.json"));
        if !path.is_file() {
            continue;
        }
        compared += 1;
        let (ours, theirs) = (openapi::document(&snapshot, &name, &texts).unwrap(), read(&path));
        compare_v3(&name, &ours, &theirs, &newer, &mut differences);
    }
    assert!(compared > 20, "{compared} documents compared");
    judge(&differences, V3);
}

fn compare_v3(name: &str, ours: &Value, theirs: &Value, newer: &Value, out: &mut BTreeSet<String>) {
    let none = Map::new();
    let (ours, theirs) = (plain(ours, &none), plain(theirs, &none));
    let (mut a, mut b) = (ours["paths"].as_object().unwrap().clone(), theirs["paths"].as_object().unwrap().clone());
    // What has come or gone between the versions.
    a.retain(|path, _| b.contains_key(path));
    b.retain(|path, _| !newer["paths"][path.as_str()].is_null());
    without_discovery_protobuf(&mut a);
    without_discovery_protobuf(&mut b);
    compare(&format!("{name}:paths"), &a.into(), &b.into(), out);
    let (schemas, upstream) = (&ours["components"]["schemas"], &theirs["components"]["schemas"]);
    for (ty, schema) in upstream.as_object().unwrap() {
        let (known, new) = (&schemas[ty.as_str()], &newer["definitions"][ty.as_str()]);
        if new.is_null() || known.is_null() {
            out.extend((!new.is_null()).then(|| format!("{name} {ty}: we lack it")));
            continue;
        }
        let mut known = known.clone();
        if let Some(properties) = known["properties"].as_object_mut() {
            properties.retain(|field, _| !schema["properties"][field.as_str()].is_null());
        }
        // What is required has changed between the versions; v2 is compared with the newer one.
        let mut schema = schema.clone();
        for schema in [&mut known, &mut schema] {
            schema.as_object_mut().unwrap().shift_remove("required");
        }
        if let Some(properties) = schema["properties"].as_object_mut() {
            properties.retain(|field, _| !new["properties"][field.as_str()].is_null());
        }
        compare(&format!("{name} {ty}"), &known, &schema, out);
    }
}

#[test]
fn everything_is_described() {
    let (document, _) = v2();
    let definitions = document["definitions"].as_object().unwrap();
    // Upstream says nothing about these either.
    const BARE: &[&str] = &[
        "io.k8s.api.admissionregistration.v1alpha1.MatchCondition",
        "io.k8s.api.certificates.v1.CertificateSigningRequest.metadata",
        "io.k8s.api.networking.v1.IngressRule.http",
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.ExternalDocumentation.description",
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.ExternalDocumentation.url",
        "io.k8s.apimachinery.pkg.apis.meta.v1.GroupResource.group",
        "io.k8s.apimachinery.pkg.apis.meta.v1.GroupResource.resource",
        "io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent.type",
    ];
    let mut bare = Vec::new();
    for (name, definition) in definitions.iter().filter(|(name, _)| !name.ends_with("List")) {
        if definition["description"].is_null() {
            bare.push(name.clone());
        }
        for (field, schema) in definition["properties"].as_object().into_iter().flatten() {
            if schema["description"].is_null() && !name.ends_with("JSONSchemaProps") && !name.ends_with("version.Info")
            {
                bare.push(format!("{name}.{field}"));
            }
        }
    }
    assert_eq!(bare, BARE);
}

/// Fields of a protobuf message: number, wire value.
fn fields(mut bytes: &[u8]) -> Vec<(u64, &[u8])> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (first, rest) = bytes.split_first().unwrap();
            *bytes = rest;
            value |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                break;
            }
        }
        value
    }
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        match tag & 7 {
            0 => {
                let start = bytes;
                varint(&mut bytes);
                found.push((tag >> 3, &start[..start.len() - bytes.len()]));
            }
            2 => {
                let length = varint(&mut bytes) as usize;
                found.push((tag >> 3, &bytes[..length]));
                bytes = &bytes[length..];
            }
            other => panic!("wire type {other}"),
        }
    }
    found
}

fn field(bytes: &[u8], number: u64) -> &[u8] {
    fields(bytes).into_iter().find(|(n, _)| *n == number).map(|(_, value)| value).unwrap_or_default()
}

/// Names and values of a message of pairs.
fn pairs(bytes: &[u8], number: u64) -> BTreeMap<String, &[u8]> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    fields(bytes)
        .into_iter()
        .filter(|(n, _)| *n == number)
        .map(|(_, pair)| (text(field(pair, 1)), field(pair, 2)))
        .collect()
}

#[test]
fn protobuf_says_the_same() {
    let (json, snapshot) = v2();
    let bytes = openapi::v2_protobuf(&snapshot, &Texts::read());
    assert_eq!(field(&bytes, 1), b"2.0");
    let definitions = pairs(field(&bytes, 9), 1);
    let names = |section: &str| json[section].as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(definitions.keys().cloned().collect::<BTreeSet<_>>(), names("definitions"));
    let paths = pairs(field(&bytes, 8), 2);
    assert_eq!(paths.keys().cloned().collect::<BTreeSet<_>>(), names("paths"));
    assert_eq!(pairs(field(&bytes, 10), 1).keys().cloned().collect::<BTreeSet<_>>(), names("parameters"));
    let properties = pairs(field(definitions["io.k8s.api.core.v1.PodSpec"], 25), 1);
    let containers = properties["containers"];
    assert_eq!(field(field(containers, 22), 1), b"array");
    assert_eq!(field(field(field(containers, 23), 1), 1), b"#/definitions/io.k8s.api.core.v1.Container");
    let extensions = pairs(containers, 31);
    assert_eq!(field(extensions["x-kubernetes-patch-merge-key"], 2), b"\"name\"\n");
    let pod = pairs(definitions["io.k8s.api.core.v1.Pod"], 31);
    let kinds: Value = serde_json::from_slice(field(pod["x-kubernetes-group-version-kind"], 2)).unwrap();
    assert_eq!(kinds, json!([{"group": "", "kind": "Pod", "version": "v1"}]));
    let create = field(paths["/api/v1/namespaces/{namespace}/pods"], 4);
    assert_eq!(field(create, 5), b"createCoreV1NamespacedPod");
    let created = pairs(field(create, 9), 1)["201"];
    assert_eq!(field(field(field(field(created, 1), 2), 1), 1), b"#/definitions/io.k8s.api.core.v1.Pod");
}

#[test]
fn rows_of_run_time_appear() {
    let table = Table::builtin();
    let mut row = (**table.snapshot().row("", "configmaps").unwrap()).clone();
    row.group = "stable.example.com".into();
    row.kind = "CronTab".into();
    row.list_kind = "CronTabList".into();
    row.plural = "crontabs".into();
    row.singular = "crontab".into();
    row.custom = true;
    table.register(row).unwrap();
    let snapshot = table.snapshot();
    let name = "com.example.stable.v1.CronTab";
    let mut json = Vec::new();
    openapi::write_v2(&snapshot, &Texts::read(), &mut json).unwrap();
    let v2: Value = serde_json::from_slice(&json).unwrap();
    let v3 = openapi::document(&snapshot, "apis/stable.example.com/v1", &Texts::read()).unwrap();
    let kinds = json!([{"group": "stable.example.com", "kind": "CronTab", "version": "v1"}]);
    for (document, definitions) in [(&v2, &v2["definitions"]), (&v3, &v3["components"]["schemas"])] {
        assert_eq!(definitions[name]["x-kubernetes-group-version-kind"], kinds);
        assert!(definitions[format!("{name}List")]["properties"]["items"].is_object());
        let item = &document["paths"]["/apis/stable.example.com/v1/namespaces/{namespace}/crontabs/{name}"];
        assert_eq!(item["get"]["operationId"], "readStableExampleComV1NamespacedCronTab");
        assert_eq!(item["get"]["tags"], json!(["stableExampleCom_v1"]));
        assert!(!item["patch"].to_string().contains("strategic"));
    }
    let config = &v2["definitions"]["io.k8s.api.core.v1.ConfigMap"]["x-kubernetes-group-version-kind"];
    assert_eq!(config[0]["kind"], "ConfigMap");
}
