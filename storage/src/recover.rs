//! A start: the newest checkpoint, and the log that follows it.

use std::path::PathBuf;
use std::rc::Rc;

use model::{LogIndex, PhysicalOffset};
use runtime::channel::Sender;
use runtime::fs;

use crate::apply::{Origin, apply};
use crate::builder::{Builder, Limits};
use crate::checkpoint::Checkpoint;
use crate::error::StoreError;
use crate::index::Index;
use crate::keeper::{self, CRAMPED, Due};
use crate::membership::Membership;
use crate::options::{Scale, largest_entry_in};
use crate::part::{self, PartError, PartFile, Span};
use crate::place::LogEnd;
use crate::position::Position;
use crate::replay::Replay;
use crate::replicate::Standalone;
use crate::store::{Event, Inner, Phase, Recovery, What};
use crate::tip::Tip;
use crate::topics::Topics;
use crate::vote::{Vote, VoteFile};
use crate::warning::Warning;

/// Where reading begins.
pub(crate) struct From {
    pub position: Option<Position>,
    /// No entry reaches beyond.
    pub limit: PhysicalOffset,
}

/// Reads what is there, hands it out, cuts a torn tail, and opens the store for appends.
pub(crate) async fn recover(
    inner: &Rc<Inner>,
    vote: &mut VoteFile,
    events: &Sender<Event>,
    due: &Sender<Due>,
) -> Result<Standalone, StoreError> {
    let began = runtime::now();
    let before = vote.vote();
    let From { position, limit } = load(inner, events).await?;
    let mut replay = Replay::new(Rc::clone(&inner.log), before, position, limit);
    if position.is_some() {
        replay.check_start().await?;
    }
    let start = replay.position.offset;
    let (entries, records) = hand_out(inner, &mut replay, events, due).await?;
    check_beginning(inner)?;
    let Settled { last_block, generation } = settle(&mut replay, vote).await?;
    let (torn, end) = (replay.torn, replay.position);
    let topics = inner.index.borrow().topics().clone();
    let new = end.index == LogIndex(0);
    if position.is_none() && !new {
        keeper::cut(inner, end, events, due).await?;
    }
    open_for_appends(inner, end.offset, topics.clone(), new);
    let (clean, took) = (before.clean, began.elapsed());
    let recovery = Recovery { clean, new, entries, records, start, end: end.offset, torn, took };
    drop(events.send(Event::Recovered(recovery)).await);
    let Position { offset, index, chain, timestamp, last, .. } = end;
    let tip = Tip {
        log: Rc::clone(&inner.log),
        store: inner.id,
        flush: inner.options.flush,
        method: inner.options.file_method(),
        spares: Rc::clone(&inner.spares),
        troubles: Rc::clone(&inner.troubles),
        durable: Rc::clone(&inner.durable),
        last_block,
        patient: Rc::default(),
    };
    let end = LogEnd { index, offset, chain, timestamp, topics };
    Ok(Standalone { tip, term: before.term, generation, end, last })
}

/// The end of a log that was read.
pub(crate) struct Settled {
    /// The block that it ends in, up to that end.
    pub last_block: Vec<u8>,
    /// The generation of what is appended next.
    pub generation: u64,
}

/// Makes what was read durable, cuts what follows it, and raises the generation. Only then may anything be
/// appended.
pub(crate) async fn settle(
    replay: &mut Replay,
    vote: &mut VoteFile,
) -> Result<Settled, StoreError> {
    let before = vote.vote();
    let last_block = replay.last_block().await?;
    replay.cut(&last_block).await?;
    let end = replay.position;
    let generation = before.generation.max(end.generation) + 1;
    vote.store(Vote { generation, idle_mark: end.offset, clean: false, ..before }).await?;
    Ok(Settled { last_block, generation })
}

