//! The identity of a store: whose it is, and the constants that its format depends on.
//!
//! One block in the file `store`, written once. It is the commit point of a store's creation: a
//! directory without it is empty, half made, or somebody else's. `docs/format/store.md` has the table.

use std::fmt;
use std::mem::offset_of;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use runtime::{BLOCK, File, OpenMode, fs};

use crate::entry::{ENTRY_ALIGN, ENTRY_HEADER_LEN};
use crate::error::OpenError;
use crate::options::Options;
use crate::versions::{self, VersionError};

/// The name of the identity file.
pub const FILE: &str = "store";
const TEMPORARY: &str = "store.tmp";
const MAGIC: [u8; 8] = *b"TPSTORE\0";

/// Drawn at random when the store is made; the node's id in its Raft group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreId(pub u128);

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// What the identity file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub id: StoreId,
    pub shard: u32,
    pub shards: u32,
    pub segment_size: u64,
}

/// The file as it lies on the disk. Only its layout is used; the fields are copied one by one.
#[repr(C)]
struct Layout {
    magic: [u8; 8],
    version: u8,
    reserved: [u8; 3],
    crc: u32,
    id: [u8; 16],
    shard: u32,
    shards: u32,
    segment_size: u64,
    fingerprint: u32,
    end: [u8; 0],
}

const AT_VERSION: usize = offset_of!(Layout, version);
const AT_CRC: usize = offset_of!(Layout, crc);
const AT_ID: usize = offset_of!(Layout, id);
const AT_SHARD: usize = offset_of!(Layout, shard);
const AT_SHARDS: usize = offset_of!(Layout, shards);
const AT_SEGMENT_SIZE: usize = offset_of!(Layout, segment_size);
const AT_FINGERPRINT: usize = offset_of!(Layout, fingerprint);
const LEN: usize = offset_of!(Layout, end);
const _: () = assert!(AT_VERSION == 8 && AT_CRC == 12 && AT_ID == 16 && LEN == 52);
const _: () = assert!(LEN <= BLOCK);

/// Why bytes are no identity of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadIdentity {
    Damaged { why: &'static str, remedy: &'static str },
    Version(u8),
}

/// CRC-32C over every constant that the formats depend on and that no field names.
fn fingerprint() -> u32 {
    let constants = [BLOCK, ENTRY_HEADER_LEN, ENTRY_ALIGN];
    constants
        .iter()
        .fold(0, |crc, constant| crc32c::crc32c_append(crc, &(*constant as u64).to_le_bytes()))
}

impl Identity {
    /// An identity for a new store.
    pub(crate) fn new(options: &Options) -> Self {
        let mut id = [0; 16];
        runtime::rng::fill(&mut id);
        Self {
            id: StoreId(u128::from_le_bytes(id)),
            shard: options.shard,
            shards: options.shards,
            segment_size: options.segment_size,
        }
    }

    pub(crate) fn encode(&self, block: &mut [u8]) {
        block[..MAGIC.len()].copy_from_slice(&MAGIC);
        block[AT_VERSION] = versions::STORE;
        block[AT_ID..AT_SHARD].copy_from_slice(&self.id.0.to_le_bytes());
        block[AT_SHARD..AT_SHARDS].copy_from_slice(&self.shard.to_le_bytes());
        block[AT_SHARDS..AT_SEGMENT_SIZE].copy_from_slice(&self.shards.to_le_bytes());
        block[AT_SEGMENT_SIZE..AT_FINGERPRINT].copy_from_slice(&self.segment_size.to_le_bytes());
        block[AT_FINGERPRINT..LEN].copy_from_slice(&fingerprint().to_le_bytes());
        let crc = crc32c::crc32c(&block[AT_ID..LEN]);
        block[AT_CRC..AT_ID].copy_from_slice(&crc.to_le_bytes());
    }

