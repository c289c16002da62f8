//! Questions for consumer offsets, which only the leader may answer, and only while it is certain that it leads: one that was
//! deposed and does not know it yet would tell offsets that were overtaken.
//!
//! All questions of a moment share one round on the network.

use std::cell::RefCell;
use std::rc::Rc;

use raft::Group;
use remoting::ResponseCode;
use runtime::channel::Notify;

use super::super::Shard;
use super::super::offsets::{OffsetQuestion, answer_in_order};
use super::super::reply::Refusal;
use super::Replica;
use crate::limits::MAX_LEADER_READS;

/// Questions that wait for the next round.
#[derive(Default)]
pub struct Reads {
    waiting: RefCell<Vec<OffsetQuestion>>,
    news: Notify,
}

impl Reads {
    /// Refuses all that wait.
    pub(super) fn refuse_all(&self, refusal: &Refusal) {
        let waiting = self.waiting.take();
        waiting.iter().for_each(|question| question.refuse(refusal));
    }
}

/// Has the question answered after the next round, or refuses it.
pub fn ask(shard: &Shard, replica: &Replica, question: OffsetQuestion) {
    if let Err(refusal) = shard.check_office() {
        return question.refuse(&refusal);
    }
    let mut waiting = replica.reads.waiting.borrow_mut();
    if waiting.len() >= MAX_LEADER_READS {
        let remark = format!(
            "[OVERLOAD]broker busy, {MAX_LEADER_READS} questions already wait for the other members of the group; ask again"
        );
        return question.refuse(&Refusal::new(ResponseCode::SystemBusy, remark));
    }
    waiting.push(question);
    replica.reads.news.notify_one();
}

/// Answers questions, for as long as the shard runs.
pub async fn run(shard: Rc<Shard>, group: Group) {
    let replica = shard.replica.as_ref().expect("it is a member of a group");
    loop {
        let news = replica.reads.news.notified();
        let questions = replica.reads.waiting.take();
        if questions.is_empty() {
            news.await;
            continue;
        }
        let office = replica.office.get();
        let confirmed = group.confirm().await;
        let in_office = office.is_some() && replica.office.get() == office;
        let refusal = match confirmed {
            Ok(()) if in_office => None,
            Ok(()) => shard.check_office().err(),
            Err(error) => {
                let remark = format!("service not available now. {error}");
                Some(Refusal::new(ResponseCode::ServiceNotAvailable, remark))
            }
        };
        for question in questions {
            match &refusal {
                None => answer_in_order(&shard, question),
                Some(refusal) => question.refuse(refusal),
            }
        }
    }
}
