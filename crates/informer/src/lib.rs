//! Shared caches of API objects for every client in the process.
