//! The header of an entry: what every node agrees on, and what this node notes for its own recovery.
//!
//! `docs/format/log.md` has the table. All integers little-endian.

use std::mem::{offset_of, size_of};

use model::{LogIndex, PhysicalOffset, Term, UnixMillis};
use thiserror::Error;

use crate::crc;
use crate::versions;

/// Bytes of an entry's header, both parts.
pub const ENTRY_HEADER_LEN: usize = size_of::<Layout>();
/// Entries begin at multiples of this.
pub const ENTRY_ALIGN: usize = 8;

/// "TPE" and the format version.
const MAGIC: u32 = u32::from_le_bytes([b'T', b'P', b'E', versions::ENTRY]);
/// What entries of all versions begin with.
const ANY_VERSION: [u8; 3] = *b"TPE";

/// The header as it lies on the disk. Only its layout is used; the fields are copied one by one.
#[repr(C)]
struct Layout {
    // replicated: the same on every node
    magic: u32,
    chain: u32,
    payload_len: u32,
    kind: u8,
    reserved0: [u8; 3],
    index: u64,
    term: u64,
    offset: u64,
    timestamp: u64,
    records: u32,
    reserved1: u32,
    // local: this node's own
    local_crc: u32,
    reserved2: u32,
    generation: u64,
    durable_through: u64,
    committed_index: u64,
}

/// Bytes of the part of a header that every node agrees on.
pub(crate) const REPLICATED_LEN: usize = offset_of!(Layout, local_crc);
const _: () = assert!(ENTRY_HEADER_LEN == 88 && REPLICATED_LEN == 56);
const _: () = assert!(ENTRY_HEADER_LEN.is_multiple_of(ENTRY_ALIGN));
const _: () = assert!(offset_of!(Layout, kind) == 12 && offset_of!(Layout, index) == 16);
const _: () = assert!(offset_of!(Layout, offset) == 32 && offset_of!(Layout, generation) == 64);

/// What an entry holds. The number is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Who belongs to the group.
    Membership = 1,
    /// Message records, one after the other.
    Messages = 2,
    /// A topic was created, changed or deleted.
    Topic = 3,
    /// A command that only the owner of the store understands; its first byte tells which.
    Command = 4,
    /// The log before an offset is given up.
    Trim = 5,
    /// Nothing: the first entry of a term.
    Blank = 6,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        let all =
            [Self::Membership, Self::Messages, Self::Topic, Self::Command, Self::Trim, Self::Blank];
        all.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// The part of the header that every node agrees on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Replicated {
    /// CRC-32C over the previous entry's chain, this part from the payload length on, and the payload.
    pub chain: u32,
    pub payload_len: u32,
    pub kind: Kind,
    pub index: LogIndex,
    pub term: Term,
    /// Of the header's first byte.
    pub offset: PhysicalOffset,
    pub timestamp: UnixMillis,
    pub records: u32,
}

/// The part of the header that is this node's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Local {
    /// Raised at every start and truncation.
    pub generation: u64,
    /// What was known to be durable when this was written.
    pub durable_through: PhysicalOffset,
    /// What was known to be committed when this was written.
    pub committed: LogIndex,
}

/// The fields of the replicated part, with their first bytes, in their order: for who says what differs.
pub(crate) const REPLICATED_FIELDS: [(&str, usize); 11] = [
    ("magic and version", offset_of!(Layout, magic)),
    ("chain", offset_of!(Layout, chain)),
    ("length of the payload", offset_of!(Layout, payload_len)),
    ("kind", offset_of!(Layout, kind)),
    ("reserved bytes", offset_of!(Layout, reserved0)),
    ("index", offset_of!(Layout, index)),
    ("term", offset_of!(Layout, term)),
    ("offset", offset_of!(Layout, offset)),
    ("timestamp", offset_of!(Layout, timestamp)),
    ("number of records", offset_of!(Layout, records)),
    ("reserved bytes", offset_of!(Layout, reserved1)),
];

