//! Questions for consumer offsets that cannot be answered yet. They are held, tried again, and in the end left without an
//! answer; none is ever refused.
//!
//! Whatever code a refusal had, clients of 4.9.8 would take it for "this group has no offset", begin at the end of the queue, and commit
//! that: the group's backlog would never be consumed (RocketMQ 4.9.8, RemoteBrokerOffsetStore.readOffset, which makes −1 of any
//! MQBrokerException, and RebalancePushImpl.computePullFromWhere, which takes −1 for "none"). An answer that does not come is another
//! matter: they leave the queue alone, and ask again when they next rebalance. Later clients ask again in both cases.
//!
//! In a group only the leader may answer, and only while it is certain that it leads: one that was deposed and does not know it yet
//! would tell offsets that were overtaken. All questions of a moment share one round on the network.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use futures::{FutureExt, select_biased};
use runtime::channel::Notify;

use super::notices::{self, Notice};
use super::offsets::{OffsetQuestion, answer_in_order};
use super::reply::Caller;
use super::{Phase, Shard};
use crate::limits::{MAX_OFFSET_QUESTIONS, OFFSET_PATIENCE};

/// Pause before what could not be answered is tried again.
const AGAIN: Duration = Duration::from_millis(20);

/// Questions that are not answered yet.
#[derive(Default)]
pub struct OffsetQuestions {
    /// Those that wait here; others may wait for the log.
    waiting: RefCell<VecDeque<OffsetQuestion>>,
    /// All of them, wherever they wait.
    count: Rc<Cell<usize>>,
    news: Notify,
}

/// The place of one of them among [`MAX_OFFSET_QUESTIONS`]: it is free again when this is dropped.
pub struct Place(Rc<Cell<usize>>);

impl Drop for Place {
    fn drop(&mut self) {
        assert!(self.0.get() > 0, "it was counted");
        self.0.set(self.0.get() - 1);
    }
}

impl OffsetQuestions {
    /// A place for one more, if there is one.
    pub fn place(&self) -> Option<Place> {
        let count = self.count.get();
        (count < MAX_OFFSET_QUESTIONS).then(|| {
            self.count.set(count + 1);
            Place(Rc::clone(&self.count))
        })
    }

    fn push(&self, question: OffsetQuestion) {
        self.waiting.borrow_mut().push_back(question);
        self.news.notify_one();
    }

    /// Those that could not be answered wait on, before those that came later.
    fn put_back(
        &self,
        questions: impl IntoIterator<Item = OffsetQuestion, IntoIter: DoubleEndedIterator>,
    ) {
        let mut waiting = self.waiting.borrow_mut();
        questions.into_iter().rev().for_each(|question| waiting.push_front(question));
    }
}

/// Answers a question now or later.
pub fn ask(shard: &Shard, question: OffsetQuestion) {
    // It is bounded by a limit of its own from here on, and must not keep what the client sends next from being read.
    question.caller().hold_aside();
    if shard.replica.is_some() {
        return shard.offset_questions.push(question);
    }
    if let Err(question) = answer_in_order(shard, question) {
        shard.offset_questions.push(question);
    }
}

/// Holds on to questions that an office, which is over, has not answered.
pub fn hold(shard: &Shard, questions: Vec<OffsetQuestion>) {
    shard.offset_questions.put_back(questions);
    shard.offset_questions.news.notify_one();
}

/// More wait than may: this one is left without an answer, at once.
pub fn too_many(shard: &Shard, caller: &Caller) {
    leave(shard, caller, &format!("{MAX_OFFSET_QUESTIONS} of them already wait"));
}

/// Answers what waits, for as long as the shard runs.
pub async fn run(shard: Rc<Shard>) {
    let questions = &shard.offset_questions;
    loop {
        let news = questions.news.notified();
        leave_overdue(&shard);
        if questions.waiting.borrow().is_empty() {
            news.await;
            continue;
        }
        if may_answer(&shard) {
            round(&shard).await;
        }
        select_biased! {
            () = news.fuse() => {}
            () = runtime::sleep(AGAIN).fuse() => {}
        }
    }
}

/// Whether it is worth asking the others.
fn may_answer(shard: &Shard) -> bool {
    shard.replica.is_none() || shard.check_office().is_ok()
}

/// Answers what waits now. What comes meanwhile is for the next round: this one may have begun before it was asked.
async fn round(shard: &Shard) {
    let asked = shard.offset_questions.waiting.take();
    if !shard.is_certain().await {
        return shard.offset_questions.put_back(asked);
    }
    let left = asked.into_iter().filter_map(|question| answer_in_order(shard, question).err());
    let left: Vec<_> = left.collect();
    shard.offset_questions.put_back(left);
}

/// Leaves those without an answer that have waited for too long; and all, if this node will never answer.
fn leave_overdue(shard: &Shard) {
    let (now, never) = (runtime::now(), answers_no_more(shard));
    loop {
        let mut waiting = shard.offset_questions.waiting.borrow_mut();
        let is_overdue =
            |first: &mut OffsetQuestion| never || now >= first.since() + OFFSET_PATIENCE;
        let Some(question) = waiting.pop_front_if(is_overdue) else { return };
        drop(waiting);
        let why = match shard.check_office() {
            _ if never => "this node is being stopped, or its log has failed".to_owned(),
            Ok(()) => format!("they waited {OFFSET_PATIENCE:?} for the log or the other members"),
            Err(refusal) => refusal.remark,
        };
        leave(shard, question.caller(), &why);
    }
}

/// Whether the shard leads no more until it is started again.
fn answers_no_more(shard: &Shard) -> bool {
    let is_over = |phase| match phase {
        Phase::Failed => true,
        Phase::Stopping => shard.check_office().is_err(),
        Phase::Recovering | Phase::Serving => false,
    };
    shard.replica.is_some() && is_over(shard.phase.get())
}

/// Leaves a question without an answer.
pub fn leave(shard: &Shard, caller: &Caller, why: &str) {
    caller.leave_unanswered();
    notices::note(shard, Notice::OffsetUnanswered, || {
        format!(
            "a question for a consumer offset, from {}, was left without an answer, upon which clients ask again: {why}",
            caller.connection().peer()
        )
    });
}
