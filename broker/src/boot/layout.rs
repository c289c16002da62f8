//! Whether the directories fit the number of shards, before anything is opened.

use std::path::{Path, PathBuf};

use runtime::IoError;
use thiserror::Error;

use crate::config::Config;

/// The file that makes a directory a store.
const IDENTITY: &str = storage::IDENTITY_FILE;

/// The directories belong to a broker with another number of shards. Nothing was changed.
#[derive(Debug, Error)]
pub enum LayoutError {
    /// A store of one shard lies where several shall be.
    #[error(
        "{dir} holds the store of a broker with shards = 1, the configuration says shards = {shards}; the number is \
         fixed at the first start. Set shards = 1, or use another storePathRootDir"
    )]
    WasOne {
        /// The directory.
        dir: PathBuf,
        /// As configured.
        shards: u32,
    },
    /// Stores of several shards lie where one shall be.
    #[error(
        "{dir} holds the stores of a broker with several shards (`shard-0` …), the configuration says shards = 1; the \
         number is fixed at the first start. Set shards as before, or use another storePathRootDir"
    )]
    WasMany {
        /// The directory.
        dir: PathBuf,
    },
    /// The directory cannot be looked at.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// Refuses a store directory that was used with another number of shards: one shard lies in the directory itself,
/// several below it, so that the stores themselves would not meet.
pub(super) async fn check(config: &Config) -> Result<(), LayoutError> {
    let dir = &config.store_dir;
    let is_store = |dir: &Path| {
        let file = dir.join(IDENTITY);
        async move { runtime::fs::exists(&file).await }
    };
    if config.shards > 1 && is_store(dir).await? {
        return Err(LayoutError::WasOne { dir: dir.clone(), shards: config.shards });
    }
    if config.shards == 1 && is_store(&dir.join("shard-0")).await? {
        return Err(LayoutError::WasMany { dir: dir.clone() });
    }
    Ok(())
}
