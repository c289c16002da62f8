//! Frames off a connection.

use std::cell::Cell;
use std::ops::Deref;
use std::rc::Rc;

use bytes::{Buf, Bytes, BytesMut};
use runtime::{Buffer, Instant, ReadHalf, Slice, now};

use super::error::CloseReason;
use super::limits::{READ_CHUNK, READS_IN_A_ROW};
use super::wire::WireError;
use super::wire::frame::{HEAD_LEN, Head};

/// A frame whose checksum is right.
pub(super) struct Frame {
    pub(super) head: Head,
    pub(super) body: Body,
}

/// The body of a frame.
pub(super) enum Body {
    /// It came whole, and lies among others.
    Received(BytesMut),
    /// It came in several parts, into memory of its own.
    Own(Slice),
}

impl Body {
    /// As bytes that may be kept.
    pub(super) fn into_bytes(self) -> Bytes {
        match self {
            Self::Received(bytes) => bytes.freeze(),
            Self::Own(slice) => Bytes::copy_from_slice(&slice),
        }
    }

    /// In memory of its own, which views of it keep.
    pub(super) fn into_slice(self) -> Slice {
        match self {
            Self::Own(slice) => slice,
            Self::Received(bytes) if bytes.is_empty() => Slice::empty(),
            Self::Received(bytes) => {
                let mut body = Buffer::with_capacity(bytes.len());
                body.append(&bytes);
                Slice::new(Rc::new(body), 0..bytes.len())
            }
        }
    }
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Received(bytes) => bytes,
            Self::Own(slice) => slice,
        }
    }
}

/// Reads a connection. Memory grows as bytes come, not as a peer announces them.
pub(super) struct Frames {
    receive: ReadHalf,
    buffer: BytesMut,
    reads: u32,
    /// When the last bytes came.
    received: Rc<Cell<Instant>>,
}

impl Frames {
    pub(super) fn new(receive: ReadHalf) -> Self {
        let received = Rc::new(Cell::new(now()));
        Self { receive, buffer: BytesMut::new(), reads: 0, received }
    }

    /// When the last bytes came; it goes on as long as there are readers.
    pub(super) fn received(&self) -> Rc<Cell<Instant>> {
        Rc::clone(&self.received)
    }

    /// Receives something. Cancel-safe.
    async fn fill(&mut self) -> Result<(), CloseReason> {
        if self.reads == READS_IN_A_ROW {
            self.reads = 0;
            runtime::yield_now().await;
        }
        self.reads += 1;
        // Idle connections need no memory for what will come.
        self.receive.readable().await?;
        let read = self.receive.read(&mut self.buffer, READ_CHUNK).await?;
        self.received.set(now());
        if read == 0 { Err(CloseReason::Peer) } else { Ok(()) }
    }

    /// The next `len` bytes. Cancel-safe.
    pub(super) async fn take(&mut self, len: usize) -> Result<BytesMut, CloseReason> {
        while self.buffer.len() < len {
            self.fill().await?;
        }
        Ok(self.buffer.split_to(len))
    }

    /// The next frame with a body of at most `max` bytes. Not cancel-safe.
    pub(super) async fn next(&mut self, max: usize) -> Result<Frame, CloseReason> {
        let bytes = self.take(HEAD_LEN).await?;
        let bytes: &[u8; HEAD_LEN] = bytes[..].try_into().expect("so many were taken");
        let head = Head::decode(bytes, max).map_err(CloseReason::Frame)?;
        let body = self.body(head.body_len).await?;
        head.check(bytes, &body).map_err(CloseReason::Frame)?;
        Ok(Frame { head, body })
    }

    async fn body(&mut self, len: usize) -> Result<Body, CloseReason> {
        if self.buffer.len() >= len {
            return Ok(Body::Received(self.buffer.split_to(len)));
        }
        let mut body = Buffer::with_capacity(len);
        loop {
            let came = self.buffer.len().min(len - body.len());
            body.append(&self.buffer[..came]);
            self.buffer.advance(came);
            if body.len() == len {
                return Ok(Body::Own(Slice::new(Rc::new(body), 0..len)));
            }
            assert!(self.buffer.is_empty(), "all that came was taken");
            self.fill().await?;
        }
    }

    /// Reads and forgets until the other side is done.
    pub(super) async fn drain(&mut self) {
        while self.fill().await.is_ok() {
            self.buffer.clear();
        }
    }
}

impl From<WireError> for CloseReason {
    fn from(error: WireError) -> Self {
        Self::Frame(error)
    }
}
