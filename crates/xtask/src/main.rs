//! Developer tasks, run as `cargo run -p xtask -- <task>`.

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
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    match Arguments::parse().task {
        Task::Facts(options) => facts::run(&options)?,
    }
    Ok(())
}
