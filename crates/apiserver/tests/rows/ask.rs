//! Puts a case to the server, and reduces the answer to what every server must agree on.

use http::Method;
use schema::Table;
use serde_json::{Value, json};

use crate::server::{Answer, Api};

/// What a server makes up: left out of metadata, and elsewhere unless the case itself says it.
const MADE_METADATA: &[&str] = &["uid", "creationTimestamp", "resourceVersion", "managedFields"];
const MADE: &[&str] =
    &["clusterIP", "clusterIPs", "nodePort", "healthCheckNodePort", "lastTransitionTime", "lastPhaseTransitionTime"];

pub(crate) struct Asker {
    api: Api,
    table: Table,
}

impl Asker {
    pub(crate) async fn new() -> Self {
        Self { api: Api::start().await, table: Table::builtin() }
    }

    /// The answer to a case, in the form of its recorded side.
    pub(crate) async fn ask(&self, case: &Value) -> Value {
        let answer = if case["create"].is_object() {
            self.write(Method::POST, &self.collection(&case["create"]), &case["create"]).await
        } else if case["update"].is_object() {
            self.change(Method::PUT, &case["update"]).await
        } else {
            self.change(Method::POST, &case["post"]).await
        };
        reduce(&answer, case)
    }

    async fn write(&self, method: Method, path: &str, object: &Value) -> Answer {
        self.api.ask(method, &format!("{path}?dryRun=All"), &[], object.to_string()).await
    }

    /// Makes an object, writes it or one of its subresources, and takes it away.
    async fn change(&self, method: Method, how: &Value) -> Answer {
        let (from, subresource) = (&how["from"], how["subresource"].as_str().unwrap_or_default());
        let created = self.api.post(&self.collection(from), from).await;
        assert!(created.status.is_success(), "{from}: {:?}", created.bytes);
        let path = format!("{}/{}", self.collection(from), object::meta::name(&created.json()));
        let current = self.with_status(&path, created.json(), &from["status"]).await;
        let place = if subresource.is_empty() { path.clone() } else { format!("{path}/{subresource}") };
        let answer = self.write(method, &place, &written(how, &current)).await;
        self.api.delete(&format!("{path}?gracePeriodSeconds=0&propagationPolicy=Background")).await;
        answer
    }

    async fn with_status(&self, path: &str, mut created: Value, status: &Value) -> Value {
        if !status.is_object() || created["status"] == *status {
            return created;
        }
        created["status"] = status.clone();
        self.api.put(&format!("{path}/status"), &created).await.ok()
    }

    /// Where objects of this kind stand.
    fn collection(&self, object: &Value) -> String {
        let version = object["apiVersion"].as_str().expect("an apiVersion");
        let group = version.split_once('/').map_or("", |(group, _)| group);
        let snapshot = self.table.snapshot();
        let row = snapshot.rows().find(|row| row.group == group && object["kind"] == *row.kind).expect("a known kind");
        let base = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{version}") };
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
        let place = if row.is_namespaced() { format!("/namespaces/{namespace}") } else { String::new() };
        format!("{base}{place}/{}", row.plural)
    }
}

/// What is sent: the new object, with what says that it is meant for the current one.
fn written(how: &Value, current: &Value) -> Value {
    let mut object = how["to"].clone();
    if how["merge"].is_object() {
        object = current.clone();
        patch::merge::apply(&mut object, &how["merge"]);
    } else if object["kind"] == current["kind"] {
        for field in ["uid", "resourceVersion"] {
            if object["metadata"][field].is_null() {
                object["metadata"][field] = current["metadata"][field].clone();
            }
        }
    }
    object
}

fn reduce(answer: &Answer, case: &Value) -> Value {
    let body = answer.json();
    let expect = if answer.status.is_success() {
        json!({ "object": reduced(body, &asked(case)) })
    } else if body["details"]["causes"].is_array() {
        json!({"code": answer.status.as_u16(), "causes": once(&body["details"]["causes"])})
    } else {
        json!({"code": answer.status.as_u16(), "message": body["message"]})
    };
    json!({"expect": expect, "warnings": warnings(answer)})
}

/// Causes without repetitions: some checks run twice upstream, and kubectl shows each cause once.
fn once(causes: &Value) -> Vec<Value> {
    let mut seen = Vec::new();
    for cause in causes.as_array().into_iter().flatten().filter(|cause| cause.is_object()) {
        if !seen.contains(cause) {
            seen.push(cause.clone());
        }
    }
    seen
}

/// Texts of the `299 - "text"` headers.
fn warnings(answer: &Answer) -> Vec<String> {
    let headers = answer.headers.get_all(http::header::WARNING);
    let text = |header: &http::HeaderValue| {
        let text = String::from_utf8_lossy(header.as_bytes()).into_owned();
        let quoted = text.strip_prefix("299 - \"").and_then(|text| text.strip_suffix('"')).unwrap_or(&text);
        quoted.replace("\\\"", "\"").replace("\\\\", "\\")
    };
    headers.iter().map(text).collect()
}

/// Every field with its value that the case itself has.
fn asked(case: &Value) -> Vec<(String, Value)> {
    fn collect(value: &Value, all: &mut Vec<(String, Value)>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    all.push((name.clone(), value.clone()));
                    collect(value, all);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, all)),
            _ => {}
        }
    }
    let mut all = Vec::new();
    ["create", "update", "post"].iter().for_each(|what| collect(&case[*what], &mut all));
    all
}

fn reduced(mut object: Value, asked: &[(String, Value)]) -> Value {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        MADE_METADATA.iter().for_each(|field| drop(metadata.shift_remove(*field)));
        if metadata.contains_key("generateName") {
            mark(metadata, "name", asked);
        }
    }
    mask(&mut object, asked);
    object
}

fn mask(value: &mut Value, asked: &[(String, Value)]) {
    match value {
        Value::Object(fields) => {
            MADE.iter().for_each(|field| mark(fields, field, asked));
            fields.values_mut().for_each(|value| mask(value, asked));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| mask(item, asked)),
        _ => {}
    }
}

/// Says of a field that it is made up, unless the case has it so.
fn mark(fields: &mut serde_json::Map<String, Value>, field: &str, asked: &[(String, Value)]) {
    if let Some(value) = fields.get_mut(field)
        && !asked.iter().any(|(name, given)| name == field && given == value)
    {
        *value = "<made>".into();
    }
}
