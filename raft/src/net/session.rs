//! A connection that was accepted: requests come in on it, answers go out.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;

use bytes::Bytes;
use futures::future::{Either, select};
use runtime::{Instant, WriteHalf, timeout};

use super::appends::Appends;
use super::error::CloseReason;
use super::facts::Lane;
use super::forward::Forwarded;
use super::frames::{Frame, Frames};
use super::handler::{Handled, Handler};
use super::in_flight::{InFlight, Place};
use super::limits::{LENT_MAX, Limits};
use super::outbox::Outbox;
use super::peers::Peers;
use super::snapshot::{self, Partial};
use super::wire::append;
use super::wire::forward::Forward;
use super::wire::frame::{self, Head, Kind, Part};
use super::wire::repair::{self, Wanted};
use super::wire::snapshot::{Answer, Piece, put_answer};
use super::wire::{WireError, gone, transfer, vote};
use crate::lineage::Lineage;

const STRANGER: &str = "its log named it in no group, and the group was recovered by force";

/// What belongs to one connection, and ends with it.
pub(super) struct Session {
    lane: Lane,
    /// That of the group that names the other side.
    lineage: Option<Lineage>,
    limits: Rc<Limits>,
    handler: Rc<dyn Handler>,
    peers: Peers,
    outbox: Rc<Outbox>,
    in_flight: Rc<InFlight>,
    /// Requests of clients: they wait for the log, and nobody else shall wait for them.
    forwards: Rc<InFlight>,
    /// Requests for entries that are damaged there.
    lending: Rc<InFlight>,
    appends: Appends,
    partial: RefCell<Option<Partial>>,
    received: Rc<Cell<Instant>>,
    /// Whether anything is read. Silence is a sign only then.
    listens: Cell<bool>,
}

impl Session {
    pub(super) fn new(
        (lane, lineage): (Lane, Option<Lineage>),
        limits: Rc<Limits>,
        (handler, peers): (Rc<dyn Handler>, Peers),
        frames: &Frames,
    ) -> Self {
        Self {
            lane,
            lineage,
            appends: Appends::new(limits.in_flight),
            limits,
            handler,
            peers,
            outbox: Rc::new(Outbox::new()),
            in_flight: Rc::default(),
            forwards: Rc::default(),
            lending: Rc::default(),
            partial: RefCell::default(),
            received: frames.received(),
            listens: Cell::new(false),
        }
    }

    /// Answers until the connection ends. Dropping it closes the connection.
    pub(super) async fn drive(&self, frames: &mut Frames, mut send: WriteHalf) -> CloseReason {
        let sending = pin!(self.outbox.send_all(&mut send));
        let receiving = pin!(self.receive_all(frames));
        let appending = pin!(self.appends.answer_all(&self.outbox));
        let watching = pin!(self.watch());
        match select(select(sending, receiving), select(appending, watching)).await {
            Either::Left((Either::Left((reason, _)), _)) => reason,
            Either::Left((Either::Right((reason, _)), _)) => reason,
            Either::Right((Either::Right((reason, _)), _)) => reason,
            Either::Right((Either::Left(((), _)), _)) => unreachable!("it answers for ever"),
        }
    }

    /// Waits for a reason to end the connection.
    async fn watch(&self) -> CloseReason {
        // Not even an answer to what is worked on may tell an old member the new term.
        let kept_out = pin!(self.peers.kept_out(self.lineage));
        match select(kept_out, pin!(self.watch_for_life())).await {
            Either::Left(((), _)) => CloseReason::KeptOut,
            Either::Right((reason, _)) => reason,
        }
    }

    async fn watch_for_life(&self) -> CloseReason {
        loop {
            runtime::sleep(self.limits.ping).await;
            let is_silent = self.received.get().elapsed() > self.limits.silence;
            if is_silent && self.listens.get() {
                return CloseReason::Silent(self.limits.silence);
            }
            if let Some(reason) = self.outbox.stalled(&self.limits) {
                return reason;
            }
        }
    }

    async fn receive_all(&self, frames: &mut Frames) -> CloseReason {
        loop {
            // What is not read yet waits at the peer.
            self.in_flight.room(&self.limits).await;
            self.outbox.room(self.limits.outbox).await;
            self.received.set(runtime::now());
            self.listens.set(true);
            let frame = match frames.next(self.limits.max_body).await {
                Ok(frame) => frame,
                Err(reason) => return reason,
            };
            self.listens.set(false);
            if let Err(reason) = self.take(frame) {
                return reason;
            }
        }
    }

