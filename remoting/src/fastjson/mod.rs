//! The JSON dialect of Java's fastjson, as RocketMQ bodies use it.
//!
//! Read: `{0:"a"}` (bare integer keys), `{{"queueId":0,…}:1}` (objects as keys), the same keys
//! quoted, bare names as keys, `NaN` and `Infinity` (read as absent), members that are `null`
//! (likewise). A normaliser turns the dialect into plain JSON, and serde_json does the rest.
//!
//! Written: integer keys always quoted, objects as keys always bare, `null` members never. That is
//! the form that Java clients 4.9.8, 5.3.3 and 5.5.0 and the tools all read.

mod error;
pub mod lenient;
mod message_queue;
mod normalise;
mod write;

pub use error::JsonError;
pub use message_queue::{MessageQueue, MqMap};
pub use normalise::normalise;
pub use write::{WriteError, to_vec};

use serde::de::DeserializeOwned;

/// Reads a value from the dialect.
///
/// # Errors
/// [`JsonError`] says where the text is no JSON, or what does not fit the type.
pub fn from_slice<T: DeserializeOwned>(text: &[u8]) -> Result<T, JsonError> {
    let plain = normalise(text)?;
    serde_json::from_str(&plain).map_err(|source| JsonError::Shape { source })
}
