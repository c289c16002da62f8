//! The requests of a peer that wait for our answer.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// One number may be used by several waiting requests: the protocol forbids it, a peer may do it.
#[derive(Debug)]
struct Waiting {
    requests: u32,
    bytes: usize,
}

/// Waiting requests by their number, and their sums. Bounded by the reader, which stops at the limits.
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
                slot.insert(Waiting { requests: 1, bytes });
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
        self.requests -= 1;
        if waiting.requests > 1 {
            let share = waiting.bytes / waiting.requests as usize;
            waiting.requests -= 1;
            waiting.bytes -= share;
            self.bytes -= share;
        } else {
            self.bytes -= waiting.bytes;
            slot.remove();
        }
        assert_eq!(self.requests == 0, self.by_opaque.is_empty(), "the sum follows the table");
        assert!(self.requests > 0 || self.bytes == 0, "no request, no bytes");
        true
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
