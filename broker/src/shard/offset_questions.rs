//! Questions for consumer offsets that cannot be answered yet. They are held, tried again, and in the end left without an
//! answer; none is ever refused.
//!
//! Whatever code a refusal had, clients of 4.9.8 would take it for "this group has no offset", begin at the end of the queue, and commit
//! that: the group's backlog would never be consumed (RocketMQ 4.9.8, RemoteBrokerOffsetStore.readOffset, which makes −1 of any
//! MQBrokerException, and RebalancePushImpl.computePullFromWhere, which takes −1 for "none"). An answer that does not come is another
//! matter: they leave the queue alone, and ask again when they next rebalance. Later clients ask again in both cases.
//!
//! In a group only the leader may answer, and only while it is certain that it leads: one that was deposed and does not know it yet
//! would tell offsets that were overtaken. All questions of a moment share one round on the network. Another member hands its questions on,
//! and those that wait as soon as it knows to whom; what comes to nothing is handed on again, for a question may be asked twice.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use futures::{FutureExt, select_biased};
use runtime::Instant;
use runtime::channel::Notify;

use super::completions::Afterwards;
use super::notices::{self, Notice};
use super::offsets::{OffsetQuestion, answer_in_order};
use super::replica::Replica;
use super::replica::forward;
use super::reply::Caller;
use super::{Phase, Shard};
use crate::limits::{MAX_OFFSET_QUESTIONS, OFFSET_PATIENCE};

/// Pause before what could not be answered is tried again.
const AGAIN: Duration = Duration::from_millis(20);

/// Questions that are not answered yet.
#[derive(Default)]
pub struct OffsetQuestions {
    /// Those that wait here, the oldest first; others may be on their way to the leader.
    waiting: RefCell<VecDeque<OffsetQuestion>>,
    /// Those that wait for what was appended before them, in that order.
    behind: RefCell<VecDeque<(Mark, OffsetQuestion)>>,
    /// The last one of those, of all times.
    mark: Cell<Mark>,
    /// All of them, wherever they wait.
    count: Rc<Cell<usize>>,
    news: Notify,
}

/// Says which questions wait behind something in the log: each is after the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(pub u64);

impl Mark {
    /// After all others.
    pub const LAST: Self = Self(u64::MAX);
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

    /// One that came a while ago waits before those that came later.
    fn add(&self, question: OffsetQuestion) {
        self.put_back([question]);
        self.news.notify_one();
    }

    /// Those that could not be answered wait on, before those that came later.
    fn put_back(
        &self,
        questions: impl IntoIterator<Item = OffsetQuestion, IntoIter: DoubleEndedIterator>,
    ) {
        let mut waiting = self.waiting.borrow_mut();
        // The last ones first: each is the oldest so far, or nearly.
        for question in questions.into_iter().rev() {
            let at = waiting.partition_point(|other| other.since() < question.since());
            waiting.insert(at, question);
        }
    }

    fn is_idle(&self) -> bool {
        self.waiting.borrow().is_empty() && self.behind.borrow().is_empty()
    }

    /// Takes those out that wait for the log and are not past this mark.
    fn take_until(&self, mark: Mark) -> Vec<OffsetQuestion> {
        let mut behind = self.behind.borrow_mut();
        let count = behind.partition_point(|(own, _)| *own <= mark);
        behind.drain(..count).map(|(_, question)| question).collect()
    }

    /// Takes those out that are over, wherever they wait.
    fn take_over(&self, is_over: impl Fn(&OffsetQuestion) -> bool) -> Vec<OffsetQuestion> {
        let (mut waiting, mut behind) = (self.waiting.borrow_mut(), self.behind.borrow_mut());
        let mut over = taken(&mut waiting, &is_over);
        let over_behind = taken(&mut behind, |(_, question)| is_over(question));
        over.extend(over_behind.into_iter().map(|(_, question)| question));
        over
    }
}

/// Takes out what `is_due`; the others stay in their order.
fn taken<T>(queue: &mut VecDeque<T>, is_due: impl Fn(&T) -> bool) -> Vec<T> {
    if !queue.iter().any(&is_due) {
        return Vec::new();
    }
    let (due, rest): (Vec<T>, Vec<T>) = queue.drain(..).partition(|one| is_due(one));
    queue.extend(rest);
    due
}

/// Answers a question now or later.
pub fn ask(shard: &Shard, question: OffsetQuestion) {
    // It is bounded by a limit of its own from here on, and must not keep what the client sends next from being read.
    question.caller().hold_aside();
    if shard.replica.is_some() {
        return shard.offset_questions.add(question);
    }
    if let Err(question) = answer_in_order(shard, question) {
        shard.offset_questions.add(question);
    }
}

