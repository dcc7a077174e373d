//! `make bench`: the figures of a running cluster beside their budgets.

mod api;
mod load;
mod machine;
mod node;
mod process;

use std::path::{Path, PathBuf};

use testing::{Cluster, Machine};

/// Which way a figure gets better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    Lower,
    Higher,
}

/// One line of the report.
#[derive(Debug)]
pub(crate) struct Figure {
    pub name: &'static str,
    pub unit: &'static str,
    pub value: f64,
    /// Worst value with which the work counts as done.
    pub must: f64,
    /// Where we are going.
    pub aim: f64,
    pub better: Better,
}

impl Figure {
    fn verdict(&self) -> &'static str {
        let reaches = |bound| match self.better {
            Better::Lower => self.value <= bound,
            Better::Higher => self.value >= bound,
        };
        match (reaches(self.aim), reaches(self.must)) {
            (true, _) => "aim",
            (false, true) => "must",
            (false, false) => "MISSED",
        }
    }
}

/// Starts a cluster of the release build, measures it, prints the table, stops it.
#[expect(clippy::print_stdout, reason = "the figures are what the user asked for")]
pub(crate) fn run() -> Result<(), String> {
    let program = release_program();
    println!("{}\n", machine::describe());
    println!("{:44} {:>12} {:>10} {:>10}  reached", "figure", "measured", "must", "aim");
    let mut missed = 0;
    for figure in measure(&program)? {
        let (value, unit) = (format!("{:.1}", figure.value), figure.unit);
        println!(
            "{:44} {value:>12} {:>10} {:>10}  {} ({unit})",
            figure.name,
            figure.must,
            figure.aim,
            figure.verdict()
        );
        missed += usize::from(figure.verdict() == "MISSED");
    }
    println!("\n{missed} below their must");
    Ok(())
}

fn measure(program: &Path) -> Result<Vec<Figure>, String> {
    let machine =
        Machine::new().map_err(|e| format!("making a network namespace for the cluster (needs root): {e}"))?;
    let image = testing::image::busybox_archive().map_err(|e| format!("making the test image: {e}"))?;
    let mut figures = vec![process::binary_size(program)?];
    let (cluster, start) = node::start(program, machine)?;
    figures.push(start);
    figures.push(node::pod_start(&cluster, image.path())?);
    figures.extend(process::idle(&cluster)?);
    figures.extend(api::figures(&cluster)?);
    Ok(figures)
}

fn release_program() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/release/coracle")
}

/// The cluster as the measuring modules see it.
pub(crate) type Bench = Cluster;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        let figure = |value, better| Figure { name: "x", unit: "ms", value, must: 100.0, aim: 50.0, better };
        assert_eq!(figure(40.0, Better::Lower).verdict(), "aim");
        assert_eq!(figure(70.0, Better::Lower).verdict(), "must");
        assert_eq!(figure(170.0, Better::Lower).verdict(), "MISSED");
        let rate = |value| Figure { must: 50.0, aim: 100.0, ..figure(value, Better::Higher) };
        assert_eq!((rate(200.0).verdict(), rate(60.0).verdict(), rate(1.0).verdict()), ("aim", "must", "MISSED"));
    }
}
