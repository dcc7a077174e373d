//! JSON patch, merge patch, strategic merge patch and the record of which manager owns which field.
//!
//! Everything works on parsed JSON; what is not in the JSON (merge keys, list types) comes from [`schema::Node`].

mod error;
pub mod fields;
pub mod json;
pub mod managed;
pub mod merge;
pub mod strategic;

pub use error::Error;
