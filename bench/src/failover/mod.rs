//! How long a cluster is away when a leader is struck.
//!
//! Small messages, *probes*, are due at even distances in every group of brokers (every broker name), whatever became of those
//! before them; each has a short time to be acknowledged and is never sent again (`prober`). They go to whom the route names as the
//! leader (`leaders`). Commands of the operator make faults and end them (`operator`), one after the other, each when the
//! groups are well (`course`). From the probes follow the times in which nothing was acknowledged (`windows`), whether offsets
//! were given twice or out of order (`order`), and the plot (`timeline`), and whether the run meets what its flags
//! demand (`demands`); in the end everything is read back.

mod course;
mod demands;
mod leaders;
mod operator;
mod order;
mod probe;
mod prober;
mod result;
mod text;
mod timeline;
mod windows;

pub use course::failover_by;
pub use operator::{Deed, Leader, Operator, Shell};
pub use result::{Fault, GroupWindow, Lengths, Outages};
pub use timeline::Timeline;

use crate::args::Failover;
use crate::error::BenchError;
use crate::study::Session;

/// Strikes the leaders of a cluster by the commands of `args`.
///
/// # Errors
/// [`BenchError`] when it cannot begin. What goes wrong after the first probe is told in the result.
pub async fn failover(session: &Session, args: &Failover) -> Result<Outages, BenchError> {
    let Failover { fault, heal, pid_of, .. } = args.clone();
    failover_by(session, args, &Shell { fault, heal, pid_of }).await
}
