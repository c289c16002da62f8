//! How long the way from one address to another is, whether there is one, what gets lost on it, and what is rejected.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use rand::Rng;

use super::trace::Mark;
use super::world::{Event, World};

/// From one address to another.
type Way = (IpAddr, IpAddr);

/// How long a kernel waits at first before it sends a segment again that was lost; twice as long each time.
const RETRANSMIT_AFTER: Duration = Duration::from_millis(200);
/// A segment is lost so many times in a row at most.
const LOSSES_MAX: u32 = 6;

/// A way that is worse than usual.
#[derive(Clone, Copy)]
pub(super) struct Rough {
    /// It takes so much longer.
    pub longer: Duration,
    /// One segment in so many is lost, and sent again; 0: none is.
    pub one_lost_in: u64,
}

/// The fixed part of the delay of each direction of each pair of addresses, drawn when it is first used; and what is cut.
#[derive(Default)]
pub(super) struct Links {
    delays: RefCell<BTreeMap<Way, Duration>>,
    rough: RefCell<BTreeMap<Way, Rough>>,
    cut: RefCell<BTreeSet<Way>>,
    rejected: RefCell<BTreeSet<Way>>,
    /// What arrived on a way that is cut, in the order in which it did.
    held: RefCell<Vec<(Way, Event)>>,
}

impl World {
    /// The delay of one segment from `from` to `to`: the link's own, some jitter, and the time until it is sent again if it
    /// gets lost.
    pub(super) fn link_delay(&self, from: IpAddr, to: IpAddr) -> Duration {
        let known = self.links.delays.borrow().get(&(from, to)).copied();
        let fixed = known.unwrap_or_else(|| {
            let is_local = from == to || to.is_loopback();
            let drawn = if is_local { self.delay(5, 30) } else { self.delay(20, 300) };
            self.links.delays.borrow_mut().insert((from, to), drawn);
            drawn
        });
        fixed + self.delay(0, 20) + self.roughness(from, to)
    }

    /// What a rough way adds to the delay of a segment.
    fn roughness(&self, from: IpAddr, to: IpAddr) -> Duration {
        let rough = self.links.rough.borrow().get(&(from, to)).copied();
        let Some(Rough { longer, one_lost_in }) = rough else { return Duration::ZERO };
        let mut delay = longer;
        let mut lost = 0;
        let is_lost =
            || one_lost_in > 0 && self.with_fault_rng(|rng| rng.random_range(0..one_lost_in) == 0);
        while lost < LOSSES_MAX && is_lost() {
            delay += RETRANSMIT_AFTER * (1 << lost);
            lost += 1;
        }
        delay
    }

    /// Makes the way from `from` to `to` rough, or as usual.
    pub(super) fn roughen(&self, from: IpAddr, to: IpAddr, rough: Option<Rough>) {
        self.mark(Mark::Fault, u64::from(rough.is_some()));
        let mut all = self.links.rough.borrow_mut();
        match rough {
            Some(rough) => drop(all.insert((from, to), rough)),
            None => drop(all.remove(&(from, to))),
        }
    }

    /// Whether nothing gets from `from` to `to`.
    pub(super) fn is_cut(&self, from: IpAddr, to: IpAddr) -> bool {
        self.links.cut.borrow().contains(&(from, to))
    }

    /// Lets `arrival` happen, or later if the way is cut: a segment is sent again until it comes through.
    pub(super) fn arrive(&self, from: IpAddr, to: IpAddr, arrival: impl FnOnce() + 'static) {
        if self.is_cut(from, to) {
            self.links.held.borrow_mut().push(((from, to), Box::new(arrival)));
        } else {
            arrival();
        }
    }

    /// Cuts the way from `from` to `to`, or mends it. What was held there arrives now, before anything that was sent later.
    pub(super) fn cut(&self, from: IpAddr, to: IpAddr, is_cut: bool) {
        self.mark(Mark::Fault, u64::from(is_cut));
        if is_cut {
            self.links.cut.borrow_mut().insert((from, to));
            return;
        }
        self.links.cut.borrow_mut().remove(&(from, to));
        let held = self.links.held.take();
        let (free, held): (Vec<_>, Vec<_>) =
            held.into_iter().partition(|(way, _)| *way == (from, to));
        self.links.held.replace(held);
        free.into_iter().for_each(|(_, arrival)| arrival());
    }

    /// Whether a firewall answers for `to` what comes from `from`: that nobody is there.
    pub(super) fn is_rejected(&self, from: IpAddr, to: IpAddr) -> bool {
        self.links.rejected.borrow().contains(&(from, to))
    }

    /// Has a firewall answer what comes from `from` to `to`, or lets it through.
    pub(super) fn reject(&self, from: IpAddr, to: IpAddr, is_rejected: bool) {
        self.mark(Mark::Fault, u64::from(is_rejected));
        let mut rejected = self.links.rejected.borrow_mut();
        match is_rejected {
            true => rejected.insert((from, to)),
            false => rejected.remove(&(from, to)),
        };
    }

    /// Nothing that is held arrives any more.
    pub(super) fn forget_held(&self) {
        let held = self.links.held.take();
        drop(held); // outside the borrow: it may own anything
    }
}
