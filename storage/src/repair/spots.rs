//! Where a log was found damaged while it is in use: readers note it, and whoever repairs is told.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::time::Duration;

use model::PhysicalOffset;
use runtime::channel::{Notify, OneshotSender, oneshot};
use runtime::{Instant, now};

/// Places that are remembered, but for those that somebody waits for. What is found beyond that is found again.
const SPOTS_MAX: usize = 64;
/// For so long nothing is tried again that could not be repaired, but for somebody who waits for it.
const REST: Duration = Duration::from_secs(5);

/// Places of a log where something was not what was written. A place may turn out to be well: not the log was damaged then.
#[derive(Default)]
pub struct Spots {
    /// Those that are not dealt with, and who waits for each. Few wait: the one who applies, and one for each follower.
    open: RefCell<BTreeMap<PhysicalOffset, Vec<OneshotSender<bool>>>>,
    /// Those that could not be repaired, and when that was seen; the oldest first.
    resting: RefCell<VecDeque<(PhysicalOffset, Instant)>>,
    /// The one that had its turn last.
    last: Cell<PhysicalOffset>,
    /// Somebody repairs.
    tended: Cell<bool>,
    found: Notify,
}

impl Spots {
    /// What lies at `offset` is damaged, or seems so.
    pub(crate) fn note(&self, offset: PhysicalOffset) {
        if !self.tended.get() || self.rests(offset) {
            return;
        }
        let mut open = self.open.borrow_mut();
        if open.len() < SPOTS_MAX {
            open.entry(offset).or_default();
            self.found.notify_all();
        }
    }

    /// Somebody repairs from now on, or nobody any more: those who wait are told that it is not repaired.
    pub fn tend(&self, tended: bool) {
        self.tended.set(tended);
        if !tended {
            self.open.take();
            self.resting.take();
        }
    }

    /// A place that is not dealt with, once there is one: each has its turn, those that somebody waits for before the others, so
    /// that what cannot be repaired keeps nothing else from it. Cancel safe.
    pub async fn next(&self) -> PhysicalOffset {
        loop {
            let found = self.found.notified();
            if let Some(at) = self.in_turn() {
                self.last.set(at);
                return at;
            }
            found.await;
        }
    }

    /// Behind the one that had its turn last, or from the first on again.
    fn in_turn(&self) -> Option<PhysicalOffset> {
        let open = self.open.borrow();
        let behind = (Bound::Excluded(self.last.get()), Bound::Unbounded);
        let all = || open.range(behind).chain(&*open);
        let is_awaited = |waiting: &[OneshotSender<bool>]| waiting.iter().any(|w| !w.is_closed());
        let awaited = all().find(|(_, waiting)| is_awaited(waiting));
        awaited.or_else(|| all().next()).map(|(at, _)| *at)
    }

    /// That place is dealt with: it is as it was written, or could not be repaired.
    pub fn settle(&self, at: PhysicalOffset, is_well: bool) {
        if !is_well {
            self.rest(at);
        }
        let waiting = self.open.borrow_mut().remove(&at).unwrap_or_default();
        for waits in waiting {
            _ = waits.send(is_well); // Who waited may be gone.
        }
    }

    fn rest(&self, at: PhysicalOffset) {
        let mut resting = self.resting.borrow_mut();
        resting.retain(|(known, _)| *known != at);
        if resting.len() == SPOTS_MAX {
            resting.pop_front();
        }
        resting.push_back((at, now()));
    }

    fn rests(&self, at: PhysicalOffset) -> bool {
        let resting = self.resting.borrow();
        resting.iter().any(|(known, since)| *known == at && since.elapsed() < REST)
    }

    /// Waits until what lies at `offset` is dealt with; whether it is well. Cancel safe.
    pub(crate) async fn is_repaired(&self, offset: PhysicalOffset) -> bool {
        if !self.tended.get() {
            return false;
        }
        let (tell, told) = oneshot();
        {
            let mut open = self.open.borrow_mut();
            let waiting = open.entry(offset).or_default();
            waiting.retain(|waits| !waits.is_closed());
            waiting.push(tell);
        }
        self.found.notify_all();
        told.await.unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::rc::Rc;
    use std::time::Duration;

    use runtime::sim::Simulation;
    use runtime::{Task, sleep, spawn};

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
                let waiting = waits(&spots, 7);
                sleep(Duration::from_secs(1)).await;
                let at = spots.next().await;
                spots.settle(at, is_well);
                assert_eq!((at, waiting.await), (PhysicalOffset(7), is_well));
            }
        });
    }

    #[test]
    fn nobody_waits_for_one_who_repairs_no_more() {
        simulated(|| async {
            let spots = Rc::new(Spots::default());
            spots.tend(true);
            spots.note(PhysicalOffset(7));
            let waiting = waits(&spots, 7);
            sleep(Duration::from_secs(1)).await;
            spots.tend(false);
            assert!(!waiting.await);
        });
    }

    /// Somebody who waits for a repair.
    fn waits(spots: &Rc<Spots>, at: u64) -> Task<bool> {
        let spots = Rc::clone(spots);
        spawn(async move { spots.is_repaired(PhysicalOffset(at)).await })
    }

    #[test]
    fn what_cannot_be_repaired_keeps_nothing_else_from_its_turn() {
        simulated(|| async {
            let spots = Spots::default();
            spots.tend(true);
            let mut turns = Vec::new();
            for _ in 0..4 {
                for at in [7, 8, 9] {
                    spots.note(PhysicalOffset(at));
                }
                let at = spots.next().await;
                spots.settle(at, false);
                turns.push(at.0);
                sleep(REST).await;
            }
            assert_eq!(turns, [7, 8, 9, 7]);
        });
    }

    #[test]
    fn what_could_not_be_repaired_rests_but_for_one_who_waits() {
        simulated(|| async {
            let spots = Rc::new(Spots::default());
            spots.tend(true);
            spots.settle(PhysicalOffset(7), false);
            spots.note(PhysicalOffset(7));
            assert_eq!(spots.in_turn(), None);
            let waiting = waits(&spots, 7);
            assert_eq!(spots.next().await, PhysicalOffset(7));
            spots.settle(PhysicalOffset(7), true);
            assert!(waiting.await);
            sleep(REST).await;
            spots.note(PhysicalOffset(7));
            assert_eq!(spots.in_turn(), Some(PhysicalOffset(7)));
        });
    }

    #[test]
    fn who_waits_comes_first_and_is_not_turned_away() {
        simulated(|| async {
            let spots = Rc::new(Spots::default());
            spots.tend(true);
            for offset in 0..1000 {
                spots.note(PhysicalOffset(offset));
            }
            let waiting = waits(&spots, 5000);
            sleep(Duration::from_secs(1)).await;
            assert_eq!(spots.next().await, PhysicalOffset(5000));
            spots.settle(PhysicalOffset(5000), true);
            assert!(waiting.await);
            assert_eq!(spots.next().await, PhysicalOffset(0));
            let waiting = waits(&spots, 30);
            sleep(Duration::from_secs(1)).await;
            drop(waiting);
            sleep(Duration::from_secs(1)).await;
            assert_eq!(spots.next().await, PhysicalOffset(1), "whoever has gone waits no more");
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
