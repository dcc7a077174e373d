//! Events in their newer form, which share their store with the core group's, and endpoint slices.

use object::Gvk;

use super::builder::{Row, group, namespaced};
use crate::convert::{self, Conversion};

pub(super) fn rows() -> Vec<Row> {
    let mut rows = group(
        "events.k8s.io",
        [namespaced("Event", "events")
            .short(&["ev"])
            .stored_as(Gvk::new("", "v1", "Event"))
            .conversion(Conversion::Function(convert::events::event))
            .fields(&["reason", "reportingController", "type"])
            .fields(&["regarding.kind", "regarding.namespace", "regarding.name", "regarding.uid"])
            .fields(&["regarding.apiVersion", "regarding.resourceVersion", "regarding.fieldPath"])],
    );
    rows.extend(group("discovery.k8s.io", [namespaced("EndpointSlice", "endpointslices")]));
    rows
}
