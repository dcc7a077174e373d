//! Tables of leases.

use super::Column;

pub(super) static LEASES: &[Column] = &[Column::name(), Column::path("Holder", "spec.holderIdentity"), Column::age()];

pub(super) static LEASE_CANDIDATES: &[Column] = &[
    Column::name(),
    Column::path("LeaseName", "spec.leaseName"),
    Column::path("BinaryVersion", "spec.binaryVersion"),
    Column::path("EmulationVersion", "spec.emulationVersion"),
    Column::age(),
];
