//! The blocks of a part's file. `docs/format/index.md` has the tables. All integers little-endian.

use std::mem::{offset_of, size_of};

use model::{LogIndex, QueueId, QueueOffset};
use runtime::BLOCK;

use super::error::BadPart;
use super::name::Span;
use super::{KeyAt, Packed, QueueKey};
use crate::identity::StoreId;
use crate::topics::Incarnation;

pub(super) const MAGIC: [u8; 8] = *b"TPINDEX\0";

/// What every block begins with. Only its layout is used, as in the other structs here.
#[repr(C)]
struct Head {
    crc: u32,
    kind: u8,
    reserved: [u8; 3],
    number: u32,
    items: u32,
}

/// Bytes of a block before its items.
pub(super) const HEAD_LEN: usize = size_of::<Head>();
const PAYLOAD_LEN: usize = BLOCK - HEAD_LEN;
const _: () = assert!(HEAD_LEN == 16 && offset_of!(Head, number) == 8);

/// What a block holds. The number is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Header = 1,
    Units = 2,
    Directory = 3,
    Keys = 4,
    QueueFences = 5,
    KeyFences = 6,
}

/// Something that sections are made of.
pub(crate) trait Item: Copy {
    const KIND: Kind;
    /// Bytes of one.
    const LEN: usize;
    /// As many as a block holds.
    const PER_BLOCK: usize = PAYLOAD_LEN / Self::LEN;
    /// `to` has [`Item::LEN`] bytes, all zero.
    fn encode(&self, to: &mut [u8]);
    /// `from` has [`Item::LEN`] bytes.
    fn decode(from: &[u8]) -> Self;
}

/// A queue in the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub key: QueueKey,
    /// Offset of its first message here, or of its next one if there is none.
    pub first: QueueOffset,
    /// Messages here.
    pub count: u32,
    /// Units before its first one.
    pub position: u32,
}

/// The first queue of a block of the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueueFence(pub QueueKey);

/// The first key of a block of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyFence(pub KeyAt);

#[repr(C)]
struct UnitLayout {
    at: u32,
    size: u32,
    tag_hash: i32,
    crc: u32,
}

#[repr(C)]
struct ListedLayout {
    incarnation: u64,
    queue: u32,
    count: u32,
    first: u64,
    position: u32,
    reserved: u32,
}

#[repr(C)]
struct KeyLayout {
    hash: u32,
    at: u32,
}

#[repr(C)]
struct QueueFenceLayout {
    incarnation: u64,
    queue: u32,
    reserved: u32,
}

const _: () = assert!(size_of::<UnitLayout>() == 16 && Packed::PER_BLOCK == 255);
const _: () = assert!(size_of::<ListedLayout>() == 32 && Listed::PER_BLOCK == 127);
const _: () = assert!(size_of::<KeyLayout>() == 8 && KeyAt::PER_BLOCK == 510);
const _: () = assert!(size_of::<QueueFenceLayout>() == 16 && QueueFence::PER_BLOCK == 255);
const _: () = assert!(KeyFence::PER_BLOCK == KeyAt::PER_BLOCK);

impl Item for Packed {
    const KIND: Kind = Kind::Units;
    const LEN: usize = size_of::<UnitLayout>();

    fn encode(&self, to: &mut [u8]) {
        put(to, offset_of!(UnitLayout, at), &self.at.to_le_bytes());
        put(to, offset_of!(UnitLayout, size), &self.size.to_le_bytes());
        put(to, offset_of!(UnitLayout, tag_hash), &self.tag_hash.to_le_bytes());
        put(to, offset_of!(UnitLayout, crc), &self.crc.to_le_bytes());
    }

    fn decode(from: &[u8]) -> Self {
        Self {
            at: u32_at(from, offset_of!(UnitLayout, at)),
            size: u32_at(from, offset_of!(UnitLayout, size)),
            tag_hash: u32_at(from, offset_of!(UnitLayout, tag_hash)).cast_signed(),
            crc: u32_at(from, offset_of!(UnitLayout, crc)),
        }
    }
}