    /// Has a request answered.
    fn take(&self, Frame { head, body }: Frame) -> Result<(), CloseReason> {
        let head = &head;
        if head.part != Part::Request {
            return Err(CloseReason::Broken("it answers on a connection on which it asks"));
        }
        let place = self.in_flight.enter(frame::HEAD_LEN + body.len());
        let Some(kind) = Kind::from_byte(head.kind) else {
            let why = format!("requests of kind {} are not known here", head.kind);
            self.outbox.push(frame::failed(head.kind, head.id, &why));
            return Ok(());
        };
        if kind.tells_terms() && self.peers.is_wary_of(self.lineage) {
            // If a group names it by now, it says so on the next connection.
            return Err(CloseReason::Broken(STRANGER));
        }
        let handler = &self.handler;
        match kind {
            Kind::Ping if body.is_empty() => self.outbox.push(answer(head, |_| ())),
            Kind::Ping => return Err(WireError::Long(body.len()).into()),
            Kind::Append => {
                let request = append::take(&body.into_slice())?;
                match self.lane {
                    Lane::Bulk => self.appends.push(request, head.id, place, handler),
                    Lane::Urgent if !request.entries.is_empty() => {
                        return Err(CloseReason::Broken("it sends entries on the urgent lane"));
                    }
                    Lane::Urgent => {
                        self.later(head, place, handler.append(request), append::put_result);
                    }
                }
            }
            Kind::Vote => {
                let request = vote::take(&body)?;
                self.later(head, place, handler.vote(request), vote::put_answer);
            }
            Kind::PreVote => {
                let request = vote::take(&body)?;
                self.later(head, place, handler.pre_vote(request), vote::put_answer);
            }
            Kind::Transfer => {
                let request = transfer::take(&body)?;
                self.later(head, place, handler.transfer_leader(request), transfer::put_answer);
            }
            Kind::Gone => {
                let asked = gone::take(&body)?;
                self.later(head, place, self.peers.testify(asked), gone::put_answer);
            }
            Kind::Snapshot => self.piece(head, place, &Piece::take(&body)?),
            Kind::Repair => {
                let wanted = repair::take(&body)?;
                return self.lend(head, wanted);
            }
            Kind::Forward => return self.forward(head, &body.into_bytes()),
        }
        Ok(())
    }

    /// Answers when `handled` is done, in a task of its own: no request waits for another one, but for entries.
    fn later<R: 'static>(
        &self,
        head: &Head,
        place: Place,
        handled: impl Future<Output = Handled<R>> + 'static,
        put: impl FnOnce(&mut Vec<u8>, &R) + 'static,
    ) {
        let (head, outbox) = (*head, Rc::clone(&self.outbox));
        runtime::spawn(async move {
            let frame = match handled.await {
                Ok(done) => answer(&head, |out| put(out, &done)),
                Err(why) => frame::failed(head.kind, head.id, &why),
            };
            outbox.push(frame); // Nobody sends it if the connection has ended.
            drop(place);
        })
        .detach();
    }

    /// Has a request of a client acted on, now, and answered when that is done.
    fn forward(&self, head: &Head, body: &Bytes) -> Result<(), CloseReason> {
        if self.lane == Lane::Urgent {
            return Err(CloseReason::Broken("it hands requests on on the urgent lane"));
        }
        let Forward { term, origin, left, request } = Forward::take(body)?;
        let Limits { forwards, forward_bytes, max_body, .. } = *self.limits;
        let Some(place) = self.forwards.try_enter(body.len(), (forwards, forward_bytes)) else {
            let why = format!(
                "{forwards} requests, or {forward_bytes} bytes of them, that this node has handed on already wait there"
            );
            self.outbox.push(frame::failed(head.kind, head.id, &why));
            return Ok(());
        };
        let forwarded = Forwarded { term, origin, left, request: body.slice_ref(request) };
        let acted_on = self.peers.act_on(forwarded);
        let answered = async move {
            // Nobody waits any more for an answer that is too late, and none comes near what is too long.
            let answer = timeout(left, acted_on).await.unwrap_or_else(|_| Ok(Vec::new()))?;
            Ok(Some(answer).filter(|answer| answer.len() <= max_body).unwrap_or_default())
        };
        self.later(head, place, answered, |out, answer: &Vec<u8>| out.extend_from_slice(answer));
        Ok(())
    }

    /// Sends entries to a member whose log is damaged, one answer at a time.
    fn lend(&self, head: &Head, wanted: Wanted) -> Result<(), CloseReason> {
        if self.lane == Lane::Urgent {
            return Err(CloseReason::Broken("it asks for entries on the urgent lane"));
        }
        let max_bytes = wanted.max_bytes.min(LENT_MAX);
        let Some(place) = self.lending.try_enter(1, (1, usize::MAX)) else {
            let why = "it asks for entries again before it was answered";
            self.outbox.push(frame::failed(head.kind, head.id, why));
            return Ok(());
        };
        let lent = self.peers.lend(Wanted { max_bytes, ..wanted });
        self.later(head, place, lent, |out, entries: &Vec<_>| repair::put_answer(out, entries));
        Ok(())
    }

    fn piece(&self, head: &Head, place: Place, piece: &Piece<'_>) {
        let added = snapshot::add(&mut self.partial.borrow_mut(), piece, self.limits.max_snapshot);
        match added {
            Ok(None) => self.outbox.push(answer(head, |out| put_answer(out, &Answer::GoOn))),
            Ok(Some(whole)) => {
                let snapshot::Whole { vote, meta, bytes } = whole;
                let installed = self.handler.install_snapshot(vote, meta, bytes);
                let answered = async move { Ok(Answer::Installed(installed.await?)) };
                self.later(head, place, answered, put_answer);
            }
            Err(why) => self.outbox.push(frame::failed(head.kind, head.id, &why)),
        }
    }
}

fn answer(head: &Head, fill: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    frame::encode(head.kind, Part::Answer, head.id, fill)
}
