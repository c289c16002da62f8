//! One segment: a file of fixed size with a header block and entries behind it.
//!
//! It is named by the physical offset of its first byte, as RocketMQ names its commitlog files.
//! `docs/format/log.md` has the table.

use std::mem::offset_of;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use model::{LogIndex, PhysicalOffset};
use runtime::{BLOCK, Buffer, File, IoError, OpenMode};
use thiserror::Error;

use crate::entry::ENTRY_HEADER_LEN;
use crate::identity::StoreId;
use crate::options::FlushMethod;
use crate::versions;

/// Bytes before the first entry.
pub(crate) const SEGMENT_HEADER_LEN: u64 = BLOCK as u64;
const MAGIC: [u8; 8] = *b"TPSEGMT\0";
const NAME_LEN: usize = 20;

/// The header as it lies on the disk. Only its layout is used; the fields are copied one by one.
#[repr(C)]
struct Layout {
    magic: [u8; 8],
    version: u8,
    reserved: [u8; 3],
    crc: u32,
    store: [u8; 16],
    base: u64,
    index: u64,
    size: u64,
    chain: u32,
    end: [u8; 0],
}

const AT_VERSION: usize = offset_of!(Layout, version);
const AT_CRC: usize = offset_of!(Layout, crc);
const AT_STORE: usize = offset_of!(Layout, store);
const AT_BASE: usize = offset_of!(Layout, base);
const AT_INDEX: usize = offset_of!(Layout, index);
const AT_SIZE: usize = offset_of!(Layout, size);
const AT_CHAIN: usize = offset_of!(Layout, chain);
const LEN: usize = offset_of!(Layout, end);
const _: () = assert!(AT_VERSION == 8 && AT_CRC == 12 && AT_STORE == 16 && LEN == 60);
const _: () = assert!(LEN <= BLOCK);

/// The file name of the segment that begins at `base`.
pub(crate) fn name(base: PhysicalOffset) -> String {
    format!("{:0width$}", base.0, width = NAME_LEN)
}

/// The offset that a segment's file name tells; `None` for any other name.
pub(crate) fn base_of(name: &str) -> Option<PhysicalOffset> {
    let digits = name.len() == NAME_LEN && name.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| name.parse().ok().map(PhysicalOffset)).flatten()
}

/// Why a block is no header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum BadSegment {
    #[error("it has no segment header")]
    Magic,
    #[error("its header has format version {0}")]
    Version(u8),
    #[error("the CRC of its header does not match")]
    Crc,
}

/// What the header block of a segment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub store: StoreId,
    /// Physical offset of the file's first byte.
    pub base: PhysicalOffset,
    /// Index of the first entry.
    pub index: LogIndex,
    /// Bytes of the file.
    pub size: u64,
    /// The chain after the last entry of the segment before.
    pub chain: u32,
}

impl SegmentHeader {
    pub(crate) fn encode(&self, block: &mut [u8]) {
        block.fill(0);
        block[..MAGIC.len()].copy_from_slice(&MAGIC);
        block[AT_VERSION] = versions::SEGMENT;
        block[AT_STORE..AT_BASE].copy_from_slice(&self.store.0.to_le_bytes());
        block[AT_BASE..AT_INDEX].copy_from_slice(&self.base.0.to_le_bytes());
        block[AT_INDEX..AT_SIZE].copy_from_slice(&self.index.0.to_le_bytes());
        block[AT_SIZE..AT_CHAIN].copy_from_slice(&self.size.to_le_bytes());
        block[AT_CHAIN..LEN].copy_from_slice(&self.chain.to_le_bytes());
        let crc = crc32c::crc32c(&block[AT_STORE..LEN]);
        block[AT_CRC..AT_STORE].copy_from_slice(&crc.to_le_bytes());
    }

