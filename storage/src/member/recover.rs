//! The start of a member: the newest checkpoint, what is known to be committed behind it, and what is not.

use std::collections::VecDeque;
use std::rc::Rc;

use model::{LogIndex, PhysicalOffset};
use runtime::Slice;
use runtime::channel::{Flag, Sender};

use super::ahead::{Ahead, Written};
use super::applier::Applier;
use crate::command::Trim;
use crate::entry::Kind;
use crate::entry_log::{EntryLog, Marks, OfMember};
use crate::error::StoreError;
use crate::keeper::Due;
use crate::position::Position;
use crate::recover::{From, Settled, check_beginning, load, settle};
use crate::replay::{Entry, Replay};
use crate::store::{Event, Inner, Phase, Recovery};
use crate::tip::Tip;
use crate::trim::oldest_beginning;
use crate::truncate::truncate;
use crate::vote::{Purged, Vote, VoteFile};

/// Reads what is there, hands out what is known to be committed, and cuts a torn tail. The flag is raised when the log is
/// closed.
pub(super) async fn recover(
    inner: &Rc<Inner>,
    mut vote: VoteFile,
    events: &Sender<Event>,
    due: Sender<Due>,
) -> Result<(EntryLog, Applier, Flag), StoreError> {
    let (began, before) = (runtime::now(), vote.vote());
    let From { position, limit } = load(inner, events).await?;
    // The last life may have been that of a store that is a group of its own, which is not bound to the mark.
    let limit = limit.max(before.idle_mark.plus(inner.options.scale.furthest));
    let mut replay = Replay::new(Rc::clone(&inner.log), before, position, limit);
    if position.is_some() {
        replay.check_start().await?;
    }
    let start = replay.position;
    let ahead = Rc::new(Ahead::new(Rc::clone(inner)));
    inner.committed.set(start.offset.min(position.map_or(PhysicalOffset(0), |from| from.offset)));
    let mut applier = Applier::new(Rc::clone(&ahead), events.clone(), due, start);
    let mut marks = Marks::of(&inner.log, start);
    let known = before.purged.before;
    let read = read(inner, &mut replay, &mut applier, &mut marks, known).await?;
    check_beginning(inner)?;
    purge_what_is_gone(inner, &mut vote).await?;
    check_newest(inner, vote.vote(), replay.position)?;
    let Settled { mut last_block, mut generation } = settle(&mut replay, &mut vote).await?;
    let (torn, end) = (replay.torn, read.end);
    let begun = replay.position != end;
    if begun {
        let mut at_end = Replay::new(Rc::clone(&inner.log), vote.vote(), Some(end), limit);
        last_block = at_end.last_block().await?;
    }
    let new = end.index == LogIndex(0);
    if position.is_none() && applier.position().index > LogIndex(0) {
        applier.checkpoint().await?;
    }
    inner.written.set(end.offset);
    inner.durable.set(end.offset);
    let (entries, records) = (read.entries, read.records);
    ahead.found(read.uncommitted);
    if inner.phase.get() == Phase::Recovering {
        inner.phase.set(Phase::Elsewhere);
    }
    let (clean, took) = (before.clean, began.elapsed());
    let (start, upto) = (start.offset, applier.position().offset);
    let recovery = Recovery { clean, new, entries, records, start, end: upto, torn, took };
    drop(events.send(Event::Recovered(recovery)).await);
    let mut tip = Tip {
        log: Rc::clone(&inner.log),
        store: inner.id,
        flush: inner.options.flush,
        method: inner.options.file_method(),
        spares: Rc::clone(&inner.spares),
        troubles: Rc::clone(&inner.troubles),
        durable: Rc::clone(&inner.durable),
        last_block,
        patient: Rc::clone(&inner.patient),
    };
    if begun {
        // A segment was made, and its first entry never written. Another member's log ends in the one before, and so does
        // this one: what comes next may fit there.
        let last_block = tip.last_block.clone();
        generation = truncate(&mut tip, &mut vote, end, last_block).await?;
    }
    let closed = Flag::new();
    let (committed, told) = (read.committed, closed.clone());
    let read = OfMember { ahead, tip, vote, end, generation, marks, committed, closed: told };
    Ok((EntryLog::of_member(read), applier, closed))
}

