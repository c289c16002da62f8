//! What is done with a peer's requests.

use bytes::Bytes;
use remoting::{CommandRef, ResponseCode, ResponseHead};

use crate::connection::Connection;

/// The receiver of a connection's requests. One value may serve many connections of its executor.
///
/// Calls come from the connection's task, one at a time for each connection, in the order of arrival: first `on_open`, then any
/// number of `on_request`, last `on_close`. No call may block.
pub trait Serve: 'static {
    /// A request (oneway or not) has arrived.
    ///
    /// Answer now with [`Connection::respond`], or keep a clone of the connection and `request.opaque` and answer later, from
    /// any task of the executor. A request that is never answered counts against `Limits::in_flight` until the connection
    /// closes, unless it is said ([`Connection::leave_unanswered`]). `body` shares memory with the receive buffer and keeps it
    /// alive: copy a small part that is to be kept long.
    fn on_request(&self, connection: &Connection, request: CommandRef<'_>, body: Bytes);

    /// As [`on_request`](Serve::on_request), which it calls, with the bytes of the whole frame: for a service that may hand the
    /// request on as it came. `frame` shares memory with the receive buffer, as `body` does.
    fn on_frame(
        &self,
        connection: &Connection,
        request: CommandRef<'_>,
        body: Bytes,
        frame: &Bytes,
    ) {
        let _ = frame;
        self.on_request(connection, request, body);
    }

    /// The connection is there; requests may follow.
    fn on_open(&self, connection: &Connection) {
        let _ = connection;
    }

    /// The connection is gone: no request follows, answers are dropped.
    fn on_close(&self, connection: &Connection) {
        let _ = connection;
    }
}

impl<S: Serve + ?Sized> Serve for std::rc::Rc<S> {
    fn on_request(&self, connection: &Connection, request: CommandRef<'_>, body: Bytes) {
        (**self).on_request(connection, request, body);
    }

    fn on_frame(
        &self,
        connection: &Connection,
        request: CommandRef<'_>,
        body: Bytes,
        frame: &Bytes,
    ) {
        (**self).on_frame(connection, request, body, frame);
    }

    fn on_open(&self, connection: &Connection) {
        (**self).on_open(connection);
    }

    fn on_close(&self, connection: &Connection) {
        (**self).on_close(connection);
    }
}

/// Answers as Apache does to a request that nobody here serves. Nothing happens for a oneway request.
pub fn not_supported(connection: &Connection, request: &CommandRef<'_>) {
    let remark = format!(" request type {} not supported", request.code);
    let head = ResponseHead {
        code: ResponseCode::RequestCodeNotSupported.code(),
        opaque: request.opaque,
        remark: Some(&remark),
        ext: &(),
    };
    connection.respond(&head, &[]);
}

/// A service without requests: for clients that only ask.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRequests;

impl Serve for NoRequests {
    fn on_request(&self, connection: &Connection, request: CommandRef<'_>, _: Bytes) {
        not_supported(connection, &request);
    }
}
