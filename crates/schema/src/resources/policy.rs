//! Disruption budgets.

use super::builder::{Row, group, namespaced};

pub(super) fn rows() -> Vec<Row> {
    group("policy", [namespaced("PodDisruptionBudget", "poddisruptionbudgets").short(&["pdb"]).status()])
}
