//! Framing: where the first whole frame of a receive buffer starts and ends.
//!
//! A frame is `i32 length | u32 header word | header | body`, big-endian. The length counts what
//! follows it; the header word is the serialization type (8 bits) and the header length (24 bits).

use std::ops::Range;

use crate::command::SerializeType;
use crate::limits::MAX_HEADER;

pub use crate::limits::MAX_FRAME;

/// Bytes of the length field.
pub const LENGTH_BYTES: usize = 4;
/// Bytes before the header: the length field and the header word.
pub const PREFIX_BYTES: usize = 8;

/// Where the parts of one whole frame lie in the buffer that [`split`] was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameRange {
    /// How the header is written.
    pub serialize: SerializeType,
    /// The header's bytes.
    pub header: Range<usize>,
    /// The body's bytes; it ends where the frame ends, and the next frame starts there.
    pub body: Range<usize>,
}

impl FrameRange {
    /// Bytes of the whole frame, its length field included.
    #[must_use]
    pub fn end(&self) -> usize {
        self.body.end
    }
}

/// A frame that cannot be. The byte stream has no way back in step after any of them: close the
/// connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length field is negative.
    #[error(
        "frame length {length} is negative: close the connection, the peer does not speak remoting"
    )]
    NegativeLength {
        /// The length field as read.
        length: i32,
    },
    /// The frame has no room for its header word.
    #[error("frame length {length} is below 4, the size of the header word: close the connection")]
    TooShort {
        /// The length field as read.
        length: i32,
    },
    /// The frame is longer than allowed.
    #[error(
        "a frame of {bytes} bytes exceeds the limit of {max}: close the connection; send smaller messages"
    )]
    TooLong {
        /// Bytes of the frame, its length field included.
        bytes: usize,
        /// The limit that was given to [`split`].
        max: usize,
    },
    /// The header would end behind the frame.
    #[error(
        "a header of {header} bytes does not fit the {room} bytes of its frame: close the connection"
    )]
    HeaderExceedsFrame {
        /// Header length as read.
        header: usize,
        /// Bytes that the frame has for header and body.
        room: usize,
    },
    /// The header is longer than allowed.
    #[error(
        "a header of {header} bytes exceeds the limit of {MAX_HEADER}: close the connection; send fewer properties"
    )]
    HeaderTooLong {
        /// Header length as read.
        header: usize,
    },
    /// The serialization type is neither JSON (0) nor ROCKETMQ (1).
    #[error(
        "serialization type {byte} is unknown, 0 (JSON) and 1 (ROCKETMQ) are: close the connection"
    )]
    UnknownSerialization {
        /// The type byte as read.
        byte: u8,
    },
}

/// Finds the first frame in `buf`, whose first byte is the first byte of a frame.
///
/// `max` is the largest whole frame allowed, in bytes, length field included ([`MAX_FRAME`] by
/// default). `Ok(None)` means that bytes are missing; [`missing`] tells how many. The prefix is
/// judged as soon as it is there, so an impossible frame is refused before its body arrives.
///
/// # Errors
/// A [`FrameError`] says which rule the prefix breaks.
pub fn split(buf: &[u8], max: usize) -> Result<Option<FrameRange>, FrameError> {
    let Some(end) = frame_bytes(buf, max)? else {
        return Ok(None);
    };
    let Some(frame) = header_range(buf, end)? else {
        return Ok(None);
    };
    Ok((buf.len() >= end).then_some(frame))
}

/// Bytes that `buf` lacks until its first frame is whole; 0 if it is.
///
/// As long as not even the prefix is there, it is what the prefix lacks. A reader can reserve that
/// much; `max` bounds it.
///
/// # Errors
/// As [`split`].
pub fn missing(buf: &[u8], max: usize) -> Result<usize, FrameError> {
    let Some(end) = frame_bytes(buf, max)? else {
        return Ok(PREFIX_BYTES - buf.len());
    };
    if header_range(buf, end)?.is_none() {
        return Ok(PREFIX_BYTES - buf.len());
    }
    Ok(end.saturating_sub(buf.len()))
}

