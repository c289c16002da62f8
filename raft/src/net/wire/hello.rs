//! The handshake: one message of the one who dialled, one of the other side.
//!
//! The first 16 bytes are the same in all versions, so that another version is understood well enough to be refused.

use std::fmt;
use std::mem::offset_of;

use storage::StoreId;

use super::cursor::Cursor;
use super::error::WireError;
use crate::net::facts::{Constants, Facts, Lane, Standing};
use crate::types::MemberId;

/// The version of the protocol, and so of all that is said after the handshake.
pub(in crate::net) const VERSION: u8 = 3;
const MAGIC: [u8; 8] = *b"TPPEER\0\0";

/// What both messages begin with, in all versions. Only its layout is used.
#[repr(C)]
struct Prefix {
    magic: [u8; 8],
    version: u8,
    part: u8,
    body_len: u16,
    /// CRC-32C over the four bytes before it, and the body.
    crc: u32,
}

/// What the one who dialled says; the names of cluster and group follow, and what clients know the group as. Only its layout is used.
#[repr(C)]
struct Question {
    sender: u128,
    expected: u128,
    segment_size: u64,
    log_version: u32,
    shard: u32,
    lane: u8,
    cluster_len: u8,
    group_len: u8,
    founds: u8,
    known_as_len: u8,
    reserved: [u8; 11],
}

/// What the other side says; a text follows. Only its layout is used.
#[repr(C)]
struct Reply {
    store: u128,
    code: u8,
    standing: u8,
    text_len: u16,
    zero: [u8; 12],
}

/// Bytes of the part that is the same in all versions.
pub(in crate::net) const PREFIX_LEN: usize = size_of::<Prefix>();
const AT_CRC: usize = offset_of!(Prefix, crc);
const _: () = assert!(PREFIX_LEN == 16 && offset_of!(Prefix, version) == 8 && AT_CRC == 12);
const QUESTION_LEN: usize = size_of::<Question>();
const _: () = assert!(QUESTION_LEN == 64 && offset_of!(Question, segment_size) == 32);
const _: () = assert!(offset_of!(Question, shard) == 44 && offset_of!(Question, lane) == 48);
const REPLY_LEN: usize = size_of::<Reply>();
const _: () = assert!(REPLY_LEN == 32 && offset_of!(Reply, text_len) == 18);

/// The longest body of either message.
pub(in crate::net) const BODY_MAX: usize = 4096;
/// The longest text of a refusal; a longer one is cut.
const TEXT_MAX: usize = 1024;
const _: () = assert!(QUESTION_LEN + 3 * Facts::NAME_MAX <= BODY_MAX);
const _: () = assert!(REPLY_LEN + TEXT_MAX <= BODY_MAX);

const ASKS: u8 = 1;
const REPLIES: u8 = 2;

/// What the one who dialled says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::net) struct Hello {
    /// Who he is, of which shard of which group.
    pub(in crate::net) facts: Facts,
    /// Whom he expects; `None` when he does not know who is there.
    pub(in crate::net) expected: Option<MemberId>,
    /// What the connection is for.
    pub(in crate::net) lane: Lane,
    /// He is about to found the group, and asks for the promise that nobody else will.
    pub(in crate::net) founds: bool,
}

/// Why a connection is refused. The number is on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RefusalCode {
    /// Another version of the protocol.
    Version = 1,
    /// Another cluster.
    Cluster = 2,
    /// Another group.
    Group = 3,
    /// Another shard.
    Shard = 4,
    /// Another store than the one that was expected: a foreign node, or a wiped one.
    Store = 5,
    /// Something that all members must have the same is not.
    Constants = 6,
    /// As many connections as there may be.
    Full = 7,
    /// The handshake could not be read.
    Unreadable = 8,
    /// Somebody else is about to found the group.
    Founder = 9,
    /// Clients know it under another name.
    KnownAs = 10,
}

impl RefusalCode {
    fn from_byte(byte: u8) -> Option<Self> {
        let all = [
            Self::Version,
            Self::Cluster,
            Self::Group,
            Self::Shard,
            Self::Store,
            Self::Constants,
            Self::Full,
            Self::Unreadable,
            Self::Founder,
            Self::KnownAs,
        ];
        all.into_iter().find(|code| *code as u8 == byte)
    }
}

/// A refusal, as both sides have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub code: RefusalCode,
    /// Why, with both sides' values and what to do about it.
    pub text: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What the other side says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::net) struct Answer {
    /// Who it is.
    pub(in crate::net) store: MemberId,
    /// Whether it belongs to a group already.
    pub(in crate::net) standing: Standing,
    /// Whether it takes the connection.
    pub(in crate::net) verdict: Result<(), Refusal>,
}

/// What the first bytes of a message say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::net) struct Start {
    bytes: [u8; PREFIX_LEN],
    /// The version of the sender.
    pub(in crate::net) version: u8,
    /// Bytes that follow.
    pub(in crate::net) body_len: usize,
}

impl Start {
    /// Reads them, of any version.
    pub(in crate::net) fn decode(bytes: &[u8; PREFIX_LEN]) -> Result<Start, WireError> {
        let mut from = Cursor::new(bytes);
        if from.array()? != MAGIC {
            return Err(WireError::Magic);
        }
        let (version, _part) = (from.u8()?, from.u8()?);
        let body_len = usize::from(from.u16()?);
        if body_len > BODY_MAX {
            return Err(WireError::TooLong { len: body_len, max: BODY_MAX });
        }
        Ok(Start { bytes: *bytes, version, body_len })
    }

