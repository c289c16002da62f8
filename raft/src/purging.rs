//! What the store has trimmed is purged from the group's log, and only then its files go: a follower that is behind is
//! sent entries as long as openraft takes them to be there.

use std::time::Duration;

use model::LogIndex;
use openraft::async_runtime::WatchReceiver;
use storage::Store;

use crate::node::Raft;

/// Time between two attempts: openraft does nothing while it makes another snapshot.
const AGAIN: Duration = Duration::from_millis(100);

/// Purges whatever is trimmed, until the core is gone.
pub(crate) async fn run(raft: Raft, store: Store) {
    let mut purged = purged_by(&raft);
    loop {
        store.release(purged);
        let upto = store.given_up(purged).await;
        while purged < upto {
            let asked = async {
                raft.trigger().snapshot().await?;
                raft.trigger().purge_log(upto.0 - 1).await
            };
            if asked.await.is_err() {
                return;
            }
            runtime::sleep(AGAIN).await;
            purged = purged_by(&raft);
        }
    }
}

/// Entries before this index are purged.
fn purged_by(raft: &Raft) -> LogIndex {
    LogIndex(raft.metrics().borrow_watched().purged.map_or(0, |last| last.index + 1))
}
