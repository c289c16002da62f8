//! The result of a run, for programs and for people.

mod progress;
mod summary;
mod text;

pub use progress::Progress;
pub use summary::Summary;
