//! Results, for programs and for people.

pub mod curve;
mod hdr;
mod markdown;
mod page;
mod progress;
mod screen;
mod summary;
mod table;
mod text;

pub use hdr::{HdrLog, Told};
pub use markdown::markdown;
pub use page::{Document, page};
pub use progress::line;
pub use screen::Screen;
pub use summary::Summary;
pub(crate) use text::millis;
