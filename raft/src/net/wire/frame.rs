//! The frame that each message is in, once the handshake is done.

use std::mem::offset_of;

use super::cursor::Cursor;
use super::error::WireError;

/// What a frame begins with. Only its layout is used.
#[repr(C)]
struct Layout {
    /// CRC-32C over all that follows it, the body included.
    crc: u32,
    body_len: u32,
    id: u64,
    kind: u8,
    part: u8,
    reserved: [u8; 6],
}

/// Bytes of the head of a frame.
pub(in crate::net) const HEAD_LEN: usize = size_of::<Layout>();
const AT_LEN: usize = offset_of!(Layout, body_len);
const _: () = assert!(HEAD_LEN == 24 && AT_LEN == 4);
const _: () = assert!(offset_of!(Layout, id) == 8 && offset_of!(Layout, kind) == 16);
const _: () = assert!(offset_of!(Layout, part) == 17 && offset_of!(Layout, reserved) == 18);

/// The longest text that says why a request failed; a longer one is cut.
pub(in crate::net) const REASON_MAX: usize = 1024;

/// What a message is about. The number is on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(in crate::net) enum Kind {
    /// Entries for the log, or none: a heartbeat.
    Append = 1,
    /// A candidate asks for a vote.
    Vote = 2,
    /// Somebody asks whether he would be voted for.
    PreVote = 3,
    /// The leader hands over.
    Transfer = 4,
    /// A piece of a snapshot.
    Snapshot = 5,
    /// Nothing: whether the other side is there.
    Ping = 6,
    /// A request of a client that is handed on to the leader.
    Forward = 7,
    /// Whether the process of the leader is gone.
    Gone = 8,
}

impl Kind {
    /// The kind of this number, if it is known.
    pub(in crate::net) fn from_byte(byte: u8) -> Option<Kind> {
        let all = [
            Kind::Append,
            Kind::Vote,
            Kind::PreVote,
            Kind::Transfer,
            Kind::Snapshot,
            Kind::Ping,
            Kind::Forward,
            Kind::Gone,
        ];
        all.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// Whether a frame asks or answers. The number is on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(in crate::net) enum Part {
    /// Somebody asks; from the one who dialled.
    Request = 0,
    /// The answer to the request of the same id.
    Answer = 1,
    /// There is no answer to it; the body is a text that says why.
    Failed = 2,
}

impl Part {
    fn from_byte(byte: u8) -> Result<Part, WireError> {
        match byte {
            0 => Ok(Part::Request),
            1 => Ok(Part::Answer),
            2 => Ok(Part::Failed),
            found => Err(WireError::Case { what: "a frame's part", found }),
        }
    }
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::net) struct Head {
    crc: u32,
    /// Bytes that follow it.
    pub(in crate::net) body_len: usize,
    /// The number of the request, on its connection.
    pub(in crate::net) id: u64,
    /// What it is about: a [`Kind`], or one of a later version.
    pub(in crate::net) kind: u8,
    /// Whether it asks.
    pub(in crate::net) part: Part,
}

impl Head {
    /// Reads a head; a frame with a body of more than `max` bytes is none.
    pub(in crate::net) fn decode(bytes: &[u8; HEAD_LEN], max: usize) -> Result<Head, WireError> {
        let mut from = Cursor::new(bytes);
        let (crc, body_len) = (from.u32()?, from.len()?);
        if body_len > max {
            return Err(WireError::TooLong { len: body_len, max });
        }
        let (id, kind) = (from.u64()?, from.u8()?);
        let part = Part::from_byte(from.u8()?)?;
        from.zeros::<6>()?;
        from.end()?;
        Ok(Head { crc, body_len, id, kind, part })
    }

    /// Whether head and body are what was sent.
    pub(in crate::net) fn check(
        &self,
        bytes: &[u8; HEAD_LEN],
        body: &[u8],
    ) -> Result<(), WireError> {
        assert_eq!(body.len(), self.body_len, "the body is whole");
        match crc(bytes, body) == self.crc {
            true => Ok(()),
            false => Err(WireError::Crc),
        }
    }
}

fn crc(head: &[u8], body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&head[AT_LEN..HEAD_LEN]), body)
}

/// A whole frame, whose body `fill` appends.
///
/// # Panics
/// When the body has 4 GiB or more: bodies are bounded by whoever makes them.
pub(in crate::net) fn encode(
    kind: u8,
    part: Part,
    id: u64,
    fill: impl FnOnce(&mut Vec<u8>),
) -> Vec<u8> {
    let mut out = vec![0; HEAD_LEN];
    fill(&mut out);
    let body_len = u32::try_from(out.len() - HEAD_LEN).expect("a body is far below 4 GiB");
    out[AT_LEN..8].copy_from_slice(&body_len.to_le_bytes());
    out[8..16].copy_from_slice(&id.to_le_bytes());
    (out[16], out[17]) = (kind, part as u8);
    let (head, body) = out.split_at(HEAD_LEN);
    let crc = crc(head, body);
    out[..AT_LEN].copy_from_slice(&crc.to_le_bytes());
    out
}

/// A frame that says why there is no answer.
pub(in crate::net) fn failed(kind: u8, id: u64, why: &str) -> Vec<u8> {
    let mut end = why.len().min(REASON_MAX);
    while !why.is_char_boundary(end) {
        end -= 1;
    }
    encode(kind, Part::Failed, id, |out| out.extend_from_slice(&why.as_bytes()[..end]))
}

/// The text of such a frame, in one line; what is no text in it is replaced.
pub(in crate::net) fn reason(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(REASON_MAX)]);
    text.replace(char::is_control, " ")
}
