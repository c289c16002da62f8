//! A connection that was dialled: requests go out on it, answers come back.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::{Either, select};
use runtime::channel::{Flag, OneshotReceiver, OneshotSender, oneshot};
use runtime::{Instant, WriteHalf};

use super::error::{CallError, CloseReason, Trouble};
use super::frames::{Body, Frame, Frames};
use super::limits::Limits;
use super::outbox::Outbox;
use super::wire::frame::{self, Kind, Part};

type Outcome = Result<Body, CallError>;

struct Waiting {
    kind: Kind,
    answer: OneshotSender<Outcome>,
}

/// A connection and the requests that wait for answers on it. It belongs to the lane that dialled it.
pub(super) struct Link {
    outbox: Outbox,
    received: Rc<Cell<Instant>>,
    last_id: Cell<u64>,
    waiting: RefCell<BTreeMap<u64, Waiting>>,
    /// Why it has ended.
    ended: RefCell<Option<Trouble>>,
    /// It is to end, and to be made anew.
    interrupted: Flag,
}

/// A request that was sent. Await it for its answer; dropped, a late answer is dropped too.
pub(super) struct Call {
    link: Rc<Link>,
    id: u64,
    answer: OneshotReceiver<Outcome>,
}

impl Link {
    pub(super) fn new(frames: &Frames) -> Self {
        Self {
            outbox: Outbox::new(),
            received: frames.received(),
            last_id: Cell::new(0),
            waiting: RefCell::default(),
            ended: RefCell::default(),
            interrupted: Flag::new(),
        }
    }

    /// Ends the connection: what the other side has not got is never sent, what is under way comes to nothing, and the next request is
    /// made on a new connection. Whether it was not ended before.
    pub(super) fn interrupt(&self) -> bool {
        let is_news = self.ended.borrow().is_none() && !self.interrupted.is_raised();
        self.interrupted.raise();
        is_news
    }

    /// Sends a request whose body `fill` appends. After the end of the connection it fails at once.
    pub(super) fn call(self: &Rc<Self>, kind: Kind, fill: impl FnOnce(&mut Vec<u8>)) -> Call {
        let id = self.last_id.get() + 1;
        self.last_id.set(id);
        let (answer, receiver) = oneshot();
        match &*self.ended.borrow() {
            Some(trouble) => {
                let told = answer.send(Err(CallError::Unreachable(trouble.clone())));
                assert!(told.is_ok(), "its receiver is right here");
            }
            None => {
                let frame = frame::encode(kind as u8, Part::Request, id, fill);
                match kind {
                    Kind::Ping => self.outbox.push_sign(frame),
                    _ => self.outbox.push(frame),
                }
                self.waiting.borrow_mut().insert(id, Waiting { kind, answer });
            }
        }
        Call { link: Rc::clone(self), id, answer: receiver }
    }

    /// Why the connection has ended; `None` while it is there.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.ended.borrow().clone()
    }

    /// Waits until a request may be sent, or the connection has ended. Cancel-safe.
    pub(super) async fn room(&self, limits: &Limits) {
        if self.ended.borrow().is_none() {
            self.outbox.room(limits.outbox).await;
        }
    }

    /// Requests that wait for answers.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.borrow().len()
    }

    /// Bytes that wait to be sent.
    pub(super) fn queued(&self) -> usize {
        self.outbox.bytes()
    }

    /// Bytes that were sent.
    pub(super) fn sent(&self) -> u64 {
        self.outbox.sent()
    }

    /// When the peer last took something of what it is sent, but for pings: those move as long as it lives.
    pub(super) fn moved(&self) -> Instant {
        self.outbox.advanced()
    }

    /// When the peer last said something.
    pub(super) fn received(&self) -> Instant {
        self.received.get()
    }

    /// Moves requests and answers until the connection ends. Dropping it closes the connection.
    pub(super) async fn drive(
        self: &Rc<Self>,
        mut frames: Frames,
        mut send: WriteHalf,
        limits: &Limits,
    ) -> CloseReason {
        let ended = {
            let sending = pin!(self.outbox.send_all(&mut send));
            let receiving = pin!(self.receive_all(&mut frames, limits));
            let interrupted = pin!(async {
                self.interrupted.raised().await;
                CloseReason::Interrupted
            });
            let watching = pin!(self.watch(limits));
            let moving = select(sending, receiving);
            match select(moving, select(watching, interrupted)).await {
                Either::Left((ended, _)) => ended.factor_first().0,
                Either::Right((ended, _)) => ended.factor_first().0,
            }
        };
        if matches!(ended, CloseReason::Interrupted) {
            // An error says that it has ended already.
            drop(send.set_linger(Some(Duration::ZERO)));
        }
        ended
    }

    /// The connection has ended: all who wait are told, and all who come later. What was to be sent is lost.
    pub(super) fn end(&self, trouble: &Trouble) {
        *self.ended.borrow_mut() = Some(trouble.clone());
        self.outbox.give_up();
        let waiting = self.waiting.take();
        for (_, Waiting { answer, .. }) in waiting {
            drop(answer.send(Err(CallError::Unreachable(trouble.clone())))); // Who asked may be gone.
        }
    }

    async fn receive_all(&self, frames: &mut Frames, limits: &Limits) -> CloseReason {
        loop {
            let answered = match frames.next(limits.max_body).await {
                Ok(frame) => self.answered(frame),
                Err(reason) => return reason,
            };
            if let Err(why) = answered {
                return CloseReason::Broken(why);
            }
        }
    }

    fn answered(&self, Frame { head, body }: Frame) -> Result<(), &'static str> {
        if head.id == 0 || head.id > self.last_id.get() {
            return Err("it answers what nobody asked");
        }
        let outcome = match head.part {
            Part::Request => return Err("it asks on a connection on which it answers"),
            Part::Answer => Ok(body),
            Part::Failed => Err(CallError::Failed(frame::reason(&body))),
        };
        let waiting = self.waiting.borrow_mut().remove(&head.id);
        // Nobody waits for an answer that is too late.
        let Some(Waiting { kind, answer }) = waiting else { return Ok(()) };
        if head.kind != kind as u8 {
            return Err("it answers another question than was asked");
        }
        drop(answer.send(outcome)); // Who asked may be gone.
        Ok(())
    }

    /// Asks for a sign of life, and ends when none comes.
    async fn watch(self: &Rc<Self>, limits: &Limits) -> CloseReason {
        let mut ping: Option<Call> = None;
        loop {
            runtime::sleep(limits.ping).await;
            if self.received().elapsed() > limits.silence {
                return CloseReason::Silent(limits.silence);
            }
            if let Some(reason) = self.outbox.stalled(limits) {
                return reason;
            }
            if ping.as_ref().is_none_or(|ping| !self.waits(ping.id)) {
                ping = Some(self.call(Kind::Ping, |_| ()));
            }
        }
    }

    fn waits(&self, id: u64) -> bool {
        self.waiting.borrow().contains_key(&id)
    }
}

impl Future for Call {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let answer = Pin::new(&mut self.answer).poll(cx);
        answer.map(|outcome| outcome.unwrap_or(Err(CallError::Unreachable(Trouble::Stopped))))
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.link.waiting.borrow_mut().remove(&self.id);
    }
}