/// Every entry was written under the vote's generation of that time, which rises at every start and at every cut: a log with a newer
/// one was written after this vote, and what was promised since is forgotten.
fn check_newest(inner: &Inner, vote: Vote, end: Position) -> Result<(), StoreError> {
    if end.generation <= vote.generation {
        return Ok(());
    }
    let (file, known) = (inner.options.dir.join(crate::vote::FILE), vote.generation);
    Err(StoreError::OlderVote { file, known, found: end.generation })
}

/// A store that was a group of its own has purged nothing, and may have trimmed its log. The group that it is the first member
/// of never had what is gone.
async fn purge_what_is_gone(inner: &Inner, vote: &mut VoteFile) -> Result<(), StoreError> {
    let oldest = inner.log.all().into_iter().next().expect("a log has a segment");
    let before = vote.vote();
    if oldest.header.index <= before.purged.before {
        return Ok(());
    }
    let checkpoint = oldest_beginning(inner).await?;
    let Position { index, term, .. } = checkpoint.position;
    assert!(index >= oldest.header.index, "what is not trimmed is there");
    let purged = Purged { before: index, term };
    Ok(vote.store(Vote { purged, ..before }).await?)
}

struct Read {
    entries: u64,
    records: u64,
    /// Entries before this index are committed.
    committed: LogIndex,
    /// What the log has behind what was applied.
    uncommitted: VecDeque<Written>,
    /// Behind the last entry.
    end: Position,
}

/// Whether this is a trim that was carried out, and so committed, whatever the entries behind it say: the log lacks what it
/// has given up, or the group has purged that. The last thing that is committed may be the trim.
fn is_carried_out(inner: &Inner, entry: &Entry, purged: LogIndex) -> bool {
    let Ok(Trim { to }) = Trim::from_bytes(&entry.payload) else { return false };
    let (to, trimmed_to) = (PhysicalOffset(to), inner.index.borrow().trimmed_to());
    if to <= trimmed_to {
        return false;
    }
    let is_purged = inner.log.at(to).is_some_and(|segment| segment.header.index <= purged);
    is_purged || inner.log.oldest_base() > trimmed_to
}

/// Reads the log to its end, and applies what is known to be committed: before `known`, as a later entry says, or because
/// the store was a group of its own.
async fn read(
    inner: &Inner,
    replay: &mut Replay,
    applier: &mut Applier,
    marks: &mut Marks,
    known: LogIndex,
) -> Result<Read, StoreError> {
    let mut committed = known.max(replay.position.index);
    let mut behind = replay.position;
    let (mut entries, mut records) = (0, 0);
    let mut waiting: VecDeque<(Written, Slice)> = VecDeque::new();
    while let Some(entry) = replay.next().await? {
        let end: Position = replay.position;
        marks.note(end);
        behind = end;
        committed = committed.max(entry.local.committed);
        if applier.was_alone(&entry.header, &entry.payload) {
            committed = committed.max(end.index);
        }
        if entry.header.kind == Kind::Trim && is_carried_out(inner, &entry, known) {
            committed = committed.max(entry.header.index.next());
        }
        waiting.push_back((Written { header: entry.header, end, records: None }, entry.payload));
        while waiting.front().is_some_and(|(next, _)| next.header.index < committed) {
            let (next, payload) = waiting.pop_front().expect("it was just seen");
            records += u64::from(next.header.records);
            entries += 1;
            applier.enter(next, payload, true).await?;
        }
    }
    let committed = committed.min(replay.position.index);
    let uncommitted = waiting.into_iter().map(|(written, _)| written).collect();
    Ok(Read { entries, records, committed, uncommitted, end: behind })
}
