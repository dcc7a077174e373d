//! The scheduler: queue, framework and plugins.
