//! The task of a connection: reads, hands over, writes.

use std::pin::{Pin, pin};
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::future::{Either, select};
use remoting::{Command, CommandRef, FrameRange, frame};
use runtime::{ReadHalf, TcpStream, WriteHalf};

use crate::connection::Connection;
use crate::error::CloseReason;
use crate::foreign::{FIRST_BYTES, Foreign};
use crate::inner::Inner;
use crate::limits::{
    OUTBOX_KEPT, PARTING, READ_CHUNK, READ_MOST, READ_ROOM_MIN, READS_IN_A_ROW, WRITE_CHUNK,
};
use crate::quiet::Quiet;
use crate::serve::Serve;

/// Serves the connection until it ends. The socket is closed when this returns.
pub(crate) async fn drive(
    connection: Connection,
    stream: TcpStream,
    service: Rc<dyn Serve>,
    quiet: Rc<Quiet>,
) {
    let inner = &connection.inner;
    let (mut receive, mut send) = stream.into_split();
    service.on_open(&connection);
    let reason = exchange(&connection, &mut receive, &mut send, &*service).await;
    inner.end(reason);
    let reason = inner.take_reason().expect("the first reason is kept");
    match reason {
        CloseReason::Finished => part(&mut receive, &mut send).await,
        // An error says that it has ended already.
        CloseReason::Aborted => drop(send.set_linger(Some(Duration::ZERO))),
        _ => {}
    }
    log(&connection, &reason, &quiet);
    service.on_close(&connection);
    inner.ended();
}

/// Says goodbye and waits for the peer to do the same, so that what was sent last is not lost by a reset.
async fn part(receive: &mut ReadHalf, send: &mut WriteHalf) {
    let both = async {
        let mut unread = BytesMut::with_capacity(READ_ROOM_MIN);
        let mut open = send.shutdown().await.is_ok();
        while open {
            unread.clear();
            open = receive.read(&mut unread, READ_ROOM_MIN).await.is_ok_and(|bytes| bytes > 0);
        }
    };
    if runtime::timeout(PARTING, both).await.is_err() {
        tracing::debug!("the peer keeps its side of a finished connection open");
    }
}

/// Moves bytes both ways until there is a reason to end.
async fn exchange(
    connection: &Connection,
    receive: &mut ReadHalf,
    send: &mut WriteHalf,
    service: &dyn Serve,
) -> CloseReason {
    let inner = &*connection.inner;
    let stopped = pin!(inner.stop.raised());
    let reading = pin!(read_loop(connection, receive, service));
    let mut writing = pin!(write_loop(inner, send));
    let both = pin!(read_then_flush(inner, reading, writing.as_mut()));
    match select(stopped, both).await {
        Either::Left(((), _)) => CloseReason::Ours,
        Either::Right((reason, _)) => reason,
    }
}

/// When nothing more is to be read, what is queued is still written; the stall limit bounds that.
async fn read_then_flush(
    inner: &Inner,
    reading: Pin<&mut impl Future<Output = CloseReason>>,
    writing: Pin<&mut impl Future<Output = CloseReason>>,
) -> CloseReason {
    match select(reading, writing).await {
        Either::Right((reason, _)) => reason,
        Either::Left((reason @ (CloseReason::Peer | CloseReason::Finished), writing)) => {
            inner.flushing.set(true);
            inner.work.notify_all();
            match writing.await {
                CloseReason::Finished => reason,
                failed => failed,
            }
        }
        Either::Left((reason, _)) => reason,
    }
}

async fn read_loop(
    connection: &Connection,
    receive: &mut ReadHalf,
    service: &dyn Serve,
) -> CloseReason {
    let inner = &*connection.inner;
    let finish = pin!(inner.finish.raised());
    let reading = pin!(async {
        let mut buffer = BytesMut::new();
        let mut begun = false;
        let mut reads = 0;
        loop {
            match fill(inner, receive, &mut buffer).await {
                Ok(0) => return CloseReason::Peer,
                Ok(_) => inner.moved.set(runtime::now()),
                Err(reason) => return reason,
            }
            if !begun && buffer.len() >= FIRST_BYTES {
                begun = true;
                if let Some(foreign) = Foreign::of(&buffer) {
                    return CloseReason::Foreign(foreign);
                }
            }
            if let Err(reason) = hand_over(connection, &mut buffer, service).await {
                return reason;
            }
            // The writer runs as soon as this future waits: at once if there is something to write.
            reads += 1;
            if reads == READS_IN_A_ROW || inner.queued_bytes() > 0 {
                reads = 0;
                runtime::yield_now().await;
            }
        }
    });
    match select(finish, reading).await {
        Either::Left(((), _)) => {
            while !inner.in_flight.borrow().is_empty() {
                inner.room.notified().await;
            }
            CloseReason::Finished
        }
        Either::Right((reason, _)) => reason,
    }
}

