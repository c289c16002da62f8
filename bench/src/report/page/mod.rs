//! One page with the plots of all runs: no other file, no network, works where it is opened.

mod document;
mod html;
mod outages;

pub use document::{Document, Plot};
pub use html::page;
