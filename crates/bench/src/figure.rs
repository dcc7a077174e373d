//! One line of the report: a figure beside its budget and its peers.

/// Which way a figure gets better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Better {
    Lower,
    Higher,
}

/// A measured figure.
#[derive(Debug)]
pub(crate) struct Figure {
    name: &'static str,
    unit: &'static str,
    value: f64,
    /// Worst value with which the work counts as done.
    must: f64,
    /// Where we are going.
    aim: f64,
    better: Better,
    /// Others in the same run.
    peers: Vec<(&'static str, f64)>,
}

impl Figure {
    /// A figure that must not be above `must`.
    pub(crate) fn at_most(name: &'static str, unit: &'static str, value: f64, must: f64, aim: f64) -> Self {
        Self { name, unit, value, must, aim, better: Better::Lower, peers: Vec::new() }
    }

    /// A figure that must not be below `must`.
    pub(crate) fn at_least(name: &'static str, unit: &'static str, value: f64, must: f64, aim: f64) -> Self {
        Self { name, unit, value, must, aim, better: Better::Higher, peers: Vec::new() }
    }

    /// Puts a peer's value, measured in the same run, beside it; nothing where the peer is not installed.
    pub(crate) fn beside(mut self, peer: &'static str, value: Option<f64>) -> Self {
        self.peers.extend(value.map(|value| (peer, value)));
        self
    }

    /// What of its budget it reaches: `aim`, `must` or `MISSED`.
    pub(crate) fn verdict(&self) -> &'static str {
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

    /// The report's heading.
    pub(crate) fn heading() -> String {
        format!("{:52} {:>12} {:>10} {:>10}  {:12} peers", "figure", "measured", "must", "aim", "reached")
    }

    /// The report's line.
    pub(crate) fn line(&self) -> String {
        let Self { name, unit, must, aim, .. } = self;
        let reached = format!("{} ({unit})", self.verdict());
        let peers: Vec<_> = self.peers.iter().map(|(peer, value)| format!("{peer} {}", short(*value))).collect();
        format!("{name:52} {:>12} {must:>10} {aim:>10}  {reached:12} {}", short(self.value), peers.join(", "))
    }
}

/// Three or more digits that mean something.
fn short(value: f64) -> String {
    if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

/// The middle one of some measurements; zero of none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        let lower = |value| Figure::at_most("x", "ms", value, 100.0, 50.0).verdict();
        assert_eq!((lower(40.0), lower(70.0), lower(170.0)), ("aim", "must", "MISSED"));
        let higher = |value| Figure::at_least("x", "/s", value, 50.0, 100.0).verdict();
        assert_eq!((higher(200.0), higher(60.0), higher(1.0)), ("aim", "must", "MISSED"));
    }

    #[test]
    fn lines_name_peers() {
        let figure = Figure::at_least("gets", "/s", 40_000.4, 1.0, 2.0).beside("upstream", Some(9.5)).beside("x", None);
        assert!(
            figure.line().starts_with("gets ")
                && figure.line().ends_with("40000          1          2  aim (/s)     upstream 9.50"),
            "{}",
            figure.line()
        );
    }

    #[test]
    fn medians() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(Vec::new()), 0.0);
    }
}
