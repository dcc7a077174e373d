//! Sets of field paths: who owns what, in the notation `FieldsV1`.

mod compare;
mod element;
mod set;

pub use compare::{Comparison, compare, owned};
pub use element::{Element, Scalar};
pub use set::Set;
