//! Looks into the brokers while they run: what they have come to, and what waits in them.

use std::rc::{Rc, Weak};
use std::time::Duration;

use broker::shard::{Phase, Shard, state};

use crate::invariants::applied::Look;
use crate::machine::MOST_WAITING;
use crate::witness::Witness;

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(25);

/// Looks into one shard of a node.
pub struct Spectator {
    pub witness: Witness,
    pub node: usize,
    pub shard: u32,
}

impl Spectator {
    /// The shard begins a life: it is looked at until that ends.
    pub fn watch(&self, shard: &Rc<Shard>) {
        let Self { witness, node, shard: number } = self;
        let own = Self { witness: witness.clone(), node: *node, shard: *number };
        witness.seen().applied.begins(*number, *node);
        runtime::spawn(own.look(Rc::downgrade(shard))).detach();
    }

    async fn look(self, shard: Weak<Shard>) {
        loop {
            match shard.upgrade() {
                Some(shard) => self.look_once(&shard),
                None => return,
            }
            runtime::sleep(LOOK).await;
        }
    }

    fn look_once(&self, shard: &Shard) {
        let mut seen = self.witness.seen();
        seen.bounded.waits(self.node, shard.store.stats().queued, MOST_WAITING);
        let index = shard.replica.as_ref().expect("it is one of a group").taken_in().0;
        let is_new = seen.applied.last(self.shard, self.node) != Some(index);
        // One that has failed does not take part any more.
        if index > 0 && is_new && shard.phase.get() != Phase::Failed {
            let look = Look { node: self.node, at: runtime::now(), state: state::of(shard) };
            seen.applied(self.shard, index, look);
        }
    }
}
