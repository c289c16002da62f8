//! A stream of appends to one peer: several under way, answers in the order of the requests.

use std::collections::VecDeque;
use std::future::pending;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures::future::{Either, select};
use futures::{Stream, StreamExt};
use openraft::raft::{AppendEntriesRequest, StreamAppendError, StreamAppendResult};
use openraft::type_config::alias::LogIdOf;
use runtime::{Elapsed, Instant, now, timeout};

use super::error::CallError;
use super::facts::Lane;
use super::frames::Body;
use super::link::{Call, Link};
use super::peer::Peer;
use super::wire::append;
use super::wire::frame::Kind;
use crate::types::Types;

/// What of a request must be remembered to judge its answer.
pub(super) struct Sent {
    /// The entry before those that were sent.
    before: Option<LogIdOf<Types>>,
    /// The last one that was sent.
    pub(super) last: Option<LogIdOf<Types>>,
}

impl Sent {
    pub(super) fn of(request: &AppendEntriesRequest<Types>) -> Self {
        let before = request.prev_log_id;
        let last = request.entries.last().map(|entry| entry.log_id).or(before);
        Self { before, last }
    }

    fn has_entries(&self) -> bool {
        self.last != self.before
    }

    /// What came of it. An answer that no follower gives would make the leader believe what is not so: it is none.
    pub(super) fn judge(&self, body: &[u8]) -> Result<StreamAppendResult<Types>, CallError> {
        let result = append::take_result(body).map_err(CallError::Answer)?;
        match &result {
            Ok(matched) if *matched < self.before || *matched > self.last => {
                Err(CallError::Contradiction("it has entries that were not sent"))
            }
            Err(StreamAppendError::Conflict(at)) if Some(at) != self.before.as_ref() => {
                Err(CallError::Contradiction("it misses an entry that nobody supposed"))
            }
            Ok(_) | Err(_) => Ok(result),
        }
    }
}

struct UnderWay {
    sent: Sent,
    bytes: usize,
    call: Call,
}

/// Requests on their way, and those that come.
pub(super) struct Pipeline<'a, S> {
    /// `None` when there are no more.
    input: Option<S>,
    peer: &'a Peer,
    lane: Lane,
    /// Time to connect.
    connect: Duration,
    /// From the first request on.
    link: Option<Rc<Link>>,
    /// How long the oldest request may go without an answer while nothing moves.
    limit: Duration,
    under_way: VecDeque<UnderWay>,
    bytes: usize,
    /// When the oldest one became that.
    since: Instant,
    /// An error ends the stream.
    done: bool,
}

enum Step {
    Answer(Result<Body, CallError>),
    Late,
    Request(Option<AppendEntriesRequest<Types>>),
}

impl<'a, S: Stream<Item = AppendEntriesRequest<Types>> + Unpin> Pipeline<'a, S> {
    /// The connection is asked for when there is a request: openraft waits, before it gives one, as long as an error
    /// before it has told it to.
    pub(super) fn new(input: S, peer: &'a Peer, lane: Lane, connect: Duration) -> Self {
        // Entries wait for a disk, and large ones for the network.
        let limit = match lane {
            Lane::Bulk => connect.max(peer.net().limits.answer),
            Lane::Urgent => connect,
        };
        Self {
            input: Some(input),
            peer,
            lane,
            connect,
            link: None,
            limit,
            under_way: VecDeque::new(),
            bytes: 0,
            since: now(),
            done: false,
        }
    }

    /// The next answer; `None` after an error, or when all requests were answered.
    pub(super) async fn next(&mut self) -> Option<Result<StreamAppendResult<Types>, CallError>> {
        loop {
            if self.done || (self.input.is_none() && self.under_way.is_empty()) {
                return None;
            }
            match self.step().await {
                Step::Request(Some(request)) => {
                    if let Err(error) = self.send(&request).await {
                        self.done = true;
                        return Some(Err(error));
                    }
                }
                Step::Request(None) => self.input = None,
                // What moves is not late: large entries take their time on the way.
                Step::Late if self.deadline() > now() => {}
                Step::Late => {
                    self.done = true;
                    return Some(Err(CallError::Late(self.limit)));
                }
                Step::Answer(answer) => return Some(self.answered(answer)),
            }
        }
    }

    fn deadline(&self) -> Instant {
        let moved = self.link.as_ref().map(|link| link.moved());
        moved.map_or(self.since, |moved| moved.max(self.since)) + self.limit
    }

    /// What happens next: an answer, or a request if there is room for one.
    async fn step(&mut self) -> Step {
        let deadline = self.deadline();
        let limits = &self.peer.net().limits;
        let is_full =
            self.under_way.len() >= limits.pipeline || self.bytes >= limits.pipeline_bytes;
        let Self { input, link, under_way, peer, lane, .. } = self;
        let answer = pin!(async {
            match under_way.front_mut() {
                Some(oldest) => match until(deadline, &mut oldest.call).await {
                    Ok(answer) => Step::Answer(answer),
                    Err(Elapsed) => Step::Late,
                },
                None => pending().await,
            }
        });
        let request = pin!(async {
            match input {
                Some(input) if !is_full => {
                    if let Some(link) = link {
                        link.room(limits).await;
                    }
                    if *lane == Lane::Bulk {
                        peer.turn().await;
                    }
                    Step::Request(input.next().await)
                }
                Some(_) | None => pending().await,
            }
        });
        match select(answer, request).await {
            Either::Left((step, _)) | Either::Right((step, _)) => step,
        }
    }

    async fn send(&mut self, request: &AppendEntriesRequest<Types>) -> Result<(), CallError> {
        let link = match &self.link {
            Some(link) => Rc::clone(link),
            None => self.peer.link(self.lane, self.connect).await?,
        };
        let (sent, bytes) = (Sent::of(request), append::weight(request));
        if self.under_way.is_empty() {
            self.since = now();
        }
        let call = link.call(Kind::Append, |out| {
            out.reserve(bytes);
            append::put(out, request);
        });
        self.peer.spend(bytes);
        self.bytes += bytes;
        self.under_way.push_back(UnderWay { sent, bytes, call });
        self.link = Some(link);
        Ok(())
    }

    fn answered(
        &mut self,
        answer: Result<Body, CallError>,
    ) -> Result<StreamAppendResult<Types>, CallError> {
        let oldest = self.under_way.pop_front().expect("it was answered");
        assert!(self.bytes >= oldest.bytes);
        self.bytes -= oldest.bytes;
        self.since = now();
        let result = answer.and_then(|body| oldest.sent.judge(&body));
        // Behind a part of a request, and behind what does not fit, nothing fits.
        let is_whole = matches!(&result, Ok(Ok(matched)) if *matched == oldest.sent.last);
        self.done = !is_whole;
        if oldest.sent.has_entries() {
            match &result {
                Ok(_) if is_whole => self.peer.takes(Ok(())),
                Err(CallError::Failed(why)) => self.peer.takes(Err(why)),
                Ok(_) | Err(_) => {}
            }
        }
        result
    }
}

/// The output of `future`, which is polled first, or [`Elapsed`] at `deadline`.
async fn until<F: Future>(deadline: Instant, future: F) -> Result<F::Output, Elapsed> {
    timeout(deadline.saturating_since(now()), future).await
}
