//! Tests that change the network run in a namespace of their own, which ends with them.

use std::io::Write;
use std::panic::resume_unwind;
use std::process::Command;
use std::thread;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

/// Says why a test did not run; straight to the stream, since modules of tests and test programs differ in lints.
fn skipped(why: &str) {
    drop(writeln!(std::io::stdout(), "skipped: {why}"));
}

/// Runs `test` on a thread with its own network and mounts, loopback up; threads it starts are inside too.
/// Prints why and returns when this machine cannot.
pub(crate) fn isolated(test: impl FnOnce() + Send + 'static) {
    if !nix::unistd::geteuid().is_root() {
        skipped("needs root to make network namespaces");
        return;
    }
    let inside = move || {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS) {
            skipped(&format!("cannot make a network namespace: {error}"));
            return;
        }
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).expect("mounts become private");
        if Command::new("ip").arg("-V").output().is_err() || Command::new("nft").arg("-v").output().is_err() {
            skipped("needs the programs ip and nft to read back");
            return;
        }
        run("ip link set lo up");
        test();
    };
    if let Err(panic) = thread::spawn(inside).join() {
        resume_unwind(panic);
    }
}

/// Runs a command line split at blanks; its output, or a panic with its complaint.
pub(crate) fn run(line: &str) -> String {
    let mut words = line.split_whitespace();
    let output = Command::new(words.next().expect("a program")).args(words).output().expect("the program starts");
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("output is text")
}
