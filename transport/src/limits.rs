//! Every limit of a connection and of a server, by name.

use std::time::Duration;

/// How much a connection or a server may take. The default is what RocketMQ's peers expect.
///
/// The memory of one connection is bounded by `outbox_limit` (answers not yet taken by the peer), `in_flight_bytes` (requests
/// not yet answered) and one frame being received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Largest frame accepted, bytes, its length field included. A longer one closes the connection.
    pub max_frame: usize,
    /// Outgoing bytes from which on the connection reads no more requests, until the peer has taken enough.
    pub outbox_high_water: usize,
    /// Outgoing bytes at which the connection is closed: the peer does not take what it asked for. Reached only by answers that
    /// come later than their requests, so a service that answers later asks [`Connection::room`](crate::Connection::room) before it
    /// builds a large one.
    pub outbox_limit: usize,
    /// Requests of one peer not yet answered, from which on no more are read. What the service has set aside
    /// ([`Connection::hold_aside`](crate::Connection::hold_aside)) does not count.
    pub in_flight: usize,
    /// Bytes of the frames of those requests, from which on no more are read.
    pub in_flight_bytes: usize,
    /// Own requests waiting for the peer's answer; further ones fail at once.
    pub outstanding: usize,
    /// Connections of one server. Further ones are closed as they are accepted.
    pub max_connections: usize,
    /// A connection without a byte in either direction for this long is closed.
    pub idle: Duration,
    /// A peer that takes not one chunk of what is being sent for this long is given up.
    pub stall: Duration,
    /// Time to connect.
    pub connect: Duration,
    /// Pause after a failed accept (such as too many open files).
    pub accept_pause: Duration,
    /// What closing the connections of a server means before its graceful stop: `true` resets them (linger 0), so that clients
    /// notice the death of the process at once instead of after a retry.
    pub reset_on_close: bool,
}

/// Bytes handed to the kernel at a time: between two of them the other tasks run and progress is noted. While the
/// kernel takes them nobody else on this executor gets on.
pub(crate) const WRITE_CHUNK: usize = 64 * 1024;
/// Most bytes taken from the kernel at a time.
pub(crate) const READ_MOST: usize = 256 * 1024;
/// Bytes asked from the kernel at a time.
pub(crate) const READ_CHUNK: usize = 64 * 1024;
/// Free bytes of the read buffer below which it gets a new chunk.
pub(crate) const READ_ROOM_MIN: usize = 4 * 1024;
/// How long a server waits for a port that is in use before it says so.
pub(crate) const PORT_PATIENCE: Duration = Duration::from_secs(1);
/// How often it tries meanwhile.
pub(crate) const PORT_LOOK: Duration = Duration::from_millis(20);
/// Reads in a row after which a connection lets others run.
pub(crate) const READS_IN_A_ROW: u32 = 8;
/// A send buffer that grew beyond this is given back when it is empty.
pub(crate) const OUTBOX_KEPT: usize = 1024 * 1024;
/// How often a server looks for idle and stalled connections.
pub(crate) const SWEEP: Duration = Duration::from_secs(1);

/// How long a finished connection waits for the peer to close its side too.
pub(crate) const PARTING: Duration = Duration::from_secs(1);

const _: () = assert!(READ_ROOM_MIN < READ_CHUNK && READ_CHUNK <= READ_MOST);

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_frame: remoting::MAX_FRAME,
            outbox_high_water: 4 * 1024 * 1024,
            outbox_limit: 128 * 1024 * 1024,
            in_flight: 16_384,
            in_flight_bytes: 64 * 1024 * 1024,
            outstanding: 16_384,
            max_connections: 100_000,
            idle: Duration::from_secs(120),
            stall: Duration::from_secs(30),
            connect: Duration::from_secs(3),
            accept_pause: Duration::from_millis(100),
            reset_on_close: true,
        }
    }
}

impl Limits {
    /// Small limits, so that a test meets the edges.
    pub fn test_min() -> Limits {
        Limits {
            max_frame: 64 * 1024,
            outbox_high_water: 16 * 1024,
            outbox_limit: 256 * 1024,
            in_flight: 8,
            in_flight_bytes: 64 * 1024,
            outstanding: 4,
            max_connections: 2,
            idle: Duration::from_secs(4),
            stall: Duration::from_secs(2),
            connect: Duration::from_secs(1),
            accept_pause: Duration::from_millis(10),
            reset_on_close: true,
        }
    }

    /// Panics if the limits contradict each other.
    pub(crate) fn assert_sound(&self) {
        assert!(self.max_frame >= 1024, "a frame must hold a header");
        assert!(self.outbox_high_water > 0 && self.outbox_high_water <= self.outbox_limit);
        assert!(self.in_flight > 0 && self.in_flight_bytes > 0 && self.outstanding > 0);
        assert!(self.max_connections > 0);
        assert!(!self.idle.is_zero() && !self.stall.is_zero());
        assert!(!self.connect.is_zero() && !self.accept_pause.is_zero());
    }
}

#[cfg(test)]
mod tests {
    use super::Limits;

    #[test]
    fn the_limits_we_ship_are_sound() {
        Limits::default().assert_sound();
        Limits::test_min().assert_sound();
    }
}
