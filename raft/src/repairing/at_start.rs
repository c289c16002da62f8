//! A member that does not start because its log is damaged.

use model::{LogIndex, PhysicalOffset};
use storage::{Damage, Damaged, Patch};
use thiserror::Error;

use super::lent::{self, Refused};
use super::say;
use crate::net::Peers;
use crate::types::MemberId;

/// Nothing is known here of what is committed: those who lend lend no more than what they know to be.
const WHATEVER: LogIndex = LogIndex(u64::MAX);

/// Why a log was not repaired, member by member.
#[derive(Debug, Error)]
#[error("{why}")]
pub struct Unrepaired {
    /// In words.
    pub why: String,
    /// It is in vain to ask again.
    pub is_final: bool,
}

/// Repairs the log of a member whose start was refused because of what is damaged at `at`, with what `peers` have, which must be
/// known. What else is damaged the next start finds.
///
/// # Errors
/// Nobody has what is needed.
pub async fn repair_at_start(
    log: &mut Damaged,
    peers: &Peers,
    at: PhysicalOffset,
) -> Result<(), Unrepaired> {
    loop {
        let looked = log.reader().look(at).await;
        let looked =
            looked.map_err(|error| Unrepaired { why: error.to_string(), is_final: false })?;
        // Where the log ends is not known here: what follows `at` may be behind it.
        let Some(damage) = looked.filter(|damage| damage.offset() <= at) else { return Ok(()) };
        repair(log, peers, &damage).await?;
    }
}

async fn repair(log: &mut Damaged, peers: &Peers, damage: &Damage) -> Result<(), Unrepaired> {
    let mut whys = Vec::new();
    let mut is_final = false;
    for id in peers.others() {
        let name = peers.name_of(id);
        let error = match repair_from(log, peers, id, damage).await {
            Ok(patch) => {
                say(peers, &name, damage, &patch);
                return Ok(());
            }
            Err(error) => error,
        };
        is_final = error.is_final();
        whys.push(format!("{name}: {error}"));
        if is_final {
            break;
        }
    }
    let nobody = "no other member is reached";
    let why = if whys.is_empty() { nobody.to_owned() } else { whys.join("; ") };
    Err(Unrepaired { why, is_final })
}

async fn repair_from(
    log: &mut Damaged,
    peers: &Peers,
    id: MemberId,
    damage: &Damage,
) -> Result<Patch, Refused> {
    let proof = log.reader().prove(damage, WHATEVER);
    let patch = lent::prove(peers, id, proof, WHATEVER).await?;
    for (number, range) in patch.pieces().enumerate() {
        let entries = lent::all_of(peers, id, &patch, number, range).await?;
        let given: Vec<_> = entries.iter().map(|(head, body)| (*head, body.bytes())).collect();
        log.mend(&patch, number, &given).await?;
    }
    Ok(patch)
}
