//! Who is kept out: those who belong to the group as it was before, or as it became elsewhere, when it was recovered by force.
//!
//! A connection between two of different lineages is refused before anything else is said on it, so that none of the old members learns
//! the term of the new group, above which it could be elected. One that was given up learns so from the refusal. A connection that was
//! made before ends when the lineage changes here, before this member hears of the new term.
//!
//! Whoever is named by no group that it knows of, as one that is new, has no lineage yet: it may get an old log, with old members in
//! it, before it comes to the entry that names itself. It talks to all, but to nobody older than it has heard of. An old entry that names
//! it is on the way of the log that it gets, and does not make it one of the old group: it has no lineage then either.

use std::cell::Cell;
use std::future::pending;

use runtime::channel::Notify;

use super::wire::hello::{Refusal, RefusalCode};
use crate::lineage::{Kinship, Lineage};

/// See the module. It belongs to the executor of its shard.
#[derive(Default)]
pub(super) struct Fence {
    /// That of the group that names this member.
    ours: Cell<Option<Lineage>>,
    /// The newest that was heard of.
    heard: Cell<Lineage>,
    given_up: Cell<Option<Lineage>>,
    /// One of these has changed.
    news: Notify,
}

impl Fence {
    /// That of the group that names this member.
    pub(super) fn lineage(&self) -> Option<Lineage> {
        self.ours.get()
    }

    /// The group that names this member is of this lineage; or none does.
    pub(super) fn belong(&self, lineage: Option<Lineage>) {
        let heard = self.heard.get();
        let ours = lineage.filter(|ours| ours.kinship(heard) != Kinship::Newer);
        if let Some(ours) = ours
            && heard.kinship(ours) == Kinship::Newer
        {
            self.heard.set(ours);
        }
        if self.ours.replace(ours) != ours {
            self.news.notify_all();
        }
    }

    /// Whether one of this lineage may talk to this member of the group `group`.
    pub(super) fn admit(&self, theirs: Option<Lineage>, group: &str) -> Result<(), Refusal> {
        let Some(theirs) = theirs else { return Ok(()) };
        let Some(ours) = self.ours.get() else { return self.admit_stranger(theirs, group) };
        match ours.kinship(theirs) {
            Kinship::Same => Ok(()),
            Kinship::Older => Err(older(ours, theirs, group)),
            Kinship::Newer => {
                self.learn(theirs);
                Err(newer(ours, theirs, group))
            }
            Kinship::Twin => Err(twin(ours, theirs, group)),
        }
    }

    /// The same while no group names this member.
    fn admit_stranger(&self, theirs: Lineage, group: &str) -> Result<(), Refusal> {
        let heard = self.heard.get();
        match heard.kinship(theirs) {
            Kinship::Same => Ok(()),
            Kinship::Newer => {
                self.heard.set(theirs);
                self.news.notify_all();
                Ok(())
            }
            Kinship::Older => Err(older(heard, theirs, group)),
            Kinship::Twin => Err(twin(heard, theirs, group)),
        }
    }

    /// Whether one whom no group names is told nothing of votes and terms: a member of the old group may not have the entry that names it.
    /// Nobody else is elected, and leads, whose log does not name it.
    pub(super) fn is_wary_of(&self, theirs: Option<Lineage>) -> bool {
        theirs.is_none() && self.ours.get().unwrap_or(self.heard.get()) != Lineage::FIRST
    }

    /// Waits until one of this lineage, whom it let in before, would be let in no more. Cancel safe.
    pub(super) async fn kept_out(&self, theirs: Option<Lineage>) {
        let Some(theirs) = theirs else { return pending().await };
        loop {
            let news = self.news.notified();
            let known = self.ours.get().unwrap_or(self.heard.get());
            if known.kinship(theirs) != Kinship::Same {
                return;
            }
            news.await;
        }
    }

    /// One of this lineage has refused this member: it was given up, if that one counts more recoveries.
    pub(super) fn learn(&self, theirs: Lineage) {
        let Some(ours) = self.ours.get() else { return };
        if ours.kinship(theirs) == Kinship::Newer && self.given_up.get() < Some(theirs) {
            self.given_up.set(Some(theirs));
            self.news.notify_all();
        }
    }

    /// Waits until this member has learned that it was given up, by the group of this lineage. Cancel safe.
    pub(super) async fn given_up(&self) -> Lineage {
        loop {
            let news = self.news.notified();
            if let Some(by) = self.given_up.get() {
                return by;
            }
            news.await;
        }
    }
}

/// What becomes of a store that was given up.
const ANEW: &str = "Stop its broker; `mqstore dump` reads what is in its storePathRootDir, and with an empty one the node joins the \
                    group again (`mqadmin addLearner` and `promote`, or `replaceMember`)";

fn refuse(text: String) -> Refusal {
    Refusal { code: RefusalCode::Lineage, text }
}

fn older(ours: Lineage, theirs: Lineage, group: &str) -> Refusal {
    refuse(format!(
        "the group {group} was {ours}, and your store belongs to it as it was before ({theirs}): it was given up. {ANEW}"
    ))
}

fn newer(ours: Lineage, theirs: Lineage, group: &str) -> Refusal {
    refuse(format!(
        "the group {group} was {theirs}, and this node's store belongs to it as it was before ({ours}): it was given up. {ANEW}"
    ))
}

