//! New nodes are not ready until their kubelet says so.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::list;
use crate::admit::{Admission, Admitted, Operation};
use crate::error::Result;

const NOT_READY: &str = "node.kubernetes.io/not-ready";

/// Upstream's `TaintNodesByCondition`.
#[derive(Debug, Clone, Copy)]
pub struct TaintNodesByCondition;

#[async_trait]
impl Admission for TaintNodesByCondition {
    fn name(&self) -> &'static str {
        "TaintNodesByCondition"
    }

    fn handles(&self, admitted: &Admitted<'_>) -> bool {
        admitted.is("", "nodes") && admitted.subresource.is_empty() && admitted.operation == Operation::Create
    }

    async fn mutate(&self, _: &Admitted<'_>, object: &mut Value) -> Result<()> {
        let taints = list(&mut object["spec"], "taints");
        let same = |taint: &Value| taint["key"] == NOT_READY && taint["effect"] == "NoSchedule";
        if !taints.iter().any(same) {
            taints.push(json!({ "key": NOT_READY, "effect": "NoSchedule" }));
        }
        Ok(())
    }
}
