//! Where an answer goes.

use remoting::command::EncodeExt;
use remoting::{CommandRef, ResponseCode, ResponseHead, frame};
use transport::Connection;

/// The sender of one request, kept until it is answered. Nothing is sent for a oneway request, to a
/// closed connection, or a second time.
#[derive(Clone, Debug)]
pub struct Caller {
    connection: Connection,
    opaque: i32,
    oneway: bool,
}

impl Caller {
    /// Who sent `request`.
    #[must_use]
    pub fn of(connection: &Connection, request: &CommandRef<'_>) -> Self {
        Self {
            connection: connection.clone(),
            opaque: request.opaque,
            oneway: request.flag.is_oneway(),
        }
    }

    /// The connection that the request came by.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The number by which the answer is known.
    #[must_use]
    pub fn opaque(&self) -> i32 {
        self.opaque
    }

    /// The answer comes later, when something happens, and the request is bounded by a limit of its own: it does not
    /// keep its connection from being read any more.
    pub fn hold_aside(&self) {
        self.connection.hold_aside(self.opaque);
    }

    /// Gives no answer, ever: the sender is to think that this node is away.
    pub fn leave_unanswered(&self) {
        if !self.oneway {
            self.connection.leave_unanswered(self.opaque);
        }
    }

    /// Whether nobody waits for an answer.
    #[must_use]
    pub fn is_oneway(&self) -> bool {
        self.oneway
    }

    /// Answers code 0 with these fields and no body.
    pub fn ok(&self, ext: &dyn EncodeExt) {
        self.answer(ResponseCode::Success, None, ext, &[]);
    }

    /// Answers code 0 with a body.
    pub fn body(&self, ext: &dyn EncodeExt, body: &[u8]) {
        self.answer(ResponseCode::Success, None, ext, body);
    }

    /// Answers another code, with the reason and what to do.
    pub fn refuse(&self, code: ResponseCode, remark: &str) {
        self.answer(code, Some(remark), &(), &[]);
    }

    /// Answers with all parts given.
    pub fn answer(
        &self,
        code: ResponseCode,
        remark: Option<&str>,
        ext: &dyn EncodeExt,
        body: &[u8],
    ) {
        self.answer_with(code, remark, ext, body.len(), |out| out.extend_from_slice(body));
    }

    /// Answers what another node has answered: a whole frame. False, and nothing is answered, if it is no answer to this request.
    #[must_use]
    pub fn answer_frame(&self, frame: &[u8]) -> bool {
        let whole = frame::split(frame, usize::MAX).ok().flatten();
        let whole = whole.filter(|range| range.end() == frame.len());
        let header = whole.map(|range| CommandRef::decode(range.serialize, &frame[range.header]));
        let is_answer = header.is_some_and(|header| {
            header.is_ok_and(|head| head.flag.is_response() && head.opaque == self.opaque)
        });
        if is_answer && !self.oneway {
            self.connection.respond_frame(self.opaque, frame);
        }
        is_answer
    }

    /// As [`Caller::answer`], with a body of `len` bytes that `fill` appends to the outgoing bytes.
    pub fn answer_with(
        &self,
        code: ResponseCode,
        remark: Option<&str>,
        ext: &dyn EncodeExt,
        len: usize,
        fill: impl FnOnce(&mut Vec<u8>),
    ) {
        if self.oneway {
            return;
        }
        let head = ResponseHead { code: code.code(), opaque: self.opaque, remark, ext };
        self.connection.respond_parts(&head, len, fill);
    }
}

/// A request that is refused: the code tells the client how to go on, the remark tells people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The response code.
    pub code: ResponseCode,
    /// Why, and what to do.
    pub remark: String,
}

impl Refusal {
    /// A refusal with this code and text.
    #[must_use]
    pub fn new(code: ResponseCode, remark: impl Into<String>) -> Self {
        Self { code, remark: remark.into() }
    }

    /// Code 29: a field is missing or makes no sense.
    #[must_use]
    pub fn parameter(remark: impl Into<String>) -> Self {
        Self::new(ResponseCode::InvalidParameter, remark)
    }

    /// Sends it.
    pub fn send(&self, caller: &Caller) {
        caller.refuse(self.code, &self.remark);
    }
}
