//! Defaults that follow from other fields of the same object.

use super::Rule;

/// Type and rule.
pub(super) const RULES: &[(&str, Rule)] = &[];
