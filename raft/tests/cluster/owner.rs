//! The owner of a member's store: acknowledges what was sent here, in the term in which it was sent, and sees all that is
//! applied.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use model::{PhysicalOffset, Term};
use storage::{Applied, ENTRY_HEADER_LEN, Event, Events, Store, What};

use crate::invariants::entries::{Entry, REPLICATED};
use crate::report::Taken;
use crate::witness::Me;

/// Messages that were sent here, oldest first, each with the term in which the store took it.
pub type Pending = Rc<RefCell<VecDeque<(Term, u32)>>>;

/// Letters of what an entry came to that are kept.
const SHORT: usize = 160;

pub async fn own(mut events: Events, store: Store, pending: Pending, me: Me) {
    loop {
        match events.next().await {
            Event::StateWanted(wanted) => wanted.give(b"state".to_vec()),
            Event::Committed(applied) => {
                acknowledge(&applied, &pending, &me);
                let (index, entry) = (applied.index.0, entry(&store, &applied).await);
                me.applied(index, entry);
                me.board.notes().applied = index + 1;
            }
            Event::Stopped => return,
            Event::Failed(error) => return me.failed(&error.to_string()),
            Event::Recovered(_) | Event::Restored(_) | Event::Warned(_) => {}
        }
    }
}

fn acknowledge(applied: &Applied, pending: &Pending, me: &Me) {
    let (What::Messages(records), true) = (&applied.what, applied.here) else { return };
    for record in records {
        let mut pending = pending.borrow_mut();
        // What was sent in a term that is over nobody waits for.
        while pending.pop_front_if(|(term, _)| *term < applied.term).is_some() {}
        let in_term = pending.front().is_some_and(|(term, _)| *term == applied.term);
        let Some((_, number)) = pending.pop_front_if(|_| in_term) else { continue };
        let queue = record.queue.0;
        let (queue_offset, physical) = (record.queue_offset.0, record.physical.0);
        let taken = Taken { queue, queue_offset, physical, number };
        me.seen().acknowledged.acknowledged(me.by(applied.term.0), taken);
        me.board.notes().acknowledged.insert(number);
    }
}

/// What was applied, as the witness compares it.
async fn entry(store: &Store, applied: &Applied) -> Entry {
    let mut what = format!("{:?}", applied.what);
    let crc = crc32c::crc32c(what.as_bytes());
    what.truncate(SHORT);
    let first = match &applied.what {
        What::Messages(records) => records.first().map(|record| record.physical),
        _ => None,
    };
    let at = first.map(|first| PhysicalOffset(first.0 - ENTRY_HEADER_LEN as u64));
    let header = match at {
        Some(at) => store.read(at, ENTRY_HEADER_LEN as u32).await.ok(),
        None => None,
    };
    let header = header.map(|header| header[..REPLICATED].to_vec());
    Entry { term: applied.term.0, time: applied.timestamp.0, what: (what, crc), header }
}
