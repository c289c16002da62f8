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
    /// The number is fixed, and `auto` came to another one.
    #[error(
        "{} holds the store of a broker with {made} {}, and {shards_handle} = auto comes to {shards} here, one for each \
         core that the process may use; the number is fixed when a store is made: {}, or set {dir_handle} to another \
         directory",
        .dir.display(), if *.made == 1 { "shard" } else { "shards" }, auto_remedy(*.made, *.shards, .shards_handle)
    )]
    Auto {
        /// The directory.
        dir: PathBuf,
        /// The number that the store was made with.
        made: u32,
        /// What `auto` came to.
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
    let (shards, handles) = (config.shards, &config.handles);
    let Some(made) = made_with(dir).await?.filter(|made| *made != shards) else {
        return Ok(());
    };
    let (dir, dir_handle) = (dir.clone(), handles.store_dir.clone());
    let shards_handle = handles.shards.clone();
    Err(match handles.shards_are_auto {
        true => LayoutError::Auto { dir, made, shards, shards_handle, dir_handle },
        false => LayoutError::Shards { dir, made, shards, shards_handle, dir_handle },
    })
}

/// More shards than cores do not start, so that writing the number out would not help.
fn auto_remedy(made: u32, cores: u32, handle: &str) -> String {
    match made > cores {
        true => format!("give the process {made} cores, each shard has one of its own"),
        false => format!("set {handle} to {made}"),
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
