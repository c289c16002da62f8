//! One command: the header of a frame and, where it is owned, its body.

mod decode;
mod encode;
mod error;
mod ext;
mod flags;
mod language;
mod scan;
pub mod version;
mod word;

use std::borrow::Cow;

use bytes::Bytes;

pub use encode::{FrameBuf, RequestHead, ResponseHead, encode_request, encode_response};
pub use error::{DecodeError, EncodeError};
pub use ext::{EncodeExt, ExtFields, ExtRef, ExtSink};
pub use flags::{Flags, SerializeType};
pub use language::Language;

use crate::frame::FrameRange;

/// A command that borrows its strings from the header's bytes; for the hot path.
///
/// The body is not part of it: it lies behind the header, where [`FrameRange::body`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandRef<'a> {
    /// Request code in a request, response code in an answer.
    pub code: i32,
    /// Request or answer, oneway or not.
    pub flag: Flags,
    /// The sender's number of the request; an answer repeats it.
    pub opaque: i32,
    /// The sender's version, see [`version`].
    pub version: i32,
    /// The language that the sender claims.
    pub language: Language,
    /// Text for people, in answers mostly.
    pub remark: Option<Cow<'a, str>>,
    /// The extension fields: the arguments of a request, the results of an answer.
    pub ext: ExtRef<'a>,
}

impl<'a> CommandRef<'a> {
    /// Decodes a header's bytes, without the length fields before them.
    ///
    /// Keys in any order, unknown keys and missing `extFields`, `flag`, `language`, `remark`,
    /// `version` are accepted; `code` and `opaque` must be there.
    ///
    /// # Errors
    /// [`DecodeError`]; there is then no `opaque` to answer to, so close the connection.
    pub fn decode(serialize: SerializeType, header: &'a [u8]) -> Result<Self, DecodeError> {
        match serialize {
            SerializeType::Json => decode::decode_json(header),
            SerializeType::RocketMq => Err(DecodeError::UnsupportedSerialization { serialize }),
        }
    }

    /// Copies what is borrowed and takes `body` along.
    #[must_use]
    pub fn into_owned(self, body: Bytes) -> Command {
        Command {
            code: self.code,
            flag: self.flag,
            opaque: self.opaque,
            version: self.version,
            language: self.language,
            remark: self.remark.map(Cow::into_owned),
            ext: self.ext.into_owned(),
            body,
            serialize: SerializeType::Json,
        }
    }
}

/// A command that owns its parts; for clients, tests and whatever is not hot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Request code in a request, response code in an answer.
    pub code: i32,
    /// Request or answer, oneway or not.
    pub flag: Flags,
    /// The sender's number of the request; an answer repeats it. 0 until somebody numbers it.
    pub opaque: i32,
    /// The sender's version, see [`version`].
    pub version: i32,
    /// The language that the sender claims.
    pub language: Language,
    /// Text for people, in answers mostly.
    pub remark: Option<String>,
    /// The extension fields: the arguments of a request, the results of an answer.
    pub ext: ExtFields,
    /// The body's bytes.
    pub body: Bytes,
    /// How the header is written.
    pub serialize: SerializeType,
}

impl Command {
    /// A request without fields and body; whoever sends it gives it its `opaque`.
    #[must_use]
    pub fn request(code: impl Into<i32>) -> Self {
        Self {
            code: code.into(),
            flag: Flags::REQUEST,
            opaque: 0,
            version: version::OURS,
            language: Language::OURS,
            remark: None,
            ext: ExtFields::new(),
            body: Bytes::new(),
            serialize: SerializeType::Json,
        }
    }

    /// A request that nobody answers, not even with an error.
    #[must_use]
    pub fn oneway(code: impl Into<i32>) -> Self {
        Self { flag: Flags::ONEWAY, ..Self::request(code) }
    }

    /// An answer to the request with this `opaque`.
    #[must_use]
    pub fn reply_to(opaque: i32, code: impl Into<i32>) -> Self {
        Self { flag: Flags::RESPONSE, opaque, ..Self::request(code) }
    }

    /// The same command with the fields of `header`, which replace equally named ones.
    #[must_use]
    pub fn with_ext(mut self, header: &dyn EncodeExt) -> Self {
        header.encode_ext(&mut self.ext);
        self
    }

    /// The same command with this body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// The same command with this remark.
    #[must_use]
    pub fn with_remark(mut self, remark: impl Into<String>) -> Self {
        self.remark = Some(remark.into());
        self
    }

    /// Decodes a header's bytes; `body` is taken along.
    ///
    /// # Errors
    /// As [`CommandRef::decode`].
    pub fn decode(
        serialize: SerializeType,
        header: &[u8],
        body: Bytes,
    ) -> Result<Self, DecodeError> {
        Ok(CommandRef::decode(serialize, header)?.into_owned(body))
    }

    /// Decodes the frame that lies at `range` in `buf`; the body shares `buf`'s memory.
    ///
    /// # Errors
    /// As [`CommandRef::decode`].
    ///
    /// # Panics
    /// If `range` does not come from `buf`.
    pub fn from_frame(buf: &Bytes, range: &FrameRange) -> Result<Self, DecodeError> {
        assert!(range.end() <= buf.len(), "the frame range belongs to another buffer");
        Self::decode(range.serialize, &buf[range.header.clone()], buf.slice(range.body.clone()))
    }

    /// Appends the whole frame, body included, to `out`.
    ///
    /// # Errors
    /// [`EncodeError`]; `out` is then as it was.
    pub fn encode<B: FrameBuf>(&self, out: &mut B) -> Result<(), EncodeError> {
        encode::encode_command(out, self)?;
        out.append(&self.body);
        Ok(())
    }
}
