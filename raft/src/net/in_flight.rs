//! How much of one connection's requests is worked on.

use std::cell::Cell;
use std::rc::Rc;

use runtime::channel::Notify;

use super::limits::Limits;

/// Requests that are worked on, and their bytes.
#[derive(Default)]
pub(super) struct InFlight {
    count: Cell<usize>,
    bytes: Cell<usize>,
    less: Notify,
}

/// The place of one request: it is free again when this is dropped.
pub(super) struct Place {
    all: Rc<InFlight>,
    bytes: usize,
}

impl InFlight {
    /// Takes a place for a request, for which there is [`InFlight::room`].
    pub(super) fn enter(self: &Rc<Self>, bytes: usize) -> Place {
        self.count.set(self.count.get() + 1);
        self.bytes.set(self.bytes.get() + bytes);
        Place { all: Rc::clone(self), bytes }
    }

    /// Takes a place, if there is one among so many requests and bytes.
    pub(super) fn try_enter(
        self: &Rc<Self>,
        bytes: usize,
        (count_max, bytes_max): (usize, usize),
    ) -> Option<Place> {
        let is_full = self.count.get() >= count_max || self.bytes.get() >= bytes_max;
        (!is_full).then(|| self.enter(bytes))
    }

    /// Waits until one more may come. Cancel-safe.
    pub(super) async fn room(&self, limits: &Limits) {
        while self.count.get() >= limits.in_flight || self.bytes.get() >= limits.in_flight_bytes {
            self.less.notified().await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let InFlight { count, bytes, less } = &*self.all;
        assert!(count.get() > 0 && bytes.get() >= self.bytes);
        count.set(count.get() - 1);
        bytes.set(bytes.get() - self.bytes);
        less.notify_all();
    }
}
