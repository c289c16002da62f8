//! Checkpoints and index files: made of the log, so that a damaged one costs time, and no messages.

use std::path::PathBuf;

use model::{LogIndex, PhysicalOffset, UnixMillis};
use runtime::{IoError, fs};

use super::view::View;
use crate::checkpoint::Checkpoint;
use crate::membership::Membership;
use crate::part::{self, PartError, PartFile, Span};
use crate::position::Position;
use crate::segment;

/// A checkpoint's file.
#[derive(Clone, Debug)]
pub struct CheckpointRow {
    /// The file.
    pub file: PathBuf,
    /// Where in the log it is.
    pub offset: PhysicalOffset,
    /// Bytes of the file.
    pub bytes: u64,
    /// What it says; the error says what is wrong with it.
    pub held: Result<Held, String>,
    /// A start does not go on with it: it is another store's or version's, or cannot be opened.
    pub(super) unreadable: bool,
}

/// What a checkpoint says.
#[derive(Clone, Debug)]
pub struct Held {
    /// Index of the next entry.
    pub index: LogIndex,
    /// Time of the newest entry before it.
    pub time: UnixMillis,
    /// The log before this was trimmed.
    pub trim: PhysicalOffset,
    /// Topics there are.
    pub topics: u64,
    /// Their queues.
    pub queues: u64,
    /// Bytes of the state of the store's owner.
    pub owner: u64,
    /// The store was one of a group with others.
    pub of_group: bool,
    pub(super) position: Position,
}

impl Held {
    fn of(checkpoint: &Checkpoint) -> Self {
        let position = checkpoint.position;
        Self {
            index: position.index,
            time: position.timestamp,
            trim: checkpoint.trim,
            topics: checkpoint.topics.iter().count() as u64,
            queues: checkpoint.topics.queues().count() as u64,
            owner: checkpoint.owner.len() as u64,
            of_group: matches!(checkpoint.membership, Membership::Group { .. }),
            position,
        }
    }
}

/// A file of the index.
#[derive(Clone, Debug)]
pub struct PartRow {
    /// The file.
    pub file: PathBuf,
    /// It covers the log from here on.
    pub from: PhysicalOffset,
    /// Up to, but without, this.
    pub to: PhysicalOffset,
    /// What is in it, if a start can open it.
    pub held: Option<PartHeld>,
    /// What is wrong with it; `None` if it was read whole and is intact.
    pub damage: Option<String>,
    /// A start does not go on with it: it is another store's, or cannot be opened.
    pub(super) refused: bool,
}

/// What is in a file of the index.
#[derive(Clone, Copy, Debug)]
pub struct PartHeld {
    /// Bytes of the file.
    pub bytes: u64,
    /// Queues in its directory.
    pub queues: u64,
    /// Messages in it.
    pub messages: u64,
    /// It was merged, and names every queue there was.
    pub complete: bool,
    /// The oldest and the newest time of its messages.
    pub times: Option<(UnixMillis, UnixMillis)>,
}

impl PartRow {
    pub(super) fn span(&self) -> Span {
        Span { from: self.from, to: self.to }
    }
}

impl View {
    /// All checkpoints, oldest first.
    ///
    /// # Errors
    /// The directory cannot be read; a file that cannot is in its row.
    pub async fn checkpoint_rows(&self) -> Result<Vec<CheckpointRow>, IoError> {
        let checkpoints = self.checkpoints();
        let mut rows = Vec::new();
        for offset in checkpoints.list().await? {
            let file = checkpoints.dir().join(segment::name(offset));
            let (held, unreadable) = match checkpoints.read(offset).await {
                Ok(Ok(checkpoint)) => (Ok(Held::of(&checkpoint)), false),
                Ok(Err(damaged)) => (Err(damaged.why), false),
                Err(error) => (Err(error.to_string()), true),
            };
            rows.push(CheckpointRow { file, offset, bytes: 0, held, unreadable });
        }
        let sizes = match rows.is_empty() {
            true => Vec::new(),
            false => fs::list(checkpoints.dir()).await?,
        };
        for entry in sizes {
            let offset = segment::base_of(&entry.name);
            if let Some(row) = rows.iter_mut().find(|row| Some(row.offset) == offset) {
                row.bytes = entry.len;
            }
        }
        Ok(rows)
    }

    /// All files of the index that count, oldest first, each read whole. `read` is told the bytes after
    /// each.
    ///
    /// # Errors
    /// The directory cannot be read; a file that cannot is in its row.
    pub async fn part_rows(&self, mut read: impl FnMut(u64)) -> Result<Vec<PartRow>, IoError> {
        let dir = self.index_dir();
        if !fs::exists(&dir).await? {
            return Ok(Vec::new());
        }
        let mut rows = Vec::new();
        for span in part::list(&dir).await?.parts {
            let row = self.part_row(span).await;
            read(row.held.map_or(0, |held| held.bytes));
            rows.push(row);
        }
        Ok(rows)
    }

    async fn part_row(&self, span: Span) -> PartRow {
        let file = self.index_dir().join(span.name());
        let mut row = PartRow {
            file: file.clone(),
            from: span.from,
            to: span.to,
            held: None,
            damage: None,
            refused: false,
        };
        let part = match PartFile::open(&file, self.id).await {
            Ok(part) => part,
            Err(error) => {
                row.refused = match &error {
                    PartError::Io(error) => !error.is_unreadable(),
                    PartError::Foreign { .. } => true,
                    PartError::Damaged { .. } | PartError::Version { .. } => false,
                };
                row.damage = Some(wrong(error));
                return row;
            }
        };
        row.held = Some(PartHeld {
            bytes: part.len(),
            queues: part.queues(),
            messages: part.units_total(),
            complete: part.is_complete(),
            times: part.times(),
        });
        row.damage = part.check().await.err().map(wrong);
        row
    }
}

/// What is wrong with a file that is named beside it.
fn wrong(error: PartError) -> String {
    match error {
        PartError::Damaged { why, .. } => why.to_string(),
        other => other.to_string(),
    }
}
