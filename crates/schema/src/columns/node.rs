//! The table of runtime classes.

use super::Column;

pub(super) static RUNTIME_CLASSES: &[Column] = &[Column::name(), Column::path("Handler", "handler"), Column::age()];
