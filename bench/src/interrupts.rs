//! Signals, for all runs of a process.

use std::cell::Cell;
use std::rc::Rc;

use runtime::channel::Notify;
use runtime::process::StopSignals;

/// How often the operator has asked for the end. A clone tells the same.
#[derive(Clone, Default)]
pub struct Interrupts {
    inner: Rc<Inner>,
}

#[derive(Default)]
struct Inner {
    count: Cell<u64>,
    changed: Notify,
}

impl Interrupts {
    /// Counts `signals` from now on, on this executor.
    #[must_use]
    pub fn from_signals(mut signals: StopSignals) -> Interrupts {
        let interrupts = Interrupts::default();
        let counting = interrupts.clone();
        runtime::spawn(async move {
            while signals.next().await.is_some() {
                counting.count_one();
            }
        })
        .detach();
        interrupts
    }

    /// Asks for the end, as a signal does.
    pub fn count_one(&self) {
        self.inner.count.set(self.inner.count.get() + 1);
        self.inner.changed.notify_all();
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.inner.count.get()
    }

    /// Waits until there are more than `seen`. Cancel-safe.
    pub async fn more_than(&self, seen: u64) {
        loop {
            let changed = self.inner.changed.notified();
            if self.count() > seen {
                return;
            }
            changed.await;
        }
    }
}
