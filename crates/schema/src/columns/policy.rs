//! The table of disruption budgets.

use super::{Column, read};

pub(super) static POD_DISRUPTION_BUDGETS: &[Column] = &[
    Column::name(),
    Column::text("Min Available", |o, _| read::printed(o, "spec.minAvailable", "N/A").into()),
    Column::text("Max Unavailable", |o, _| read::printed(o, "spec.maxUnavailable", "N/A").into()),
    Column::integer("Allowed Disruptions", "status.disruptionsAllowed"),
    Column::age(),
];