    /// Reads a header block; the error says what is wrong with it.
    pub(crate) fn decode(block: &[u8]) -> Result<Self, BadSegment> {
        if block.len() < LEN || block[..MAGIC.len()] != MAGIC {
            return Err(BadSegment::Magic);
        }
        if block[AT_VERSION] != versions::SEGMENT {
            return Err(BadSegment::Version(block[AT_VERSION]));
        }
        let stored = u32::from_le_bytes(block[AT_CRC..AT_STORE].try_into().expect("four bytes"));
        if stored != crc32c::crc32c(&block[AT_STORE..LEN]) {
            return Err(BadSegment::Crc);
        }
        let u64_at =
            |at: usize| u64::from_le_bytes(block[at..at + 8].try_into().expect("eight bytes"));
        let store =
            u128::from_le_bytes(block[AT_STORE..AT_BASE].try_into().expect("sixteen bytes"));
        Ok(Self {
            store: StoreId(store),
            base: PhysicalOffset(u64_at(AT_BASE)),
            index: LogIndex(u64_at(AT_INDEX)),
            size: u64_at(AT_SIZE),
            chain: u32::from_le_bytes(block[AT_CHAIN..LEN].try_into().expect("four bytes")),
        })
    }
}

/// An open segment.
pub(crate) struct Segment {
    pub header: SegmentHeader,
    pub file: File,
}

impl Segment {
    /// Turns the provisioned file at `from` into the segment of `header`: writes and flushes the
    /// header block, then renames. Durable when it returns.
    ///
    /// The file may have been this very segment before it was cut off the log, with a first entry that
    /// continues what is before it now as it did then. So the block where the first entry goes is blank.
    pub(crate) async fn adopt(
        dir: &Path,
        file: File,
        from: &Path,
        header: SegmentHeader,
        method: FlushMethod,
    ) -> Result<Self, IoError> {
        Self::give_name(dir, file, from, &header).await?;
        Self::named(dir, header, method).await
    }

    /// The first half of [`Segment::adopt`]: the file has its header, durably, and its name.
    pub(crate) async fn give_name(
        dir: &Path,
        file: File,
        from: &Path,
        header: &SegmentHeader,
    ) -> Result<(), IoError> {
        let mut blocks = file.buffer(2 * BLOCK);
        header.encode(&mut blocks);
        file.write_at(&Rc::new(blocks), 0).await?;
        file.sync().await?;
        file.close().await?;
        runtime::fs::rename(from, dir.join(name(header.base))).await
    }

    /// The second half: the name is durable, and the segment open. May be tried again.
    pub(crate) async fn named(
        dir: &Path,
        header: SegmentHeader,
        method: FlushMethod,
    ) -> Result<Self, IoError> {
        runtime::fs::sync_dir(dir).await?;
        let file = Self::open_file(&dir.join(name(header.base)), method).await?;
        // What the log goes on in must be what was just prepared: another file under this name would
        // be found out only by the next start, when what it should hold is lost.
        let there = file.read_at(0, BLOCK).await?;
        assert_eq!(SegmentHeader::decode(&there), Ok(header), "a segment is found under its name");
        Ok(Self { header, file })
    }

    /// The same segment with another header, which is durable when it returns. There must be no entry in it.
    pub(crate) async fn rewrite(
        &self,
        header: SegmentHeader,
        method: FlushMethod,
    ) -> Result<Self, IoError> {
        let SegmentHeader { index, chain, .. } = self.header;
        let same = SegmentHeader { index, chain, ..header };
        assert_eq!(same, self.header, "only what its first entry continues changes");
        let mut block = self.file.buffer(BLOCK);
        header.encode(&mut block);
        self.file.write_at(&Rc::new(block), 0).await?;
        self.file.sync().await?;
        Ok(Self { header, file: Self::open_file(self.file.path(), method).await? })
    }

