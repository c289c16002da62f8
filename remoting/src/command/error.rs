//! What can go wrong with a header, reading and writing.

use crate::command::SerializeType;
use crate::limits::{MAX_EXT_FIELDS, MAX_FRAME, MAX_HEADER, MAX_JSON_DEPTH};

/// A header that cannot be read. Without it there is no `opaque` to answer to: close the connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The header is written in a form that this build does not read.
    #[error(
        "header serialization {serialize} is not supported: let the client use JSON (its default)"
    )]
    UnsupportedSerialization {
        /// The form that was asked for.
        serialize: SerializeType,
    },
    /// The header is not UTF-8.
    #[error(
        "header is not UTF-8 from byte {at} on: let the client encode names and properties as UTF-8"
    )]
    NotUtf8 {
        /// Byte position in the header.
        at: usize,
    },
    /// The header is not JSON.
    #[error("header is not JSON: expected {expected} at byte {at}")]
    Json {
        /// Byte position in the header.
        at: usize,
        /// What should have been there.
        expected: &'static str,
    },
    /// The header nests deeper than allowed.
    #[error(
        "header nests deeper than {MAX_JSON_DEPTH} levels at byte {at}: send flat extension fields"
    )]
    TooDeep {
        /// Byte position in the header.
        at: usize,
    },
    /// The header has more extension fields than allowed.
    #[error("header has more than {MAX_EXT_FIELDS} extension fields: send fewer")]
    TooManyFields,
    /// A number is none, or does not fit 32 bits.
    #[error("header field `{field}` is `{value}`, not a 32-bit number")]
    BadNumber {
        /// Name of the header field.
        field: &'static str,
        /// What was there, shortened.
        value: String,
    },
    /// A field that every command needs is absent.
    #[error("header lacks the field `{field}`")]
    Missing {
        /// Name of the header field.
        field: &'static str,
    },
}

/// A command that cannot be written. The output buffer is then as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The header form is not supported.
    #[error("header serialization {serialize} is not supported: use JSON")]
    UnsupportedSerialization {
        /// The form that was asked for.
        serialize: SerializeType,
    },
    /// The header is longer than allowed.
    #[error(
        "a header of {header} bytes exceeds the limit of {MAX_HEADER}: shorten remark and extension fields"
    )]
    HeaderTooLong {
        /// Bytes of the header.
        header: usize,
    },
    /// The frame is longer than any peer accepts.
    #[error(
        "a frame of {bytes} bytes exceeds the limit of {MAX_FRAME}: answer with fewer messages"
    )]
    FrameTooLong {
        /// Bytes of the frame, its length field included.
        bytes: usize,
    },
}
