//! `coracle completion SHELL`.

use clap::CommandFactory;

use crate::Failure;
use crate::grammar::{Completion, Grammar};

pub(crate) fn run(options: &Completion) -> Result<(), Failure> {
    clap_complete::generate(options.shell, &mut Grammar::command(), "coracle", &mut std::io::stdout());
    Ok(())
}
