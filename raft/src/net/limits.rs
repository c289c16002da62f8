//! Every limit of the network between members, by name.

use std::time::Duration;

/// How much one member takes from, and for, each other one.
///
/// A connection holds at most `outbox` bytes to be sent, `in_flight_bytes` of requests that are worked on, `forward_bytes` of those
/// that were handed on, and one frame that is being received; each but for one frame that alone is larger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the largest body of a frame: it must have room for the largest entry.
    pub max_body: usize,
    /// Bytes that wait to be sent on one connection, from which on whoever has more waits.
    pub outbox: usize,
    /// Requests that one connection may have waiting for their answers.
    pub in_flight: usize,
    /// Bytes of those requests, at the one who works on them.
    pub in_flight_bytes: usize,
    /// Requests of clients that one connection may have handed on and not answered; further ones are not taken.
    pub forwards: usize,
    /// Bytes of those.
    pub forward_bytes: usize,
    /// Append requests that one stream of them has under way.
    pub pipeline: usize,
    /// Bytes of those.
    pub pipeline_bytes: usize,
    /// Bytes a second for those together who do not vote: they catch up, and nobody waits for them.
    pub catch_up: u64,
    /// Bytes of a piece of a snapshot.
    pub piece: usize,
    /// Bytes of the largest snapshot that is sent and taken: it is held in memory. A queue that has had messages takes about as many
    /// bytes of it as its topic's name and 40, an offset of a consumer as many as the names of topic and group and 20.
    pub max_snapshot: usize,
    /// Pause before a snapshot is tried again that this side cannot send as it is: making it takes the disk and the core.
    pub hopeless: Duration,
    /// Connections that are accepted at a time.
    pub connections: usize,
    /// Time to connect.
    pub connect: Duration,
    /// Time for both messages of the handshake.
    pub handshake: Duration,
    /// Pause before a lost connection is dialled again: the first one. It doubles up to `redial_max`.
    pub redial_min: Duration,
    /// The longest of those pauses.
    pub redial_max: Duration,
    /// Pause after a refusal: what has to be corrected for it takes somebody's time.
    pub refused: Duration,
    /// An idle connection is asked for a sign of life this often.
    pub ping: Duration,
    /// A connection on which nothing came for so long is given up. Several pings long.
    pub silence: Duration,
    /// A peer that takes nothing of what is sent to it for so long is given up.
    pub stall: Duration,
    /// Entries and pieces of snapshots wait for their answer so long, or longer while bytes move: the peer's disk may be
    /// slow, and to send them again would make it slower.
    pub answer: Duration,
}

/// [`Limits::max_snapshot`] of what we ship.
pub(crate) const MAX_SNAPSHOT: usize = 64 * 1024 * 1024;
/// Beside the largest entry, or 1 MiB of smaller ones: heads, and a group with long labels.
const BODY_SLACK: usize = 2 * 1024 * 1024;

/// Bytes handed to the kernel at a time: between two of them others run.
pub(super) const WRITE_CHUNK: usize = 64 * 1024;
/// Frames of at least this size are sent as they are; smaller ones are gathered into one write.
pub(super) const GATHER: usize = 32 * 1024;
/// Bytes asked from the kernel at a time.
pub(super) const READ_CHUNK: usize = 64 * 1024;
/// Reads in a row after which others run.
pub(super) const READS_IN_A_ROW: u32 = 8;
/// How long the one who refused a connection waits for the other side to have read why.
pub(super) const PARTING: Duration = Duration::from_secs(1);
/// Pause after a failed accept, such as too many open files.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Dials in a row that nobody asked for: after a loss, to learn whether the other side's process is gone.
pub(super) const DIALS_AFTER_LOSS: u32 = 8;
/// Bytes of entries that are lent in one answer, but for the first one.
pub(super) const LENT_MAX: u32 = 1024 * 1024;
/// Refused connections that are remembered for an operator.
pub(super) const VISITORS_KEPT: usize = 16;

const _: () = assert!(GATHER <= WRITE_CHUNK);
const _: () = assert!((LENT_MAX as usize) < BODY_SLACK);

impl Limits {
    /// What we ship, for a log whose largest entry has so many bytes.
    #[must_use]
    pub fn new(largest_body: usize) -> Limits {
        Limits {
            max_body: largest_body + BODY_SLACK,
            outbox: 8 * 1024 * 1024,
            in_flight: 256,
            in_flight_bytes: 16 * 1024 * 1024,
            forwards: 4096,
            forward_bytes: 32 * 1024 * 1024,
            pipeline: 64,
            pipeline_bytes: 8 * 1024 * 1024,
            catch_up: 64 * 1024 * 1024,
            piece: 1024 * 1024,
            max_snapshot: MAX_SNAPSHOT,
            hopeless: Duration::from_secs(60),
            connections: 256,
            connect: Duration::from_secs(1),
            handshake: Duration::from_secs(2),
            redial_min: Duration::from_millis(20),
            redial_max: Duration::from_millis(200),
            refused: Duration::from_secs(1),
            ping: Duration::from_secs(1),
            silence: Duration::from_secs(5),
            stall: Duration::from_secs(5),
            answer: Duration::from_secs(10),
        }
    }

    /// Small limits, so that a test meets the edges.
    #[must_use]
    pub fn test_min(largest_body: usize) -> Limits {
        Limits {
            outbox: 16 * 1024,
            in_flight: 4,
            in_flight_bytes: 16 * 1024,
            forwards: 3,
            forward_bytes: 8 * 1024,
            pipeline: 3,
            pipeline_bytes: 8 * 1024,
            piece: 100,
            max_snapshot: 4 * 1024,
            hopeless: Duration::from_millis(700),
            connections: 4,
            refused: Duration::from_millis(300),
            ping: Duration::from_millis(100),
            silence: Duration::from_millis(500),
            ..Limits::new(largest_body)
        }
    }

    /// # Panics
    /// When the limits contradict each other.
    pub(super) fn assert_sound(&self) {
        assert!(self.max_body > BODY_SLACK && u32::try_from(self.max_body).is_ok());
        assert!(self.outbox > 0 && self.in_flight > 0 && self.in_flight_bytes > 0);
        assert!(self.forwards > 0 && self.forward_bytes > 0);
        assert!(self.catch_up > 0, "nobody would ever catch up");
        assert!(self.pipeline > 0 && self.pipeline_bytes > 0 && self.connections > 0);
        assert!(self.pipeline <= self.in_flight, "a stream is not stopped by its own requests");
        assert!(self.piece > 0 && self.piece < self.max_body - BODY_SLACK / 2);
        assert!(!self.connect.is_zero() && !self.handshake.is_zero() && !self.stall.is_zero());
        assert!(!self.redial_min.is_zero() && self.redial_min <= self.redial_max);
        assert!(!self.refused.is_zero() && !self.answer.is_zero());
        assert!(
            self.hopeless > self.redial_max,
            "what is hopeless is tried more seldom than the rest"
        );
        assert!(!self.ping.is_zero() && self.ping * 3 <= self.silence, "one ping may be late");
    }
}

#[cfg(test)]
mod tests {
    use super::Limits;

    #[test]
    fn the_limits_we_ship_are_sound() {
        Limits::new(64 * 1024).assert_sound();
        Limits::new(256 * 1024 * 1024).assert_sound();
        Limits::test_min(64 * 1024).assert_sound();
    }
}
