//! Pulls from behind the end of a queue.
//!
//! A broker on its own says that the offset is too large, and where the queue ends: the consumer goes back to there, commits that, and gets all
//! behind it a second time. A member of a group may not have what others have served long ago, so one that follows waits for
//! the message instead, and says in the end that there is none yet. (RocketMQ's slave does not send consumers back either: 5.5.0,
//! DefaultPullMessageResultHandler, case PULL_OFFSET_MOVED.) The leader makes sure first that it leads still. All such pulls of a moment
//! share one round on the network.

use std::cell::RefCell;
use std::rc::Rc;

use runtime::channel::Notify;

use super::super::Shard;
use super::super::pull::{self, PullRequest};
use crate::limits::{MAX_END_QUESTIONS, OFFSET_PATIENCE};

/// Pulls that wait until it is certain where their queues end.
#[derive(Default)]
pub struct Ends {
    #[expect(clippy::vec_box, reason = "held pulls are boxed, and answered so")]
    waiting: RefCell<Vec<Box<PullRequest>>>,
    news: Notify,
}

/// Asks whether a queue ends where it seems to end, and goes on with the pull then. It goes on at once where the answer is known: this
/// member does not lead, or too many ask.
pub fn ask(shard: &Rc<Shard>, pull: Box<PullRequest>) {
    let ends = &shard.replica.as_ref().expect("it is a member of a group").ends;
    let mut waiting = ends.waiting.borrow_mut();
    if shard.check_office().is_err() || waiting.len() >= MAX_END_QUESTIONS {
        drop(waiting);
        return pull::go_on(shard, pull, false);
    }
    waiting.push(pull);
    ends.news.notify_one();
}

/// Goes on with what waits, for as long as the shard runs.
pub async fn run(shard: Rc<Shard>) {
    let ends = &shard.replica.as_ref().expect("it is a member of a group").ends;
    loop {
        let news = ends.news.notified();
        let asked = ends.waiting.take();
        if asked.is_empty() {
            news.await;
            continue;
        }
        let is_certain = shard.is_certain(runtime::now() + OFFSET_PATIENCE).await;
        asked.into_iter().for_each(|pull| pull::go_on(&shard, pull, is_certain));
    }
}