impl Item for Listed {
    const KIND: Kind = Kind::Directory;
    const LEN: usize = size_of::<ListedLayout>();

    fn encode(&self, to: &mut [u8]) {
        let incarnation = self.key.incarnation.0.0;
        put(to, offset_of!(ListedLayout, incarnation), &incarnation.to_le_bytes());
        put(to, offset_of!(ListedLayout, queue), &self.key.queue.0.to_le_bytes());
        put(to, offset_of!(ListedLayout, count), &self.count.to_le_bytes());
        put(to, offset_of!(ListedLayout, first), &self.first.0.to_le_bytes());
        put(to, offset_of!(ListedLayout, position), &self.position.to_le_bytes());
    }

    fn decode(from: &[u8]) -> Self {
        let incarnation = u64_at(from, offset_of!(ListedLayout, incarnation));
        let queue = u32_at(from, offset_of!(ListedLayout, queue));
        Self {
            key: queue_key(incarnation, queue),
            first: QueueOffset(u64_at(from, offset_of!(ListedLayout, first))),
            count: u32_at(from, offset_of!(ListedLayout, count)),
            position: u32_at(from, offset_of!(ListedLayout, position)),
        }
    }
}

impl Item for KeyAt {
    const KIND: Kind = Kind::Keys;
    const LEN: usize = size_of::<KeyLayout>();

    fn encode(&self, to: &mut [u8]) {
        put(to, offset_of!(KeyLayout, hash), &self.hash.to_le_bytes());
        put(to, offset_of!(KeyLayout, at), &self.at.to_le_bytes());
    }

    fn decode(from: &[u8]) -> Self {
        let hash = u32_at(from, offset_of!(KeyLayout, hash));
        Self { hash, at: u32_at(from, offset_of!(KeyLayout, at)) }
    }
}

impl Item for QueueFence {
    const KIND: Kind = Kind::QueueFences;
    const LEN: usize = size_of::<QueueFenceLayout>();

    fn encode(&self, to: &mut [u8]) {
        let incarnation = self.0.incarnation.0.0;
        put(to, offset_of!(QueueFenceLayout, incarnation), &incarnation.to_le_bytes());
        put(to, offset_of!(QueueFenceLayout, queue), &self.0.queue.0.to_le_bytes());
    }

    fn decode(from: &[u8]) -> Self {
        let incarnation = u64_at(from, offset_of!(QueueFenceLayout, incarnation));
        Self(queue_key(incarnation, u32_at(from, offset_of!(QueueFenceLayout, queue))))
    }
}

impl Item for KeyFence {
    const KIND: Kind = Kind::KeyFences;
    const LEN: usize = KeyAt::LEN;

    fn encode(&self, to: &mut [u8]) {
        self.0.encode(to);
    }

    fn decode(from: &[u8]) -> Self {
        Self(KeyAt::decode(from))
    }
}

fn queue_key(incarnation: u64, queue: u32) -> QueueKey {
    QueueKey { incarnation: Incarnation(LogIndex(incarnation)), queue: QueueId(queue) }
}

/// The bytes of `count` items of a block from item `at` on, one after the other.
pub(crate) fn items_mut<T: Item>(
    block: &mut [u8],
    at: usize,
    count: usize,
) -> impl Iterator<Item = &mut [u8]> {
    assert!(at + count <= T::PER_BLOCK);
    block[HEAD_LEN + at * T::LEN..][..count * T::LEN].chunks_exact_mut(T::LEN)
}

/// Item `at` of a block.
pub(crate) fn item<T: Item>(block: &[u8], at: usize) -> T {
    assert!(at < T::PER_BLOCK && block.len() == BLOCK);
    T::decode(&block[HEAD_LEN + at * T::LEN..][..T::LEN])
}

