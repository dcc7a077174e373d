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
            .fields(&["reason", "type"])
            // Values stand where core events have them.
            .field("reportingController", "reportingComponent", "")
            .field("regarding.kind", "involvedObject.kind", "")
            .field("regarding.namespace", "involvedObject.namespace", "")
            .field("regarding.name", "involvedObject.name", "")
            .field("regarding.uid", "involvedObject.uid", "")
            .field("regarding.apiVersion", "involvedObject.apiVersion", "")
            .field("regarding.resourceVersion", "involvedObject.resourceVersion", "")
            .field("regarding.fieldPath", "involvedObject.fieldPath", "")],
    );
    rows.extend(group("discovery.k8s.io", [namespaced("EndpointSlice", "endpointslices")]));
    rows
}