/// Why bytes are not an intact entry.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum BadEntry {
    #[error("no entry header: magic {0:#010x}")]
    Magic(u32),
    #[error("unknown entry kind {0}")]
    Kind(u8),
    #[error("the entry says it is at {found}")]
    Offset { found: u64 },
    #[error("the entry has index {found}, {expected} was expected")]
    Index { found: u64, expected: u64 },
    #[error("the entry says it has {0} bytes, more than an entry can have here")]
    Length(u64),
    #[error("the entry is of generation {found}, the one before it of {least}")]
    Generation { found: u64, least: u64 },
    #[error("chained CRC-32C is {found:#010x}, the entry says {expected:#010x}")]
    Chain { found: u32, expected: u32 },
    #[error("the local part's CRC does not match")]
    LocalCrc,
    #[error("the segment ends here")]
    End,
}

/// Bytes that an entry with this much payload takes, header and padding included.
pub(crate) fn entry_len(payload_len: usize) -> usize {
    ENTRY_HEADER_LEN + payload_len.next_multiple_of(ENTRY_ALIGN)
}

/// The version of a header that is not of ours and stands where it says it does: no bytes of an older life, but an
/// entry that another version wrote here. Magic and offset have their places in all versions.
pub(crate) fn other_version_at(header: &[u8], offset: PhysicalOffset) -> Option<u8> {
    let (magic, at) = (header.first_chunk::<4>()?, offset_of!(Layout, offset));
    let whole = header.len() >= ENTRY_HEADER_LEN;
    let other = magic.starts_with(&ANY_VERSION) && magic[3] != versions::ENTRY;
    (whole && other && u64_at(header, at) == offset.0).then_some(magic[3])
}

/// Whether these bytes begin as an entry does.
pub(crate) fn begins_entry(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC.to_le_bytes())
}

/// The chain after an entry but for its payload: `header` is its replicated part.
fn chain_before_payload(previous: u32, header: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&previous.to_le_bytes());
    crc32c::crc32c_append(crc, &header[offset_of!(Layout, payload_len)..REPLICATED_LEN])
}

/// The chain after an entry: `header` is its replicated part, `payload` its payload without padding.
fn chain_after(previous: u32, header: &[u8], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(chain_before_payload(previous, header), payload)
}

impl Replicated {
    /// Writes this part to `header`, computing the chain, which is returned. `payload_crc` is the CRC-32C of the
    /// payload.
    pub(crate) fn encode(&self, previous_chain: u32, header: &mut [u8], payload_crc: u32) -> u32 {
        assert_eq!(header.len(), ENTRY_HEADER_LEN);
        header[..REPLICATED_LEN].fill(0);
        put(header, offset_of!(Layout, magic), &MAGIC.to_le_bytes());
        put(header, offset_of!(Layout, payload_len), &self.payload_len.to_le_bytes());
        header[offset_of!(Layout, kind)] = self.kind as u8;
        put(header, offset_of!(Layout, index), &self.index.0.to_le_bytes());
        put(header, offset_of!(Layout, term), &self.term.0.to_le_bytes());
        put(header, offset_of!(Layout, offset), &self.offset.0.to_le_bytes());
        put(header, offset_of!(Layout, timestamp), &self.timestamp.0.to_le_bytes());
        put(header, offset_of!(Layout, records), &self.records.to_le_bytes());
        let before = chain_before_payload(previous_chain, &header[..REPLICATED_LEN]);
        let chain = crc::joined(before, payload_crc, self.payload_len as usize);
        put(header, offset_of!(Layout, chain), &chain.to_le_bytes());
        chain
    }

    /// Reads this part without looking at the payload: enough to know how long the entry says it is.
    pub(crate) fn decode(header: &[u8]) -> Result<Self, BadEntry> {
        if header.len() < ENTRY_HEADER_LEN {
            return Err(BadEntry::End);
        }
        let magic = u32_at(header, offset_of!(Layout, magic));
        if magic != MAGIC {
            return Err(BadEntry::Magic(magic));
        }
        let kind = header[offset_of!(Layout, kind)];
        Ok(Self {
            chain: u32_at(header, offset_of!(Layout, chain)),
            payload_len: u32_at(header, offset_of!(Layout, payload_len)),
            kind: Kind::from_byte(kind).ok_or(BadEntry::Kind(kind))?,
            index: LogIndex(u64_at(header, offset_of!(Layout, index))),
            term: Term(u64_at(header, offset_of!(Layout, term))),
            offset: PhysicalOffset(u64_at(header, offset_of!(Layout, offset))),
            timestamp: UnixMillis(u64_at(header, offset_of!(Layout, timestamp))),
            records: u32_at(header, offset_of!(Layout, records)),
        })
    }