/// Begins the CRC of all blocks of a file but its header, so that no block of another file passes.
pub(crate) fn seed(store: StoreId, span: Span) -> u32 {
    let crc = crc32c::crc32c(&store.0.to_le_bytes());
    let crc = crc32c::crc32c_append(crc, &span.from.0.to_le_bytes());
    crc32c::crc32c_append(crc, &span.to.0.to_le_bytes())
}

fn crc_of(block: &[u8], seed: u32) -> u32 {
    crc32c::crc32c_append(seed, &block[offset_of!(Head, kind)..])
}

/// What a block says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    pub kind: Kind,
    pub number: u32,
    pub items: u32,
}

impl Label {
    /// Completes a block whose payload is in place.
    pub(crate) fn seal(self, block: &mut [u8], seed: u32) {
        assert_eq!(block.len(), BLOCK);
        block[..HEAD_LEN].fill(0);
        block[offset_of!(Head, kind)] = self.kind as u8;
        put(block, offset_of!(Head, number), &self.number.to_le_bytes());
        put(block, offset_of!(Head, items), &self.items.to_le_bytes());
        let crc = crc_of(block, seed);
        put(block, offset_of!(Head, crc), &crc.to_le_bytes());
    }

    /// Checks that a block is intact and this one.
    pub(crate) fn check(self, block: &[u8], seed: u32) -> Result<(), BadPart> {
        assert_eq!(block.len(), BLOCK);
        if u32_at(block, offset_of!(Head, crc)) != crc_of(block, seed) {
            return Err(BadPart::Crc { block: self.number });
        }
        let same = block[offset_of!(Head, kind)] == self.kind as u8
            && u32_at(block, offset_of!(Head, number)) == self.number
            && u32_at(block, offset_of!(Head, items)) == self.items;
        if same { Ok(()) } else { Err(BadPart::Block { block: self.number }) }
    }
}

/// Makes the CRC of a block right again after a test has changed the block.
pub(super) fn reseal(block: &mut [u8], seed: u32) {
    let crc = crc_of(block, seed);
    put(block, offset_of!(Head, crc), &crc.to_le_bytes());
}

/// How much of everything a file holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub units: u64,
    pub queues: u64,
    pub keys: u64,
}

/// One kind of items in a file: the number of the first block, and how many items there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    pub at: u32,
    pub items: u64,
}

impl Section {
    fn blocks<T: Item>(items: u64) -> u64 {
        items.div_ceil(T::PER_BLOCK as u64)
    }
}

/// Where everything is in a file. It follows from the counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    pub units: Section,
    pub directory: Section,
    pub keys: Section,
    pub queue_fences: Section,
    pub key_fences: Section,
    /// All blocks of the file.
    pub blocks: u32,
}

impl Places {
    /// `None` when there is more than a file can have.
    pub(crate) fn of(counts: &Counts) -> Option<Self> {
        if counts.units > u64::from(u32::MAX) {
            return None;
        }
        let mut next = 1_u64; // behind the header
        let mut place = |items: u64, blocks: u64| {
            let at = u32::try_from(next).ok()?;
            next = next.checked_add(blocks)?;
            Some(Section { at, items })
        };
        let (directory, keys) =
            (Section::blocks::<Listed>(counts.queues), Section::blocks::<KeyAt>(counts.keys));
        Some(Self {
            units: place(counts.units, Section::blocks::<Packed>(counts.units))?,
            directory: place(counts.queues, directory)?,
            keys: place(counts.keys, keys)?,
            queue_fences: place(directory, Section::blocks::<QueueFence>(directory))?,
            key_fences: place(keys, Section::blocks::<KeyFence>(keys))?,
            blocks: u32::try_from(next).ok()?,
        })
    }

    /// Where items of this type are.
    pub(crate) fn section<T: Item>(&self) -> Section {
        match T::KIND {
            Kind::Header => Section { at: 0, items: 0 },
            Kind::Units => self.units,
            Kind::Directory => self.directory,
            Kind::Keys => self.keys,
            Kind::QueueFences => self.queue_fences,
            Kind::KeyFences => self.key_fences,
        }
    }
}

pub(super) fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
