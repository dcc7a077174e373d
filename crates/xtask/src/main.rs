//! Developer tasks, run as `cargo run -p xtask -- <task>`.

mod bench;
mod facts;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(about = "Developer tasks")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Condense upstream's API documents into the schema's facts file.
    Facts(facts::Options),
    /// Measure a cluster of the release build against the budgets.
    Bench,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    match Arguments::parse().task {
        Task::Facts(options) => facts::run(&options)?,
        Task::Bench => bench::run()?,
    }
    Ok(())
}