/// Puts the newest checkpoint into place from which all can be read, and removes what goes beyond it.
pub(crate) async fn load(inner: &Rc<Inner>, events: &Sender<Event>) -> Result<From, StoreError> {
    let oldest = inner.log.oldest_base();
    let (parts, names) = open_parts(inner, events).await?;
    let offsets = inner.checkpoints.list().await?;
    let mut damaged = Vec::new();
    let mut chosen = None;
    for offset in offsets.iter().rev() {
        match inner.checkpoints.read(*offset).await? {
            Ok(checkpoint) => {
                let spans = parts.iter().map(PartFile::span);
                if covers(spans, oldest.max(checkpoint.trim), *offset) {
                    chosen = Some(checkpoint);
                    break;
                }
            }
            Err(what) => {
                warn(events, what.file.clone(), what.why.clone()).await;
                damaged.push(what);
            }
        }
    }
    let newest = offsets.last().copied();
    inner.newest_found.set(newest.unwrap_or_default());
    let why = match damaged.first() {
        Some(what) => format!("{}: {}", what.file.display(), what.why),
        None => "there is none".to_owned(),
    };
    // They stay until a newer one is there: how far a start looks for witnesses depends on the newest
    // checkpoint that there was.
    inner.damaged.replace(damaged.iter().map(|what| what.offset).collect());
    let Some(mut checkpoint) = chosen else {
        if let Some(from) = inner.log.hole() {
            return Err(StoreError::Missing { dir: inner.log.dir.clone(), from, to: oldest });
        }
        if oldest > PhysicalOffset(0) {
            let dir = inner.checkpoints.dir().to_owned();
            return Err(StoreError::NoCheckpoint { dir, why, oldest });
        }
        remove_parts(inner, names).await?;
        return Ok(From { position: None, limit: PhysicalOffset(u64::MAX) });
    };
    let position = checkpoint.position;
    let limit = match newest == Some(position.offset) {
        true => furthest_entry(position.offset, inner.options.segment_size, inner.options.scale),
        false => PhysicalOffset(u64::MAX),
    };
    let owner = std::mem::take(&mut checkpoint.owner);
    inner.checkpointed.set(position.offset);
    let trim = checkpoint.trim;
    take_over(inner, checkpoint, parts, names).await?;
    crate::trim::let_go(inner, trim, Vec::new());
    drop(events.send(Event::Restored(owner)).await);
    Ok(From { position: Some(position), limit })
}

/// The index as of the checkpoint, of the parts that it goes with. The others are removed.
async fn take_over(
    inner: &Inner,
    checkpoint: Checkpoint,
    parts: Vec<PartFile>,
    mut names: Vec<String>,
) -> Result<(), StoreError> {
    let (end, trim) = (checkpoint.position.offset, checkpoint.trim);
    let belongs = |part: &PartFile| part.span().to <= end && part.span().from >= trim;
    let (ours, others): (Vec<_>, Vec<_>) = parts.into_iter().partition(belongs);
    names.extend(others.iter().map(|part| part.span().name()));
    names.retain(|name| ours.iter().all(|part| part.span().name() != *name));
    drop(others);
    remove_parts(inner, names).await?;
    let size = inner.options.segment_size;
    *inner.index.borrow_mut() = Index::restore(size, checkpoint, ours);
    Ok(())
}

/// All parts that can be used, oldest first, and the names of all others. Parts are made of the log, so
/// that one that is damaged, or that the disk does not give, is made again.
async fn open_parts(
    inner: &Inner,
    events: &Sender<Event>,
) -> Result<(Vec<PartFile>, Vec<String>), StoreError> {
    if !fs::exists(inner.parts.path()).await? {
        fs::create_dir_all(inner.parts.path()).await?;
        fs::sync_dir(&inner.options.dir).await?;
    }
    let plan = part::list(inner.parts.path()).await?;
    inner.parts.find_old().await?;
    let (mut parts, mut names) = (Vec::new(), plan.remove);
    for span in plan.parts {
        let path = inner.parts.of(span);
        let why = match PartFile::open(&path, inner.id).await {
            Ok(part) => {
                parts.push(part);
                continue;
            }
            Err(PartError::Io(error)) if error.is_unreadable() => error.to_string(),
            Err(PartError::Io(error)) => return Err(error.into()),
            Err(error @ PartError::Foreign { .. }) => {
                return Err(StoreError::Index(error.to_string()));
            }
            Err(PartError::Damaged { why, .. }) => why.to_string(),
            Err(error @ PartError::Version { .. }) => error.to_string(),
        };
        names.push(span.name());
        warn(events, path, why).await;
    }
    Ok((parts, names))
}

