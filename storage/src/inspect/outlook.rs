//! What a start would do with what is there: pure, by the rules of `recover`.

use std::fmt;

use model::PhysicalOffset;

use crate::part::Span;
use crate::recover::covers;

/// What a start would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// It reads the log from here on, and serves.
    From(PhysicalOffset),
    /// It refuses, and changes nothing.
    Refused {
        /// Why.
        why: String,
    },
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::From(offset) => {
                write!(f, "the broker starts and reads the log from offset {offset}")
            }
            Self::Refused { why } => write!(f, "the broker does not start: {why}"),
        }
    }
}

/// A checkpoint as a start sees it.
#[derive(Clone, Debug)]
pub(super) struct CheckpointFact {
    pub offset: PhysicalOffset,
    /// If it is intact: what it says was trimmed, and whether the log continues it.
    pub intact: Option<(PhysicalOffset, Result<(), String>)>,
    /// The disk did not give it.
    pub unreadable: bool,
}

/// Something that a start stops at.
#[derive(Clone, Debug)]
pub(super) struct Obstacle {
    /// Where in the log, if a start that reads only what follows does not see it, or a cut before it takes
    /// it away.
    pub at: Option<PhysicalOffset>,
    pub why: String,
}

/// What a start depends on.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// Where the log begins.
    pub oldest: PhysicalOffset,
    /// Oldest first.
    pub checkpoints: Vec<CheckpointFact>,
    /// Those that a start can open, oldest first.
    pub parts: Vec<Span>,
    /// A start stops at these whatever it reads.
    pub obstacles: Vec<Obstacle>,
    /// A start stops at these if it reads them; all have a place.
    pub damage: Vec<Obstacle>,
    /// Trims: where they are, and what they gave up.
    pub trims: Vec<(PhysicalOffset, PhysicalOffset)>,
}

impl Facts {
    /// The newest checkpoint that a start would read on from.
    pub(super) fn chosen(&self) -> Option<&CheckpointFact> {
        let usable = |fact: &&CheckpointFact| {
            let Some((trim, _)) = &fact.intact else { return false };
            covers(self.parts.iter().copied(), self.oldest.max(*trim), fact.offset)
        };
        self.checkpoints.iter().rev().find(usable)
    }

    /// What a start would do.
    pub(super) fn start(&self) -> Start {
        let refused = |why: &str| Start::Refused { why: why.to_owned() };
        if let Some(first) = self.obstacles.first() {
            return refused(&first.why);
        }
        let chosen = self.chosen();
        let from = chosen.map_or(PhysicalOffset(0), |chosen| chosen.offset);
        if let Some(bad) =
            self.checkpoints.iter().find(|fact| fact.unreadable && fact.offset > from)
        {
            return refused(&format!("the checkpoint at offset {} cannot be read", bad.offset));
        }
        let trim = match chosen {
            None if self.oldest > PhysicalOffset(0) => {
                return refused(
                    "the log was trimmed, and no checkpoint is intact from which it can be read",
                );
            }
            None => PhysicalOffset(0),
            Some(CheckpointFact { intact: Some((trim, fits)), offset, .. }) => {
                if let Err(why) = fits {
                    return refused(&format!(
                        "the log does not continue the checkpoint at offset {offset}: {why}"
                    ));
                }
                *trim
            }
            Some(_) => unreachable!("only an intact one is chosen"),
        };
        let from = from.max(self.oldest);
        if let Some(bad) = self.damage.iter().find(|bad| bad.at >= Some(from)) {
            return refused(&bad.why);
        }
        if let Err(why) = self.beginning(from, trim) {
            return Start::Refused { why };
        }
        Start::From(from)
    }

    /// Whether what is missing at the log's beginning was given up, for a start that reads from `from` on and knows
    /// of `trim`. A trim whose checkpoint is gone is passed over if a later one follows.
    fn beginning(&self, from: PhysicalOffset, mut trim: PhysicalOffset) -> Result<(), String> {
        let intact = |to| {
            let mut all = self.checkpoints.iter();
            all.any(|fact| fact.offset == to && fact.intact.is_some())
        };
        let mut passed_over = trim;
        for (_, to) in self.trims.iter().filter(|(at, _)| *at >= from) {
            let furthest = if intact(*to) { &mut trim } else { &mut passed_over };
            *furthest = (*furthest).max(*to);
        }
        if passed_over > trim {
            return Err(format!(
                "the log was trimmed to offset {passed_over}, and the checkpoint there cannot be read"
            ));
        }
        if trim < self.oldest {
            let oldest = self.oldest;
            return Err(format!(
                "the log before offset {oldest} is missing, and no trim has given it up"
            ));
        }
        Ok(())
    }