    /// Checks the chain of a whole entry.
    pub(crate) fn check_chain(
        &self,
        previous: u32,
        header: &[u8],
        payload: &[u8],
    ) -> Result<(), BadEntry> {
        let found = chain_after(previous, &header[..REPLICATED_LEN], payload);
        let expected = self.chain;
        if found == expected { Ok(()) } else { Err(BadEntry::Chain { found, expected }) }
    }
}

/// The local CRC covers the chain too, so that the part cannot be taken for another entry's.
fn local_crc(header: &[u8]) -> u32 {
    let at = offset_of!(Layout, chain);
    let crc = crc32c::crc32c(&header[at..at + 4]);
    crc32c::crc32c_append(crc, &header[offset_of!(Layout, reserved2)..ENTRY_HEADER_LEN])
}

impl Local {
    /// Writes this part behind a replicated part that is already there.
    pub(crate) fn encode(&self, header: &mut [u8]) {
        header[REPLICATED_LEN..ENTRY_HEADER_LEN].fill(0);
        put(header, offset_of!(Layout, generation), &self.generation.to_le_bytes());
        put(header, offset_of!(Layout, durable_through), &self.durable_through.0.to_le_bytes());
        put(header, offset_of!(Layout, committed_index), &self.committed.0.to_le_bytes());
        let crc = local_crc(header);
        put(header, offset_of!(Layout, local_crc), &crc.to_le_bytes());
    }

    pub(crate) fn decode(header: &[u8]) -> Result<Self, BadEntry> {
        if header.len() < ENTRY_HEADER_LEN {
            return Err(BadEntry::End);
        }
        if u32_at(header, offset_of!(Layout, local_crc)) != local_crc(header) {
            return Err(BadEntry::LocalCrc);
        }
        Ok(Self {
            generation: u64_at(header, offset_of!(Layout, generation)),
            durable_through: PhysicalOffset(u64_at(header, offset_of!(Layout, durable_through))),
            committed: LogIndex(u64_at(header, offset_of!(Layout, committed_index))),
        })
    }
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(payload: &[u8]) -> (Replicated, Local, Vec<u8>) {
        let mut part = Replicated {
            chain: 0,
            payload_len: u32::try_from(payload.len()).expect("small"),
            kind: Kind::Messages,
            index: LogIndex(7),
            term: Term(2),
            offset: PhysicalOffset(4096),
            timestamp: UnixMillis(99),
            records: 3,
        };
        let local =
            Local { generation: 5, durable_through: PhysicalOffset(4000), committed: LogIndex(6) };
        let mut entry = vec![0xAA; ENTRY_HEADER_LEN];
        entry.extend_from_slice(payload);
        part.chain = part.encode(17, &mut entry[..ENTRY_HEADER_LEN], crc32c::crc32c(payload));
        local.encode(&mut entry[..ENTRY_HEADER_LEN]);
        (part, local, entry)
    }

    #[test]
    fn both_parts_are_read_back() {
        let (part, local, entry) = sample(b"payload");
        let (header, payload) = entry.split_at(ENTRY_HEADER_LEN);
        assert_eq!(Replicated::decode(header), Ok(part));
        assert_eq!(Local::decode(header), Ok(local));
        assert_eq!(part.check_chain(17, header, payload), Ok(()));
        assert!(matches!(part.check_chain(18, header, payload), Err(BadEntry::Chain { .. })));
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let (_, _, entry) = sample(b"payload");
        for bit in 0..entry.len() * 8 {
            let mut bad = entry.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let (header, payload) = bad.split_at(ENTRY_HEADER_LEN);
            let replicated =
                Replicated::decode(header).and_then(|part| part.check_chain(17, header, payload));
            let intact = replicated.is_ok() && Local::decode(header).is_ok();
            assert!(!intact, "bit {bit} was flipped and not seen");
        }
    }
}
