//! The program that holds a pod sandbox and its containers, so that they outlive the node process.

fn main() {}
