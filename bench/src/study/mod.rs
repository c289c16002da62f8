//! Studies: several runs in turn, and what they say about each other.
//!
//! A disk, a cloud and its neighbours drift from minute to minute. So the sides of a study take turns, a ratio is made of
//! each pair of windows that stand side by side, and what counts is the median of the ratios, with its spread.

mod compare;
mod feed;
mod floor;
mod mixed;
mod result;
mod session;
mod spread;
mod topics;

pub use compare::compare;
pub use feed::feed;
pub use floor::{floor, limit};
pub use mixed::mixed;
pub use result::{Figures, Side, Study, Window};
pub use session::Session;
pub use spread::{Metric, Spread, of_pairs};
pub use topics::topics;
