//! What is to be said of checkpoints and index files, once the log was read.

use model::PhysicalOffset;

use super::check::Reading;
use super::derived::{CheckpointRow, PartRow};
use super::finding::Finding;
use super::outlook::CheckpointFact;

impl Reading<'_> {
    pub(super) fn judge_checkpoint(&self, row: &CheckpointRow) -> Finding {
        let chosen = self.facts.chosen().map(|chosen| chosen.offset);
        let held = match &row.held {
            Ok(held) => held,
            Err(why) if row.unreadable => {
                let finding = Finding::error(&row.file, why.clone()).at(0);
                return finding
                    .means("The broker does not start, unless it has no need to read it");
            }
            Err(why) => {
                let damaged =
                    Finding::warning(&row.file, format!("the checkpoint is damaged: {why}")).at(0);
                let means = match chosen {
                    Some(offset) => format!(
                        "A start reads the one at offset {offset}; a trim to exactly here is not possible"
                    ),
                    None if self.facts.oldest > PhysicalOffset(0) => {
                        "No other can be read from: the broker does not start".into()
                    }
                    None => "A start reads the log from its beginning".into(),
                };
                return damaged.means(means).remedy("mqstore repair removes it");
            }
        };
        // What the log was trimmed of since needs no log to continue it: it waits to be removed.
        let waits = row.offset < self.facts.oldest;
        let fits = self.facts.checkpoints.iter().find(|fact| fact.offset == row.offset && !waits);
        if let Some(CheckpointFact { intact: Some((_, Err(why))), .. }) = fits {
            let finding = Finding::error(&row.file, format!("the log does not continue it: {why}"));
            let stops = chosen == Some(row.offset);
            return finding.means(if stops {
                "The broker does not start"
            } else {
                "A start does not use it"
            });
        }
        let what = format!(
            "checkpoint of {} topics with {} queues, entry {} comes next",
            held.topics, held.queues, held.index
        );
        // Behind damage nothing can be said.
        let met = !self.marks.contains_key(&row.offset);
        if met || waits || self.damage.is_some() {
            return Finding::ok(&row.file, what);
        }
        Finding::error(&row.file, "no entry of the log ends where it stands")
    }

    pub(super) fn judge_part(&self, row: &PartRow) -> Finding {
        let Some(why) = &row.damage else {
            let messages = row.held.map_or(0, |held| held.messages);
            return Finding::ok(&row.file, format!("index of {messages} messages"));
        };
        let at = row.held.is_none().then_some(0);
        let finding = Finding::error(&row.file, format!("the index file is damaged: {why}"));
        let finding = Finding { at, ..finding };
        if row.refused {
            return finding
                .means("The broker does not start")
                .remedy("Look at the disk, or move the file away");
        }
        match row.held {
            None => finding
                .means("The next start removes it and makes it anew from the log")
                .remedy("Nothing needs to be done"),
            Some(_) => finding
                .means("A start does not see it: pulls of some queues, and queries by key, stop at messages of this range and are refused until the file is made anew")
                .remedy("mqstore repair removes it, and the next start makes it anew from the log"),
        }
    }

    /// What the index leaves out before the newest checkpoint.
    pub(super) fn judge_gaps(&mut self, parts: &[PartRow]) {
        let newest = self.facts.checkpoints.iter().rev().find(|fact| fact.intact.is_some());
        let Some(newest) = newest.map(|fact| fact.offset) else { return };
        let mut at = self.facts.oldest;
        let mut gaps = Vec::new();
        for row in parts.iter().filter(|row| row.to > self.facts.oldest && row.from < newest) {
            if row.from > at {
                gaps.push((at, row.from));
            }
            at = at.max(row.to);
        }
        if at < newest {
            gaps.push((at, newest));
        }
        let dir = self.view.index_dir();
        for (from, to) in gaps {
            let finding =
                Finding::warning(&dir, format!("no index file covers offsets {from} to {to}"));
            self.find(finding.means("The next start makes it anew from the log"));
        }
    }
}