fn twin(ours: Lineage, theirs: Lineage, group: &str) -> Refusal {
    refuse(format!(
        "the group {group} was recovered by force on two members: here it is {ours}, and yours is {theirs}. Only one of the two can \
         stay: stop the brokers of the other one, and let their nodes join it with an empty storePathRootDir"
    ))
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const FIRST: Lineage = Lineage::FIRST;
    const NEXT: Lineage = Lineage { recoveries: 1, number: 7 };
    const TWIN: Lineage = Lineage { recoveries: 1, number: 8 };

    fn fence(ours: Option<Lineage>) -> Fence {
        let fence = Fence::default();
        fence.belong(ours);
        fence
    }

    fn given_up(fence: &Fence) -> Option<Lineage> {
        fence.given_up().now_or_never()
    }

    fn refused(fence: &Fence, theirs: Lineage) -> String {
        let refusal = fence.admit(Some(theirs), "g").expect_err("it is kept out");
        assert_eq!(refusal.code, RefusalCode::Lineage);
        refusal.text
    }

    #[test]
    fn only_those_of_one_lineage_talk_to_each_other() {
        for lineage in [FIRST, NEXT] {
            let fence = fence(Some(lineage));
            assert_eq!(fence.admit(Some(lineage), "g"), Ok(()));
            assert_eq!(fence.admit(None, "g"), Ok(()), "nobody has named that one yet");
            assert_eq!(given_up(&fence), None);
        }
        let text = refused(&fence(Some(NEXT)), FIRST);
        assert!(
            text.contains("was recovered by force once") && text.contains("given up"),
            "{text}"
        );
        assert!(text.contains("an empty one the node joins"), "it says what to do: {text}");
        let text = refused(&fence(Some(NEXT)), TWIN);
        assert!(text.contains("on two members"), "{text}");
    }

    #[test]
    fn whom_no_group_names_learns_no_term_of_a_recovered_one() {
        assert!(fence(Some(NEXT)).is_wary_of(None));
        assert!(!fence(Some(NEXT)).is_wary_of(Some(NEXT)));
        assert!(!fence(Some(FIRST)).is_wary_of(None), "a group that never was needs no fence");
        let new = fence(None);
        assert!(!new.is_wary_of(None));
        assert_eq!(new.admit(Some(NEXT), "g"), Ok(()));
        assert!(new.is_wary_of(None), "it was taken in by a recovered one");
    }

    #[test]
    fn one_that_was_given_up_learns_so_whoever_dials() {
        let dialled = fence(Some(FIRST));
        assert!(refused(&dialled, NEXT).contains("this node's store"));
        assert_eq!(given_up(&dialled), Some(NEXT));
        let dials = fence(Some(FIRST));
        dials.learn(NEXT);
        assert_eq!(given_up(&dials), Some(NEXT));
        for theirs in [FIRST, TWIN] {
            let stays = fence(Some(NEXT));
            stays.learn(theirs);
            assert_eq!(given_up(&stays), None, "{theirs} gives nobody up here");
        }
    }

    #[test]
    fn one_that_was_let_in_before_is_kept_out_once_a_recovered_group_was_heard_of() {
        let is_out = |fence: &Fence, theirs| fence.kept_out(Some(theirs)).now_or_never().is_some();
        let new = fence(None);
        assert_eq!(new.admit(Some(FIRST), "g"), Ok(()));
        let mut old = Box::pin(new.kept_out(Some(FIRST)));
        assert_eq!(old.as_mut().now_or_never(), None, "nothing is known of another one");
        assert_eq!(new.admit(Some(NEXT), "g"), Ok(()));
        assert_eq!(old.now_or_never(), Some(()), "who waits is told");
        assert!(!is_out(&new, NEXT));
        assert!(new.kept_out(None).now_or_never().is_none(), "nobody has named that one yet");
        // The same where the member itself is recovered.
        let recovered = fence(Some(FIRST));
        let mut old = Box::pin(recovered.kept_out(Some(FIRST)));
        assert_eq!(old.as_mut().now_or_never(), None);
        recovered.belong(Some(NEXT));
        assert_eq!(old.now_or_never(), Some(()));
        assert!(!is_out(&recovered, NEXT) && is_out(&recovered, TWIN));
        // It is removed from that group later, and knows of it still.
        recovered.belong(None);
        assert!(is_out(&recovered, FIRST) && !is_out(&recovered, NEXT));
        assert!(refused(&recovered, FIRST).contains("given up"));
    }

    #[test]
    fn one_that_is_taken_in_is_not_given_up_by_an_old_entry_that_names_it() {
        let new = fence(None);
        assert_eq!(new.admit(Some(NEXT), "g"), Ok(()));
        new.belong(Some(FIRST));
        assert_eq!(new.lineage(), None, "it is on its way still");
        assert_eq!(new.admit(Some(NEXT), "g"), Ok(()), "and goes on");
        assert_eq!(given_up(&new), None);
        assert!(refused(&new, FIRST).contains("given up"));
        new.belong(Some(NEXT));
        assert_eq!(new.lineage(), Some(NEXT));
        assert_eq!(new.admit(Some(NEXT), "g"), Ok(()));
    }

    #[test]
    fn who_waits_is_told_that_it_was_given_up() {
        let old = fence(Some(FIRST));
        let mut waiting = Box::pin(old.given_up());
        assert_eq!(waiting.as_mut().now_or_never(), None);
        old.learn(FIRST);
        assert_eq!(waiting.as_mut().now_or_never(), None);
        old.learn(NEXT);
        assert_eq!(waiting.now_or_never(), Some(NEXT));
    }

    #[test]
    fn one_that_is_new_follows_whoever_takes_it_in_and_listens_to_nobody_older_then() {
        let fence = fence(None);
        assert_eq!(fence.admit(Some(FIRST), "g"), Ok(()));
        assert_eq!(fence.admit(Some(NEXT), "g"), Ok(()));
        assert!(refused(&fence, FIRST).contains("given up"));
        assert!(refused(&fence, TWIN).contains("on two members"));
        fence.learn(NEXT);
        assert_eq!(given_up(&fence), None, "no group that it knows of names it");
    }
}
