//! The kinds that have a strategy: group, kind, strategy.

use super::Strategy;

pub(super) const STRATEGIES: &[(&str, &str, &dyn Strategy)] = &[];
