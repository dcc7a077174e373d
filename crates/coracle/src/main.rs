//! The `coracle` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    coracle::main(std::env::args_os())
}
