//! The name of a priority class becomes a number.

use async_trait::async_trait;
use serde_json::Value;

use super::{forbidden, writes_pod};
use crate::admit::{Admission, Admitted, Operation};
use crate::error::Result;
use crate::objects::Objects;

const GROUP: &str = "scheduling.k8s.io";
const RESOURCE: &str = "priorityclasses";
const PREEMPT: &str = "PreemptLowerPriority";

/// Upstream's `Priority`.
#[derive(Debug, Clone, Copy)]
pub struct Priority;

/// What a class gives a pod.
struct Class {
    name: String,
    value: i64,
    policy: String,
}

#[async_trait]
impl Admission for Priority {
    fn name(&self) -> &'static str {
        "Priority"
    }

    fn handles(&self, admitted: &Admitted<'_>) -> bool {
        let both = [Operation::Create, Operation::Update];
        writes_pod(admitted, &both) || (admitted.is(GROUP, RESOURCE) && both.contains(&admitted.operation))
    }

    async fn mutate(&self, admitted: &Admitted<'_>, object: &mut Value) -> Result<()> {
        match (admitted.is("", "pods"), admitted.operation) {
            (true, Operation::Create) => set(admitted, object),
            (true, Operation::Update) => {
                keep(admitted.old, object);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Only one class may be the default.
    async fn validate(&self, admitted: &Admitted<'_>, object: &Value) -> Result<()> {
        if !admitted.is(GROUP, RESOURCE) || object.get("globalDefault") != Some(&Value::Bool(true)) {
            return Ok(());
        }
        match default_class(admitted.objects) {
            Some(class) if class.name != object::meta::name(object) => {
                let why =
                    format!("PriorityClass {} is already marked as default. Only one default can exist", class.name);
                Err(forbidden(admitted, object, why))
            }
            _ => Ok(()),
        }
    }
}

fn set(admitted: &Admitted<'_>, pod: &mut Value) -> Result<()> {
    let wanted = pod.pointer("/spec/priorityClassName").and_then(Value::as_str).unwrap_or_default();
    let class = if wanted.is_empty() {
        default_class(admitted.objects).unwrap_or_else(Class::none)
    } else {
        let found = admitted.objects.value(GROUP, RESOURCE, "", wanted);
        let missing = || forbidden(admitted, pod, format!("no PriorityClass with name {wanted} was found"));
        Class::of(&found.ok_or_else(missing)?)
    };
    const COMPUTED: &str = "must not be provided in pod spec; priority admission controller computed";
    const FROM: &str = "from the given PriorityClass name";
    if let Some(given) = pod.pointer("/spec/priority").and_then(Value::as_i64)
        && given != class.value
    {
        let why = format!("the integer value of priority ({given}) {COMPUTED} {} {FROM}", class.value);
        return Err(forbidden(admitted, pod, why));
    }
    if let Some(given) = pod.pointer("/spec/preemptionPolicy").and_then(Value::as_str)
        && given != class.policy
    {
        let why = format!("the string value of PreemptionPolicy ({given}) {COMPUTED} {} {FROM}", class.policy);
        return Err(forbidden(admitted, pod, why));
    }
    let spec = &mut pod["spec"];
    if !class.name.is_empty() {
        spec["priorityClassName"] = class.name.into();
    }
    spec["priority"] = class.value.into();
    spec["preemptionPolicy"] = class.policy.into();
    Ok(())
}

/// A client that leaves the number out of an update does not mean to take it away.
fn keep(old: Option<&Value>, pod: &mut Value) {
    for field in ["priority", "preemptionPolicy"] {
        let known = old.and_then(|old| old.get("spec")?.get(field));
        if let Some(known) = known.filter(|_| pod["spec"].get(field).is_none_or(Value::is_null)) {
            pod["spec"][field] = known.clone();
        }
    }
}

/// The default class; of several, which older versions allowed, the lowest.
fn default_class(objects: &Objects) -> Option<Class> {
    let classes = objects.list(GROUP, RESOURCE, "");
    let defaults =
        classes.iter().filter(|entry| memchr::memmem::find(entry.bytes(), b"\"globalDefault\":true").is_some());
    let values = defaults.map(|entry| entry.value()).filter(|class| class["globalDefault"] == true);
    values.map(|class| Class::of(&class)).min_by_key(|class| class.value)
}

impl Class {
    fn of(class: &Value) -> Self {
        Self {
            name: object::meta::name(class).to_owned(),
            value: class.get("value").and_then(Value::as_i64).unwrap_or(0),
            policy: class.get("preemptionPolicy").and_then(Value::as_str).unwrap_or(PREEMPT).to_owned(),
        }
    }

    fn none() -> Self {
        Self { name: String::new(), value: 0, policy: PREEMPT.to_owned() }
    }
}
