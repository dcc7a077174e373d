//! Ownership in a simulated world.

use super::CONTROLLER;
use crate::resource::Target;
use crate::sim::{Sim, discovered};

/// Rounds in which a world without outside changes settles.
const ROUNDS: usize = 8;

fn object(name: &str, owners: &[&str], rest: &str) -> String {
    let owners: Vec<String> = owners
        .iter()
        .map(|owner| {
            format!("{{apiVersion: v1, kind: Thing, name: {owner}, uid: uid-{owner}, blockOwnerDeletion: true}}")
        })
        .collect();
    format!(
        "- {{kind: Thing, metadata: {{namespace: ns, name: {name}, ownerReferences: [{}], {rest}}}}}\n",
        owners.join(", ")
    )
}

fn target(name: &str) -> Target {
    Target { resource: discovered("Thing", true).resource.clone(), namespace: Some("ns".into()), name: name.into() }
}

/// What happens in `world`, which then is left with `remaining`.
fn check(world: &[String], expected: &[&str], remaining: &[&str]) {
    let mut sim = Sim::new(&[&CONTROLLER], &world.concat());
    assert_eq!(sim.settle(ROUNDS), expected);
    for object in remaining {
        assert!(sim.get(&target(object)).is_some(), "{object} is gone");
    }
    assert_eq!(sim.world().graph().uids().len(), remaining.len());
}

const FOREGROUND: &str = "deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: [foregroundDeletion]";
const ORPHANING: &str = "deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: [orphan]";

#[test]
fn owned_objects_stay() {
    check(&[object("a", &[], ""), object("b", &["a"], ""), object("c", &["b"], "")], &[], &["a", "b", "c"]);
}

#[test]
fn dependents_of_absent_owners_go_with_theirs() {
    check(
        &[object("other", &[], ""), object("b", &["a"], ""), object("c", &["b"], "")],
        &["delete things ns/b", "delete things ns/c"],
        &["other"],
    );
}

#[test]
fn one_remaining_owner_is_enough() {
    check(&[object("b", &[], ""), object("c", &["a", "b"], "")], &["patch things ns/c"], &["b", "c"]);
}

#[test]
fn foreground_deletion_waits_for_dependents() {
    check(
        &[object("a", &[], FOREGROUND), object("b", &["a"], ""), object("c", &["b"], "")],
        &["delete things ns/b", "delete things ns/c", "patch things ns/b", "patch things ns/a"],
        &[],
    );
}

#[test]
fn orphans_forget_their_owner() {
    check(&[object("a", &[], ORPHANING), object("b", &["a"], "")], &["patch things ns/b", "patch things ns/a"], &["b"]);
}

#[test]
fn a_successor_under_the_same_name_is_no_owner() {
    let successor = object("a", &[], "uid: another");
    check(&[successor, object("b", &["a"], "")], &["delete things ns/b"], &["a"]);
}

#[test]
fn owners_of_unknown_types_keep_their_dependents() {
    let dependent = object("b", &["a"], "").replace("kind: Thing, name: a", "kind: Unheard, name: a");
    check(&[dependent], &[], &["b"]);
}
