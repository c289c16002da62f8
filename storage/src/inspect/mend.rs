//! Repairing a store: derived files that are damaged are removed, and the log is cut where it is damaged.
//!
//! A crash between any two steps leaves a store that still is damaged, or one that is cut. The generation
//! is raised first: from then on nothing behind the cut counts as proof that the log went further. What
//! is derived from the log behind the cut goes next, so that no start skips the damage. Then the segments
//! behind it, the newest first, so that the log never has a hole; and at last the block of the cut.

use std::path::PathBuf;
use std::rc::Rc;

use model::PhysicalOffset;
use runtime::{File, IoError, OpenMode, fs};
use thiserror::Error;

use super::asides::CUT_AWAY;
use super::check::{ANEW, Checked};
use super::outlook::{Facts, Start};
use super::tally::Tally;
use super::view::View;
use super::walk::Wrong;
use crate::error::OpenError;
use crate::log::Log;
use crate::part::Span;
use crate::position::Position;
use crate::replay::Replay;
use crate::segment::Segment;
use crate::vote::{Vote, VoteFile};

/// What a repair would do.
#[derive(Debug)]
pub struct Mending {
    /// Damaged files that are made anew from the log: they are removed.
    pub remove: Vec<PathBuf>,
    /// Damaged files that are left, and why.
    pub keep: Vec<Keep>,
    /// Where the log is cut.
    pub cut: Option<Cut>,
    /// What a start would do afterwards.
    pub after: Start,
}

/// A damaged file that is left as it is.
#[derive(Clone, Debug)]
pub struct Keep {
    /// The file.
    pub file: PathBuf,
    /// Why.
    pub why: String,
}

/// A cut of the log.
#[derive(Debug)]
pub struct Cut {
    /// The log ends here afterwards.
    pub at: PhysicalOffset,
    /// The segment that is written to.
    pub segment: PathBuf,
    /// Segments behind it: they are renamed, and kept. Newest first.
    pub away: Vec<PathBuf>,
    /// Checkpoints and index files that go beyond the cut: they are removed. Newest first.
    pub beyond: Vec<PathBuf>,
    /// What is lost, as far as it could be read; damaged entries are not in it.
    pub lost: Tally,
    /// Where the files of the log end, and where the log is known to have ended behind that: what was between is not there to be
    /// counted.
    pub missing: Option<(PhysicalOffset, PhysicalOffset)>,
    position: Position,
    base: PhysicalOffset,
    generation: u64,
}

/// Why a store is not repaired. Unless the disk failed, nothing was changed.
#[derive(Debug, Error)]
pub enum MendError {
    /// The cut was not asked for where the damage begins.
    #[error("the log is not cut at offset {at}: {}", where_to_cut(.first))]
    NotThere {
        /// As asked for.
        at: PhysicalOffset,
        /// Where it would be cut, if it is damaged.
        first: Option<PhysicalOffset>,
    },
    /// The store is one of a group.
    #[error(
        "the log is not cut at offset {at}: this is one of a group, which counts on what it has acknowledged. Without that, and with a \
         vote, it could help to elect one that lacks it as well, and messages that were acknowledged would be lost. Instead {ANEW}; what \
         is intact here can be read with mqstore dump"
    )]
    OfGroup {
        /// As asked for.
        at: PhysicalOffset,
    },
    /// The damage is where the log begins.
    #[error(
        "nothing intact is left before the damage, so a cut would leave nothing. Restore the segment from a copy, or start with an \
         empty directory"
    )]
    NothingBefore,
    /// The log goes on in another version.
    #[error(
        "the log is not cut: at offset {at} another version wrote it ({why}). Start that version"
    )]
    OtherVersion {
        /// Where what it wrote begins.
        at: PhysicalOffset,
        /// What tells.
        why: String,
    },
    /// A start would be refused all the same.
    #[error("the log is not cut, because the broker would not start afterwards: {why}")]
    NoStart {
        /// Why.
        why: String,
    },
    /// The vote.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The disk failed while the store was being repaired. It still is damaged, or it is cut.
    #[error("{0}; look at the disk, then ask mqstore check what is there")]
    Io(#[from] IoError),
}

fn where_to_cut(first: &Option<PhysicalOffset>) -> String {
    match first {
        Some(first) => format!("the intact log before the first damage ends at offset {first}"),
        None => "it is not damaged".to_owned(),
    }
}

impl View {
    /// What would be repaired: all derived files that are damaged, and with `cut` the log. Changes nothing.
    /// `checked` is what [`View::check`] said.
    ///
    /// # Errors
    /// The log cannot be cut there.
    pub fn plan(
        &self,
        checked: &Checked,
        cut: Option<PhysicalOffset>,
    ) -> Result<Mending, MendError> {
        let cut = cut.map(|at| self.plan_cut(checked, at)).transpose()?;
        let mut facts = checked.facts.clone();
        if let Some(cut) = &cut {
            facts = facts.after_cut(cut.at);
        }
        let (mut remove, mut keep) = (Vec::new(), Vec::new());
        let stays = |file: &PathBuf| cut.as_ref().is_none_or(|cut| !cut.beyond.contains(file));
        for row in checked.parts.iter().filter(|row| row.damage.is_some() && stays(&row.file)) {
            match may_go(&facts, row.span()) {
                Ok(without) => {
                    facts = without;
                    remove.push(row.file.clone());
                }
                Err(why) => keep.push(Keep { file: row.file.clone(), why }),
            }
        }
        let newest = facts.checkpoints.iter().rev().find(|fact| fact.intact.is_some());
        let newest = newest.map(|fact| fact.offset);
        for row in checked.checkpoints.iter().filter(|row| row.held.is_err() && stays(&row.file)) {
            if row.unreadable {
                let why = "it is not for this version or this store to remove: move it away";
                keep.push(Keep { file: row.file.clone(), why: why.to_owned() });
            } else if newest > Some(row.offset) {
                remove.push(row.file.clone());
            } else {
                // How far a start looks for proof of damage depends on the newest one that there was.
                let why = "no newer one is intact: the next start must see it, and removes it once there is";
                keep.push(Keep { file: row.file.clone(), why: why.to_owned() });
            }
        }
        let after = facts.start();
        Ok(Mending { remove, keep, cut, after })
    }

