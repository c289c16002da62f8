//! A connection as its users see it.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use remoting::command::EncodeExt;
use remoting::{
    Command, EncodeError, RequestHead, ResponseCode, ResponseHead, encode_request, encode_response,
};
use runtime::channel::oneshot;

use crate::error::{CloseReason, RequestError};
use crate::inner::Inner;
use crate::limits::Limits;

/// Tells connections apart; never used twice on one thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

impl ConnectionId {
    /// The number itself.
    pub fn as_u64(self) -> u64 {
        self.0
    }

    pub(crate) fn next() -> ConnectionId {
        thread_local!(static LAST: Cell<u64> = const { Cell::new(0) });
        let id = LAST.get() + 1;
        LAST.set(id);
        ConnectionId(id)
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One connection. A clone is the same connection; dropping clones does not close it.
///
/// Owned by the executor that made it. It ends when either side closes it, on an error, or after `Limits::idle` without traffic.
#[derive(Clone)]
pub struct Connection {
    pub(crate) inner: Rc<Inner>,
}

impl Connection {
    pub(crate) fn new(peer: SocketAddr, local: SocketAddr, limits: Rc<Limits>) -> Connection {
        Connection { inner: Rc::new(Inner::new(peer, local, limits)) }
    }

    /// The connection's number.
    pub fn id(&self) -> ConnectionId {
        self.inner.id
    }

    /// The other end.
    pub fn peer(&self) -> SocketAddr {
        self.inner.peer
    }

    /// This end.
    pub fn local(&self) -> SocketAddr {
        self.inner.local
    }

    /// Whether it stands for one that another node has: what comes by it is one request, which that node has handed over.
    pub fn is_relayed(&self) -> bool {
        self.inner.relayed.get()
    }

    /// False from the moment on that either side closes it.
    pub fn is_open(&self) -> bool {
        !self.inner.stop.is_raised()
    }

    /// Queues an answer; never waits. Answers leave in the order of the calls, all answers of one turn in one write.
    ///
    /// Does nothing if nobody waits for it: the connection is closed, the request was oneway or has been answered. An answer that
    /// is too long for a frame is replaced by code 1 with the reason.
    pub fn respond(&self, head: &ResponseHead<'_>, body: &[u8]) {
        self.respond_parts(head, body.len(), |out| out.extend_from_slice(body));
    }

    /// As [`respond`](Self::respond), with a body that `fill` appends to the outgoing bytes: exactly `body_len` bytes, or it panics.
    pub fn respond_parts(
        &self,
        head: &ResponseHead<'_>,
        body_len: usize,
        fill: impl FnOnce(&mut Vec<u8>),
    ) {
        if !self.is_open() || !self.inner.in_flight.borrow_mut().answered(head.opaque) {
            return;
        }
        self.inner.room.notify_all();
        let mut outbox = self.inner.outbox.borrow_mut();
        match encode_response(&mut *outbox, head, body_len) {
            Ok(()) => {
                let end = outbox.len() + body_len;
                fill(&mut outbox);
                assert_eq!(outbox.len(), end, "an answer's body has the length announced");
            }
            Err(error) => refuse(&mut outbox, head, error),
        }
        drop(outbox);
        self.inner.queued();
    }

    /// Queues an answer that somebody else has encoded: a whole frame, which repeats the request's `opaque`. Otherwise as
    /// [`respond`](Self::respond).
    pub fn respond_frame(&self, opaque: i32, frame: &[u8]) {
        if !self.is_open() || !self.inner.in_flight.borrow_mut().answered(opaque) {
            return;
        }
        self.inner.room.notify_all();
        self.inner.outbox.borrow_mut().extend_from_slice(frame);
        self.inner.queued();
    }

    /// Takes a request that waits for its answer out of what `Limits::in_flight` and `Limits::in_flight_bytes` count: for one
    /// that the service holds, within a limit of its own, until something happens. It is answered as any other. Does nothing if
    /// no such request waits.
    pub fn hold_aside(&self, opaque: i32) {
        if self.inner.in_flight.borrow_mut().hold_aside(opaque) {
            self.inner.room.notify_all();
        }
    }

    /// The request with this number gets no answer, ever: it is waited for no more, neither at the limits nor at the end of the
    /// connection. For one of which whoever sent it learns more from silence than from any answer. Does nothing if no such
    /// request waits.
    pub fn leave_unanswered(&self, opaque: i32) {
        if self.inner.in_flight.borrow_mut().answered(opaque) {
            self.inner.room.notify_all();
        }
    }

    /// Queues a request that gets no answer; never waits. Dropped if the connection is closed.
    ///
    /// # Errors
    /// The command is too long for a frame.
    pub fn oneway(&self, command: &Command) -> Result<(), RequestError> {
        if !self.is_open() {
            return Ok(());
        }
        let head = RequestHead {
            code: command.code,
            opaque: self.inner.next_opaque(),
            oneway: true,
            ext: &command.ext,
        };
        let mut outbox = self.inner.outbox.borrow_mut();
        encode_request(&mut *outbox, &head, command.body.len())
            .map_err(|error| self.encode_error(command.code, error))?;
        outbox.extend_from_slice(&command.body);
        drop(outbox);
        self.inner.queued();
        Ok(())
    }

    /// Sends a request and waits for its answer, at most `limit`. Gives the request its number.
    ///
    /// Cancel-safe: dropped early, the request may have been sent; a late answer is dropped. Waits while too many bytes are
    /// queued for the peer.
    ///
    /// # Errors
    /// [`RequestError`]; an answer with an error code is no error here.
    pub async fn request(
        &self,
        mut command: Command,
        limit: Duration,
    ) -> Result<Command, RequestError> {
        assert!(
            !command.flag.is_response() && !command.flag.is_oneway(),
            "a request that is answered"
        );
        let code = command.code;
        let encode = |out: &mut Vec<u8>, opaque| {
            command.opaque = opaque;
            command.encode(out)
        };
        self.ask(code, limit, encode).await
    }

    /// As [`request`](Self::request), written straight from its parts.
    ///
    /// # Errors
    /// As [`request`](Self::request).
    pub async fn request_parts(
        &self,
        code: i32,
        ext: &dyn EncodeExt,
        body: &[u8],
        limit: Duration,
    ) -> Result<Command, RequestError> {
        let encode = |out: &mut Vec<u8>, opaque| {
            let head = RequestHead { code, opaque, oneway: false, ext };
            encode_request(out, &head, body.len())?;
            out.extend_from_slice(body);
            Ok(())
        };
        self.ask(code, limit, encode).await
    }

    async fn ask(
        &self,
        code: i32,
        limit: Duration,
        encode: impl FnOnce(&mut Vec<u8>, i32) -> Result<(), EncodeError>,
    ) -> Result<Command, RequestError> {
        let closed = RequestError::Closed { peer: self.peer(), code };
        let asked = async {
            self.room().await;
            if !self.is_open() {
                return Err(closed.clone());
            }
            let max = self.inner.limits.outstanding;
            if self.inner.outstanding.borrow().len() >= max {
                return Err(RequestError::TooMany { peer: self.peer(), limit: max });
            }
            let opaque = self.inner.next_opaque();
            encode(&mut self.inner.outbox.borrow_mut(), opaque)
                .map_err(|error| self.encode_error(code, error))?;
            let (sender, answer) = oneshot();
            let before = self.inner.outstanding.borrow_mut().insert(opaque, sender);
            assert!(before.is_none(), "a number is given to one waiting request");
            let _forget = Forget { inner: &self.inner, opaque };
            self.inner.queued();
            answer.await.map_err(|_| closed.clone())
        };
        match runtime::timeout(limit, asked).await {
            Ok(result) => result,
            Err(_) => Err(RequestError::Timeout { peer: self.peer(), code, limit }),
        }
    }

    fn encode_error(&self, code: i32, error: EncodeError) -> RequestError {
        RequestError::Encode { peer: self.peer(), code, error }
    }

    /// Waits until less than `Limits::outbox_high_water` is queued for the peer, or the connection is closed. Cancel-safe.
    pub async fn room(&self) {
        while self.is_open() && self.inner.queued_bytes() >= self.inner.limits.outbox_high_water {
            self.inner.room.notified().await;
        }
    }

    /// Bytes queued for the peer and not yet taken by the kernel.
    pub fn queued_bytes(&self) -> usize {
        self.inner.queued_bytes()
    }

    /// Ends the connection at once; what is queued is lost.
    pub fn close(&self) {
        self.inner.end(CloseReason::Ours);
    }

    /// As [`close`](Self::close), with a reset: what the kernel has not sent yet is lost as well, and does not arrive later, when the
    /// peer may have heard newer things on another connection. Wait for [`closed`](Self::closed) before that one is dialled.
    pub fn abort(&self) {
        self.inner.end(CloseReason::Aborted);
    }

    /// Takes no more requests, and ends the connection when all that were taken are answered and sent.
    pub fn finish(&self) {
        self.inner.finish.raise();
        self.inner.work.notify_all();
    }

    /// Waits until the connection has ended and its service knows. Cancel-safe.
    pub fn closed(&self) -> impl Future<Output = ()> + use<> {
        let ended = self.inner.ended.clone();
        async move { ended.raised().await }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id().0)
            .field("peer", &self.peer())
            .field("open", &self.is_open())
            .finish_non_exhaustive()
    }
}

/// Code 1 in place of an answer that cannot be written.
fn refuse(outbox: &mut Vec<u8>, head: &ResponseHead<'_>, error: EncodeError) {
    let remark = error.to_string();
    let head = ResponseHead {
        code: ResponseCode::SystemError.code(),
        opaque: head.opaque,
        remark: Some(&remark),
        ext: &(),
    };
    encode_response(outbox, &head, 0).expect("one sentence fits a header");
}

/// Forgets a request whose answer nobody awaits any more.
struct Forget<'a> {
    inner: &'a Inner,
    opaque: i32,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.inner.outstanding.borrow_mut().remove(&self.opaque);
    }
}
