//! Whether the directories fit the number of shards, before anything is opened.

use std::path::{Path, PathBuf};

use runtime::{IoError, fs};
use thiserror::Error;

use crate::config::Config;
use crate::shard::identity::shard_dir;

/// The file that makes a directory a store.
const IDENTITY: &str = storage::IDENTITY_FILE;

/// The directories belong to a broker with another number of shards. Nothing was changed.
#[derive(Debug, Error)]
pub enum LayoutError {
    /// The number is fixed when the store is made.
    #[error(
        "{} holds the store of a broker with {made} {}, and {shards_handle} asks for {shards}; the number is fixed when \
         a store is made: set {shards_handle} to {made}, or {dir_handle} to another directory",
        .dir.display(), if *.made == 1 { "shard" } else { "shards" }
    )]
    Shards {
        /// The directory.
        dir: PathBuf,
        /// The number that the store was made with.
        made: u32,
        /// The number as configured.
        shards: u32,
        /// What sets the number.
        shards_handle: String,
        /// What sets the directory.
        dir_handle: String,
    },
    /// The directory cannot be looked at.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// Refuses a store directory that was used with another number of shards: one shard lies in the directory itself,
/// several below it, so that the stores themselves would not always meet.
pub(super) async fn check(config: &Config) -> Result<(), LayoutError> {
    let dir = &config.store_dir;
    match made_with(dir).await? {
        Some(made) if made != config.shards => Err(LayoutError::Shards {
            dir: dir.clone(),
            made,
            shards: config.shards,
            shards_handle: config.handles.shards.clone(),
            dir_handle: config.handles.store_dir.clone(),
        }),
        _ => Ok(()),
    }
}

/// The number of shards of the broker that has used `dir`; `None` if there is no store.
async fn made_with(dir: &Path) -> Result<Option<u32>, IoError> {
    if fs::exists(dir.join(IDENTITY)).await? {
        return Ok(Some(1));
    }
    let mut found = 0;
    // Any number above 1 gives the directories of several shards.
    let nth = |number: u32| shard_dir(dir, number, u32::MAX);
    while fs::exists(nth(found).join(IDENTITY)).await? {
        // An identity that cannot be read is told when the store is opened; the others may still say the number.
        if let Ok(Some(shards)) = storage::shards_of(&nth(found)).await {
            return Ok(Some(shards));
        }
        found += 1;
    }
    Ok((found > 0).then_some(found))
}
