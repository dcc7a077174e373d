//! Server-side tables: what `kubectl get` prints.
//!
//! Cells read the storage version of an object. All columns are always computed; clients hide those with a priority
//! unless asked for wide output.

mod admissionregistration;
mod apps;
mod autoscaling;
mod batch;
mod certificates;
mod coordination;
mod core;
mod discovery;
mod extension;
mod flowcontrol;
mod internal;
mod networking;
mod node;
mod pod;
mod policy;
mod rbac;
mod read;
mod resource;
mod scheduling;
mod service;
mod storage;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::resource::Text;

/// The columns of a resource.
#[derive(Debug, Clone, Default)]
pub enum Columns {
    /// Name and creation time: what types without columns of their own have.
    #[default]
    Default,
    Fixed(&'static [Column]),
    /// Columns that came at run time.
    Owned(Arc<[Column]>),
}

/// One column.
#[derive(Debug, Clone)]
pub struct Column {
    pub name: Text,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    pub kind: Text,
    /// `name` for the column that names the object, else empty.
    pub format: Text,
    pub description: Text,
    /// 0 is always shown, more only in wide output.
    pub priority: i32,
    pub cell: Cell,
}

/// Where a cell's value comes from.
#[derive(Debug, Clone)]
pub enum Cell {
    /// A dotted path; absent is the zero of the column's kind.
    Path(Text),
    /// A dotted path; absent is null.
    Optional(Text),
    /// The time since the moment at a dotted path.
    Age(Text),
    /// Computed from the object.
    Function(CellFunction),
}

/// A cell from the object and the present time.
pub type CellFunction = fn(&Value, Timestamp) -> Value;

/// A column of a custom resource, as its definition gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathColumn {
    pub name: String,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    pub kind: String,
    pub format: String,
    pub description: String,
    pub priority: i32,
    /// Dotted, without a leading dot.
    pub path: String,
}

/// What each row carries of its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IncludeObject {
    None,
    #[default]
    Metadata,
    Object,
}

impl IncludeObject {
    /// Reads the `includeObject` query parameter; empty is the default.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "None" => Some(Self::None),
            "" | "Metadata" => Some(Self::Metadata),
            "Object" => Some(Self::Object),
            _ => None,
        }
    }
}

/// Name and creation time.
static DEFAULT: [Column; 2] = [Column::name(), Column::date("Created At", "metadata.creationTimestamp")];

