//! From a connection to what is asked on it, and back.

mod blocking;
pub mod body;
mod pump;
mod slots;
mod template;

use remoting::CommandRef;
use runtime::Instant;

pub use blocking::block;
pub use blocking::dial as dial_blocking;
pub use pump::{End, pump};
pub use slots::{OPAQUE_BASE, Slots};
pub use template::{SendTemplate, Sender, Stamp, born_digits};

/// What one connection is asked, and what is made of the answers. It does no I/O: [`pump`] or [`block`] moves the bytes.
///
/// Calls come from one task, one at a time. A load outlives its connection: after [`lost`](Load::lost) it goes on
/// with the next one.
pub trait Load {
    /// Appends whole frames to `out`: what may be asked now. Called at the start, after each batch of answers,
    /// whenever bytes have left, and from time to time. Appends nothing while `out` holds
    /// [`OUTBOX_BYTES`](crate::limits::OUTBOX_BYTES) or more.
    fn fill(&mut self, out: &mut Vec<u8>);

    /// An answer arrived at `at`. `body` lives as long as the call.
    fn answer(&mut self, at: Instant, head: &CommandRef<'_>, body: &[u8]);

    /// When the next request is due, if it waits for its time and for nothing else.
    fn next_due(&self) -> Option<Instant> {
        None
    }

    /// Whether nothing is to be asked and no answer is awaited any more.
    fn is_done(&self) -> bool;

    /// Whether an answer is so late that the connection should be given up.
    fn is_overdue(&self, now: Instant) -> bool;

    /// The connection is gone, and with it everything in flight; `why` is for people.
    fn lost(&mut self, why: &str);
}
