//! What of this member's log is damaged is repaired with what another member has.
//!
//! Whoever reads the log (a consumer's pull, a follower that is behind, the one who applies) notes where it is damaged, and this is
//! told. The others are asked, one after the other, for the committed entries from there on. What they have counts only if it
//! continues what is intact before the damage and comes to what is intact behind it; it is proven first, and then got again and written.
//! Nobody is asked for more at a time than one piece, and those who lend do so at the pace of those who catch up.

mod at_start;
mod lent;

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use model::{LogIndex, PhysicalOffset};
use runtime::{Instant, now, sleep};
use storage::{Damage, Patch, Spots};

pub use at_start::{Unrepaired, repair_at_start};

use crate::log::Mender;
use crate::net::Peers;
use crate::types::MemberId;
use lent::Refused;

/// Pause after a repair that came to nothing: it has read a part of the log.
const IN_VAIN: Duration = Duration::from_millis(500);
/// Places of which it is remembered what was told of them. What is told beyond that is told again.
const REFUSED_MAX: usize = 64;
/// For so long a member that starts waits until it knows the others.
const INTRODUCED: Duration = Duration::from_secs(5);

/// The one who repairs.
pub(crate) struct Repairing {
    pub mender: Mender,
    pub spots: Rc<Spots>,
    /// The ways to the other members, once there are some.
    pub peers: Rc<OnceCell<Peers>>,
    /// What could not be repaired, and why: it is told once.
    pub refused: RefCell<BTreeMap<PhysicalOffset, String>>,
}

/// What became of a place that seemed damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// All is well there now.
    Repaired,
    /// It was not the log that was damaged, or somebody else has just repaired it.
    WasWell,
    /// It could not be repaired.
    Refused,
}

/// Lets those go who wait for repairs when nobody repairs any more.
struct Tending<'a>(&'a Spots);

impl Drop for Tending<'_> {
    fn drop(&mut self) {
        self.0.tend(false);
    }
}

impl Repairing {
    /// Repairs what is found damaged. Never ends.
    pub(crate) async fn run(self) {
        self.spots.tend(true);
        let _tending = Tending(&self.spots);
        loop {
            let at = self.spots.next().await;
            let outcome = self.deal_with(at).await;
            self.spots.settle(at, outcome != Outcome::Refused);
            if outcome != Outcome::Repaired {
                sleep(IN_VAIN).await;
            }
        }
    }

    /// Repairs what is damaged around `at`.
    async fn deal_with(&self, at: PhysicalOffset) -> Outcome {
        let mut outcome = Outcome::WasWell;
        loop {
            let damage = match self.mender.look(at).await {
                Ok(None) => return outcome,
                Ok(Some(damage)) => damage,
                Err(error) => {
                    tracing::error!(%error, offset = %at, "the log is damaged, and is not repaired");
                    return Outcome::Refused;
                }
            };
            if let Err(why) = self.repair(&damage).await {
                self.tell(&damage, &why);
                return Outcome::Refused;
            }
            self.refused.borrow_mut().remove(&damage.offset());
            outcome = Outcome::Repaired;
        }
    }

    fn tell(&self, damage: &Damage, why: &str) {
        if !self.is_news(damage.offset(), why) {
            return;
        }
        tracing::error!(
            segment = %damage.segment.display(), offset = %damage.offset(), index = %damage.index(), damage = damage.why,
            "the log is damaged here, and cannot be repaired now: {why}. What is damaged is not served; it is tried again when it is wanted. \
             Look at the disk; if no member has it, start this one with an empty directory, and have the group take it in instead of this one \
             (`mqadmin replaceMember`)"
        );
    }

    /// Whether that was not told of this place last.
    fn is_news(&self, at: PhysicalOffset, why: &str) -> bool {
        let mut refused = self.refused.borrow_mut();
        if refused.get(&at).is_some_and(|told| told == why) {
            return false;
        }
        if refused.len() >= REFUSED_MAX {
            refused.pop_first();
        }
        refused.insert(at, why.to_owned());
        true
    }

    /// Repairs the log from this damage on, as far as it goes.
    ///
    /// # Errors
    /// Nobody has what is needed; the text says why, member by member.
    async fn repair(&self, damage: &Damage) -> Result<(), String> {
        let committed = self.mender.committed();
        if damage.index() >= committed {
            return Err(format!("only entries before {committed} are known to be committed"));
        }
        let peers = self.introduced().await.ok_or("the other members are not known yet")?;
        let mut why = Vec::new();
        for id in peers.others() {
            let name = peers.name_of(id);
            match self.repair_from(peers, id, damage, committed).await {
                Ok(patch) => {
                    say(peers, &name, damage, &patch);
                    return Ok(());
                }
                Err(error) => why.push(format!("{name}: {error}")),
            }
        }
        Err(if why.is_empty() { "there is no other member".to_owned() } else { why.join("; ") })
    }

    async fn repair_from(
        &self,
        peers: &Peers,
        id: MemberId,
        damage: &Damage,
        committed: LogIndex,
    ) -> Result<Rc<Patch>, Refused> {
        let proof = self.mender.prove(damage, committed);
        let patch = Rc::new(lent::prove(peers, id, proof, committed).await?);
        for (number, range) in patch.pieces().enumerate() {
            let entries = lent::all_of(peers, id, &patch, number, range).await?;
            self.mender.mend(&patch, number, entries).await?;
        }
        Ok(patch)
    }

    /// The others, once they are known.
    async fn introduced(&self) -> Option<&Peers> {
        let until: Instant = now() + INTRODUCED;
        while self.peers.get().is_none() && now() < until {
            sleep(Duration::from_millis(50)).await;
        }
        self.peers.get()
    }
}

fn say(peers: &Peers, name: &str, damage: &Damage, patch: &Patch) {
    let (indexes, offsets) = (patch.indexes(), patch.offsets());
    tracing::warn!(
        group = %peers.facts().group, segment = %damage.segment.display(), damage = damage.why,
        "the log was damaged, and is repaired with what {name} has: entries {} to {}, offsets {} to {}, {} bytes. Look at the disk",
        indexes.start, indexes.end.0 - 1, offsets.start, offsets.end, patch.bytes()
    );
}
