//! The program that holds a pod sandbox and its containers, so that they outlive the node process.
//!
//! `shim run DIRECTORY` holds the sandbox whose `sandbox.json` is in the directory; it goes to the background and
//! returns once it serves. `shim unpack DIRECTORY` unpacks a layer from its standard input.

use std::path::Path;
use std::process::ExitCode;

#[expect(clippy::print_stderr, reason = "whoever started the program reads there why it failed")]
fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    let result = match args.as_slice() {
        [mode, directory] if mode == "run" => shim::server::run(Path::new(directory)).map_err(|e| e.to_string()),
        [mode, directory] if mode == "unpack" => shim::unpack::run(Path::new(directory)).map_err(|e| e.to_string()),
        _ => Err("usage: shim run DIRECTORY | shim unpack DIRECTORY".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
