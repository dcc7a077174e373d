//! Tables of priority and fairness.

use serde_json::Value;

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
    Column::text("NominalConcurrencyShares", |o, _| number(o, "spec.limited.nominalConcurrencyShares")),
    Column::text("Queues", |o, _| number(o, "spec.limited.limitResponse.queuing.queues")),
    Column::text("HandSize", |o, _| number(o, "spec.limited.limitResponse.queuing.handSize")),
    Column::text("QueueLengthLimit", |o, _| number(o, "spec.limited.limitResponse.queuing.queueLengthLimit")),
    Column::age(),
];

fn number(object: &Value, path: &str) -> Value {
    read::at(object, path).filter(|value| value.is_number()).cloned().unwrap_or_else(|| NONE.into())
}
