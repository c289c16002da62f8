//! The files beside the log: identity, vote, spares, and what does not belong to a store.

use std::path::Path;

use model::LogIndex;
use runtime::{BLOCK, IoError, fs};

use super::finding::Finding;
use super::view::View;
use crate::checkpoint::UNREADY;
use crate::identity;
use crate::member::staging;
use crate::open::LOCK;
use crate::part;
use crate::provision;
use crate::segment;
use crate::store::{CHECKPOINTS, INDEX};
use crate::vote::{self, Vote};

/// What stands in the name of a segment's file that was given up by a cut, behind the segment's own.
pub(super) const CUT_AWAY: &str = ".cut-";

impl View {
    /// Whose store it is, and what its node has promised.
    pub(super) fn look_at_identity(&self) -> Vec<Finding> {
        let file = self.dir.join(identity::FILE);
        let identity = match &self.identity {
            Ok(identity) => {
                let (shard, shards, size) =
                    (identity.shard, identity.shards, identity.segment_size);
                let what = format!(
                    "store {}, shard {shard} of {shards}, segments of {size} bytes",
                    self.id
                );
                Finding::ok(&file, what)
            }
            Err(why) => Finding::error(&file, why.clone())
                .at(0)
                .means("The broker does not start; the segments tell that this is the store's log")
                .remedy("Restore the file from a copy"),
        };
        let mut findings = vec![identity];
        self.look_at_vote(&mut findings);
        findings
    }

    fn look_at_vote(&self, findings: &mut Vec<Finding>) {
        let file = self.dir.join(vote::FILE);
        let known = self.vote();
        for (number, slot) in (0..).zip(&self.slots) {
            let finding = match Vote::decode(slot) {
                Some((sequence, vote)) => {
                    let Vote { term, generation, idle_mark, clean, purged, given_up, .. } = vote;
                    let stopped = if clean { ", stopped in order" } else { "" };
                    let purged = match purged.before {
                        LogIndex(0) => String::new(),
                        before => format!(", purged before entry {before}"),
                    };
                    let given_up = match given_up {
                        0 => String::new(),
                        recovery => {
                            format!(", given up by its group in recovery {recovery} by force")
                        }
                    };
                    let what = format!(
                        "slot {number}: sequence {sequence}, term {term}, generation {generation}, idle mark \
                         {idle_mark}{purged}{stopped}{given_up}"
                    );
                    Finding::ok(&file, what)
                }
                None if !slot.is_empty() && slot.iter().all(|byte| *byte == 0) => {
                    Finding::info(&file, format!("slot {number} was never written"))
                }
                None if let Some(found) = Vote::other_version(slot) => {
                    let what = format!("slot {number} has format version {found}");
                    let finding = Finding::error(&file, what).means("The broker does not start");
                    finding.remedy("Start the version that wrote it")
                }
                None => {
                    let damaged = Finding::warning(&file, format!("slot {number} is damaged"));
                    match known {
                        Some(_) => damaged
                            .means("The other slot counts, and the last stop does not count as one in order")
                            .remedy("Nothing needs to be done: the next start writes it anew"),
                        None => damaged,
                    }
                }
            };
            findings.push(finding.at(number * BLOCK as u64));
        }
        if known.is_none() {
            let lost =
                Finding::error(&file, "no slot can be read, so what this node promised is unknown")
                    .at(0)
                    .means("The broker does not start")
                    .remedy("Restore the file from a copy");
            findings.push(lost);
        }
    }

    /// What else lies in the directories.
    pub(super) async fn look_around(&self) -> Result<Vec<Finding>, IoError> {
        let inside = self.log_dir.strip_prefix(&self.dir).ok();
        let log = inside.and_then(|path| path.iter().next()).and_then(|name| name.to_str());
        let mut findings = Vec::new();
        let ours = [identity::FILE, vote::FILE, LOCK, CHECKPOINTS, INDEX];
        look(&self.dir, &mut findings, |name, _| match name {
            _ if ours.contains(&name) || log == Some(name) => Known::Named,
            _ if identity::is_leftover(name) => Known::Unfinished,
            _ => Known::Not,
        })
        .await?;
        let size = self.segment_size;
        look(&self.log_dir, &mut findings, |name, len| match name {
            LOCK => Known::Named,
            _ if provision::is_trimmed(name) || self.is_cut_off(name) => Known::Trimmed,
            _ if segment::base_of(name).is_some() => Known::Named,
            provision::SHED => Known::Shed,
            _ if provision::is_spare(name) && len == size && name != provision::UNREADY => {
                Known::Spare
            }
            _ if provision::is_spare(name) => Known::Unfinished,
            _ if is_cut_away(name) => Known::CutAway,
            _ => Known::Not,
        })
        .await?;
        look(&self.dir.join(CHECKPOINTS), &mut findings, |name, _| match name {
            UNREADY | staging::UNREADY => Known::Unfinished,
            staging::STAGED => Known::Staged,
            _ if segment::base_of(name).is_some() => Known::Named,
            _ => Known::Not,
        })
        .await?;
        let index = self.index_dir();
        if fs::exists(&index).await? {
            let plan = part::list(&index).await?;
            for name in plan.remove {
                let what = "is covered by another index file, or was never finished";
                let finding = Finding::info(&index.join(name), what);
                findings.push(finding.means("The next start removes it"));
            }
            let what = "holds nothing; the next part of the index is written over it";
            findings.extend(plan.old.iter().map(|name| Finding::ok(&index.join(name), what)));
            findings.extend(plan.unknown.iter().map(|name| unknown(&index, name)));
        }
        Ok(findings)
    }
}

impl View {
    fn is_cut_off(&self, name: &str) -> bool {
        self.cut_off.iter().any(|found| segment::name(found.base) == name)
    }
}

fn is_cut_away(name: &str) -> bool {
    name.split_once(CUT_AWAY).is_some_and(|(name, _)| segment::base_of(name).is_some())
}

/// What a name says.
enum Known {
    /// Spoken of elsewhere.
    Named,
    Spare,
    Unfinished,
    Trimmed,
    Shed,
    CutAway,
    Staged,
    Not,
}

fn unknown(dir: &Path, name: &str) -> Finding {
    Finding::info(&dir.join(name), "is no file of a store").means("The broker leaves it alone")
}

async fn look(
    dir: &Path,
    findings: &mut Vec<Finding>,
    known: impl Fn(&str, u64) -> Known,
) -> Result<(), IoError> {
    if !fs::exists(dir).await? {
        return Ok(());
    }
    for entry in fs::list(dir).await? {
        let file = dir.join(&entry.name);
        findings.push(match known(&entry.name, entry.len) {
            Known::Named => continue,
            Known::Spare => Finding::ok(&file, "waits to become a segment"),
            Known::Unfinished => Finding::info(&file, "was never finished")
                .means("The next start removes it or makes it anew"),
            Known::Trimmed => Finding::info(&file, "the log was trimmed of it")
                .means("The next start removes it or uses it again"),
            Known::Shed => Finding::info(&file, "waited to become a segment, and is being deleted")
                .means("The next start removes it"),
            Known::CutAway => Finding::info(&file, "was cut away from the log by a repair")
                .means("The broker leaves it alone")
                .remedy("Remove it when nothing in it is needed any more"),
            Known::Staged => Finding::warning(
                &file,
                "a snapshot of the group, which is to take the place of the log: the member was behind all that the others have",
            )
            .means("The next start does that, and gives up what the log has; until then what is said here of the log may be wrong")
            .remedy("Leave it there, start the broker as the member that it is, and check again"),
            Known::Not => unknown(dir, &entry.name),
        });
    }
    Ok(())
}
