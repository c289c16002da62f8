//! What must hold of every store that has recovered: one file each, pure.

pub mod acknowledged_survives;
pub mod nothing_invented;
pub mod offsets_are_dense;
pub mod order_is_kept;
pub mod topics_survive;

use model::PhysicalOffset;

use crate::model::Model;
use crate::observe::Seen;

/// What a store was allowed to lose before it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Nothing that was acknowledged.
    Nothing,
    /// A suffix of what lies beyond this offset: the power went, and it was not flushed yet.
    Beyond(PhysicalOffset),
}

/// Checks what is seen against what was told, and takes over what had been appended and survived.
pub fn reconcile(model: &mut Model, seen: &Seen, loss: Loss) -> Result<(), String> {
    let lost_from = acknowledged_survives::first_lost(model, seen, loss)?;
    if let Some(index) = lost_from {
        model.lose_from(index);
    }
    order_is_kept::check(model, seen)?;
    let known = model.entries.last().map(|entry| entry.index);
    for entry in seen.entries.iter().filter(|entry| Some(entry.index) > known) {
        let told = model.commit(entry.clone());
        told.map_err(|why| format!("after the start: {why}"))?;
    }
    model.pending.clear(); // whatever is not there now never was
    model.glimpsed.clear();
    offsets_are_dense::check(seen)?;
    nothing_invented::check(model, seen)?;
    topics_survive::check(model, seen)?;
    acknowledged_survives::check(model, seen)?;
    model.durable = seen.end;
    model.recovered += 1;
    Ok(())
}
