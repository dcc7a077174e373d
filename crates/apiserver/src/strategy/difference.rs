//! How two objects differ, as upstream tells it: a unified difference of their printed forms, three lines around.
//!
//! Lines are paired by the longest common run first, then on both sides of it. In long texts, lines that occur often do
//! not begin a run.

use std::collections::HashMap;
use std::fmt::Write as _;

const AROUND: usize = 3;
/// From so many lines on, frequent lines begin no run.
const LONG: usize = 200;

/// A run of equal lines: where it begins in both texts, and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    a: usize,
    b: usize,
    length: usize,
}

/// Lines of `a` that lines of `b` replace; equal ones where `same`.
#[derive(Debug, Clone, Copy)]
struct Step {
    same: bool,
    a: (usize, usize),
    b: (usize, usize),
}

/// The difference of two printed values; empty when there is none.
pub(super) fn of(a: &str, b: &str) -> String {
    let (a, b): (Vec<_>, Vec<_>) = (a.split('\n').collect(), b.split('\n').collect());
    let mut text = String::new();
    for group in groups(steps(&runs(&a, &b))) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        let _ = writeln!(text, "@@ -{} +{} @@", range(first.a.0, last.a.1), range(first.b.0, last.b.1));
        for step in &group {
            let (old, new) = (&a[step.a.0..step.a.1], &b[step.b.0..step.b.1]);
            let signs: &[(char, &[&str])] = if step.same { &[(' ', old)] } else { &[('-', old), ('+', new)] };
            for (sign, lines) in signs {
                for line in *lines {
                    let _ = writeln!(text, "{sign}{line}");
                }
            }
        }
    }
    text
}

/// All runs in order, adjacent ones joined, with an empty one at the end.
fn runs(a: &[&str], b: &[&str]) -> Vec<Run> {
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    b.iter().enumerate().for_each(|(index, line)| places.entry(line).or_default().push(index));
    if b.len() >= LONG {
        places.retain(|_, places| places.len() <= b.len() / 100 + 1);
    }
    let mut found = Vec::new();
    let mut open = vec![((0, a.len()), (0, b.len()))];
    while let Some((in_a, in_b)) = open.pop() {
        let run = longest(a, b, &places, in_a, in_b);
        if run.length == 0 {
            continue;
        }
        if in_a.0 < run.a && in_b.0 < run.b {
            open.push(((in_a.0, run.a), (in_b.0, run.b)));
        }
        let (end_a, end_b) = (run.a + run.length, run.b + run.length);
        if end_a < in_a.1 && end_b < in_b.1 {
            open.push(((end_a, in_a.1), (end_b, in_b.1)));
        }
        found.push(run);
    }
    found.sort_by_key(|run| run.a);
    let mut joined: Vec<Run> = Vec::new();
    for run in found {
        match joined.last_mut() {
            Some(last) if last.a + last.length == run.a && last.b + last.length == run.b => last.length += run.length,
            _ => joined.push(run),
        }
    }
    joined.push(Run { a: a.len(), b: b.len(), length: 0 });
    joined
}

fn longest(
    a: &[&str],
    b: &[&str],
    places: &HashMap<&str, Vec<usize>>,
    (a_from, a_to): (usize, usize),
    (b_from, b_to): (usize, usize),
) -> Run {
    let mut best = Run { a: a_from, b: b_from, length: 0 };
    let mut lengths: HashMap<usize, usize> = HashMap::new();
    for (i, line) in a.iter().enumerate().take(a_to).skip(a_from) {
        let mut next = HashMap::new();
        let here = places.get(line).map_or(&[][..], Vec::as_slice);
        for j in here.iter().copied().filter(|j| (b_from..b_to).contains(j)) {
            let length = j.checked_sub(1).and_then(|before| lengths.get(&before)).unwrap_or(&0) + 1;
            next.insert(j, length);
            if length > best.length {
                best = Run { a: i + 1 - length, b: j + 1 - length, length };
            }
        }
        lengths = next;
    }
    while best.a > a_from && best.b > b_from && a[best.a - 1] == b[best.b - 1] {
        best = Run { a: best.a - 1, b: best.b - 1, length: best.length + 1 };
    }
    while best.a + best.length < a_to
        && best.b + best.length < b_to
        && a[best.a + best.length] == b[best.b + best.length]
    {
        best.length += 1;
    }
    best
}

fn steps(runs: &[Run]) -> Vec<Step> {
    let (mut i, mut j) = (0, 0);
    let mut steps = Vec::new();
    for run in runs {
        if i < run.a || j < run.b {
            steps.push(Step { same: false, a: (i, run.a), b: (j, run.b) });
        }
        (i, j) = (run.a + run.length, run.b + run.length);
        if run.length > 0 {
            steps.push(Step { same: true, a: (run.a, i), b: (run.b, j) });
        }
    }
    steps
}

/// Steps with a few equal lines around them.
fn groups(mut steps: Vec<Step>) -> Vec<Vec<Step>> {
    if let Some(first) = steps.first_mut().filter(|step| step.same) {
        *first = tail(*first);
    }
    if let Some(last) = steps.last_mut().filter(|step| step.same) {
        *last = head(*last);
    }
    let (mut groups, mut group) = (Vec::new(), Vec::new());
    for step in steps {
        if step.same && step.a.1 - step.a.0 > 2 * AROUND {
            group.push(head(step));
            groups.push(std::mem::take(&mut group));
            group.push(tail(step));
        } else {
            group.push(step);
        }
    }
    groups.push(group);
    groups.retain(|group| group.iter().any(|step| !step.same));
    groups
}

fn head(step: Step) -> Step {
    let end = |(from, to): (usize, usize)| (from, to.min(from + AROUND));
    Step { a: end(step.a), b: end(step.b), ..step }
}

fn tail(step: Step) -> Step {
    let start = |(from, to): (usize, usize)| (from.max(to.saturating_sub(AROUND)), to);
    Step { a: start(step.a), b: start(step.b), ..step }
}

/// `line,count`, counted from one; an empty range begins at the line before it.
fn range(from: usize, to: usize) -> String {
    match to - from {
        0 => format!("{from},0"),
        1 => format!("{}", from + 1),
        count => format!("{},{count}", from + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn differences() {
        for (a, b, expected) in [
            ("a\nb", "a\nb", ""),
            ("a\nb\nc", "a\nx\nc", "@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n"),
            ("1\n2\n3\n4\n5", "1\n2\n3\n4\n5\n6", "@@ -3,3 +3,4 @@\n 3\n 4\n 5\n+6\n"),
            (
                "0\n1\n2\n3\n4\n5\n6\n7\n8",
                "1\n2\n3\n4\n5\n6\n7",
                "@@ -1,4 +1,3 @@\n-0\n 1\n 2\n 3\n@@ -6,4 +5,3 @@\n 5\n 6\n 7\n-8\n",
            ),
        ] {
            assert_eq!(of(a, b), expected, "{a} {b}");
        }
    }
}
