//! What the store has trimmed is purged from the group's log, and only then its files go: a follower that is behind is
//! sent entries as long as openraft takes them to be there.
//!
//! A leader does not purge what it sends to somebody who copies the log, and that may take hours. When its disk has no room for
//! as long it ends that: whoever copied gets a snapshot instead, and the log behind it.

use std::cell::OnceCell;
use std::rc::Rc;
use std::time::Duration;

use model::LogIndex;
use openraft::async_runtime::WatchReceiver;
use runtime::{Instant, now, sleep};
use storage::Store;

use crate::net::Peers;
use crate::node::Raft;
use crate::types::MemberId;

/// Time between two looks, at first and at last: what openraft was asked for it does by itself as soon as it can.
const AGAIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// A disk may be full for so long while what fills it is sent to somebody who copies it.
const FULL: Duration = Duration::from_secs(10);

/// The one who purges.
pub(crate) struct Purging {
    pub raft: Raft,
    pub store: Store,
    /// The ways to the other members, once there are some.
    pub peers: Rc<OnceCell<Peers>>,
}

impl Purging {
    /// Purges whatever is trimmed, until the core is gone.
    pub(crate) async fn run(self) {
        let mut purged = self.purged();
        loop {
            self.store.release(purged);
            let upto = self.store.given_up(purged).await;
            if self.purge(upto).await.is_none() {
                return;
            }
            purged = self.purged();
        }
    }

    /// Purges entries before `upto`, and waits until they are. `None`: the core is gone.
    async fn purge(&self, upto: LogIndex) -> Option<()> {
        let (mut pause, mut full_since) = (AGAIN.0, None);
        while self.purged() < upto {
            // A snapshot is read from the disk, and openraft needs it once: it knows what it stands for then.
            if self.snapshot() < upto {
                self.raft.trigger().snapshot().await.ok()?;
            }
            self.raft.trigger().purge_log(upto.0 - 1).await.ok()?;
            sleep(pause).await;
            pause = (pause * 2).min(AGAIN.1);
            full_since = self.store.is_short_of_space().then(|| full_since.unwrap_or_else(now));
            if full_since.is_some_and(|since: Instant| since.elapsed() >= FULL) {
                self.end_copies(upto);
            }
        }
        Some(())
    }

    /// Ends what is sent to those who copy entries before `upto`.
    fn end_copies(&self, upto: LogIndex) {
        let Some(peers) = self.peers.get() else { return };
        let copying: Vec<MemberId> = {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow_watched();
            let sent = metrics.replication.iter().flatten();
            let is_behind = |end: u64| end < upto.0;
            let behind =
                sent.filter(|(_, last)| is_behind(last.as_ref().map_or(0, |last| last.index + 1)));
            behind.map(|(id, _)| *id).collect()
        };
        for id in copying {
            if peers.interrupt(id) {
                tracing::warn!(
                    group = %peers.facts().group, peer = %peers.name_of(id),
                    "the disk is full, or nearly, and this member still copies what was trimmed: it is sent a snapshot instead, so that the space \
                     comes back"
                );
            }
        }
    }

    /// Entries before this index are purged.
    fn purged(&self) -> LogIndex {
        LogIndex(self.raft.metrics().borrow_watched().purged.map_or(0, |last| last.index + 1))
    }

    /// openraft knows of a snapshot that stands for the entries before this index.
    fn snapshot(&self) -> LogIndex {
        LogIndex(self.raft.metrics().borrow_watched().snapshot.map_or(0, |last| last.index + 1))
    }
}
