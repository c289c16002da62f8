//! The requests of a peer that wait for our answer.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// One number may be used by several waiting requests: the protocol forbids it, a peer may do it.
#[derive(Debug)]
struct Waiting {
    requests: u32,
    /// So many of them are set aside.
    aside: u32,
    /// Of those that are not.
    bytes: usize,
}

impl Waiting {
    /// Bytes of one of the requests that are not set aside.
    fn share(&self) -> usize {
        let counted = self.requests - self.aside;
        assert!(counted > 0, "one of them counts");
        self.bytes / counted as usize
    }
}

/// Waiting requests by their number, and the sums of those that are not set aside. Bounded by the reader, which stops at
/// the limits, and by the service for what it sets aside.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    by_opaque: HashMap<i32, Waiting>,
    requests: usize,
    bytes: usize,
}

impl InFlight {
    /// A request has been read. `bytes`: size of its frame.
    pub(crate) fn began(&mut self, opaque: i32, bytes: usize) {
        match self.by_opaque.entry(opaque) {
            Entry::Vacant(slot) => {
                slot.insert(Waiting { requests: 1, aside: 0, bytes });
            }
            Entry::Occupied(mut slot) => {
                let waiting = slot.get_mut();
                waiting.requests += 1;
                waiting.bytes += bytes;
            }
        }
        self.requests += 1;
        self.bytes += bytes;
    }

    /// An answer is being given: false if nobody waits for it (oneway, or answered before).
    pub(crate) fn answered(&mut self, opaque: i32) -> bool {
        let Entry::Occupied(mut slot) = self.by_opaque.entry(opaque) else {
            return false;
        };
        let waiting = slot.get_mut();
        if waiting.aside > 0 {
            waiting.aside -= 1;
        } else {
            let share = waiting.share();
            waiting.bytes -= share;
            self.requests -= 1;
            self.bytes -= share;
        }
        waiting.requests -= 1;
        if waiting.requests == 0 {
            assert!(waiting.aside == 0 && waiting.bytes == 0, "no request, no bytes");
            slot.remove();
        }
        assert!(self.requests == 0 || !self.by_opaque.is_empty(), "the sum follows the table");
        assert!(self.requests > 0 || self.bytes == 0, "no request, no bytes");
        true
    }

    /// One of the requests with this number counts no more: false if none does.
    pub(crate) fn hold_aside(&mut self, opaque: i32) -> bool {
        let Some(waiting) = self.by_opaque.get_mut(&opaque) else { return false };
        if waiting.aside == waiting.requests {
            return false;
        }
        let share = waiting.share();
        waiting.aside += 1;
        waiting.bytes -= share;
        self.requests -= 1;
        self.bytes -= share;
        true
    }

    /// Whether no request waits, set aside or not.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_opaque.is_empty()
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_given_once() {
        let mut waiting = InFlight::default();
        waiting.began(7, 100);
        assert_eq!((waiting.requests(), waiting.bytes()), (1, 100));
        assert!(!waiting.answered(8));
        assert!(waiting.answered(7));
        assert!(!waiting.answered(7));
        assert_eq!((waiting.requests(), waiting.bytes()), (0, 0));
    }

    #[test]
    fn what_is_set_aside_waits_and_does_not_count() {
        let mut waiting = InFlight::default();
        waiting.began(7, 101);
        waiting.began(7, 100);
        waiting.began(8, 50);
        assert!(waiting.hold_aside(7) && waiting.hold_aside(8) && !waiting.hold_aside(9));
        assert_eq!((waiting.requests(), waiting.bytes()), (1, 101));
        assert!(!waiting.hold_aside(8), "it is aside already");
        assert!(waiting.answered(8) && !waiting.answered(8));
        assert!(waiting.answered(7) && !waiting.is_empty());
        assert_eq!((waiting.requests(), waiting.bytes()), (1, 101));
        assert!(waiting.answered(7) && waiting.is_empty() && !waiting.answered(7));
        assert_eq!((waiting.requests(), waiting.bytes()), (0, 0));
    }

    #[test]
    fn a_number_used_twice_is_answered_twice() {
        let mut waiting = InFlight::default();
        waiting.began(7, 101);
        waiting.began(7, 100);
        assert_eq!((waiting.requests(), waiting.bytes()), (2, 201));
        assert!(waiting.answered(7));
        assert_eq!(waiting.requests(), 1);
        assert!(waiting.answered(7));
        assert!(!waiting.answered(7));
        assert_eq!((waiting.requests(), waiting.bytes()), (0, 0));
    }
}
