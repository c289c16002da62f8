//! Every stored message was sent, to that queue, and is stored once.

use std::collections::BTreeSet;

use crate::model::Model;
use crate::observe::Seen;

pub fn check(model: &Model, seen: &Seen) -> Result<(), String> {
    let mut numbers = BTreeSet::new();
    for ((topic, queue), found) in &seen.queues {
        for message in &found.messages {
            let sent = message
                .number
                .and_then(|number| model.appended.get(usize::try_from(number).ok()?))
                .ok_or_else(|| format!("{message:?} in queue {queue} of {topic} was never sent"))?;
            if sent.topic != *topic || sent.queue != *queue {
                return Err(format!("{sent:?} is in queue {queue} of {topic}"));
            }
            if message.topic != *topic
                || message.queue != *queue
                || message.own_offset != message.offset
            {
                return Err(format!("{message:?} is read in queue {queue} of {topic}"));
            }
            if !numbers.insert(sent.number) {
                return Err(format!("{sent:?} is stored twice"));
            }
        }
    }
    Ok(())
}
