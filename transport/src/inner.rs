//! The state of a connection, shared by its handles and its task.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;

use remoting::Command;
use runtime::Instant;
use runtime::channel::{Flag, Notify, OneshotSender};

use crate::connection::ConnectionId;
use crate::error::CloseReason;
use crate::in_flight::InFlight;
use crate::limits::Limits;

pub(crate) struct Inner {
    pub(crate) id: ConnectionId,
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) limits: Rc<Limits>,
    /// There is no socket behind it.
    pub(crate) relayed: Cell<bool>,
    /// Encoded frames that the writer has not taken yet.
    pub(crate) outbox: RefCell<Vec<u8>>,
    /// Bytes that the writer has taken and the kernel has not.
    pub(crate) writing: Cell<usize>,
    /// Wakes the writer.
    pub(crate) work: Notify,
    /// Wakes whoever waits for outgoing bytes or unanswered requests to become fewer.
    pub(crate) room: Notify,
    pub(crate) in_flight: RefCell<InFlight>,
    /// Own requests that wait for the peer's answer, by number.
    pub(crate) outstanding: RefCell<HashMap<i32, OneshotSender<Command>>>,
    last_opaque: Cell<i32>,
    /// Raised to end the connection at once.
    pub(crate) stop: Flag,
    /// Raised to end it when everything is answered.
    pub(crate) finish: Flag,
    /// Raised when it has ended.
    pub(crate) ended: Flag,
    /// Set when the writer shall end as soon as nothing is queued.
    pub(crate) flushing: Cell<bool>,
    reason: RefCell<Option<CloseReason>>,
    /// When bytes last came or went.
    pub(crate) moved: Cell<Instant>,
    /// When the peer last took bytes; while nothing is being written, when it last could have.
    pub(crate) taken: Cell<Instant>,
}

impl Inner {
    pub(crate) fn new(peer: SocketAddr, local: SocketAddr, limits: Rc<Limits>) -> Inner {
        let now = runtime::now();
        Inner {
            id: ConnectionId::next(),
            peer,
            local,
            limits,
            relayed: Cell::new(false),
            outbox: RefCell::default(),
            writing: Cell::new(0),
            work: Notify::new(),
            room: Notify::new(),
            in_flight: RefCell::default(),
            outstanding: RefCell::default(),
            last_opaque: Cell::new(0),
            stop: Flag::new(),
            finish: Flag::new(),
            ended: Flag::new(),
            flushing: Cell::new(false),
            reason: RefCell::default(),
            moved: Cell::new(now),
            taken: Cell::new(now),
        }
    }

    pub(crate) fn queued_bytes(&self) -> usize {
        self.outbox.borrow().len() + self.writing.get()
    }

    /// Something was put into the outbox.
    pub(crate) fn queued(&self) {
        let queued = self.queued_bytes();
        let limit = self.limits.outbox_limit;
        if queued > limit {
            self.end(CloseReason::OutboxFull { queued, limit });
        } else {
            self.work.notify_all();
        }
    }

    /// Whether the reader has to wait before it takes another request.
    pub(crate) fn is_full(&self) -> bool {
        let waiting = self.in_flight.borrow();
        self.queued_bytes() >= self.limits.outbox_high_water
            || waiting.requests() >= self.limits.in_flight
            || waiting.bytes() >= self.limits.in_flight_bytes
    }

    pub(crate) fn next_opaque(&self) -> i32 {
        let outstanding = self.outstanding.borrow();
        let mut opaque = self.last_opaque.get().wrapping_add(1);
        while outstanding.contains_key(&opaque) {
            opaque = opaque.wrapping_add(1);
        }
        self.last_opaque.set(opaque);
        opaque
    }

    /// An answer has come. Late ones find nobody.
    pub(crate) fn answered(&self, answer: Command) {
        let waiting = self.outstanding.borrow_mut().remove(&answer.opaque);
        match waiting {
            Some(sender) => drop(sender.send(answer)),
            None => {
                tracing::debug!(peer = %self.peer, opaque = answer.opaque, "late answer dropped")
            }
        }
    }

    /// Why the connection should be given up now, if it should.
    pub(crate) fn overdue(&self, now: Instant) -> Option<CloseReason> {
        let Limits { stall, idle, .. } = *self.limits;
        if self.writing.get() > 0 && now - self.taken.get() >= stall {
            return Some(CloseReason::Stalled { queued: self.queued_bytes(), limit: stall });
        }
        (now - self.moved.get() >= idle).then_some(CloseReason::Idle(idle))
    }

    /// Tells the connection's task to end; the first reason counts.
    pub(crate) fn end(&self, reason: CloseReason) {
        self.reason.borrow_mut().get_or_insert(reason);
        self.stop.raise();
        self.room.notify_all();
    }

    pub(crate) fn take_reason(&self) -> Option<CloseReason> {
        self.reason.borrow_mut().take()
    }

    /// The task has ended: waiting requests fail, the buffers go.
    pub(crate) fn ended(&self) {
        assert!(self.stop.is_raised(), "a connection closes before it ends");
        let waiting = std::mem::take(&mut *self.outstanding.borrow_mut());
        drop(waiting);
        *self.outbox.borrow_mut() = Vec::new();
        self.writing.set(0);
        self.ended.raise();
        self.room.notify_all();
    }
}
