//! Developer tasks: schema facts, embedded programs, benchmarks.

fn main() {}
