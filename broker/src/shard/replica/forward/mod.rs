//! Requests that only the leader can act on, and that came to another member: they are handed on to the leader, once.
//!
//! Whoever sent such a request is answered what the leader answers; or that it was not stored, if it was not handed on; or that
//! nobody knows, if it was and there is no answer. No request is sent twice: not by the one who hands it on, and not by the leader, which
//! acts on what was handed on to it or refuses it, whoever leads by then; but consumer offsets that are told once, and that a leader which
//! has just begun has not taken, are told it again. To send it again is up to the client. Questions for consumer
//! offsets, which store nothing, are another matter: one that came to nothing waits for the next leader, until its time is over.
//!
//! They are handed on in the order in which they came. One that comes while others wait goes behind them, also when this member
//! leads by then.

mod early;
mod hand_on;
mod rules;
mod serve;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use remoting::{CommandRef, RequestCode, frame};
use runtime::Instant;
use runtime::channel::Notify;
use transport::Connection;

use super::super::dispatch::{dispatch, has_effect};
use super::super::notices::{self, Notice};
use super::super::offsets::{self, OffsetQuestion};
use super::super::reply::{Caller, Refusal};
use super::super::{Phase, Shard, offset_questions, send};
use super::Replica;
use crate::limits::{FORWARD_WAIT, MAX_FORWARD_BYTES, MAX_FORWARDS, OFFSET_PATIENCE};

pub use hand_on::run;
pub use serve::office;

/// Requests that wait to be handed on, and how many were and are not answered.
pub struct Forwards {
    queue: RefCell<VecDeque<Waiting>>,
    /// One was taken off the queue, and is not on its way yet.
    in_hand: Cell<bool>,
    news: Notify,
    all: Rc<All>,
    /// For requests that other members have handed on to this one.
    limits: Rc<transport::Limits>,
}

/// Requests that wait to be handed on or answered, and their bytes.
#[derive(Default)]
struct All {
    count: Cell<usize>,
    bytes: Cell<usize>,
}

/// The place of one of them: it is free again when this is dropped.
struct Place {
    all: Rc<All>,
    bytes: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        let All { count, bytes } = &*self.all;
        assert!(count.get() > 0 && bytes.get() >= self.bytes, "it was counted");
        count.set(count.get() - 1);
        bytes.set(bytes.get() - self.bytes);
    }
}

/// Who waits for the leader's answer.
struct Asker {
    caller: Caller,
    code: RequestCode,
    since: Instant,
    /// What is asked again if it comes to nothing.
    question: Option<OffsetQuestion>,
    _place: Place,
}

/// A request that is to be handed on.
struct Waiting {
    asker: Asker,
    frame: Bytes,
}

impl Forwards {
    /// None yet.
    pub(super) fn new() -> Self {
        let (queue, in_hand, news, all) = Default::default();
        Self { queue, in_hand, news, all, limits: Rc::new(transport::Limits::default()) }
    }

    fn push(&self, waiting: Waiting) {
        self.queue.borrow_mut().push_back(waiting);
        self.news.notify_one();
    }

    fn is_idle(&self) -> bool {
        !self.in_hand.get() && self.queue.borrow().is_empty()
    }

    /// The next one; the caller says when it is on its way.
    fn next(&self) -> Option<Waiting> {
        let next = self.queue.borrow_mut().pop_front();
        self.in_hand.set(next.is_some());
        next
    }

    fn place(&self, bytes: usize) -> Option<Place> {
        let All { count, bytes: sum } = &*self.all;
        let is_full = count.get() >= MAX_FORWARDS || sum.get() + bytes > MAX_FORWARD_BYTES;
        // A large one is taken if it is alone.
        if is_full && count.get() > 0 {
            return None;
        }
        count.set(count.get() + 1);
        sum.set(sum.get() + bytes);
        Some(Place { all: Rc::clone(&self.all), bytes })
    }
}

/// Takes a request that is to be handed on; `frame` is all of it. False if it is to be handled here: anybody can act on it, this
/// member leads, or knows of nobody who does.
pub fn take(
    shard: &Shard,
    connection: &Connection,
    request: &CommandRef<'_>,
    frame: &Bytes,
) -> bool {
    let Some(replica) = &shard.replica else { return false };
    let Some(code) =
        RequestCode::from_code(request.code).filter(|code| rules::is_for_leader(*code))
    else {
        return false;
    };
    let is_nothing = request.flag.is_oneway() && !has_effect(code);
    // What cannot wait until it is clear who leads is refused at once.
    let is_open = replica.is_closed() && !follows(replica);
    let is_due = match is_open {
        true => rules::waits_for_leader(code),
        false => !replica.forwards.is_idle() || follows(replica),
    };
    if is_nothing || !is_due || !is_up(shard) {
        return false;
    }
    let caller = Caller::of(connection, request);
    let Some(place) = replica.forwards.place(frame.len()) else {
        refuse(shard, (code, &caller), &rules::too_many());
        return true;
    };
    let question = offsets::question(shard, &caller, request);
    let asker = Asker { caller, code, since: runtime::now(), question, _place: place };
    replica.forwards.push(Waiting { asker, frame: frame.clone() });
    true
}

