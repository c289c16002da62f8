//! What was acknowledged is there, at its offset, with its bytes.

use super::Loss;
use crate::model::Model;
use crate::observe::Seen;

/// The index of the first acknowledged entry that is lost, if the store may have lost it.
pub fn first_lost(model: &Model, seen: &Seen, loss: Loss) -> Result<Option<u64>, String> {
    let last = match seen.entries.last() {
        Some(last) => last.index,
        None if seen.new => 0,
        None => return Ok(None), // nothing was handed out: the queues will show
    };
    // The first entry of a log has index 0, and founds it; a log that is made anew has none.
    let gone = |entry: &&crate::model::Entry| seen.new || entry.index > last;
    let Some(lost) = model.entries.iter().find(gone) else {
        return Ok(None);
    };
    let may_be_lost = match loss {
        Loss::Nothing => false,
        Loss::Beyond(durable) => lost.end.is_some_and(|end| end > durable),
    };
    if may_be_lost {
        Ok(Some(lost.index))
    } else {
        Err(format!(
            "the log (new: {}) ends with entry {last}, {lost:?} is lost; allowed was {loss:?}",
            seen.new
        ))
    }
}

pub fn check(model: &Model, seen: &Seen) -> Result<(), String> {
    for (name, topic) in &model.topics {
        for (queue, kept) in topic.queues.iter().enumerate() {
            let queue = model::QueueId(u32::try_from(queue).expect("few"));
            let found = seen.queues.get(&(name.clone(), queue));
            let found = found.ok_or_else(|| format!("queue {queue} of {name} is lost"))?;
            if found.max.0 != kept.len() as u64 {
                let (max, due) = (found.max, kept.len());
                return Err(format!("queue {queue} of {name} ends at {max}, {due} was due"));
            }
            let begins = kept.iter().filter(|kept| kept.physical < model.trimmed).count();
            if found.min.0 != begins as u64 {
                let (min, trim) = (found.min, model.trimmed);
                return Err(format!(
                    "queue {queue} of {name} begins at {min}, {begins} was due: the log was trimmed to {trim}"
                ));
            }
            for message in &found.messages {
                let due = kept.get(usize::try_from(message.offset.0).expect("small"));
                let same = due.is_some_and(|due| {
                    message.number == Some(due.number) && message.physical == due.physical
                });
                if !same {
                    return Err(format!("{message:?} is where {due:?} of {name} was"));
                }
            }
        }
    }
    Ok(())
}
