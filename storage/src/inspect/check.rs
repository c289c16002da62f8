//! Reading all of a store, and judging it.

use std::collections::BTreeMap;
use std::rc::Rc;

use model::PhysicalOffset;
use runtime::IoError;

use super::derived::{CheckpointRow, PartRow};
use super::finding::{Finding, Severity};
use super::outlook::{CheckpointFact, Facts, Obstacle, Start};
use super::queues::{Problem, Queues};
use super::tally::Tally;
use super::view::View;
use super::walk::{Bad, End, Step, Walk, Wrong};
use crate::command::Trim;
use crate::entry::Kind;
use crate::membership::Membership;
use crate::options::Scale;
use crate::position::Position;
use crate::recover::furthest_entry;
use crate::replay::{Entry, Replay};
use crate::segment::{self, SEGMENT_HEADER_LEN};

/// Findings that are kept; more are counted.
const MOST_FINDINGS: usize = 1000;
/// Bytes of log between two words of progress.
const WORD: u64 = 8 * 1024 * 1024;
/// What to do with one of a group.
pub(super) const ANEW: &str = "start this one of a group with an empty storePathRootDir, and have the group take it in instead of this one \
     (mqadmin replaceMember)";

/// What damage of a member's log means.
const MENDED: &str = "The broker asks the other members of its group for what is damaged, when it starts or once it serves, and repairs it \
     if one of them has it and it is known to be committed";

/// How far a check is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// What is being read.
    pub what: &'static str,
    /// Bytes read.
    pub done: u64,
    /// Bytes there are; 0 if that is not known.
    pub total: u64,
}

/// What a check has found.
#[derive(Debug)]
pub struct Checked {
    /// What was found, in the order of the files.
    pub findings: Vec<Finding>,
    /// Findings beyond those.
    pub unlisted: u64,
    /// What the log holds before the first damage.
    pub log: Tally,
    /// What could be found behind the first damage.
    pub behind: Tally,
    /// Topics at the end of the log.
    pub topics: u64,
    /// Where the log ends.
    pub end: Option<PhysicalOffset>,
    /// A write that was not finished follows it.
    pub torn: bool,
    /// The store was stopped in order.
    pub clean: bool,
    /// What a start would do.
    pub start: Start,
    /// The store is one of a group with others, as its vote, a checkpoint or an entry says.
    pub of_group: bool,
    pub(super) facts: Facts,
    pub(super) checkpoints: Vec<CheckpointRow>,
    pub(super) parts: Vec<PartRow>,
    pub(super) damage: Option<Bad>,
    /// The newest generation seen in the log.
    pub(super) generation: u64,
}

impl Checked {
    /// Whether all is as it should be, and a start goes well.
    #[must_use]
    pub fn intact(&self) -> bool {
        let bad = self.findings.iter().any(|finding| finding.severity >= Severity::Warning);
        !bad && self.unlisted == 0 && matches!(self.start, Start::From(_))
    }

    /// Where the log may be cut: where it is damaged, if it is not a group's.
    #[must_use]
    pub fn may_be_cut_at(&self) -> Option<PhysicalOffset> {
        self.damaged_at().filter(|_| !self.of_group)
    }

    /// Where the first damage of the log is, as `--cut` wants it: where the intact log before it ends.
    #[must_use]
    pub fn damaged_at(&self) -> Option<PhysicalOffset> {
        let damage = self.damage.as_ref().filter(|damage| damage.what != Wrong::Version)?;
        damage.before.map(|(before, _)| before.offset)
    }
}

