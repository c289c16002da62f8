//! A queue has every offset from its first to its last, once, and further ones lie further on in the log.

use crate::observe::Seen;

pub fn check(seen: &Seen) -> Result<(), String> {
    for ((topic, queue), found) in &seen.queues {
        let mut due = found.min;
        let mut before = None;
        for message in &found.messages {
            if message.offset != due {
                return Err(format!("queue {queue} of {topic}: {message:?}, {due} was due"));
            }
            if before.is_some_and(|before| before >= message.physical) {
                return Err(format!("queue {queue} of {topic}: {message:?} lies before its turn"));
            }
            if message.physical >= seen.end {
                return Err(format!("{message:?} lies beyond the log's end at {}", seen.end));
            }
            before = Some(message.physical);
            due = due.plus(1);
        }
        if due != found.max {
            return Err(format!("queue {queue} of {topic} ends at {due}, it says {}", found.max));
        }
    }
    Ok(())
}