    /// Whether prefix and body are what was sent, by that side.
    fn check(&self, part: u8, body: &[u8]) -> Result<(), WireError> {
        let found = self.bytes[offset_of!(Prefix, part)];
        let crc = self.bytes[AT_CRC..].try_into().expect("four bytes");
        if u32::from_le_bytes(crc) != crc_of(&self.bytes, body) {
            Err(WireError::Crc)
        } else if found != part {
            Err(WireError::Case { what: "a part of the handshake", found })
        } else {
            Ok(())
        }
    }
}

fn crc_of(prefix: &[u8], body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&prefix[8..AT_CRC]), body)
}

/// A message with this body.
fn message(part: u8, body: &[u8]) -> Vec<u8> {
    assert!(body.len() <= BODY_MAX);
    let mut out = MAGIC.to_vec();
    out.extend([VERSION, part]);
    out.extend(u16::try_from(body.len()).expect("bodies are short").to_le_bytes());
    out.extend(crc_of(&out, body).to_le_bytes());
    assert_eq!(out.len(), PREFIX_LEN);
    out.extend_from_slice(body);
    out
}

impl Hello {
    /// The whole message.
    pub(in crate::net) fn encode(&self) -> Vec<u8> {
        let Hello { facts, expected, lane, founds } = self;
        let mut body = Vec::with_capacity(QUESTION_LEN + 3 * Facts::NAME_MAX);
        body.extend(facts.store.0.0.to_le_bytes());
        body.extend(expected.map_or(0, |id| id.0.0).to_le_bytes());
        body.extend(facts.constants.segment_size.to_le_bytes());
        body.extend(facts.constants.log_version.to_le_bytes());
        body.extend(facts.shard.to_le_bytes());
        body.push(*lane as u8);
        let len = |name: &String| u8::try_from(name.len()).expect("names are not too long");
        body.extend([
            len(&facts.cluster),
            len(&facts.group),
            u8::from(*founds),
            len(&facts.known_as),
        ]);
        body.extend([0; 11]);
        assert_eq!(body.len(), QUESTION_LEN);
        for name in [&facts.cluster, &facts.group, &facts.known_as] {
            body.extend_from_slice(name.as_bytes());
        }
        message(ASKS, &body)
    }

    /// Reads the body of one that is of this version.
    pub(in crate::net) fn decode(start: &Start, body: &[u8]) -> Result<Hello, WireError> {
        start.check(ASKS, body)?;
        let mut from = Cursor::new(body);
        let store = MemberId(StoreId(from.u128()?));
        let expected = Some(from.u128()?).filter(|id| *id != 0).map(|id| MemberId(StoreId(id)));
        let constants = Constants { segment_size: from.u64()?, log_version: from.u32()? };
        let shard = from.u32()?;
        let lane = from.u8()?;
        let lane = Lane::from_byte(lane).ok_or(WireError::Case { what: "a lane", found: lane })?;
        let (cluster_len, group_len) = (usize::from(from.u8()?), usize::from(from.u8()?));
        let founds = match from.u8()? {
            0 => false,
            1 => true,
            found => return Err(WireError::Case { what: "a wish to found", found }),
        };
        let known_as_len = usize::from(from.u8()?);
        from.zeros::<11>()?;
        let cluster = from.text(cluster_len, "the cluster's name")?;
        let group = from.text(group_len, "the group's name")?;
        let known_as = from.text(known_as_len, "the name that clients know")?;
        from.end()?;
        let facts = Facts { store, cluster, group, known_as, shard, constants };
        Ok(Hello { facts, expected, lane, founds })
    }
}

impl Answer {
    /// The whole message.
    pub(in crate::net) fn encode(&self) -> Vec<u8> {
        let (code, text) = match &self.verdict {
            Ok(()) => (0, ""),
            Err(Refusal { code, text }) => (*code as u8, text.as_str()),
        };
        let mut end = text.len().min(TEXT_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let text = &text.as_bytes()[..end];
        let mut body = self.store.0.0.to_le_bytes().to_vec();
        body.extend([code, self.standing as u8]);
        body.extend(u16::try_from(text.len()).expect("a text is short").to_le_bytes());
        body.extend([0; 12]);
        assert_eq!(body.len(), REPLY_LEN);
        body.extend_from_slice(text);
        message(REPLIES, &body)
    }

    /// Reads the body of one that is of this version.
    pub(in crate::net) fn decode(start: &Start, body: &[u8]) -> Result<Answer, WireError> {
        start.check(REPLIES, body)?;
        let mut from = Cursor::new(body);
        let store = MemberId(StoreId(from.u128()?));
        let (code, standing) = (from.u8()?, from.u8()?);
        let standing = Standing::from_byte(standing)
            .ok_or(WireError::Case { what: "a standing", found: standing })?;
        let text_len = usize::from(from.u16()?);
        from.zeros::<12>()?;
        let text = from.text(text_len, "the text of a refusal")?;
        from.end()?;
        let verdict = match (code, RefusalCode::from_byte(code)) {
            (0, _) if text.is_empty() => Ok(()),
            (0, _) => return Err(WireError::Long(text.len())),
            (_, Some(code)) => Err(Refusal { code, text }),
            (found, None) => return Err(WireError::Case { what: "a refusal", found }),
        };
        Ok(Answer { store, standing, verdict })
    }
}
