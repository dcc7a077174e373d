//! IO-free core of the object model: metadata, group/version/kind/resource, quantities, selectors, names and times.
