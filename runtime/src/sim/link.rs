//! How long the way from one address to another is.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::world::World;

/// The fixed part of the delay of each direction of each pair of addresses, drawn when it is first used.
#[derive(Default)]
pub(super) struct Links {
    delays: RefCell<BTreeMap<(IpAddr, IpAddr), Duration>>,
}

impl World {
    /// The delay of one segment from `from` to `to`: the link's own, and some jitter.
    pub(super) fn link_delay(&self, from: IpAddr, to: IpAddr) -> Duration {
        let known = self.links.delays.borrow().get(&(from, to)).copied();
        let fixed = known.unwrap_or_else(|| {
            let is_local = from == to || to.is_loopback();
            let drawn = if is_local { self.delay(5, 30) } else { self.delay(20, 300) };
            self.links.delays.borrow_mut().insert((from, to), drawn);
            drawn
        });
        fixed + self.delay(0, 20)
    }
}