impl View {
    /// Reads everything and judges it. Changes nothing. The memory that it takes depends on the number of
    /// queues and on the largest entry, and not on the size of the store.
    ///
    /// # Errors
    /// A directory cannot be read. A file that cannot is a finding.
    pub async fn check(&self, progress: &mut dyn FnMut(Progress)) -> Result<Checked, IoError> {
        let mut findings = self.look_at_identity();
        findings.extend(self.look_around().await?);
        let checkpoints = self.checkpoint_rows().await?;
        let mut done = 0;
        let parts = self
            .part_rows(|bytes| {
                done += bytes;
                progress(Progress { what: "index", done, total: 0 });
            })
            .await?;
        let facts = self.facts(&checkpoints, &parts).await?;
        let chosen = facts.chosen().map_or(PhysicalOffset(0), |chosen| chosen.offset);
        let newest = checkpoints.last().map(|row| row.offset);
        let limit = match newest == Some(chosen) {
            true => furthest_entry(chosen, self.segment_size, Scale::default()),
            false => PhysicalOffset(u64::MAX),
        };
        let oldest = self.oldest().unwrap_or_default();
        let is_group = |row: &CheckpointRow| row.held.as_ref().is_ok_and(|held| held.of_group);
        let has_voted = self.vote().is_some_and(|vote| !vote.is_of_one_alone(self.id));
        let mut reading = Reading {
            view: self,
            findings,
            unlisted: 0,
            facts,
            log: Tally::default(),
            behind: Tally::default(),
            damage: None,
            of_group: has_voted || checkpoints.iter().any(is_group),
            generation: 0,
            marks: marks(&checkpoints),
            queues: self.queues_at(oldest).await,
            segment: None,
            read: 0,
            told: 0,
        };
        let end = reading.log(Walk::new(self, oldest, chosen, limit), progress).await?;
        Ok(reading.close(end, checkpoints, parts))
    }

    /// The state of the queues where the log begins.
    async fn queues_at(&self, oldest: PhysicalOffset) -> Queues {
        if oldest == PhysicalOffset(0) {
            return Queues::none();
        }
        match self.checkpoints().read(oldest).await {
            Ok(Ok(checkpoint)) => Queues::of(&checkpoint.topics),
            _ => Queues::unknown(),
        }
    }

    /// What a start depends on, but for what only reading the log tells.
    async fn facts(
        &self,
        checkpoints: &[CheckpointRow],
        parts: &[PartRow],
    ) -> Result<Facts, IoError> {
        let log = Rc::new(self.log_of(&self.found, None).await?);
        let mut facts = Facts { oldest: self.oldest().unwrap_or_default(), ..Facts::default() };
        for row in checkpoints {
            let mut intact = None;
            if let Ok(held) = &row.held {
                let fits = match (log.all().is_empty(), self.vote()) {
                    (false, Some(vote)) => {
                        let replay =
                            Replay::new(Rc::clone(&log), vote, Some(held.position), row.offset);
                        replay.check_start().await.map_err(|error| error.to_string())
                    }
                    _ => Ok(()), // a start does not come so far
                };
                intact = Some((held.trim, fits));
            }
            let unreadable = row.unreadable;
            facts.checkpoints.push(CheckpointFact { offset: row.offset, intact, unreadable });
        }
        let opened = parts.iter().filter(|row| row.held.is_some());
        facts.parts = opened.map(PartRow::span).collect();
        let always = |why: String| Obstacle { at: None, why };
        if let Err(why) = &self.identity {
            facts.obstacles.push(always(format!("the identity: {why}")));
        }
        if self.vote().is_none() {
            facts.obstacles.push(always("no slot of the vote can be read".into()));
        }
        if self.found.is_empty() {
            facts.obstacles.push(always("the store has no segments".into()));
        }
        for row in parts.iter().filter(|row| row.refused) {
            let why = row.damage.clone().unwrap_or_default();
            facts.obstacles.push(always(format!("{}: {why}", row.file.display())));
        }
        Ok(facts)
    }
}

/// The points of the log at which there are checkpoints.
fn marks(rows: &[CheckpointRow]) -> BTreeMap<PhysicalOffset, Position> {
    rows.iter().filter_map(|row| Some((row.offset, row.held.as_ref().ok()?.position))).collect()
}

/// A check that is reading the log.
pub(super) struct Reading<'a> {
    pub(super) view: &'a View,
    findings: Vec<Finding>,
    unlisted: u64,
    pub(super) facts: Facts,
    log: Tally,
    behind: Tally,
    pub(super) damage: Option<Bad>,
    /// Known so far.
    of_group: bool,
    generation: u64,
    /// Checkpoints that the log has not come to.
    pub(super) marks: BTreeMap<PhysicalOffset, Position>,
    queues: Queues,
    /// The segment that is being read, and the entries and messages before it.
    segment: Option<(PhysicalOffset, u64, u64)>,
    read: u64,
    told: u64,
}

