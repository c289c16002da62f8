//! The first block of a part's file.

use std::mem::{offset_of, size_of};

use model::{PhysicalOffset, UnixMillis};
use runtime::BLOCK;

use super::error::BadPart;
use super::format::{Counts, HEAD_LEN, Kind, Label, MAGIC, Places, put, u32_at, u64_at};
use super::name::Span;
use crate::identity::StoreId;
use crate::versions::INDEX;

/// The header as it lies on the disk, behind the head that every block has.
#[repr(C)]
struct Layout {
    magic: [u8; 8],
    version: u8,
    flags: u8,
    reserved: [u8; 6],
    store: [u8; 16],
    base: u64,
    from: u64,
    to: u64,
    oldest: u64,
    newest: u64,
    units: u64,
    queues: u64,
    keys: u64,
    units_at: u32,
    directory_at: u32,
    keys_at: u32,
    queue_fences_at: u32,
    key_fences_at: u32,
    blocks: u32,
}

const _: () = assert!(size_of::<Layout>() == 120 && HEAD_LEN + size_of::<Layout>() <= BLOCK);
const _: () = assert!(offset_of!(Layout, version) == 8 && offset_of!(Layout, base) == 32);

/// Flag: the directory names every queue that there was.
const COMPLETE: u8 = 1;

const LABEL: Label = Label { kind: Kind::Header, number: 0, items: 0 };

/// What the first block of a part's file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub store: StoreId,
    /// The segment's first byte.
    pub base: PhysicalOffset,
    pub span: Span,
    /// The directory names every queue that there was at the end of the segment.
    pub complete: bool,
    /// The oldest and the newest store time of the messages that were added.
    pub times: Option<(UnixMillis, UnixMillis)>,
    pub counts: Counts,
}

/// Why a block is no header of this version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BadHeader {
    Damaged(BadPart),
    Version(u8),
}

impl From<BadPart> for BadHeader {
    fn from(why: BadPart) -> Self {
        Self::Damaged(why)
    }
}

impl Header {
    /// Where everything is in the file.
    pub(crate) fn places(&self) -> Option<Places> {
        Places::of(&self.counts)
    }

    /// Whether a message at `at` of `size` bytes is within the range, `at` counting from the segment's
    /// first byte.
    pub(crate) fn covers(&self, at: u32, size: u32) -> bool {
        let begin = self.base.0 + u64::from(at);
        size > 0 && begin >= self.span.from.0 && begin + u64::from(size) <= self.span.to.0
    }

    pub(crate) fn encode(&self, block: &mut [u8]) {
        let places = self.places().expect("what was written fits into a file");
        block.fill(0);
        let to = &mut block[HEAD_LEN..];
        put(to, offset_of!(Layout, magic), &MAGIC);
        to[offset_of!(Layout, version)] = INDEX;
        to[offset_of!(Layout, flags)] = if self.complete { COMPLETE } else { 0 };
        put(to, offset_of!(Layout, store), &self.store.0.to_le_bytes());
        put(to, offset_of!(Layout, base), &self.base.0.to_le_bytes());
        put(to, offset_of!(Layout, from), &self.span.from.0.to_le_bytes());
        put(to, offset_of!(Layout, to), &self.span.to.0.to_le_bytes());
        let (oldest, newest) = self.times.unwrap_or((UnixMillis(u64::MAX), UnixMillis(0)));
        put(to, offset_of!(Layout, oldest), &oldest.0.to_le_bytes());
        put(to, offset_of!(Layout, newest), &newest.0.to_le_bytes());
        put(to, offset_of!(Layout, units), &self.counts.units.to_le_bytes());
        put(to, offset_of!(Layout, queues), &self.counts.queues.to_le_bytes());
        put(to, offset_of!(Layout, keys), &self.counts.keys.to_le_bytes());
        for (at, value) in places_of(&places) {
            put(to, at, &value.to_le_bytes());
        }
        LABEL.seal(block, 0);
    }

    /// Reads a header block. Whatever the bytes are, what comes back contradicts neither itself nor
    /// `span`, what the file's name says.
    pub(crate) fn decode(block: &[u8], span: Span) -> Result<Self, BadHeader> {
        let from = &block[HEAD_LEN..];
        if from[..MAGIC.len()] != MAGIC {
            return Err(BadPart::Magic.into());
        }
        // Before the CRC, which another version may compute in another way.
        let version = from[offset_of!(Layout, version)];
        if version != INDEX {
            return Err(BadHeader::Version(version));
        }
        LABEL.check(block, 0)?;
        let at = offset_of!(Layout, store);
        let store = from[at..at + 16].try_into().expect("sixteen bytes");
        let number = |at| u64_at(from, at);
        let oldest = UnixMillis(number(offset_of!(Layout, oldest)));
        let newest = UnixMillis(number(offset_of!(Layout, newest)));
        let header = Self {
            store: StoreId(u128::from_le_bytes(store)),
            base: PhysicalOffset(number(offset_of!(Layout, base))),
            span: Span {
                from: PhysicalOffset(number(offset_of!(Layout, from))),
                to: PhysicalOffset(number(offset_of!(Layout, to))),
            },
            complete: from[offset_of!(Layout, flags)] & COMPLETE != 0,
            times: (oldest <= newest).then_some((oldest, newest)),
            counts: Counts {
                units: number(offset_of!(Layout, units)),
                queues: number(offset_of!(Layout, queues)),
                keys: number(offset_of!(Layout, keys)),
            },
        };
        if header.span != span {
            return Err(BadPart::Range.into());
        }
        let in_segment = header.base <= span.from
            && span.from < span.to
            && span.to.since(header.base) <= u64::from(u32::MAX);
        let placed = header.places().is_some_and(|places| {
            places_of(&places).into_iter().all(|(at, value)| u32_at(from, at) == value)
        });
        if in_segment && placed { Ok(header) } else { Err(BadPart::Header.into()) }
    }
}

/// Where in the header which block number is.
fn places_of(places: &Places) -> [(usize, u32); 6] {
    [
        (offset_of!(Layout, units_at), places.units.at),
        (offset_of!(Layout, directory_at), places.directory.at),
        (offset_of!(Layout, keys_at), places.keys.at),
        (offset_of!(Layout, queue_fences_at), places.queue_fences.at),
        (offset_of!(Layout, key_fences_at), places.key_fences.at),
        (offset_of!(Layout, blocks), places.blocks),
    ]
}