/// Takes a question that waits here, to be handed on behind what is to be already. One whose asker is gone is dropped.
///
/// # Errors
/// The question: nobody is known who leads, or there is no room.
pub fn take_question(shard: &Shard, question: OffsetQuestion) -> Result<(), OffsetQuestion> {
    if question.is_abandoned() {
        return Ok(());
    }
    let replica = shard.replica.as_ref().filter(|replica| is_up(shard) && follows(replica));
    let Some(replica) = replica else { return Err(question) };
    let Some(frame) = question.frame() else { return Err(question) };
    let Some(place) = replica.forwards.place(frame.len()) else { return Err(question) };
    let asker = Asker {
        caller: question.caller().clone(),
        code: RequestCode::QueryConsumerOffset,
        since: question.since(),
        question: Some(question),
        _place: place,
    };
    replica.forwards.push(Waiting { asker, frame });
    Ok(())
}

fn is_up(shard: &Shard) -> bool {
    matches!(shard.phase.get(), Phase::Serving | Phase::Stopping)
}

/// Whether somebody else is known to lead, to whom requests can be handed on.
pub fn knows_leader(shard: &Shard) -> bool {
    shard.replica.as_ref().is_some_and(follows)
}

fn follows(replica: &Replica) -> bool {
    replica.group().is_some_and(|group| group.follows().is_some())
}

impl Asker {
    /// How long the answer is waited for in all.
    fn patience(&self) -> Duration {
        if self.question.is_some() { OFFSET_PATIENCE } else { FORWARD_WAIT }
    }

    /// Whether it is a consumer offset that nobody tells a second time.
    fn is_told_once(&self) -> bool {
        self.code == RequestCode::UpdateConsumerOffset && self.caller.is_oneway()
    }

    /// How long it still is.
    fn left(&self) -> Duration {
        self.patience().saturating_sub(self.since.elapsed())
    }

    /// Whether it is a question of which nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool {
        self.question.as_ref().is_some_and(OffsetQuestion::is_abandoned)
    }

    /// Waits until nobody waits for the answer to a question; it never ends for anything else. Cancel safe.
    async fn abandoned(&self) {
        match &self.question {
            Some(question) => question.caller().connection().closed().await,
            None => std::future::pending().await,
        }
    }

    fn refuse(self, shard: &Shard, refusal: &Refusal) {
        match self.question {
            Some(question) => offset_questions::again(shard, question, &refusal.remark),
            None => refuse(shard, (self.code, &self.caller), refusal),
        }
    }
}

/// Refuses as the request's handler would.
fn refuse(shard: &Shard, (code, caller): (RequestCode, &Caller), refusal: &Refusal) {
    if code == RequestCode::QueryConsumerOffset {
        return offset_questions::leave(shard, caller, &refusal.remark);
    }
    if !rules::is_send(code) {
        if caller.is_oneway() && code == RequestCode::UpdateConsumerOffset {
            replica_of(shard).tally.commits_dropped.add(1);
        }
        return refusal.send(caller);
    }
    if caller.is_oneway() {
        notices::note(shard, Notice::OnewayRefused(refusal.code), || {
            rules::oneway_text(caller.connection().peer(), refusal)
        });
    }
    send::answer_refused(shard, caller, refusal);
}

fn replica_of(shard: &Shard) -> &Replica {
    shard.replica.as_ref().expect("it is a member of a group")
}

impl Waiting {
    /// Handles it here after all.
    fn handle(self, shard: &Rc<Shard>) {
        let Self { asker, frame } = self;
        if let Some(question) = asker.question {
            return offset_questions::ask(shard, question);
        }
        let whole = frame::split(&frame, usize::MAX).ok().flatten().expect("it came as a frame");
        let request = CommandRef::decode(whole.serialize, &frame[whole.header.clone()]);
        let request = request.expect("it was read when it came");
        dispatch(shard, asker.caller.connection(), &request, frame.slice(whole.body));
    }
}
