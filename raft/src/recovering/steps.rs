//! What a recovery by force does to the log of the member that becomes the group, while nobody else has it.
//!
//! Each step is durable before the next one begins, and a crash between two of them leaves the group as it was or as it becomes:
//!
//! 1. The promise of a term far above all that are known, in which this member has voted for itself. The group is as it was, and may be
//!    asked again.
//! 2. The entry, in that term, that says that this member alone is the group, of a new lineage. From here on it is, and all that
//!    its log has is the group's.
//!
//! Then the member starts as ever: it finds one voter, itself, elects it, and commits what is there.

use std::collections::BTreeMap;

use model::Term;
use openraft::Membership;
use storage::{EntryHead, EntryKind, EntryLog, Promise};
use thiserror::Error;

use super::{LEAP, LogId};
use crate::lineage::Lineage;
use crate::log::{LogError, id_before, membership};
use crate::types::{Member, MemberId, TERM_MAX};
use crate::view::View;

/// What is to be done to a log, and to no other one.
#[derive(Clone, Debug)]
pub struct Recovery {
    own: MemberId,
    /// As the group that it becomes has it.
    member: Member,
    /// The last entry, when it was decided.
    last: Option<LogId>,
}

/// Why a log was not made that of a recovered group.
#[derive(Debug, Error)]
pub enum RecoveryError {
    /// It is not as it was when it was decided.
    #[error(
        "the log ends with {found}, and ended with {expected} when the recovery by force was decided: nothing was changed. Ask again"
    )]
    Changed {
        /// The last entry then.
        expected: String,
        /// And now.
        found: String,
    },
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl Recovery {
    /// Of the member that looks, whose log ends with `last`; `None` if there is none after the one that the group has.
    pub(super) fn of(view: &View, last: Option<LogId>) -> Option<Self> {
        let member = view.seats.get(&view.own)?.member.clone();
        let lineage = view.lineage.next()?;
        Some(Self { own: view.own, member: Member { lineage, ..member }, last })
    }

    #[cfg(test)]
    pub(super) fn for_test(own: MemberId, member: Member, last: Option<LogId>) -> Self {
        Self { own, member, last }
    }

    /// That of the group that it makes.
    #[must_use]
    pub fn lineage(&self) -> Lineage {
        self.member.lineage
    }

    /// Makes the log that of the group which this member alone is. It is durable when this returns. After an error, or dropped early,
    /// either all or nothing of the second step is.
    ///
    /// # Errors
    /// [`RecoveryError`].
    ///
    /// # Panics
    /// When the log is another store's.
    pub async fn carry_out(&self, log: &mut EntryLog) -> Result<Term, RecoveryError> {
        assert_eq!(log.id(), self.own.0, "each log has its own");
        assert!(self.member.lineage != Lineage::FIRST && !self.member.is_unnamed());
        let found = last_of(log);
        if found != self.last {
            let named =
                |id: Option<LogId>| id.map_or_else(|| "nothing".to_owned(), |id| id.to_string());
            let (expected, found) = (named(self.last), named(found));
            return Err(RecoveryError::Changed { expected, found });
        }
        let term = self.promise(log).await?;
        self.begin(log, term).await?;
        Ok(term)
    }

    /// The first step; the term that was promised.
    async fn promise(&self, log: &mut EntryLog) -> Result<Term, LogError> {
        let newest = log.promise().term.max(log.state().last_term);
        let term = Term(newest.0 + LEAP);
        assert!(term.0 <= TERM_MAX, "it was looked for");
        let promise = Promise { term, voted_for: self.own.0, elected: false };
        log.save_promise(promise).await?;
        assert_eq!(log.promise(), promise, "what is promised is there");
        Ok(term)
    }

    /// The second step.
    async fn begin(&self, log: &mut EntryLog, term: Term) -> Result<(), LogError> {
        let before = log.state();
        assert!(before.last_term < term && log.promise().term == term, "terms never fall");
        let (index, timestamp) = (before.next, before.last_timestamp);
        let nodes = BTreeMap::from([(self.own, self.member.clone())]);
        let alone = Membership::new(vec![[self.own].into()], nodes);
        let alone = alone.expect("the one voter is a member");
        let (kind, payload) = (EntryKind::Membership, membership::encode(&alone));
        let head = EntryHead { index, term, kind, timestamp, records: 0, chain: None };
        log.append(&[(head, payload.as_slice())]).await?;
        log.flush().await?;
        let after = log.state();
        assert_eq!((after.next, after.last_term), (index.next(), term), "it is the last one");
        assert_eq!(after.durable, after.end, "what is told to be done is durable");
        Ok(())
    }
}

/// The last entry of a log; the last one that is purged where there is none.
fn last_of(log: &EntryLog) -> Option<LogId> {
    let (state, purged) = (log.state(), log.purged());
    match state.next > state.first.max(purged.before) {
        true => id_before(state.next, state.last_term),
        false => id_before(purged.before, purged.term),
    }
}
