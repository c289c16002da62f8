//! What can be wrong with a text of the dialect.

use crate::limits::MAX_JSON_DEPTH;
use crate::quote;

/// A text that cannot be read. Positions count bytes of the text as it came.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// Longer than a text of its kind may be.
    #[error("JSON of {bytes} bytes exceeds the limit of {max}: send less at a time")]
    TooLong {
        /// Bytes of the text.
        bytes: usize,
        /// The limit for a text of its kind.
        max: usize,
    },
    /// Not UTF-8.
    #[error("JSON is not UTF-8 from byte {at} on: encode it as UTF-8")]
    NotUtf8 {
        /// Byte position.
        at: usize,
    },
    /// Not JSON, not even in the dialect.
    #[error("not JSON: expected {expected} at byte {at}")]
    Syntax {
        /// Byte position.
        at: usize,
        /// What should have been there.
        expected: &'static str,
    },
    /// Nested deeper than allowed.
    #[error("JSON nests deeper than {MAX_JSON_DEPTH} levels at byte {at}: send a flatter body")]
    TooDeep {
        /// Byte position.
        at: usize,
    },
    /// An object that is a key has an object as a key.
    #[error("an object key within an object key at byte {at}: keys are queues, which are flat")]
    KeyInKey {
        /// Byte position.
        at: usize,
    },
    /// JSON, but not of the shape that the body has.
    #[error(
        "JSON does not have the shape of the body (positions count the text with keys quoted): {}",
        quote::error(source)
    )]
    Shape {
        /// What serde found, with line and column.
        source: serde_json::Error,
    },
}
