//! Tasks that wait for the same thing, first come first served.

use std::collections::VecDeque;
use std::task::Waker;

/// A waiting task's place in a [`WaitList`]; kept by its future between polls.
pub(super) type Ticket = Option<u64>;

#[derive(Default)]
pub(super) struct WaitList {
    next: u64,
    waiting: VecDeque<(u64, Waker)>,
}

impl WaitList {
    /// Puts the holder of `ticket` into the list, or refreshes its waker if it is still in it.
    pub(super) fn wait(&mut self, ticket: &mut Ticket, waker: &Waker) {
        if let Some(id) = *ticket
            && let Some((_, held)) = self.waiting.iter_mut().find(|(other, _)| *other == id)
        {
            held.clone_from(waker);
            return;
        }
        let id = self.next;
        self.next += 1;
        self.waiting.push_back((id, waker.clone()));
        *ticket = Some(id);
    }

    /// True while nobody has taken the holder of `ticket` out of the list.
    pub(super) fn is_waiting(&self, ticket: Ticket) -> bool {
        ticket.is_some_and(|id| self.waiting.iter().any(|(other, _)| *other == id))
    }

    /// Takes the holder of `ticket` out; false if it was woken before.
    pub(super) fn leave(&mut self, ticket: Ticket) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|(other, _)| Some(*other) != ticket);
        assert!(before - self.waiting.len() <= 1, "a ticket is in the list once");
        before > self.waiting.len()
    }

    /// Takes out the first in the line. The caller wakes it once it has let go of the list.
    pub(super) fn take_first(&mut self) -> Option<Waker> {
        self.waiting.pop_front().map(|(_, waker)| waker)
    }

    /// Takes out all.
    pub(super) fn take_all(&mut self) -> Vec<Waker> {
        self.waiting.drain(..).map(|(_, waker)| waker).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
