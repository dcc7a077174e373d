//! Function lengths, read off rustfmt's indentation.

use crate::report;
use crate::sources::{self, Source};

/// No function is longer without an entry below.
const LONGEST: usize = 100;
const MEDIAN: usize = 10;
const P90: usize = 40;

/// Functions that may be longer: path, name, and why.
const LONG_FUNCTIONS: &[(&str, &str, &str)] = &[];

struct Function<'a> {
    path: &'a str,
    name: &'a str,
    lines: usize,
}

fn functions(source: &Source) -> Vec<Function<'_>> {
    let lines: Vec<&str> = source.code.lines().collect();
    let starts = lines.iter().enumerate().filter_map(|(i, line)| Some((i, indent(line), name(line)?)));
    starts
        .filter_map(|(i, depth, name)| Some(Function { path: &source.path, name, lines: length(&lines[i..], depth)? }))
        .collect()
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The function's name when the line opens one.
fn name(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    let qualifier =
        |w: &str| w.starts_with("pub") || ["const", "async", "unsafe", "extern", "\"C\"", "in", "super)"].contains(&w);
    let after = words.by_ref().find(|w| !qualifier(w))?;
    (after == "fn").then(|| words.next())?.map(|n| n.split(['(', '<']).next().unwrap_or(n))
}

/// Lines up to the closing brace at the same depth; none for a declaration without a body.
fn length(lines: &[&str], depth: usize) -> Option<usize> {
    for (i, line) in lines.iter().enumerate() {
        let closes = indent(line) == depth && line.trim_start().starts_with('}');
        let one_line = i == 0 && line.ends_with('}');
        if closes || one_line {
            return Some(i + 1);
        }
        if indent(line) == depth && line.ends_with(';') {
            return None;
        }
    }
    None
}

#[test]
fn no_function_is_too_long() {
    let sources = sources::all();
    let allowed = |f: &Function<'_>| LONG_FUNCTIONS.iter().any(|(path, name, _)| *path == f.path && *name == f.name);
    let findings: Vec<_> = sources
        .iter()
        .flat_map(functions)
        .filter(|f| f.lines > LONGEST && !allowed(f))
        .map(|f| format!("{} `{}` has {} lines", f.path, f.name, f.lines))
        .collect();
    report(&format!("functions over {LONGEST} lines without a reason in the allow list:"), &findings);
}

#[test]
fn most_functions_are_short() {
    let sources = sources::all();
    let mut lengths: Vec<usize> = sources.iter().flat_map(functions).map(|f| f.lines).collect();
    lengths.sort_unstable();
    let at = |share: usize| lengths[(lengths.len() - 1) * share / 100];
    assert!(at(50) <= MEDIAN, "the median function has {} lines, at most {MEDIAN} wanted", at(50));
    assert!(at(90) <= P90, "one function in ten has {} lines, at most {P90} wanted", at(90));
}

#[test]
fn lengths_are_read_right() {
    let code = "fn a() {\n    1\n}\n\npub(crate) async fn b<T>(\n    x: T,\n) -> T {\n    x\n}\ntrait C {\n    fn d();\n    fn e() {}\n}\n";
    let source = Source { path: "x.rs".into(), code: code.into() };
    let seen: Vec<_> = functions(&source).iter().map(|f| (f.name.to_owned(), f.lines)).collect();
    assert_eq!(seen, [("a".into(), 3), ("b".into(), 5), ("e".into(), 1)]);
}