/// Holds on to questions that an office, which is over, has not answered.
pub fn hold(shard: &Shard) {
    let questions = &shard.offset_questions;
    questions.put_back(questions.take_until(Mark::LAST));
    questions.news.notify_one();
}

/// Answers a question when all that is under way is committed.
pub fn answer_afterwards(shard: &Shard, question: OffsetQuestion) {
    let questions = &shard.offset_questions;
    let mark = Mark(questions.mark.get().0 + 1);
    questions.mark.set(mark);
    questions.behind.borrow_mut().push_back((mark, question));
    shard.afterwards(Afterwards::Offsets(mark));
    questions.news.notify_one();
}

/// Answers those that wait for what is committed now.
pub fn answer_until(shard: &Shard, mark: Mark) {
    let due = shard.offset_questions.take_until(mark);
    due.iter().for_each(|question| question.answer(shard));
}

/// One that was handed on, or was to be, has no answer, because of `why`. It waits for whoever leads by then, unless its time is over, or
/// nobody waits for it.
pub fn again(shard: &Shard, question: OffsetQuestion, why: &str) {
    if question.is_abandoned() {
        return;
    }
    if runtime::now() >= question.since() + OFFSET_PATIENCE {
        return leave(shard, question.caller(), why);
    }
    question.caller().hold_aside();
    shard.offset_questions.add(question);
}

/// More wait than may: this one is left without an answer, at once.
pub fn too_many(shard: &Shard, caller: &Caller) {
    leave(shard, caller, &format!("{MAX_OFFSET_QUESTIONS} of them already wait"));
}

/// Answers what waits, for as long as the shard runs.
pub async fn run(shard: Rc<Shard>) {
    let questions = &shard.offset_questions;
    let mut looked = None;
    loop {
        let news = questions.news.notified();
        let is_due = looked.is_none_or(|at: Instant| at.elapsed() >= AGAIN);
        if is_due {
            looked = Some(runtime::now());
            leave_what_is_over(&shard);
        }
        if questions.is_idle() {
            news.await;
            continue;
        }
        if may_answer(&shard) {
            round(&shard).await;
        } else if is_due {
            hand_on(&shard);
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
    if asked.is_empty() {
        return;
    }
    let oldest = asked.front().map_or_else(runtime::now, OffsetQuestion::since);
    if !shard.is_certain(oldest + OFFSET_PATIENCE).await {
        return shard.offset_questions.put_back(asked);
    }
    let left = asked.into_iter().filter_map(|question| answer_in_order(shard, question).err());
    let left: Vec<_> = left.collect();
    shard.offset_questions.put_back(left);
}

/// Hands on what waits, if somebody else is known to lead. What another member has handed on is left: that one asks again.
fn hand_on(shard: &Shard) {
    let questions = &shard.offset_questions;
    let mut left = Vec::new();
    for question in questions.waiting.take() {
        if question.caller().connection().is_relayed() {
            question.caller().leave_unanswered();
        } else if let Err(question) = forward::take_question(shard, question) {
            left.push(question);
        }
    }
    questions.put_back(left);
}

/// Leaves those without an answer that have waited for too long; and all, if this node will never answer. Those whose askers are gone
/// take nobody's place any more.
fn leave_what_is_over(shard: &Shard) {
    let (now, never) = (runtime::now(), answers_no_more(shard));
    let is_over =
        |one: &OffsetQuestion| never || now >= one.since() + OFFSET_PATIENCE || one.is_abandoned();
    let over = shard.offset_questions.take_over(is_over);
    for question in over.iter().filter(|question| !question.is_abandoned()) {
        let why = match shard.check_office() {
            _ if never => "this node is being stopped, or its log has failed".to_owned(),
            Ok(()) => format!("they waited {OFFSET_PATIENCE:?} for the log or the other members"),
            Err(refusal) => refusal.remark,
        };
        leave(shard, question.caller(), &why);
    }
}

/// Whether the shard leads no more until it is started again, and knows nobody to hand questions on to.
fn answers_no_more(shard: &Shard) -> bool {
    let is_over = |phase| match phase {
        Phase::Failed => true,
        // While another one is asked to lead it is known in a moment who does, or nobody is asked any more.
        Phase::Stopping => {
            let is_closed = shard.replica.as_ref().is_some_and(Replica::is_closed);
            shard.check_office().is_err() && !forward::knows_leader(shard) && !is_closed
        }
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
