//! Tables of priority and fairness.

use super::{
    Column,
    read::{self, NONE},
};

pub(super) static FLOW_SCHEMAS: &[Column] = &[
    Column::name(),
    Column::path("PriorityLevel", "spec.priorityLevelConfiguration.name"),
    Column::text("MatchingPrecedence", |o, _| read::integer(o, "spec.matchingPrecedence").into()),
    Column::text("DistinguisherMethod", |o, _| read::text_or(o, "spec.distinguisherMethod.type", NONE).into()),
    Column::age(),
    Column::text("MissingPL", |o, _| match read::condition(o, "Dangling") {
        Some(c) => read::text(c, "status").into(),
        None => "?".into(),
    }),
];

pub(super) static PRIORITY_LEVEL_CONFIGURATIONS: &[Column] = &[
    Column::name(),
    Column::path("Type", "spec.type"),
    Column::text("NominalConcurrencyShares", |o, _| {
        read::printed(o, "spec.limited.nominalConcurrencyShares", NONE).into()
    }),
    Column::text("Queues", |o, _| read::printed(o, "spec.limited.limitResponse.queuing.queues", NONE).into()),
    Column::text("HandSize", |o, _| read::printed(o, "spec.limited.limitResponse.queuing.handSize", NONE).into()),
    Column::text("QueueLengthLimit", |o, _| {
        read::printed(o, "spec.limited.limitResponse.queuing.queueLengthLimit", NONE).into()
    }),
    Column::age(),
];