/// The tables of built-in types, by qualified resource. Those that are missing have the default columns.
static BUILT_IN: &[(&str, &[Column])] = &[
    ("componentstatuses", core::COMPONENT_STATUSES),
    ("configmaps", core::CONFIG_MAPS),
    ("endpoints", service::ENDPOINTS),
    ("events", core::EVENTS),
    ("namespaces", core::NAMESPACES),
    ("nodes", core::NODES),
    ("persistentvolumeclaims", core::PERSISTENT_VOLUME_CLAIMS),
    ("persistentvolumes", core::PERSISTENT_VOLUMES),
    ("pods", pod::PODS),
    ("podtemplates", core::POD_TEMPLATES),
    ("replicationcontrollers", core::REPLICATION_CONTROLLERS),
    ("resourcequotas", core::RESOURCE_QUOTAS),
    ("secrets", core::SECRETS),
    ("serviceaccounts", core::SERVICE_ACCOUNTS),
    ("services", service::SERVICES),
    ("mutatingadmissionpolicies.admissionregistration.k8s.io", admissionregistration::MUTATING_ADMISSION_POLICIES),
    ("mutatingadmissionpolicybindings.admissionregistration.k8s.io", admissionregistration::ADMISSION_POLICY_BINDINGS),
    ("mutatingwebhookconfigurations.admissionregistration.k8s.io", admissionregistration::WEBHOOK_CONFIGURATIONS),
    ("validatingadmissionpolicies.admissionregistration.k8s.io", admissionregistration::VALIDATING_ADMISSION_POLICIES),
    (
        "validatingadmissionpolicybindings.admissionregistration.k8s.io",
        admissionregistration::ADMISSION_POLICY_BINDINGS,
    ),
    ("validatingwebhookconfigurations.admissionregistration.k8s.io", admissionregistration::WEBHOOK_CONFIGURATIONS),
    ("apiservices.apiregistration.k8s.io", extension::API_SERVICES),
    ("controllerrevisions.apps", apps::CONTROLLER_REVISIONS),
    ("daemonsets.apps", apps::DAEMON_SETS),
    ("deployments.apps", apps::DEPLOYMENTS),
    ("replicasets.apps", apps::REPLICA_SETS),
    ("statefulsets.apps", apps::STATEFUL_SETS),
    ("horizontalpodautoscalers.autoscaling", autoscaling::HORIZONTAL_POD_AUTOSCALERS),
    ("cronjobs.batch", batch::CRON_JOBS),
    ("jobs.batch", batch::JOBS),
    ("certificatesigningrequests.certificates.k8s.io", certificates::CERTIFICATE_SIGNING_REQUESTS),
    ("clustertrustbundles.certificates.k8s.io", certificates::CLUSTER_TRUST_BUNDLES),
    ("podcertificaterequests.certificates.k8s.io", certificates::POD_CERTIFICATE_REQUESTS),
    ("leasecandidates.coordination.k8s.io", coordination::LEASE_CANDIDATES),
    ("leases.coordination.k8s.io", coordination::LEASES),
    ("endpointslices.discovery.k8s.io", discovery::ENDPOINT_SLICES),
    ("events.events.k8s.io", core::EVENTS),
    ("flowschemas.flowcontrol.apiserver.k8s.io", flowcontrol::FLOW_SCHEMAS),
    ("prioritylevelconfigurations.flowcontrol.apiserver.k8s.io", flowcontrol::PRIORITY_LEVEL_CONFIGURATIONS),
    ("storageversions.internal.apiserver.k8s.io", internal::STORAGE_VERSIONS),
    ("storageversionmigrations.storagemigration.k8s.io", internal::STORAGE_VERSION_MIGRATIONS),
    ("ingressclasses.networking.k8s.io", networking::INGRESS_CLASSES),
    ("ingresses.networking.k8s.io", networking::INGRESSES),
    ("ipaddresses.networking.k8s.io", networking::IP_ADDRESSES),
    ("networkpolicies.networking.k8s.io", networking::NETWORK_POLICIES),
    ("servicecidrs.networking.k8s.io", networking::SERVICE_CIDRS),
    ("runtimeclasses.node.k8s.io", node::RUNTIME_CLASSES),
    ("poddisruptionbudgets.policy", policy::POD_DISRUPTION_BUDGETS),
    ("clusterrolebindings.rbac.authorization.k8s.io", rbac::ROLE_BINDINGS),
    ("rolebindings.rbac.authorization.k8s.io", rbac::ROLE_BINDINGS),
    ("deviceclasses.resource.k8s.io", resource::DEVICE_CLASSES),
    ("devicetaintrules.resource.k8s.io", resource::DEVICE_TAINT_RULES),
    ("resourceclaims.resource.k8s.io", resource::RESOURCE_CLAIMS),
    ("resourceclaimtemplates.resource.k8s.io", resource::DEVICE_CLASSES),
    ("resourcepoolstatusrequests.resource.k8s.io", resource::RESOURCE_POOL_STATUS_REQUESTS),
    ("resourceslices.resource.k8s.io", resource::RESOURCE_SLICES),
    ("podgroups.scheduling.k8s.io", scheduling::POD_GROUPS),
    ("priorityclasses.scheduling.k8s.io", scheduling::PRIORITY_CLASSES),
    ("workloads.scheduling.k8s.io", scheduling::WORKLOADS),
    ("csidrivers.storage.k8s.io", storage::CSI_DRIVERS),
    ("csinodes.storage.k8s.io", storage::CSI_NODES),
    ("storageclasses.storage.k8s.io", storage::STORAGE_CLASSES),
    ("volumeattachments.storage.k8s.io", storage::VOLUME_ATTACHMENTS),
    ("volumeattributesclasses.storage.k8s.io", storage::VOLUME_ATTRIBUTES_CLASSES),
];

/// The columns of a built-in resource, by qualified name: `deployments.apps`.
#[must_use]
pub fn built_in(qualified: &str) -> Columns {
    BUILT_IN
        .iter()
        .find(|(name, _)| *name == qualified)
        .map_or(Columns::Default, |(_, columns)| Columns::Fixed(columns))
}

impl Columns {
    /// The columns of a custom resource: its name, then what its definition says.
    #[must_use]
    pub fn custom(columns: Vec<PathColumn>) -> Self {
        let own = columns.into_iter().map(|c| Column {
            cell: if c.kind == "date" { Cell::Age(c.path.into()) } else { Cell::Optional(c.path.into()) },
            name: c.name.into(),
            kind: c.kind.into(),
            format: c.format.into(),
            description: c.description.into(),
            priority: c.priority,
        });
        Self::Owned(std::iter::once(Column::name()).chain(own).collect())
    }

    /// The cells of one object, which must be in the storage version.
    #[must_use]
    pub fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        self.as_slice().iter().map(|column| column.value(object, now)).collect()
    }

    /// The `columnDefinitions` of a table.
    #[must_use]
    pub fn definitions(&self) -> Value {
        self.as_slice().iter().map(Column::definition).collect()
    }

    #[must_use]
    pub fn as_slice(&self) -> &[Column] {
        match self {
            Self::Default => &DEFAULT,
            Self::Fixed(columns) => columns,
            Self::Owned(columns) => columns,
        }
    }
}