async fn warn(events: &Sender<Event>, file: PathBuf, why: String) {
    drop(events.send(Event::Warned(Warning::Unusable { file, why })).await);
}

/// Beyond this no entry of a log reaches whose newest checkpoint is at `checkpoint`.
pub(crate) fn furthest_entry(
    checkpoint: PhysicalOffset,
    segment_size: u64,
    scale: Scale,
) -> PhysicalOffset {
    let slack = largest_entry_in(segment_size) + 2 * runtime::BLOCK as u64;
    checkpoint.plus(CRAMPED * scale.furthest + slack)
}

/// Whether parts of these `spans` (oldest first) cover the log from `from` to `to` without a gap.
pub(crate) fn covers(
    spans: impl IntoIterator<Item = Span>,
    from: PhysicalOffset,
    to: PhysicalOffset,
) -> bool {
    let mut at = from;
    for span in spans {
        if span.from == at && span.to <= to {
            at = span.to;
        }
    }
    at == to
}

async fn remove_parts(inner: &Inner, names: Vec<String>) -> Result<(), StoreError> {
    for name in names {
        fs::remove_file(inner.parts.path().join(name)).await?;
    }
    Ok(())
}

/// Enters everything the log holds into the index and tells the owner. Counts entries and messages.
async fn hand_out(
    inner: &Rc<Inner>,
    replay: &mut Replay,
    events: &Sender<Event>,
    due: &Sender<Due>,
) -> Result<(u64, u64), StoreError> {
    let (mut entries, mut records) = (0, 0);
    let size = inner.options.segment_size;
    loop {
        check_alone(inner)?;
        let before = replay.position;
        let Some(entry) = replay.next().await? else {
            return Ok((entries, records));
        };
        let base = PhysicalOffset(entry.header.offset.0 / size * size);
        if base != inner.index.borrow().segment() {
            keeper::cut(inner, Position { offset: base, ..before }, events, due).await?;
        } else if keeper::is_due(inner, before.offset) {
            keeper::cut(inner, before, events, due).await?;
        }
        let applied = apply(inner, &entry.header, entry.payload, Origin::Log).await?;
        entries += 1;
        if let What::Messages(messages) = &applied.what {
            records += messages.len() as u64;
        }
        drop(events.send(Event::Committed(applied)).await);
    }
}

/// What one of a group has in its log need not be committed: read as that of a store on its own it would be. The log of another
/// store on its own is that of a group which was growing.
fn check_alone(inner: &Inner) -> Result<(), StoreError> {
    let of_group = || Err(StoreError::OfGroup { dir: inner.log.dir.clone() });
    match inner.index.borrow().membership() {
        Some(Membership::Group { .. }) => of_group(),
        Some(Membership::Alone(founder)) if *founder != inner.id => of_group(),
        Some(Membership::Alone(_)) | None => Ok(()),
    }
}

/// What is missing at the log's beginning must have been trimmed.
pub(crate) fn check_beginning(inner: &Inner) -> Result<(), StoreError> {
    crate::trim::check_passed_over(inner)?;
    let (oldest, trim) = (inner.log.oldest_base(), inner.index.borrow().trimmed_to());
    if oldest <= trim {
        return Ok(());
    }
    let from = inner.log.hole().map_or(trim, |from| from.max(trim));
    Err(StoreError::Missing { dir: inner.log.dir.clone(), from, to: oldest })
}

/// From here on appends are taken. A new log begins with the entry that founds its group of one.
fn open_for_appends(inner: &Inner, end: PhysicalOffset, topics: Topics, new: bool) {
    inner.committed.set(end);
    inner.durable.set(end);
    let rooms = inner.spares.ready();
    let mut builder = Builder::new(Limits::from(&inner.options), end, topics, rooms);
    if new {
        let pushed = builder.push_membership(&Membership::founding(inner.id));
        assert!(pushed.is_ok(), "an empty log has room for its first entry");
        inner.drafted.notify_one();
    }
    *inner.builder.borrow_mut() = builder;
    if inner.phase.get() == Phase::Recovering {
        inner.phase.set(Phase::Open);
    }
}
