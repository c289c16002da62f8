//! What is handed out at a start are the entries that were committed, each as it was, in order.

use crate::model::{Entry, Message, Model, Op, Place, UNREAD};
use crate::observe::Seen;

pub fn check(model: &Model, seen: &Seen) -> Result<(), String> {
    for pair in seen.entries.windows(2) {
        if pair[1].index != pair[0].index + 1 {
            return Err(format!("entry {} follows entry {}", pair[1].index, pair[0].index));
        }
    }
    let Some(first) = model.entries.first() else {
        return Ok(());
    };
    for entry in &seen.entries {
        let at = entry.index.checked_sub(first.index).and_then(|at| usize::try_from(at).ok());
        let Some(due) = at.and_then(|at| model.entries.get(at)) else {
            continue;
        };
        if due.index != entry.index || !is_same(due, entry, model) {
            return Err(format!("{entry:?} is handed out, {due:?} was committed"));
        }
    }
    Ok(())
}

/// An append and its place.
type Placed = (Op, Option<Place>);

/// Whether `seen` is the entry that was committed. What was trimmed since cannot be read any more: of such a message
/// its place is known, and not its number.
fn is_same(due: &Entry, seen: &Entry, model: &Model) -> bool {
    let same = |(due, seen): (&Placed, &Placed)| {
        let trimmed = due.1.is_some_and(|at| at.physical < model.floor());
        let seen = match &seen.0 {
            Op::Message(message) if message.number == UNREAD && trimmed => {
                let number = if let Op::Message(due) = &due.0 { due.number } else { UNREAD };
                (Op::Message(Message { number, ..message.clone() }), seen.1)
            }
            _ => seen.clone(),
        };
        *due == seen
    };
    due.ops.len() == seen.ops.len() && due.ops.iter().zip(&seen.ops).all(same)
}