/// Receives into `buffer`, which never grows faster than the peer really sends.
async fn fill(
    inner: &Inner,
    receive: &mut ReadHalf,
    buffer: &mut BytesMut,
) -> Result<usize, CloseReason> {
    let missing = frame::missing(buffer, inner.limits.max_frame).map_err(CloseReason::Frame)?;
    assert!(missing > 0, "whole frames have been taken out");
    // By the time that more comes, what came before may be done with: then its memory, which is still near the core, is used again.
    receive.readable().await.map_err(CloseReason::Receive)?;
    let reclaimed = buffer.is_empty() && buffer.try_reclaim(READ_CHUNK);
    let wanted = missing.min(buffer.len()).max(READ_ROOM_MIN);
    if !reclaimed && buffer.capacity() - buffer.len() < wanted {
        buffer.reserve(wanted.max(READ_CHUNK));
    }
    let room = buffer.capacity() - buffer.len();
    receive.read(buffer, room.min(READ_MOST)).await.map_err(CloseReason::Receive)
}

/// Takes every whole frame out of `buffer` and hands it over, as far as the limits allow; then waits.
async fn hand_over(
    connection: &Connection,
    buffer: &mut BytesMut,
    service: &dyn Serve,
) -> Result<(), CloseReason> {
    let inner = &*connection.inner;
    let max = inner.limits.max_frame;
    loop {
        while inner.is_full() {
            inner.room.notified().await;
        }
        if inner.stop.is_raised() {
            return Err(CloseReason::Ours);
        }
        let Some(range) = frame::split(buffer, max).map_err(CloseReason::Frame)? else {
            return Ok(());
        };
        let bytes = buffer.split_to(range.end()).freeze();
        dispatch(connection, &bytes, &range, service).map_err(CloseReason::Header)?;
    }
}

fn dispatch(
    connection: &Connection,
    bytes: &Bytes,
    range: &FrameRange,
    service: &dyn Serve,
) -> Result<(), remoting::DecodeError> {
    let inner = &*connection.inner;
    let command = CommandRef::decode(range.serialize, &bytes[range.header.clone()])?;
    // An empty slice would keep the receive buffer alive for nothing.
    let body = match range.body.is_empty() {
        true => Bytes::new(),
        false => bytes.slice(range.body.clone()),
    };
    if command.flag.is_response() {
        let answer: Command = command.into_owned(body);
        inner.answered(answer);
        return Ok(());
    }
    if !command.flag.is_oneway() {
        inner.in_flight.borrow_mut().began(command.opaque, bytes.len());
    }
    service.on_frame(connection, command, body, bytes);
    Ok(())
}

/// Writes what is queued, all of it at a time; ends with `Finished` when flushing is done.
async fn write_loop(inner: &Inner, send: &mut WriteHalf) -> CloseReason {
    let mut batch = Vec::new();
    loop {
        while inner.outbox.borrow().is_empty() {
            if inner.flushing.get() {
                return CloseReason::Finished;
            }
            inner.work.notified().await;
        }
        assert!(batch.is_empty());
        std::mem::swap(&mut batch, &mut *inner.outbox.borrow_mut());
        inner.writing.set(batch.len());
        inner.taken.set(runtime::now());
        for chunk in batch.chunks(WRITE_CHUNK) {
            if let Err(error) = send.write_all(chunk).await {
                return CloseReason::Send(error);
            }
            let now = runtime::now();
            inner.moved.set(now);
            inner.taken.set(now);
            inner.writing.set(inner.writing.get() - chunk.len());
            inner.room.notify_all();
            if inner.writing.get() > 0 {
                runtime::yield_now().await;
            }
        }
        assert_eq!(inner.writing.get(), 0, "every byte was handed over");
        batch.clear();
        if batch.capacity() > OUTBOX_KEPT {
            batch = Vec::new();
        }
    }
}

fn log(connection: &Connection, reason: &CloseReason, quiet: &Quiet) {
    let peer = connection.peer();
    if !reason.is_notable() {
        tracing::debug!(%peer, %reason, "connection ended");
    } else if let Some(more) = quiet.may_say(runtime::now()) {
        tracing::warn!(%peer, unreported = more, "connection closed: {reason}");
    }
}
