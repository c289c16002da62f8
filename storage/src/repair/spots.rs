//! Where a log was found damaged while it is in use: readers note it, and whoever repairs is told.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use model::PhysicalOffset;
use runtime::channel::{Notify, OneshotSender, oneshot};

/// Places that are remembered. What is found beyond that is found again.
const SPOTS_MAX: usize = 64;

/// Places of a log where something was not what was written. A place may turn out to be well: not the log was damaged then.
#[derive(Default)]
pub struct Spots {
    /// Those that are not dealt with, and who waits for each.
    open: RefCell<BTreeMap<PhysicalOffset, Vec<OneshotSender<bool>>>>,
    /// Somebody repairs.
    tended: Cell<bool>,
    found: Notify,
}

impl Spots {
    /// What lies at `offset` is damaged, or seems so.
    pub(crate) fn note(&self, offset: PhysicalOffset) {
        let mut open = self.open.borrow_mut();
        if self.tended.get() && open.len() < SPOTS_MAX {
            open.entry(offset).or_default();
            self.found.notify_all();
        }
    }

    /// Somebody repairs from now on, or nobody any more: those who wait are told that it is not repaired.
    pub fn tend(&self, tended: bool) {
        self.tended.set(tended);
        if !tended {
            self.open.take();
        }
    }

    /// The first place that is not dealt with, once there is one. Cancel safe.
    pub async fn next(&self) -> PhysicalOffset {
        loop {
            let found = self.found.notified();
            if let Some((first, _)) = self.open.borrow().first_key_value() {
                return *first;
            }
            found.await;
        }
    }

    /// That place is dealt with: it is as it was written, or could not be repaired.
    pub fn settle(&self, at: PhysicalOffset, is_well: bool) {
        let waiting = self.open.borrow_mut().remove(&at).unwrap_or_default();
        for waits in waiting {
            _ = waits.send(is_well); // Who waited may be gone.
        }
    }

    /// Waits until what lies at `offset` is dealt with; whether it is well. Cancel safe.
    pub(crate) async fn is_repaired(&self, offset: PhysicalOffset) -> bool {
        self.note(offset);
        let told = {
            let mut open = self.open.borrow_mut();
            let Some(waiting) = open.get_mut(&offset) else { return false };
            let (tell, told) = oneshot();
            waiting.push(tell);
            told
        };
        told.await.unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::rc::Rc;
    use std::time::Duration;

    use runtime::sim::Simulation;
    use runtime::{sleep, spawn};

    use super::*;

    fn simulated<F: Future<Output = ()> + 'static>(test: impl FnOnce() -> F + Send + 'static) {
        let simulation = Simulation::new(1);
        let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
        simulation.join(node.start("test", test), Duration::from_secs(60)).expect("it ends");
    }

    #[test]
    fn whoever_waits_for_a_repair_is_told_how_it_went() {
        simulated(|| async {
            let spots = Rc::new(Spots::default());
            spots.note(PhysicalOffset(7));
            assert!(!spots.is_repaired(PhysicalOffset(7)).await, "nobody repairs");
            spots.tend(true);
            for is_well in [true, false] {
                let waits = spawn({
                    let spots = Rc::clone(&spots);
                    async move { spots.is_repaired(PhysicalOffset(7)).await }
                });
                sleep(Duration::from_secs(1)).await;
                let at = spots.next().await;
                spots.settle(at, is_well);
                assert_eq!((at, waits.await), (PhysicalOffset(7), is_well));
            }
        });
    }

    #[test]
    fn nobody_waits_for_one_who_repairs_no_more() {
        simulated(|| async {
            let spots = Rc::new(Spots::default());
            spots.tend(true);
            spots.note(PhysicalOffset(7));
            let waits = spawn({
                let spots = Rc::clone(&spots);
                async move { spots.is_repaired(PhysicalOffset(7)).await }
            });
            sleep(Duration::from_secs(1)).await;
            spots.tend(false);
            assert!(!waits.await);
        });
    }

    #[test]
    fn no_more_places_are_remembered_than_may_be() {
        let spots = Spots::default();
        spots.tend(true);
        for offset in 0..1000 {
            spots.note(PhysicalOffset(offset));
        }
        assert_eq!(spots.open.borrow().len(), SPOTS_MAX);
    }
}
