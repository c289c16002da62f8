//! What clients were answered, put together: it outlives them, and the brokers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::content::{HEAVY, Queue, body, number_of};
use crate::invariants::alone::Alone;
use crate::invariants::applied::{Applied, Look};
use crate::invariants::bounded::Bounded;
use crate::invariants::delivered::Delivered;
use crate::invariants::leaders::Leaders;
use crate::invariants::locks::Locks;
use crate::invariants::offsets::Offsets;
use crate::invariants::order::Order;
use crate::invariants::places::Places;
use crate::invariants::routes::Routes;
use crate::invariants::sent::Sent;
use crate::invariants::settings::Settings;
use crate::invariants::times::Times;

/// A message as a client got it.
pub struct Got {
    pub offset: u64,
    pub stored_millis: u64,
    pub body: Vec<u8>,
}

#[derive(Default)]
pub struct Seen {
    pub alone: Alone,
    pub applied: Applied,
    pub bounded: Bounded,
    pub delivered: Delivered,
    pub leaders: Leaders,
    pub locks: Locks,
    pub offsets: Offsets,
    pub order: Order,
    pub places: Places,
    pub routes: Routes,
    pub sent: Sent,
    pub settings: Settings,
    pub times: Times,
    pub acknowledged: u64,
    /// Nothing new is sent any more.
    pub is_over: bool,
}

impl Seen {
    /// A client is about to send a message: its number.
    pub fn sends(&mut self, queue: Queue, heavy: bool) -> u64 {
        let number = self.sent.sends(queue) | if heavy { HEAVY } else { 0 };
        self.order.sends(number, self.places.acknowledged_end(queue));
        number
    }

    /// Somebody has said that the message is stored.
    pub fn acknowledged(&mut self, queue: Queue, number: u64, offset: u64) {
        self.order.acknowledged(queue, number, offset);
        self.places.acknowledged(queue, offset, number);
        self.acknowledged += 1;
    }

    /// What a member has come to.
    pub fn applied(&mut self, shard: u32, index: u64, look: Look) {
        self.applied.is(shard, index, look, &self.locks);
    }

    /// Somebody was given a message; its number.
    pub fn got(&mut self, queue: Queue, got: &Got) -> u64 {
        let number = number_of(&got.body);
        assert_eq!(self.sent.queue_of(number), Some(queue), "message {number} is in {queue:?}");
        assert!(body(number) == got.body, "message {number} has another body");
        self.places.learn(queue, got.offset, number);
        self.times.learn(queue, got.offset, got.stored_millis);
        number
    }
}

/// Clones are the same.
#[derive(Clone, Default)]
pub struct Witness(Arc<Mutex<Seen>>);

impl Witness {
    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
