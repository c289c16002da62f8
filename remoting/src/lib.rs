//! The RemotingCommand protocol of RocketMQ 5.5.0, without I/O: bytes in, commands out.
//!
//! - [`frame`] finds the first whole frame in a receive buffer.
//! - [`command`] reads and writes the header of a frame: [`Command`] owns its parts, [`CommandRef`]
//!   borrows them from the receive buffer, [`encode_response`] writes straight into the send buffer.
//! - [`codes`] are the request and response numbers with their names.
//! - [`header`] are the typed extension fields of the requests and answers that Turbopump serves,
//!   [`body`] the typed JSON bodies, [`batch`] the body of a batch send.
//! - [`fastjson`] is the JSON dialect that Java servers and clients write into bodies.
//!
//! Nothing here opens a socket, reads a clock or waits, and no input makes it panic: what cannot be
//! understood is a typed error. Byte layouts are in `docs/format/remoting-frame.md`.
#![forbid(unsafe_code)]

pub mod batch;
pub mod body;
pub mod codes;
pub mod command;
pub mod fastjson;
pub mod frame;
pub mod header;
pub mod limits;
mod quote;
pub mod route;
#[cfg(test)]
mod seeded;

pub use codes::{RequestCode, ResponseCode};
pub use command::{
    Command, CommandRef, DecodeError, EncodeError, ExtFields, ExtRef, Flags, Language, RequestHead,
    ResponseHead, SerializeType, encode_request, encode_response,
};
pub use frame::{FrameError, FrameRange, MAX_FRAME};
