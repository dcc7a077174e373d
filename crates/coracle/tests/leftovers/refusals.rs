//! What a reset refuses, and that nothing is gone then.

use std::fs;

use testing::Machine;
use testing::cluster::run;

use crate::place::{Place, machine, program};

#[test]
fn others_directories_are_refused() {
    let Some(machine) = machine() else { return };
    let check = |files: &[&str], why: &str| {
        let dir = tempfile::tempdir().expect("a directory");
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().expect("below the directory")).expect("a directory");
            fs::write(&path, "x").expect("a file");
        }
        let refused = run(machine.command(program()).args(["reset", "--yes", "--data-dir"]).arg(dir.path()));
        assert!(!refused.ok && refused.stderr.contains(why) && refused.stderr.contains("next: "), "{refused:?}");
        assert!(files.iter().all(|file| dir.path().join(file).exists()));
    };
    check(&["instance.json", "run/lock", "thesis.tex"], "it holds thesis.tex, which is not Coracle's");
    check(&["logs/mine.log", "store/mine.db"], "nothing in it tells that Coracle wrote it");
}

#[test]
fn without_a_terminal_it_wants_to_be_told() {
    let Some(machine) = machine() else { return };
    let place = Place::new(machine);
    let refused = place.reset(&[]);
    assert!(!refused.ok, "{refused:?}");
    assert!(refused.stderr.contains("there is no terminal to ask on"), "{refused:?}");
    assert!(refused.stderr.contains("give --yes"), "{refused:?}");
    assert!(refused.stdout.contains("with everything in it"), "it says what would go: {refused:?}");
    place.cluster.kubectl(&["get", "nodes"]).expect("the cluster goes on");
}

#[test]
fn where_nothing_was_there_is_nothing() {
    let Ok(machine) = Machine::new() else {
        println!("skipped: making a network namespace needs root");
        return;
    };
    let dir = tempfile::tempdir().expect("a directory");
    let never = dir.path().join("never");
    let said = run(machine.command(program()).args(["reset", "--data-dir"]).arg(&never)).expect("reset");
    assert_eq!(said, format!("There is nothing of a cluster in {}.\n", never.display()));
    assert!(!never.exists());
}
