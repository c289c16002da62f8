//! A run: executors with lanes, told when to begin and to end.

mod coordinator;
mod plan;
mod stage;
mod worker;

use remoting::ResponseCode;

use crate::recorder::{Tally, Window};
use crate::schedule::Schedule;

pub use coordinator::{Outcome, run};
pub use plan::{Layout, create, lay_out};
pub use stage::Stage;

/// The code of an answer that means "done".
pub(crate) const SUCCESS: i32 = ResponseCode::Success.code();

/// What the coordinator tells an executor.
#[derive(Clone, Copy, Debug)]
enum Order {
    /// Begin.
    Go(Schedule),
    /// Begin nothing new, wait for what is in flight.
    Stop,
    /// Do not wait for it.
    Abandon,
}

/// What happened, as the coordinator learns it.
enum Event {
    /// All lanes of one executor are connected.
    Connected,
    /// A lane of one executor cannot be connected.
    Failed(crate::BenchError),
    /// The last second of one executor.
    Second(Box<Window>),
    /// One executor has counted the last message wanted.
    Enough,
    /// Somebody wants the run to end.
    Interrupted,
    /// All executors have ended.
    Ended(Vec<Result<Tally, runtime::executor::JoinError>>),
}
