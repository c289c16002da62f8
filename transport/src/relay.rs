//! A request that came by another way than a connection of whoever sent it, and the answer to it.

use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use remoting::{CommandRef, DecodeError, frame};

use crate::connection::Connection;
use crate::limits::Limits;

/// Why bytes are no request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RelayError {
    /// They are no frame.
    #[error(transparent)]
    Frame(#[from] frame::FrameError),
    /// They are not just one frame.
    #[error("{found} bytes where one whole frame is expected")]
    Length {
        /// How many there are.
        found: usize,
    },
    /// The header cannot be read.
    #[error(transparent)]
    Header(#[from] DecodeError),
    /// It is an answer.
    #[error("an answer where a request is expected")]
    Answer,
}

/// A request that was handed over. Dropped early, a late answer goes nowhere.
pub struct Relayed {
    connection: Connection,
}

/// Hands the request in `frame` to `serve`, with a connection that has no socket behind it: its peer is who sent the request,
/// `from`, and what is answered on it goes to [`Relayed::answer`].
///
/// # Errors
/// [`RelayError`]; nothing was handed over then.
pub fn relay(
    frame: &Bytes,
    (from, to): (SocketAddr, SocketAddr),
    limits: &Rc<Limits>,
    serve: impl FnOnce(&Connection, CommandRef<'_>, Bytes),
) -> Result<Relayed, RelayError> {
    let whole = frame::split(frame, limits.max_frame)?.filter(|range| range.end() == frame.len());
    let range = whole.ok_or(RelayError::Length { found: frame.len() })?;
    let request = CommandRef::decode(range.serialize, &frame[range.header.clone()])?;
    if request.flag.is_response() {
        return Err(RelayError::Answer);
    }
    let connection = Connection::new(from, to, Rc::clone(limits));
    connection.inner.relayed.set(true);
    if !request.flag.is_oneway() {
        connection.inner.in_flight.borrow_mut().began(request.opaque, frame.len());
    }
    serve(&connection, request, frame.slice(range.body));
    Ok(Relayed { connection })
}

impl Relayed {
    /// Waits for the answer, a whole frame. Nothing, at once, if nobody waits for one; nothing as well if it is too long, or was left
    /// without an answer. Cancel-safe until it returns.
    pub async fn answer(&self) -> Vec<u8> {
        let inner = &self.connection.inner;
        while self.connection.is_open() && !inner.in_flight.borrow().is_empty() {
            inner.room.notified().await; // an answer makes room, and so does the end
        }
        match self.connection.is_open() {
            true => std::mem::take(&mut *inner.outbox.borrow_mut()),
            false => Vec::new(),
        }
    }
}

impl Drop for Relayed {
    fn drop(&mut self) {
        self.connection.close();
    }
}

impl fmt::Debug for Relayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relayed").field("connection", &self.connection).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use futures::FutureExt;
    use remoting::{Command, RequestCode, ResponseHead};
    use runtime::sim::Simulation;

    use super::*;

    fn frame_of(command: &Command) -> Bytes {
        let mut out = Vec::new();
        command.encode(&mut out).expect("a short frame");
        out.into()
    }

    fn request() -> Command {
        Command { opaque: 77, ..Command::request(RequestCode::GetMaxOffset) }
    }

    fn in_simulation<Fut: Future<Output = ()> + 'static>(test: fn() -> Fut) {
        let simulation = Simulation::new(1);
        let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
        let executor = node.start("test", test);
        simulation.join(executor, Duration::from_secs(10)).expect("it ends");
    }

    const ENDS: (SocketAddr, SocketAddr) = {
        let (from, to) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::LOCALHOST);
        (
            SocketAddr::new(std::net::IpAddr::V4(from), 5),
            SocketAddr::new(std::net::IpAddr::V4(to), 6),
        )
    };

    #[test]
    fn a_request_that_came_another_way_is_answered_that_way() {
        in_simulation(|| async {
            let (limits, kept) = (Rc::new(Limits::default()), RefCell::default());
            let mut sent = request();
            sent.body = Bytes::from_static(b"body");
            let relayed = relay(&frame_of(&sent), ENDS, &limits, |connection, request, body| {
                assert_eq!(
                    (connection.peer(), request.opaque, &body[..]),
                    (ENDS.0, 77, &b"body"[..])
                );
                kept.replace(Some(connection.clone()));
            });
            let relayed = relayed.expect("a request");
            assert!(relayed.answer().now_or_never().is_none(), "not yet");
            let connection: Connection = kept.take().expect("it was served");
            let head = ResponseHead { code: 0, opaque: 77, remark: None, ext: &() };
            let answering = runtime::spawn(async move {
                runtime::sleep(Duration::from_secs(1)).await;
                connection.respond(&ResponseHead { opaque: 78, ..head }, b"nobody asked");
                connection.respond(&head, b"answer");
                connection.respond(&head, b"again");
                connection
            });
            let answer = Bytes::from(relayed.answer().await);
            let range = frame::split(&answer, 1000).expect("a frame").expect("all of it");
            assert_eq!(range.end(), answer.len(), "one answer");
            let command = Command::from_frame(&answer, &range).expect("an answer");
            assert_eq!((command.opaque, &command.body[..]), (77, &b"answer"[..]));
            let connection = answering.await;
            assert!(connection.is_open());
            drop(relayed);
            assert!(!connection.is_open(), "nobody waits any more");
        });
    }

    #[test]
    fn nobody_waits_for_what_is_not_answered() {
        in_simulation(|| async {
            let limits =
                Rc::new(Limits { outbox_limit: 100, outbox_high_water: 1, ..Limits::default() });
            let oneway = frame_of(&Command::oneway(RequestCode::GetMaxOffset));
            let relayed = relay(&oneway, ENDS, &limits, |_, _, _| ()).expect("a request");
            assert!(relayed.answer().await.is_empty());
            let relayed = relay(&frame_of(&request()), ENDS, &limits, |connection, _, _| {
                let head = ResponseHead { code: 0, opaque: 77, remark: None, ext: &() };
                connection.respond(&head, &[0; 200]);
            });
            assert!(relayed.expect("a request").answer().await.is_empty(), "it is too long");
            let relayed = relay(&frame_of(&request()), ENDS, &limits, |connection, _, _| {
                let connection = connection.clone();
                runtime::spawn(async move {
                    runtime::sleep(Duration::from_secs(1)).await;
                    connection.leave_unanswered(77);
                })
                .detach();
            });
            assert!(relayed.expect("a request").answer().await.is_empty(), "it was left");
        });
    }

    #[test]
    fn what_is_no_request_is_not_handed_over() {
        let limits = Rc::new(Limits::default());
        let refused = |bytes: Bytes| {
            relay(&bytes, ENDS, &limits, |_, _, _| panic!("it was handed over")).expect_err("none")
        };
        let whole = frame_of(&request());
        let cut = whole.slice(..whole.len() - 1);
        assert_eq!(refused(cut.clone()), RelayError::Length { found: cut.len() });
        let two = Bytes::from([&whole[..], &whole[..]].concat());
        assert_eq!(refused(two.clone()), RelayError::Length { found: two.len() });
        assert_eq!(refused(frame_of(&Command::reply_to(1, 0))), RelayError::Answer);
        assert!(matches!(refused(Bytes::from_static(&[0xFF; 30])), RelayError::Frame(_)));
        assert!(matches!(
            refused(Bytes::from_static(b"\0\0\0\x08\0\0\0\x04{{{{")),
            RelayError::Header(_)
        ));
    }
}
