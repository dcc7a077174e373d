//! A complete Kubernetes in one binary: command line, configuration and the wiring of roles. Nothing else.

mod cluster;
mod command;
mod control_plane;
mod failure;
mod grammar;
mod instance;
mod kubeconfigs;
mod mounts;
mod node;
mod pod_network;
mod processes;
mod progress;
mod ranges;
mod remains;
mod sandboxes;
mod stop;
mod supervisor;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

pub use failure::Failure;
use grammar::{Grammar, Verb};

/// Parses `arguments`, runs the command, and turns a failure into words on stderr and an exit code.
#[must_use]
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let grammar = match Grammar::try_parse_from(arguments) {
        Ok(grammar) => grammar,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(failure::USAGE));
        }
    };
    start_log(&grammar);
    match run(grammar.verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.print(),
    }
}

/// Diagnostics go to stderr; what the user asked for goes to stdout.
fn start_log(grammar: &Grammar) {
    let filter = tracing_subscriber::EnvFilter::try_new(&grammar.log).unwrap_or_else(|_| "warn".into());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(true);
    // A second start in one process (tests) keeps the first log.
    let _ = log.try_init();
}

fn run(verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Version(options) => command::version::run(&options),
        Verb::Completion(options) => command::completion::run(&options),
        Verb::Up(options) if options.detach => command::detach::run(&options),
        other => on_runtime(command::run(other)),
    }
}

fn on_runtime(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("coracle").build();
    let runtime = runtime.map_err(|e| Failure::new("starting worker threads", e))?;
    let result = runtime.block_on(work);
    // Whatever still blocks a thread must not keep the user waiting.
    runtime.shutdown_background();
    result
}