    /// Opens the file of a segment so that what is written to it can be flushed by `method`.
    pub(crate) async fn open_file(path: &Path, method: FlushMethod) -> Result<File, IoError> {
        match method {
            FlushMethod::Fdatasync => File::open(path, OpenMode::ReadWrite).await,
            FlushMethod::Dsync => File::open_dsync(path, OpenMode::ReadWrite).await,
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.file.path().to_owned()
    }

    pub(crate) fn end(&self) -> PhysicalOffset {
        self.header.base.plus(self.header.size)
    }

    /// Where the first entry is.
    pub(crate) fn first_entry(&self) -> PhysicalOffset {
        self.header.base.plus(SEGMENT_HEADER_LEN)
    }

    /// Writes whole blocks that begin at the physical offset `at`.
    pub(crate) async fn write(
        &self,
        blocks: &Rc<Buffer>,
        at: PhysicalOffset,
    ) -> Result<(), IoError> {
        self.file.write_at(blocks, self.place_of(blocks, at)).await
    }

    /// As [`Segment::write`], and flushed (fdatasync) when it returns.
    pub(crate) async fn write_and_sync(
        &self,
        blocks: &Rc<Buffer>,
        at: PhysicalOffset,
    ) -> Result<(), IoError> {
        self.file.write_and_sync(blocks, self.place_of(blocks, at)).await
    }

    /// Where in the file blocks go that begin at the physical offset `at`.
    fn place_of(&self, blocks: &Buffer, at: PhysicalOffset) -> u64 {
        let position = at.since(self.header.base);
        assert!(position >= SEGMENT_HEADER_LEN, "entries never overwrite the segment's header");
        assert!(position + blocks.len() as u64 <= self.header.size, "no entry crosses segments");
        position
    }

    /// Writes the block again that the log ends in, with zeros behind `end` as far as the header of an entry that begins
    /// there would reach; `last_block` is what the block holds before. Not flushed when it returns.
    ///
    /// The header may reach into the next block, and that one may hold the rest of a header that stood at the very same
    /// place: were it left, the first block of a write could make an entry of both, of the older generation, and what
    /// was cut would follow it.
    pub(crate) async fn blank_behind(
        &self,
        end: PhysicalOffset,
        last_block: &[u8],
    ) -> Result<(), IoError> {
        let begin = PhysicalOffset(end.0 - last_block.len() as u64);
        assert!(begin.0.is_multiple_of(BLOCK as u64) && last_block.len() < BLOCK, "one block");
        if begin == self.end() {
            return Ok(());
        }
        let blank = (last_block.len() + ENTRY_HEADER_LEN).next_multiple_of(BLOCK);
        let left = usize::try_from(self.end().since(begin)).expect("segments are below 4 GiB");
        let mut blocks = self.file.buffer(blank.min(left));
        blocks.fill(0);
        blocks[..last_block.len()].copy_from_slice(last_block);
        self.write(&Rc::new(blocks), begin).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_offsets() {
        assert_eq!(name(PhysicalOffset(1 << 30)), "00000000001073741824");
        assert_eq!(base_of("00000000001073741824"), Some(PhysicalOffset(1 << 30)));
        for other in ["spare", "1073741824", "0000000000107374182x", "99999999999999999999"] {
            assert_eq!(base_of(other), None, "{other}");
        }
    }

    #[test]
    fn the_header_is_read_back() {
        let header = SegmentHeader {
            store: StoreId(5),
            base: PhysicalOffset(4096),
            index: LogIndex(6),
            size: 1 << 20,
            chain: 7,
        };
        let mut block = vec![9; BLOCK];
        header.encode(&mut block);
        assert_eq!(SegmentHeader::decode(&block), Ok(header));
        for at in AT_CRC..LEN {
            let mut bad = block.clone();
            bad[at] ^= 0x10;
            assert_eq!(SegmentHeader::decode(&bad), Err(BadSegment::Crc), "byte {at}");
        }
        (block[AT_VERSION], block[AT_CRC]) = (9, 0);
        assert_eq!(SegmentHeader::decode(&block), Err(BadSegment::Version(9)));
    }
}