/// Bytes of the whole first frame, or `None` while the length field is incomplete.
fn frame_bytes(buf: &[u8], max: usize) -> Result<Option<usize>, FrameError> {
    let Some(length) = buf.first_chunk::<LENGTH_BYTES>() else {
        return Ok(None);
    };
    let length = i32::from_be_bytes(*length);
    let Ok(total) = usize::try_from(length) else {
        return Err(FrameError::NegativeLength { length });
    };
    if total < PREFIX_BYTES - LENGTH_BYTES {
        return Err(FrameError::TooShort { length });
    }
    let bytes = LENGTH_BYTES + total;
    if bytes > max {
        return Err(FrameError::TooLong { bytes, max });
    }
    Ok(Some(bytes))
}

/// The parts of the frame that ends at `end`, or `None` while the header word is incomplete.
fn header_range(buf: &[u8], end: usize) -> Result<Option<FrameRange>, FrameError> {
    let Some(&[_, _, _, _, kind, high, middle, low]) = buf.first_chunk::<PREFIX_BYTES>() else {
        return Ok(None);
    };
    assert!(end >= PREFIX_BYTES);
    let Some(serialize) = SerializeType::from_byte(kind) else {
        return Err(FrameError::UnknownSerialization { byte: kind });
    };
    let header = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
    let room = end - PREFIX_BYTES;
    if header > room {
        return Err(FrameError::HeaderExceedsFrame { header, room });
    }
    if header > MAX_HEADER {
        return Err(FrameError::HeaderTooLong { header });
    }
    let body = PREFIX_BYTES + header..end;
    assert!(body.start <= body.end);
    Ok(Some(FrameRange { serialize, header: PREFIX_BYTES..body.start, body }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: &[u8] = &[
        0, 0, 0, 9, // length: 4 + 2 + 3
        0, 0, 0, 2, // JSON, header of 2
        b'{', b'}', // header
        1, 2, 3,  // body
        99, // the next frame's first byte
    ];

    #[test]
    fn a_whole_frame_is_split_into_header_and_body() {
        let frame = split(FRAME, MAX_FRAME).unwrap().unwrap();
        assert_eq!(frame.serialize, SerializeType::Json);
        assert_eq!(&FRAME[frame.header.clone()], b"{}");
        assert_eq!(&FRAME[frame.body.clone()], &[1, 2, 3]);
        assert_eq!(frame.end(), 13);
        assert_eq!(missing(FRAME, MAX_FRAME), Ok(0));
    }

    #[test]
    fn each_prefix_of_a_frame_tells_what_it_lacks() {
        for have in 0..13 {
            let part = &FRAME[..have];
            assert_eq!(split(part, MAX_FRAME), Ok(None), "{have} bytes");
            let lacks = if have < 8 { 8 - have } else { 13 - have };
            assert_eq!(missing(part, MAX_FRAME), Ok(lacks), "{have} bytes");
        }
    }

    #[test]
    fn an_empty_body_is_a_frame() {
        let bytes = [0, 0, 0, 6, 1, 0, 0, 2, b'x', b'y'];
        let frame = split(&bytes, MAX_FRAME).unwrap().unwrap();
        assert_eq!(frame.serialize, SerializeType::RocketMq);
        assert!(frame.body.is_empty());
    }

    #[test]
    fn the_limit_counts_the_length_field() {
        assert!(split(FRAME, 13).unwrap().is_some());
        assert_eq!(split(FRAME, 12), Err(FrameError::TooLong { bytes: 13, max: 12 }));
        assert_eq!(missing(FRAME, 12), Err(FrameError::TooLong { bytes: 13, max: 12 }));
    }

    #[test]
    fn impossible_prefixes_are_refused_before_the_body_arrives() {
        let cases: [(&[u8], FrameError); 6] = [
            (&[0xff, 0xff, 0xff, 0xff], FrameError::NegativeLength { length: -1 }),
            (&[0, 0, 0, 3], FrameError::TooShort { length: 3 }),
            (&[0x7f, 0xff, 0xff, 0xff], FrameError::TooLong { bytes: 0x8000_0003, max: MAX_FRAME }),
            (&[0, 0, 0, 6, 0, 0, 0, 3], FrameError::HeaderExceedsFrame { header: 3, room: 2 }),
            (&[0, 0x20, 0, 4, 0, 0x10, 0, 1], FrameError::HeaderTooLong { header: 0x10_0001 }),
            (&[0, 0, 0, 6, 7, 0, 0, 2], FrameError::UnknownSerialization { byte: 7 }),
        ];
        for (bytes, error) in cases {
            assert_eq!(split(bytes, MAX_FRAME), Err(error));
            assert_eq!(missing(bytes, MAX_FRAME), Err(error));
        }
    }
}
