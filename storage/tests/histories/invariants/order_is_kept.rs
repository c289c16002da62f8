//! What is handed out at a start are the entries that were committed, each as it was, in order.

use crate::model::Model;
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
        if due.index != entry.index || due.ops != entry.ops {
            return Err(format!("{entry:?} is handed out, {due:?} was committed"));
        }
    }
    Ok(())
}
