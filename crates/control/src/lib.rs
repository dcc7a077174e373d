//! The one controller driver, and a module for each controller.
//!
//! A [`Controller`] is a pure function from a key and the [`World`] to a [`Plan`]; it does no IO and sees no events. The
//! driver feeds it, applies its plans and waits until the caches have seen what was written before it steps the same key
//! again. [`ControllerManager`] runs the [table](table::CONTROLLERS) of them as a role.

mod controller;
pub mod controllers;
pub mod discovery;
mod driver;
pub mod election;
pub mod events;
pub mod graph;
pub mod names;
mod plan;
pub mod pods;
mod resource;
mod role;
pub mod selector;
pub mod table;
mod world;

pub use controller::{Controller, Kind, On, Watch};
pub use election::{Candidate, Ended};
pub use events::Recorder;
pub use plan::{Action, Answer, Change, Plan, Preconditions, Query, Report};
pub use resource::{Resource, Target};
pub use role::{ControllerManager, Options};
pub use world::{Caches, Failure, Settings, World};

#[cfg(test)]
mod sim;
