//! `make bench`: the figures of the release build beside their budgets and, where they are installed, its peers.
//!
//! A peer runs on the same machine in the same run, so that ratios mean something where absolute figures do not.

mod api;
mod containers;
mod dns;
mod figure;
mod load;
mod machine;
mod memory;
mod node;
mod process;
mod server;
mod services;
mod simulated;

use std::path::{Path, PathBuf};

use clap::Parser;
use testing::{Cluster, Machine};

use figure::{Figure, median};

/// Measure the release build against the budgets, beside its peers
#[derive(Debug, Parser)]
#[command(about)]
struct Options {
    /// Sections to measure, by name; all when none is given
    sections: Vec<String>,
}

/// Measures the program at a path.
type Section = fn(&Path) -> Result<Vec<Figure>, String>;

/// In the order of the report.
const SECTIONS: &[(&str, Section)] = &[
    ("program", program),
    ("node", single_node),
    ("containers", containers::section),
    ("api", api::section),
    ("services", services::section),
    ("dns", dns::section),
    ("simulated", simulated::section),
];

fn main() -> Result<(), String> {
    run(&Options::parse())
}

/// Measures each section, printing its figures as they come.
#[expect(clippy::print_stdout, reason = "the figures are what the user asked for")]
fn run(options: &Options) -> Result<(), String> {
    let unknown = options.sections.iter().find(|wanted| SECTIONS.iter().all(|(name, _)| name != wanted));
    if let Some(unknown) = unknown {
        let names: Vec<_> = SECTIONS.iter().map(|(name, _)| *name).collect();
        return Err(format!("there is no section {unknown}; there are: {}", names.join(", ")));
    }
    println!("{}\n\n{}", machine::describe(), Figure::heading());
    let wanted = |name: &str| options.sections.is_empty() || options.sections.iter().any(|wanted| wanted == name);
    let mut missed = 0;
    for (name, section) in SECTIONS.iter().filter(|(name, _)| wanted(name)) {
        let figures = section(&release_program()).map_err(|error| format!("measuring {name}: {error}"))?;
        for figure in figures {
            println!("{}", figure.line());
            missed += usize::from(figure.verdict() == "MISSED");
        }
    }
    println!("\n{missed} below their must");
    Ok(())
}

fn program(program: &Path) -> Result<Vec<Figure>, String> {
    Ok(vec![process::binary_size(program)?])
}

/// One cluster of one node: its start, its pods, itself when idle, and its API server.
fn single_node(program: &Path) -> Result<Vec<Figure>, String> {
    let image = testing::image::busybox_archive().map_err(|e| format!("making the test image: {e}"))?;
    let (cluster, start) = node::start(program, new_machine()?)?;
    let mut figures = vec![start, node::pod_start(&cluster, image.path())?];
    figures.extend(process::idle(&cluster)?);
    figures.extend(api::of_node(&cluster)?);
    figures.push(memory::of_pods(&cluster)?);
    Ok(figures)
}

fn new_machine() -> Result<Machine, String> {
    Machine::new().map_err(|e| format!("making a network namespace (needs root): {e}"))
}

fn release_program() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/release/coracle")
}

/// Runs `work` on a machine's network with one thread for all its tasks.
fn on<T, F>(machine: &Machine, work: impl FnOnce() -> F + Send + 'static) -> Result<T, String>
where
    T: Send + 'static,
    F: Future<Output = Result<T, String>>,
{
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|e| e.to_string())?.block_on(work())
    };
    machine.inside(run).map_err(|e| e.to_string())?
}

#[expect(clippy::disallowed_methods, reason = "a measurement beside real processes lives in real time")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// Milliseconds since `start`.
fn since(start: std::time::Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1000.0
}

#[expect(clippy::disallowed_methods, reason = "a measurement beside real processes lives in real time")]
fn wait(time: std::time::Duration) {
    std::thread::sleep(time);
}

/// The cluster as the measuring modules see it.
type Bench = Cluster;