    /// After the log was cut at `cut`: nothing at or behind it is there any more.
    pub(super) fn after_cut(&self, cut: PhysicalOffset) -> Self {
        let before = |at: Option<PhysicalOffset>| at.is_none_or(|at| at < cut);
        let mut facts = self.clone();
        facts.checkpoints.retain(|fact| fact.offset <= cut);
        facts.parts.retain(|span| span.to <= cut);
        facts.obstacles.retain(|obstacle| before(obstacle.at));
        facts.damage.retain(|obstacle| before(obstacle.at));
        facts.trims.retain(|(at, _)| *at < cut);
        facts
    }

    /// After index files of these ranges are removed.
    pub(super) fn without_parts(&self, gone: &[Span]) -> Self {
        let mut facts = self.clone();
        facts.parts.retain(|span| !gone.contains(span));
        facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(offset: u64) -> PhysicalOffset {
        PhysicalOffset(offset)
    }

    fn checkpoint(offset: u64, trim: u64) -> CheckpointFact {
        CheckpointFact { offset: at(offset), intact: Some((at(trim), Ok(()))), unreadable: false }
    }

    fn span(from: u64, to: u64) -> Span {
        Span { from: at(from), to: at(to) }
    }

    fn facts(oldest: u64, trim: u64) -> Facts {
        Facts {
            oldest: at(oldest),
            checkpoints: [100, 140, 180].map(|offset| checkpoint(offset, trim)).into(),
            parts: [(100, 140), (140, 180)].map(|(from, to)| span(from, to)).into(),
            ..Facts::default()
        }
    }

    #[test]
    fn the_newest_checkpoint_with_all_of_the_index_is_read() {
        let all = facts(100, 100);
        assert_eq!(all.start(), Start::From(at(180)));
        assert_eq!(all.without_parts(&[span(140, 180)]).start(), Start::From(at(140)));
        assert_eq!(all.without_parts(&all.parts).start(), Start::From(at(100)));
        let mut none = all;
        none.checkpoints.clear();
        assert!(matches!(none.start(), Start::Refused { .. }), "the log was trimmed");
        none.oldest = at(0);
        assert_eq!(none.start(), Start::From(at(0)));
    }

    #[test]
    fn damage_counts_only_where_it_is_read() {
        let mut damaged = facts(100, 100);
        damaged.damage.push(Obstacle { at: Some(at(150)), why: "bad".into() });
        assert_eq!(damaged.start(), Start::From(at(180)));
        let read = damaged.without_parts(&[span(140, 180)]);
        assert_eq!(read.start(), Start::Refused { why: "bad".into() });
        assert_eq!(damaged.after_cut(at(150)).start(), Start::From(at(140)));
        damaged.obstacles.push(Obstacle { at: None, why: "no vote".into() });
        assert_eq!(damaged.after_cut(at(150)).start(), Start::Refused { why: "no vote".into() });
    }

    #[test]
    fn a_trim_without_its_checkpoint_needs_a_later_one() {
        let mut facts = facts(140, 0);
        facts.parts.retain(|span| span.from >= at(140));
        facts.checkpoints.retain(|fact| fact.offset >= at(140));
        facts.trims = [(190, 100), (195, 140)].map(|(place, to)| (at(place), at(to))).into();
        assert_eq!(facts.start(), Start::From(at(180)));
        facts.checkpoints.retain(|fact| fact.offset > at(140));
        assert!(matches!(facts.start(), Start::Refused { .. }), "none says where queues begin");
    }

    #[test]
    fn a_trim_behind_the_cut_is_missed() {
        let mut facts = facts(100, 0);
        assert!(
            matches!(facts.start(), Start::Refused { .. }),
            "nothing has given up the beginning"
        );
        facts.trims.push((at(190), at(100)));
        // The parts before the trim are gone with their segments, so all is as if they covered it.
        assert_eq!(facts.start(), Start::From(at(180)));
        assert!(matches!(facts.after_cut(at(190)).start(), Start::Refused { .. }));
    }
}
