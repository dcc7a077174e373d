//! The places where a crash is tried: between two steps that leave something behind.

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use tests::point;

/// Where a test may kill the process; nothing otherwise.
#[cfg(not(test))]
pub(crate) const fn point(_place: &str) {}