impl Column {
    /// The object's name.
    #[must_use]
    pub const fn name() -> Self {
        Self::new("Name", "string", "name", Cell::Path(Text::Borrowed("metadata.name")))
    }

    /// The time since creation.
    #[must_use]
    pub const fn age() -> Self {
        Self::since("Age", "metadata.creationTimestamp")
    }

    /// The time since a moment.
    #[must_use]
    pub const fn since(name: &'static str, path: &'static str) -> Self {
        Self::new(name, "string", "", Cell::Age(Text::Borrowed(path)))
    }

    /// A text at a path.
    #[must_use]
    pub const fn path(name: &'static str, path: &'static str) -> Self {
        Self::new(name, "string", "", Cell::Path(Text::Borrowed(path)))
    }

    /// A time at a path, as the API writes it.
    #[must_use]
    pub const fn date(name: &'static str, path: &'static str) -> Self {
        Self::new(name, "date", "", Cell::Path(Text::Borrowed(path)))
    }

    /// A whole number at a path.
    #[must_use]
    pub const fn integer(name: &'static str, path: &'static str) -> Self {
        Self::new(name, "integer", "", Cell::Path(Text::Borrowed(path)))
    }

    /// A boolean at a path.
    #[must_use]
    pub const fn boolean(name: &'static str, path: &'static str) -> Self {
        Self::new(name, "boolean", "", Cell::Path(Text::Borrowed(path)))
    }

    /// A computed text.
    #[must_use]
    pub const fn text(name: &'static str, cell: CellFunction) -> Self {
        Self::new(name, "string", "", Cell::Function(cell))
    }

    /// A computed text that holds the object's name.
    #[must_use]
    pub const fn text_named(name: &'static str, cell: CellFunction) -> Self {
        Self::new(name, "string", "name", Cell::Function(cell))
    }

    /// A computed number.
    #[must_use]
    pub const fn count(name: &'static str, cell: CellFunction) -> Self {
        Self::new(name, "integer", "", Cell::Function(cell))
    }

    /// A computed truth, which upstream may print as text.
    #[must_use]
    pub const fn flag(name: &'static str, cell: CellFunction) -> Self {
        Self::new(name, "boolean", "", Cell::Function(cell))
    }

    /// Shown only in wide output.
    #[must_use]
    pub const fn wide(mut self) -> Self {
        self.priority = 1;
        self
    }

    const fn new(name: &'static str, kind: &'static str, format: &'static str, cell: Cell) -> Self {
        Self {
            name: Text::Borrowed(name),
            kind: Text::Borrowed(kind),
            format: Text::Borrowed(format),
            description: Text::Borrowed(""),
            priority: 0,
            cell,
        }
    }

    fn value(&self, object: &Value, now: Timestamp) -> Value {
        match &self.cell {
            Cell::Path(path) => read::at(object, path).filter(|v| !v.is_null()).cloned().unwrap_or_else(|| self.zero()),
            Cell::Age(path) => read::age(object, path, now).into(),
            Cell::Function(cell) => cell(object, now),
            Cell::Optional(path) => read::at(object, path).cloned().unwrap_or(Value::Null),
        }
    }

    fn zero(&self) -> Value {
        match &*self.kind {
            "integer" | "number" => 0.into(),
            "boolean" => false.into(),
            "date" => Value::Null,
            _ => "".into(),
        }
    }

    fn definition(&self) -> Value {
        json!({
            "name": self.name,
            "type": self.kind,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        })
    }
}

/// What a row carries of its object: the object itself must be in the version that was asked for.
#[must_use]
pub fn row_object(object: &Value, include: IncludeObject) -> Value {
    match include {
        IncludeObject::None => Value::Null,
        IncludeObject::Metadata => partial_metadata(object),
        IncludeObject::Object => object.clone(),
    }
}

/// `PartialObjectMetadata` of an object.
#[must_use]
pub fn partial_metadata(object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": object.get("metadata").cloned().unwrap_or_else(|| json!({})),
    })
}

/// A `meta.k8s.io/v1` Table. `rows` are cells with what [`row_object`] gives; `metadata` is the list's.
#[must_use]
pub fn table(columns: &Columns, metadata: Value, rows: impl IntoIterator<Item = (Vec<Value>, Value)>) -> Value {
    let rows: Vec<Value> =
        rows.into_iter().map(|(cells, object)| json!({ "cells": cells, "object": object })).collect();
    let mut table = Map::new();
    table.insert("kind".into(), "Table".into());
    table.insert("apiVersion".into(), "meta.k8s.io/v1".into());
    table.insert("metadata".into(), metadata);
    table.insert("columnDefinitions".into(), columns.definitions());
    table.insert("rows".into(), rows.into());
    Value::Object(table)
}

#[cfg(test)]
mod tests;
