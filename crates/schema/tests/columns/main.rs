//! The cells of `kubectl get`: what upstream's server prints of objects, recorded by `record.py`, is what we print.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use schema::columns::{Columns, built_in};
use serde_json::Value;

/// Tables of which upstream shows nothing without its controllers or gates.
const UNRECORDED: &[&str] = &[
    "certificatesigningrequests.certificates.k8s.io",
    "clustertrustbundles.certificates.k8s.io",
    "componentstatuses",
    "events.events.k8s.io",
    "podcertificaterequests.certificates.k8s.io",
    "podgroups.scheduling.k8s.io",
    "resourcepoolstatusrequests.resource.k8s.io",
    "storageversionmigrations.storagemigration.k8s.io",
    "storageversions.internal.apiserver.k8s.io",
    "workloads.scheduling.k8s.io",
];

fn cases() -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/columns/cases");
    let entries = std::fs::read_dir(folder).expect("a folder of cases");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let read = |file: &std::path::PathBuf| -> Vec<Value> {
        let text = std::fs::read_to_string(file).expect("a file of cases");
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    };
    files.iter().flat_map(read).collect()
}

fn text<'a>(case: &'a Value, field: &str) -> &'a str {
    case[field].as_str().expect("a recorded case")
}

#[test]
fn cells_are_upstreams() {
    let mut failures = Vec::new();
    for case in cases() {
        let columns = built_in(text(&case, "resource"));
        let now = object::time::parse(text(&case, "now")).expect("a time");
        let found = columns.cells(&case["object"], now);
        // Upstream prints an IPAddress's age without a column for it.
        let expected: Vec<&Value> = case["cells"].as_array().into_iter().flatten().take(found.len()).collect();
        if found.iter().collect::<Vec<_>>() != expected {
            let (resource, name) = (text(&case, "resource"), text(&case, "name"));
            failures.push(format!("{resource}: {name}\n  ours:     {found:?}\n  upstream: {}", case["cells"]));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn columns_are_upstreams() {
    let mut theirs: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for line in include_str!("definitions.tsv").lines() {
        let (name, column) = line.split_once('\t').expect("a resource and its column");
        theirs.entry(name).or_default().push(column.to_owned());
    }
    let table = schema::Table::builtin().snapshot();
    let ours = |row: &schema::Resource| -> Vec<String> {
        let columns = row.columns.as_slice().iter().enumerate();
        columns.map(|(i, c)| format!("{i:02}\t{}\t{}\t{}\t{}", c.name, c.kind, c.format, c.priority)).collect()
    };
    for row in table.rows() {
        if let Some(theirs) = theirs.get(&*row.qualified()) {
            assert_eq!(&ours(row), theirs, "{}", row.qualified());
        }
    }
}

#[test]
fn every_table_is_recorded() {
    let cases = cases();
    let recorded: BTreeSet<&str> = cases.iter().map(|case| text(case, "resource")).collect();
    let table = schema::Table::builtin().snapshot();
    let own = |name: &String| matches!(built_in(name), Columns::Fixed(_));
    let tables = table.rows().map(|row| row.qualified()).filter(own);
    let missing: Vec<_> = tables.filter(|name| !recorded.contains(&**name) && !UNRECORDED.contains(&&**name)).collect();
    assert!(missing.is_empty(), "no case: {missing:?}");
}