    fn plan_cut(&self, checked: &Checked, at: PhysicalOffset) -> Result<Cut, MendError> {
        if checked.of_group {
            return Err(MendError::OfGroup { at });
        }
        let first = checked.damaged_at();
        let Some(damage) = &checked.damage else {
            return Err(MendError::NotThere { at, first });
        };
        if damage.what == Wrong::Version {
            return Err(MendError::OtherVersion { at: damage.offset, why: damage.why.clone() });
        }
        let Some((position, base)) = damage.before else {
            return Err(MendError::NothingBefore);
        };
        if position.offset != at {
            return Err(MendError::NotThere { at, first });
        }
        if let Start::Refused { why } = checked.facts.after_cut(at).start() {
            return Err(MendError::NoStart { why });
        }
        let vote = self.vote().expect("a start would be refused without one");
        let found = self.found.iter().find(|found| found.base == base);
        let segment = found.expect("the log was read from there").path.clone();
        let later = self.found.iter().rev().filter(|found| found.base > base);
        let checkpoints = checked.checkpoints.iter().rev().filter(|row| row.offset > at);
        let parts = checked.parts.iter().rev().filter(|row| row.to > at);
        let beyond = checkpoints.map(|row| row.file.clone());
        Ok(Cut {
            at,
            segment,
            away: later.map(|found| found.path.clone()).collect(),
            beyond: beyond.chain(parts.map(|row| row.file.clone())).collect(),
            lost: checked.behind.clone(),
            missing: self
                .end()
                .filter(|end| *end < vote.idle_mark)
                .map(|end| (end, vote.idle_mark)),
            position,
            base,
            generation: vote.generation.max(checked.generation) + 1,
        })
    }

    /// Does what [`View::plan`] has planned; `tell` is told each step when it is durable. Nobody may have
    /// had the store since it was checked, which holding the view ensures.
    ///
    /// # Errors
    /// The disk. Whatever was done, the store still is damaged, or it is cut.
    pub async fn mend(
        &self,
        mending: &Mending,
        tell: &mut dyn FnMut(String),
    ) -> Result<(), MendError> {
        if let Some(cut) = &mending.cut {
            self.cut(cut, tell).await?;
        }
        self.remove(&mending.remove, tell).await?;
        Ok(())
    }

    async fn remove(&self, files: &[PathBuf], tell: &mut dyn FnMut(String)) -> Result<(), IoError> {
        for file in files {
            fs::remove_file(file).await?;
            fs::sync_dir(file.parent().expect("it lies in a directory of the store")).await?;
            tell(format!("removed {}", file.display()));
        }
        Ok(())
    }

    async fn cut(&self, cut: &Cut, tell: &mut dyn FnMut(String)) -> Result<(), MendError> {
        let mut file = VoteFile::open(&self.dir).await?;
        let vote = file.vote();
        let (generation, idle_mark) = (cut.generation, cut.at);
        assert!(generation > vote.generation, "what lies behind the cut is of an older generation");
        file.store(Vote { generation, idle_mark, clean: false, ..vote }).await?;
        tell(format!("raised the generation to {generation}, with the idle mark at {idle_mark}"));
        self.remove(&cut.beyond, tell).await?;
        let time = runtime::unix_millis();
        for path in &cut.away {
            let mut name = path.file_name().expect("a segment has a name").to_owned();
            name.push(format!("{CUT_AWAY}{time}"));
            let away = path.with_file_name(name);
            fs::rename(path, &away).await?;
            fs::sync_dir(&self.log_dir).await?;
            tell(format!("renamed {} to {}", path.display(), away.display()));
        }
        self.end_log(cut).await?;
        tell(format!("{} ends at offset {}", cut.segment.display(), cut.at));
        Ok(())
    }

    /// Rewrites the block that the log is to end in.
    async fn end_log(&self, cut: &Cut) -> Result<(), IoError> {
        let found = self.found.iter().find(|found| found.base == cut.base);
        let found = found.expect("the cut was planned with it");
        let header = *found.header.as_ref().expect("the log was read to the cut");
        let file = File::open(&found.path, OpenMode::ReadWrite).await?;
        if found.len != self.segment_size {
            file.truncate(self.segment_size).await?;
            file.sync().await?;
        }
        let log = Log::new(self.log_dir.clone(), self.segment_size, vec![Segment { header, file }]);
        // As it was written a moment ago: nothing behind the cut counts as durable any more.
        let vote = self.vote().expect("the cut was planned with it");
        let vote = Vote { generation: cut.generation, idle_mark: cut.at, clean: false, ..vote };
        let mut replay = Replay::new(Rc::new(log), vote, Some(cut.position), cut.at);
        replay.read_narrowly();
        let block = replay.last_block().await?;
        replay.cut(&block).await
    }
}

/// Whether the index file of a range may be removed: a start must be able to make it anew.
fn may_go(facts: &Facts, span: Span) -> Result<Facts, String> {
    let without = facts.without_parts(&[span]);
    match (facts.start(), without.start()) {
        (Start::From(_), Start::Refused { why }) => {
            Err(format!("it cannot be made anew, the broker would not start any more: {why}"))
        }
        _ => Ok(without),
    }
}
