//! Amounts of resources.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Thousandths, rounded up; `None` where the text is no quantity.
#[must_use]
pub fn milli(quantity: &Quantity) -> Option<i64> {
    object::quantity::Quantity::parse(&quantity.0).ok().map(|quantity| quantity.milli_value())
}

/// Whole units, rounded up; `None` where the text is no quantity.
#[must_use]
pub fn units(quantity: &Quantity) -> Option<i64> {
    object::quantity::Quantity::parse(&quantity.0).ok().map(|quantity| quantity.value())
}
