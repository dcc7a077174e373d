//! IO-free core of the object model.
//!
//! | module | what |
//! |---|---|
//! | [`gvk`] | [`Gvk`], [`Gvr`], [`GroupVersion`] |
//! | [`quantity`] | resource quantities: parse, compare, add, canonical text |
//! | [`selector`] | label selectors (text and JSON form) and field selectors |
//! | [`names`] | what a name, label, port or address may look like, with upstream's messages |
//! | [`field`] | paths into objects and the errors of validation |
//! | [`time`] | timestamps as the API prints them |
//! | [`meta`] | the metadata that caches and registries need, cheaply read |
//! | [`status`] | `metav1.Status`: the body of every failed request |

pub mod cron;
pub mod field;
pub mod gvk;
pub mod meta;
pub mod names;
pub mod number;
pub mod quantity;
pub mod selector;
pub mod status;
pub mod time;

pub use gvk::{GroupVersion, Gvk, Gvr, api_version, qualified_resource, split_api_version};
pub use meta::Meta;
pub use quantity::Quantity;
pub use selector::{FieldSelector, LabelSelector};
pub use status::Status;
