//! A consumer at every member, whether it leads or not: now and then it reads some messages, and tries what is not
//! committed.

use std::time::Duration;

use model::{QueueId, QueueOffset};
use runtime::{random_below, sleep};
use storage::{ReadError, Store};

use crate::board::Disk;
use crate::content::{QUEUES, TOPIC};
use crate::report::read;
use crate::witness::Me;

/// The longest pause between two reads, in milliseconds.
const PAUSE_MAX: u64 = 20;
/// Messages of one read.
const COUNT: usize = 4;

/// Reads until it is dropped.
pub async fn read_on(store: Store, me: Me) {
    loop {
        sleep(Duration::from_millis(1 + random_below(PAUSE_MAX))).await;
        let queue = QueueId(random_below(u64::from(QUEUES)) as u32);
        read_some(&store, queue, &me).await;
        read_uncommitted(&store).await;
    }
}

/// Mostly the newest ones.
async fn read_some(store: &Store, queue: QueueId, me: &Me) {
    let Some(range) = store.queue(TOPIC, queue) else { return };
    me.seen().reads.ends(queue.0, range.max.0);
    let count = range.max.0 - range.min.0;
    if count == 0 {
        return;
    }
    let back = if random_below(4) == 0 { count } else { count.min(8) };
    let from = QueueOffset(range.max.0 - 1 - random_below(back));
    match read(store, queue, from, COUNT).await {
        Ok(all) => all.into_iter().for_each(|taken| me.seen().reads.served(taken)),
        Err(ReadError::OutOfRange { .. }) => {} // trimmed meanwhile
        Err(error) => {
            assert!(me.board.notes().disk != Disk::Well, "{} cannot read: {error}", me.member);
        }
    }
}

/// What is in the log and not committed is served to nobody.
async fn read_uncommitted(store: &Store) {
    let end = store.stats().max;
    if store.written() > end {
        let served = store.try_read(end, 8).is_some() || store.read(end, 8).await.is_ok();
        // It may have been committed while it was read.
        assert!(!served || store.stats().max > end, "what is not committed was served");
    }
}