    /// Pure: the bytes of the file, and what is wrong with them otherwise.
    pub(crate) fn decode(block: &[u8]) -> Result<Self, BadIdentity> {
        const REPLACE: &str = "restore it from a copy, or choose an empty directory";
        const UPGRADE: &str = "start the version that made it, or choose an empty directory";
        let bad = |why, remedy| Err(BadIdentity::Damaged { why, remedy });
        if block.len() < LEN || block[..MAGIC.len()] != MAGIC {
            return bad("this is no identity file of a store", REPLACE);
        }
        if block[AT_VERSION] != versions::STORE {
            return Err(BadIdentity::Version(block[AT_VERSION]));
        }
        let u32_at =
            |at: usize| u32::from_le_bytes(block[at..at + 4].try_into().expect("four bytes"));
        if u32_at(AT_CRC) != crc32c::crc32c(&block[AT_ID..LEN]) {
            return bad("its CRC does not match, the file is damaged", REPLACE);
        }
        if u32_at(AT_FINGERPRINT) != fingerprint() {
            return bad("the store was made with other format constants", UPGRADE);
        }
        let size = &block[AT_SEGMENT_SIZE..AT_FINGERPRINT];
        Ok(Self {
            id: StoreId(u128::from_le_bytes(
                block[AT_ID..AT_SHARD].try_into().expect("sixteen bytes"),
            )),
            shard: u32_at(AT_SHARD),
            shards: u32_at(AT_SHARDS),
            segment_size: u64::from_le_bytes(size.try_into().expect("eight bytes")),
        })
    }

    /// Reads the identity of the store in `dir`; `None` when there is none.
    pub(crate) async fn load(dir: &Path) -> Result<Option<Self>, OpenError> {
        let file = dir.join(FILE);
        if !fs::exists(&file).await? {
            return Ok(None);
        }
        let open = File::open(&file, OpenMode::ReadOnly).await?;
        let bytes = open.read_at(0, BLOCK).await?;
        open.close().await?;
        match Self::decode(&bytes) {
            Ok(identity) => Ok(Some(identity)),
            Err(BadIdentity::Version(found)) => {
                let (what, known) = ("a store", versions::STORE);
                Err(VersionError { file, what, found, known }.into())
            }
            Err(BadIdentity::Damaged { why, remedy }) => {
                Err(OpenError::Identity { file, why: why.to_owned(), remedy })
            }
        }
    }

    /// Writes the identity into `dir`, all or nothing; durable when it returns.
    pub(crate) async fn create(&self, dir: &Path) -> Result<(), OpenError> {
        let temporary = dir.join(TEMPORARY);
        if fs::exists(&temporary).await? {
            fs::remove_file(&temporary).await?;
        }
        let file = File::open(&temporary, OpenMode::CreateNew).await?;
        let mut block = file.buffer(BLOCK);
        block.fill(0);
        self.encode(&mut block);
        file.write_at(&Rc::new(block), 0).await?;
        file.sync().await?;
        file.close().await?;
        fs::rename(&temporary, dir.join(FILE)).await?;
        fs::sync_dir(dir).await?;
        Ok(())
    }

    /// Checks the options against what was fixed when the store was made.
    pub(crate) fn check(&self, options: &Options) -> Result<(), OpenError> {
        let fixed = [
            ("shards", u64::from(self.shards), u64::from(options.shards)),
            ("the shard's number", u64::from(self.shard), u64::from(options.shard)),
            ("mappedFileSizeCommitLog", self.segment_size, options.segment_size),
        ];
        for (what, stored, configured) in fixed {
            if stored != configured {
                let dir: PathBuf = options.dir.clone();
                return Err(OpenError::Fixed { dir, what, stored, configured });
            }
        }
        Ok(())
    }
}

/// Number of shards of the broker that made the store in `dir`; `None` when there is no store.
///
/// # Errors
/// The identity cannot be read.
pub async fn shards_of(dir: &Path) -> Result<Option<u32>, OpenError> {
    Ok(Identity::load(dir).await?.map(|identity| identity.shards))
}

/// Whether a file of this name in a directory without an identity is a leftover of a creation that
/// did not finish.
pub(crate) fn is_leftover(name: &str) -> bool {
    name == TEMPORARY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_back_and_damage_is_named() {
        let identity = Identity { id: StoreId(0x1234), shard: 1, shards: 2, segment_size: 1 << 26 };
        let mut block = vec![0; BLOCK];
        identity.encode(&mut block);
        assert_eq!(Identity::decode(&block), Ok(identity));
        for at in [AT_ID, AT_SHARD, AT_SHARDS, AT_SEGMENT_SIZE, AT_FINGERPRINT, AT_CRC] {
            let mut bad = block.clone();
            bad[at] ^= 1;
            let damaged = Identity::decode(&bad);
            assert!(
                matches!(damaged, Err(BadIdentity::Damaged { why, .. }) if why.contains("CRC")),
                "{damaged:?}"
            );
        }
        block[AT_VERSION] = 9;
        block[AT_CRC] ^= 1; // which another version may compute in another way
        assert_eq!(Identity::decode(&block), Err(BadIdentity::Version(9)));
        assert!(Identity::decode(&[]).is_err());
    }
}
