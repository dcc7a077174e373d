//! The table of priority classes.

use super::Column;

pub(super) static PRIORITY_CLASSES: &[Column] = &[
    Column::name(),
    Column::integer("Value", "value"),
    Column::boolean("Global-Default", "globalDefault"),
    Column::age(),
    Column::path("PreemptionPolicy", "preemptionPolicy"),
];
