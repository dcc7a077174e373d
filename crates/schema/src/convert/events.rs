//! Events: `events.k8s.io/v1` names the fields of core events differently.

use serde_json::Value;

use super::rename;

/// Core name and `events.k8s.io` name of each field that differs.
const NAMES: &[(&str, &str)] = &[
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

pub(crate) fn event(object: &mut Value, _from: &str, to: &str) {
    for (core, newer) in NAMES {
        if to == "v1" {
            rename(object, newer, core);
        } else {
            rename(object, core, newer);
        }
    }
}
