//! `patch`, `replace`, `diff`, `label`, `annotate`, `kustomize`, `apply`.

use std::fs;

use super::Kubectl;
use crate::has;

const DATA: &str = "get configmap changed -o jsonpath={.data}";

pub(super) fn patches(kubectl: &Kubectl<'_>) {
    kubectl.ok("create configmap changed --from-literal=a=1");
    let patches = [
        ("strategic", r#"{"data":{"b":"2"}}"#, r#"{"a":"1","b":"2"}"#),
        ("merge", r#"{"data":{"a":null}}"#, r#"{"b":"2"}"#),
        (
            "json",
            r#"[{"op":"test","path":"/data/b","value":"2"},{"op":"add","path":"/data/c","value":"3"}]"#,
            r#"{"b":"2","c":"3"}"#,
        ),
    ];
    for (kind, patch, expected) in patches {
        has(
            &kubectl.ok(&format!("patch configmap changed --type={kind} -p '{patch}'")),
            &["configmap/changed patched"],
        );
        assert_eq!(kubectl.ok(DATA), expected, "{kind}");
    }
    has(&kubectl.ok(r#"patch configmap changed --type=merge -p '{"data":{"c":"3"}}'"#), &["patched (no change)"]);
    has(
        &kubectl
            .fails("patch configmap changed --type=json -p '[{\"op\":\"test\",\"path\":\"/data/b\",\"value\":\"9\"}]'"),
        &["the server rejected our request"],
    );
    has(
        &kubectl.ok("patch configmap changed --type=merge --dry-run=server -o yaml -p '{\"data\":{\"d\":\"4\"}}'"),
        &["d: \"4\""],
    );
    assert_eq!(kubectl.ok(DATA), r#"{"b":"2","c":"3"}"#, "a dry run");
}

pub(super) fn replaces(kubectl: &Kubectl<'_>) {
    let read = || kubectl.ok("get configmap changed -o yaml");
    let uid = || kubectl.ok("get configmap changed -o jsonpath={.metadata.uid}");
    let (old, before) = (read(), uid());
    has(&kubectl.with("replace -f -", &old.replace("b: \"2\"", "b: \"5\"")), &["configmap/changed replaced"]);
    let refused = testing::cluster::run_with(&mut kubectl.command("replace -f -"), &old);
    has(&refused.stderr, &["the object has been modified; please apply your changes to the latest version"]);
    assert_eq!(uid(), before);
    let forced = kubectl.with("replace --force -f -", &read());
    has(&forced, &["configmap \"changed\" deleted", "configmap/changed replaced"]);
    assert_ne!(uid(), before);
}

const MANIFEST: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: changed}\ndata: {b: \"6\"}\n";

/// `diff` compares with what the server would make of it.
pub(super) fn compares(kubectl: &Kubectl<'_>) {
    kubectl.with("apply -f -", MANIFEST);
    let diff = |manifest: &str| testing::cluster::run_with(&mut kubectl.command("diff -f -"), manifest);
    let same = diff(MANIFEST);
    assert_eq!((same.code, same.stdout.as_str()), (Some(0), ""));
    let changed = diff(&MANIFEST.replace('6', "7"));
    assert_eq!(changed.code, Some(1));
    has(&changed.stdout, &["-  b: \"6\"\n", "+  b: \"7\"\n"]);
    let created = diff(&MANIFEST.replace("changed", "uncreated"));
    assert_eq!(created.code, Some(1));
    has(&created.stdout, &["+kind: ConfigMap\n"]);
    let invalid = diff(&MANIFEST.replace("changed", "Bad_Name"));
    assert!(invalid.code.is_some_and(|code| code > 1), "{invalid:?}");
    has(&invalid.stderr, &["a lowercase RFC 1123 subdomain must consist of"]);
}

pub(super) fn labels_and_annotates(kubectl: &Kubectl<'_>) {
    has(&kubectl.ok("label configmap changed tier=front"), &["configmap/changed labeled"]);
    has(
        &kubectl.fails("label configmap changed tier=back"),
        &["'tier' already has a value (front), and --overwrite is false"],
    );
    kubectl.ok("label configmap changed tier=back --overwrite");
    has(&kubectl.ok("label configmaps -l tier=back tier-"), &["configmap/changed unlabeled"]);
    has(&kubectl.ok("annotate configmap changed note='two words'"), &["configmap/changed annotated"]);
    assert_eq!(kubectl.ok("get configmap changed -o jsonpath={.metadata.annotations.note}"), "two words");
    kubectl.ok("annotate configmap changed note-");
    has(&kubectl.fails("label configmap changed a='not valid'"), &["a valid label must be"]);
}

pub(super) fn customizes(kubectl: &Kubectl<'_>) {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
    write("base.yaml", MANIFEST);
    write(
        "kustomization.yaml",
        "namePrefix: my-\nresources: [base.yaml]\nconfigMapGenerator: [{name: made, literals: [a=b]}]\n",
    );
    let path = folder.path().display();
    has(&kubectl.ok(&format!("kustomize {path}")), &["name: my-changed\n", "name: my-made-"]);
    has(&kubectl.ok(&format!("apply -k {path}")), &["configmap/my-changed created", "configmap/my-made-"]);
    has(&kubectl.ok(&format!("delete -k {path}")), &["configmap \"my-changed\" deleted"]);
}

/// Works, or is refused in words.
pub(super) fn applies_on_the_server(kubectl: &Kubectl<'_>) {
    let applied =
        testing::cluster::run_with(&mut kubectl.command("apply --server-side --force-conflicts -f -"), MANIFEST);
    if applied.ok {
        return has(&applied.stdout, &["configmap/changed serverside-applied"]);
    }
    has(&applied.stderr, &["server-side apply is not supported by this server yet"]);
}
