//! A change of the members that is left in its middle.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use futures::future::{Either, select};
use openraft::ChangeMembers;
use openraft::async_runtime::WatchReceiver;
use runtime::sleep;

use super::member::{Live, TOPIC, until};
use super::{join, simulated};

/// Whether old and new voters both count.
fn is_in_the_middle(live: &Live) -> bool {
    let metrics = live.node.raft().metrics();
    let metrics = metrics.borrow_watched();
    metrics.membership_config.membership().get_joint_config().len() > 1
}

#[test]
fn a_change_that_nobody_goes_on_with_is_ended_by_the_leader() {
    simulated(|| async {
        let first = Live::start(Path::new("/a"), 0).await;
        first.found().await;
        first.store.append_create_topic(TOPIC, 1, b"").unwrap();
        first.send(3, 100).await;
        let second = join(&first, Live::start(Path::new("/b"), 1).await, 1).await;
        let third = join(&first, Live::start(Path::new("/c"), 2).await, 2).await;
        let raft = first.node.raft().clone();
        let leaves = ChangeMembers::RemoveVoters(BTreeSet::from([third.id]));
        let change = Box::pin(raft.change_membership(leaves, true));
        let begun = Box::pin(async {
            let mut metrics = raft.metrics();
            while !is_in_the_middle(&first) {
                metrics.changed().await.unwrap();
            }
        });
        // Who makes it is gone before the first of its two entries is committed.
        let Either::Left(_) = select(begun, change).await else { panic!("it was too fast") };
        sleep(Duration::from_secs(2)).await;
        assert!(is_in_the_middle(&first) && is_in_the_middle(&second), "nobody goes on with it");
        until("it is ended", || !is_in_the_middle(&first) && !is_in_the_middle(&second)).await;
        first.send(3, 100).await;
        for member in [third, second, first] {
            member.stop().await.unwrap();
        }
    });
}
