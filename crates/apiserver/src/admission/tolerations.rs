//! Pods stay for five minutes on nodes that become unready or unreachable, unless they say otherwise.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{list, writes_pod};
use crate::admit::{Admission, Admitted, Operation};
use crate::error::Result;

const SECONDS: i64 = 300;
const TAINTS: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

/// Upstream's `DefaultTolerationSeconds`.
#[derive(Debug, Clone, Copy)]
pub struct DefaultTolerationSeconds;

#[async_trait]
impl Admission for DefaultTolerationSeconds {
    fn name(&self) -> &'static str {
        "DefaultTolerationSeconds"
    }

    fn handles(&self, admitted: &Admitted<'_>) -> bool {
        writes_pod(admitted, &[Operation::Create, Operation::Update])
    }

    async fn mutate(&self, _: &Admitted<'_>, object: &mut Value) -> Result<()> {
        let missing: Vec<&str> = TAINTS.into_iter().filter(|taint| !tolerates(object, taint)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let tolerations = list(&mut object["spec"], "tolerations");
        tolerations.extend(missing.into_iter().map(
            |taint| json!({ "key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": SECONDS }),
        ));
        Ok(())
    }
}

/// Whether the pod says anything about a taint's eviction.
fn tolerates(pod: &Value, taint: &str) -> bool {
    let tolerations = pod.pointer("/spec/tolerations").and_then(Value::as_array);
    tolerations.into_iter().flatten().any(|toleration| {
        let field = |name: &str| toleration.get(name).and_then(Value::as_str).unwrap_or_default();
        ["", taint].contains(&field("key")) && ["", "NoExecute"].contains(&field("effect"))
    })
}
