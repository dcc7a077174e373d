//! One file a verb.

pub(crate) mod completion;
pub(crate) mod detach;
pub(crate) mod down;
pub(crate) mod image;
pub(crate) mod reset;
pub(crate) mod role;
pub(crate) mod up;
pub(crate) mod version;

use crate::Failure;
use crate::grammar::Verb;

/// Runs the verbs that need the asynchronous runtime.
pub(crate) async fn run(verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Up(options) => up::run(options).await,
        Verb::Down(options) => down::run(options).await,
        Verb::Reset(options) => reset::run(options).await,
        Verb::Image(options) => image::run(options).await,
        Verb::Version(options) => version::run(&options),
        Verb::Completion(options) => completion::run(&options),
        other => role::run(other).await,
    }
}
