//! Objects, good and bad, and what upstream's server answers to them: ours must say the same, word for word.
//!
//! `cases/<group>/<kind>.yaml` is a list of cases. What a case asks is written by hand, what it expects by `record.py`:
//!
//! ```yaml
//! - name: says what it is about
//!   create: OBJECT                     # a dry run of its creation
//!   update:                            # or a dry run of a PUT
//!     from: OBJECT                     # created first; a status is written through /status
//!     to: OBJECT                       # or `merge: PATCH`, merged into what was created
//!     subresource: status
//!   post: {from: OBJECT, to: OBJECT, subresource: eviction}    # or a dry run of a POST to a subresource
//!   expect: {code: 422, causes: [{reason, field, message}]}    # or {code, message}, or {object: OBJECT}
//!   warnings: [text]
//! ```

mod ask;
#[expect(dead_code, reason = "shared with the tests of the API, which use all of it")]
#[path = "../api/server.rs"]
mod server;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use ask::Asker;

#[tokio::test(start_paused = true)]
async fn answers_are_upstreams() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rows/cases");
    let mut failures = Vec::new();
    let mut count = 0;
    for file in files(&cases) {
        let shown = file.strip_prefix(&cases).unwrap_or(&file).display().to_string();
        let text = std::fs::read_to_string(&file).expect("a file of cases");
        let list: Vec<Value> = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{shown}: {error}"));
        let asker = Asker::new().await;
        for case in &list {
            count += 1;
            let (found, expected) = (asker.ask(case).await, expectation(case));
            if found != expected {
                failures.push(format!("{shown}: {}\n{}", case["name"], difference(&found, &expected)));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {count} differ:\n{}", failures.len(), failures.join("\n"));
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder of cases");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.into_iter().flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The recorded side of a case, in the form in which answers are given.
fn expectation(case: &Value) -> Value {
    assert!(case["expect"].is_object(), "{} is not recorded", case["name"]);
    json!({"expect": case["expect"], "warnings": case.get("warnings").cloned().unwrap_or_else(|| json!([]))})
}

/// The lines that only one of the two has.
fn difference(found: &Value, expected: &Value) -> String {
    let lines = |value: &Value| {
        let mut lines = Vec::new();
        flatten("", value, &mut lines);
        lines
    };
    let (found, expected) = (lines(found), lines(expected));
    let only = |sign: &str, these: &[String], those: &[String]| -> Vec<String> {
        these.iter().filter(|line| !those.contains(line)).map(|line| format!("  {sign} {line}")).collect()
    };
    [only("ours:    ", &found, &expected), only("upstream:", &expected, &found)].concat().join("\n")
}

/// Leaves with their paths; a cause of a failure is one leaf.
fn flatten(path: &str, value: &Value, lines: &mut Vec<String>) {
    match value {
        Value::Object(fields) if fields.contains_key("reason") && fields.contains_key("message") => {
            let text = |field: &str| fields.get(field).and_then(Value::as_str).unwrap_or_default();
            lines.push(format!("{path} {}: {} ({})", text("field"), text("message"), text("reason")));
        }
        Value::Object(fields) if !fields.is_empty() => {
            fields.iter().for_each(|(name, value)| flatten(&format!("{path}.{name}"), value, lines));
        }
        Value::Array(items) if !items.is_empty() => {
            items.iter().enumerate().for_each(|(index, value)| flatten(&format!("{path}[{index}]"), value, lines));
        }
        leaf => lines.push(format!("{path}: {leaf}")),
    }
}