impl Reading<'_> {
    pub(super) fn find(&mut self, finding: Finding) {
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(finding);
        } else {
            self.unlisted += 1;
        }
    }

    async fn log(
        &mut self,
        mut walk: Walk<'_>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<End, IoError> {
        let total = self.view.log_bytes();
        loop {
            match walk.next().await? {
                Step::Entry { entry, before } => {
                    self.read += entry.payload.len() as u64;
                    if self.read - self.told >= WORD {
                        self.told = self.read;
                        progress(Progress { what: "log", done: self.read, total });
                    }
                    self.entry(&entry, before);
                }
                Step::Bad(bad) => self.bad(bad),
                Step::End(end) => {
                    self.segment_ended();
                    return Ok(end);
                }
            }
        }
    }

    fn base_of(&self, offset: PhysicalOffset) -> PhysicalOffset {
        PhysicalOffset(offset.0 / self.view.segment_size * self.view.segment_size)
    }

    fn entry(&mut self, entry: &Entry, before: Position) {
        let base = self.base_of(entry.header.offset);
        if self.segment.is_none_or(|(segment, ..)| segment != base) {
            self.segment_ended();
            let (entries, messages) = self.counted();
            self.segment = Some((base, entries, messages));
            self.pass(base, &before);
        }
        self.pass(before.offset, &before);
        self.generation = self.generation.max(entry.local.generation);
        if entry.header.kind == Kind::Membership {
            let (index, term) = (entry.header.index, entry.header.term);
            let said = Membership::of_entry(index, term, &entry.payload);
            self.of_group |= matches!(said, Ok(Membership::Group { .. }));
        }
        if entry.header.kind == Kind::Trim {
            match Trim::from_bytes(&entry.payload) {
                Ok(Trim { to }) => {
                    self.facts.trims.push((entry.header.offset, PhysicalOffset(to)));
                }
                Err(what) => {
                    self.problem(Problem { offset: entry.header.offset, what, stops: true })
                }
            }
        }
        let tally = if self.damage.is_none() { &mut self.log } else { &mut self.behind };
        for problem in self.queues.enter(entry, tally) {
            self.problem(problem);
        }
    }

    fn counted(&self) -> (u64, u64) {
        (self.log.entries + self.behind.entries, self.log.messages + self.behind.messages)
    }

    fn segment_ended(&mut self) {
        let Some((base, entries, messages)) = self.segment.take() else { return };
        let (entries_now, messages_now) = self.counted();
        let (entries, messages) = (entries_now - entries, messages_now - messages);
        let file = self.view.log_dir.join(segment::name(base));
        let what = format!("{entries} intact entries with {messages} messages");
        self.find(Finding::ok(&file, what));
    }

    /// The log is at `at`: a checkpoint there must say the same of it.
    fn pass(&mut self, at: PhysicalOffset, here: &Position) {
        let Some(mark) = self.marks.remove(&at) else { return };
        // Its generation may be that of the start that wrote it, where no entry had been written since.
        let same = (mark.index, mark.chain) == (here.index, here.chain)
            && mark.generation >= here.generation;
        if !same {
            let file = self.view.checkpoints().dir().join(segment::name(at));
            let what = format!(
                "it goes on with entry {} behind {:#010x}, the log with entry {} behind {:#010x}",
                mark.index, mark.chain, here.index, here.chain
            );
            let finding = Finding::error(&file, what);
            self.find(finding.means("It is not a checkpoint of this log"));
        }
    }

    fn problem(&mut self, problem: Problem) {
        let Problem { offset, what, stops } = problem;
        let base = self.base_of(offset);
        let file = self.view.log_dir.join(segment::name(base));
        let finding = Finding::error(&file, what.clone()).in_log(offset, base);
        let finding = match stops {
            true => {
                self.facts.damage.push(Obstacle { at: Some(offset), why: format!("offset {offset}: {what}") });
                finding.means("The entry's own checksum holds, so it was written like this. A start that reads it refuses")
            }
            false => finding
                .means("The entry's own checksum holds, so it was written like this. Reading this message is refused"),
        };
        self.find(finding);
    }

    fn bad(&mut self, bad: Bad) {
        self.segment_ended();
        self.queues.lose_track();
        let (at, dir) =
            (bad.before.map_or(bad.offset, |(before, _)| before.offset), &self.view.dir);
        let obstacle = Obstacle {
            at: Some(at),
            why: format!("{}: offset {}: {}", bad.file.display(), bad.offset, bad.why),
        };
        let finding = Finding::error(&bad.file, describe(&bad)).in_log(bad.offset, bad.base);
        let finding = match bad.what {
            Wrong::Entry => {
                self.facts.damage.push(obstacle);
                let chosen = self.facts.chosen().map_or(PhysicalOffset(0), |chosen| chosen.offset);
                finding.means(match at >= chosen {
                    _ if self.of_group => MENDED.to_owned(),
                    true => "The broker does not start".to_owned(),
                    false => format!(
                        "A start does not see it, it reads from the checkpoint at offset {chosen}; reading what is damaged is refused"
                    ),
                })
            }
            Wrong::Header | Wrong::Missing | Wrong::Length | Wrong::Version => {
                self.facts.obstacles.push(obstacle);
                finding.means("The broker does not start")
            }
        };
        let restore = "Restore the segment from a copy";
        let remedy = match bad.before {
            _ if bad.what == Wrong::Version => {
                "Start the version that wrote it. If none did, the byte that says so is \
                 damaged: restore the segment from a copy"
                    .to_owned()
            }
            _ if self.of_group && bad.what == Wrong::Entry => {
                format!(
                    "Start the broker as the member that it is. If it says that nobody has what is damaged, {ANEW}"
                )
            }
            _ if self.of_group => format!("{restore}, or {ANEW}"),
            Some(_) if self.damage.is_none() => format!(
                "{restore}, or give up the log from here on: mqstore repair {} --cut {at}",
                dir.display()
            ),
            _ => restore.to_owned(),
        };
        self.find(finding.remedy(remedy));
        self.damage.get_or_insert(bad);
    }

    fn close(mut self, end: End, checkpoints: Vec<CheckpointRow>, parts: Vec<PartRow>) -> Checked {
        if let Some(position) = end.position {
            self.pass(position.offset, &position);
            let base = self.base_of(position.offset);
            if position.offset == base.plus(SEGMENT_HEADER_LEN) {
                self.pass(base, &position);
            }
            self.tail(&end, position.offset);
        }
        let start = self.facts.start();
        for row in &checkpoints {
            let finding = self.judge_checkpoint(row);
            self.find(finding);
        }
        for row in &parts {
            let finding = self.judge_part(row);
            self.find(finding);
        }
        self.judge_gaps(&parts);
        let vote = self.view.vote();
        Checked {
            findings: self.findings,
            unlisted: self.unlisted,
            log: self.log,
            behind: self.behind,
            topics: self.queues.topics(),
            end: end.position.map(|position| position.offset),
            torn: end.torn,
            clean: vote.is_some_and(|vote| vote.clean),
            start,
            of_group: self.of_group,
            facts: self.facts,
            checkpoints,
            parts,
            damage: self.damage,
            generation: self.generation,
        }
    }

    fn tail(&mut self, end: &End, at: PhysicalOffset) {
        if !end.torn {
            return;
        }
        let last = self.view.found.iter().rev().find(|found| found.base < at);
        let Some(found) = last else { return };
        let finding = Finding::info(&found.path, "a write that was not finished follows the log")
            .in_log(at, found.base)
            .means("The next start cuts it. Nothing in it was acknowledged with SYNC_FLUSH");
        self.find(finding);
    }
}

fn describe(bad: &Bad) -> String {
    let mut text = match bad.what {
        Wrong::Entry => format!("the log is damaged: {}", bad.why),
        Wrong::Header => format!("the segment's header is damaged: {}", bad.why),
        Wrong::Missing => format!("a segment is missing: {}", bad.why),
        Wrong::Length => bad.why.clone(),
        Wrong::Version => format!("another version wrote it: {}", bad.why),
    };
    if !bad.evidence.is_empty() {
        text += "; ";
        text += &bad.evidence;
    }
    if let Some(resumes) = bad.resumes {
        text += &format!(". Entries go on at offset {resumes}");
    }
    text
}
