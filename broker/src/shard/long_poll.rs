//! Pulls that find nothing and are held: what wakes them.
//!
//! A held pull costs a few hundred bytes and no task. The apply loop wakes exactly those that want what
//! has just been committed; one task looks for those whose time is up.

use std::rc::Rc;

use transport::{Connection, ConnectionId};

use super::held::Held;
use super::pull::{self, PullRequest};
use super::{Phase, Shard};
use crate::limits::HOLD_TICK;

/// The pulls that a shard holds.
pub type LongPolls = Held<ConnectionId, Box<PullRequest>>;

/// Drops what was held for a connection that is gone.
pub fn connection_closed(shard: &Shard, connection: &Connection) {
    shard.long_polls.borrow_mut().drop_connection(connection.id());
}

/// Answers the pulls of a topic that is gone.
pub fn topic_gone(shard: &Rc<Shard>, topic: &str) {
    let woken = shard.long_polls.borrow_mut().of_topic(topic);
    pull::resume(shard, woken);
}

/// Answers all: the shard is being stopped.
pub fn release(shard: &Rc<Shard>) {
    let woken = shard.long_polls.borrow_mut().drain();
    pull::resume(shard, woken);
}

/// Answers pulls whose time is up, until the shard is stopped.
pub async fn expire_regularly(shard: Rc<Shard>) {
    while shard.phase.get() != Phase::Stopping {
        runtime::sleep(HOLD_TICK).await;
        let over = shard.long_polls.borrow_mut().expired(runtime::now());
        pull::resume(&shard, over);
    }
}
