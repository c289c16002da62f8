//! The writer of a store: recovery first, then batch after batch.

use std::rc::Rc;
use std::time::Duration;

use model::{LogIndex, PhysicalOffset, Record};
use runtime::Slice;
use runtime::channel::{Flag, Sender};

use crate::batch::Builder;
use crate::command::{CommandKind, Membership, TopicCommand};
use crate::entry::{ENTRY_HEADER_LEN, Kind, Replicated};
use crate::error::StoreError;
use crate::index::Index;
use crate::options::Flush;
use crate::place::LogEnd;
use crate::provision::Spares;
use crate::replay::{Entry, Replay};
use crate::replicate::{Committed, Replicator, Standalone};
use crate::store::{Applied, AppliedRecord, Event, Inner, Phase, Recovery, What};
use crate::tail::Part;
use crate::topics::Topics;
use crate::vote::{Vote, VoteFile};

/// Without an append for so long the shard counts as idle, and prepares its next segment.
const IDLE: Duration = Duration::from_millis(500);

/// Runs a store from recovery to its end, and tells its owner how it ended.
pub(crate) async fn run(inner: Rc<Inner>, vote: VoteFile, spare: bool, events: Sender<Event>) {
    let end = match work(&inner, vote, spare, &events).await {
        Ok(()) => Event::Stopped,
        Err(error) => {
            inner.phase.set(Phase::Failed);
            inner.builder.borrow_mut().clear();
            Event::Failed(error)
        }
    };
    // An owner that has gone needs no last word.
    drop(events.send(end).await);
    inner.ended.raise();
}

async fn work(
    inner: &Rc<Inner>,
    mut vote: VoteFile,
    spare: bool,
    events: &Sender<Event>,
) -> Result<(), StoreError> {
    let mut replicator = recover(inner, &mut vote, spare, events).await?;
    let over = Flag::new();
    let flusher = match inner.options.flush {
        Flush::Sync => None,
        Flush::Async { interval } => {
            Some(runtime::spawn(flush_regularly(Rc::clone(inner), interval, over.clone())))
        }
    };
    let written = write(inner, &mut replicator, &mut vote, events).await;
    over.raise();
    if let Some(flusher) = flusher {
        flusher.await; // a flush under way is heard out: nobody else would be told of its failure
    }
    written?;
    check_flushes(inner)?;
    inner.log.active().file.sync().await?;
    inner.durable.set(replicator.end.offset);
    let last = vote.vote();
    vote.store(Vote { idle_mark: replicator.end.offset, clean: true, ..last }).await?;
    Ok(())
}

/// Reads the log, hands out what it holds, cuts a torn tail, and opens the store for appends.
async fn recover(
    inner: &Rc<Inner>,
    vote: &mut VoteFile,
    spare: bool,
    events: &Sender<Event>,
) -> Result<Standalone, StoreError> {
    let began = runtime::now();
    let before = vote.vote();
    let mut replay = Replay::new(Rc::clone(&inner.log), before);
    let start = replay.offset;
    let (entries, records) = hand_out(inner, &mut replay, events).await?;
    let last_block = replay.last_block().await?;
    replay.cut(&last_block).await?;
    let generation = before.generation.max(replay.generation) + 1;
    let end = replay.offset;
    vote.store(Vote { generation, idle_mark: end, clean: false, ..before }).await?;
    let topics = inner.index.borrow().topics().clone();
    let new = replay.index == LogIndex(0);
    open_for_appends(inner, end, topics.clone(), new);
    let (clean, took) = (before.clean, began.elapsed());
    let torn = replay.torn;
    let recovery = Recovery { clean, new, entries, records, start, end, torn, took };
    drop(events.send(Event::Recovered(recovery)).await);
    let (index, chain, timestamp) = (replay.index, replay.chain, replay.timestamp);
    Ok(Standalone {
        log: Rc::clone(&inner.log),
        store: inner.id,
        flush: inner.options.flush,
        term: before.term,
        generation,
        end: LogEnd { index, offset: end, chain, timestamp, topics },
        last_block,
        durable: Rc::clone(&inner.durable),
        spares: Spares::new(&inner.log.dir, inner.log.segment_size, spare),
    })
}

/// Enters everything the log holds into the index and tells the owner. Counts entries and messages.
async fn hand_out(
    inner: &Inner,
    replay: &mut Replay,
    events: &Sender<Event>,
) -> Result<(u64, u64), StoreError> {
    let (mut entries, mut records) = (0, 0);
    while let Some(entry) = replay.next().await? {
        let applied = apply(inner, entry, true)?;
        entries += 1;
        if let What::Messages(messages) = &applied.what {
            records += messages.len() as u64;
        }
        drop(events.send(Event::Committed(applied)).await);
    }
    Ok((entries, records))
}

/// From here on appends are taken. A new log begins with the entry that founds its group of one.
fn open_for_appends(inner: &Inner, end: PhysicalOffset, topics: Topics, new: bool) {
    inner.committed.set(end);
    inner.durable.set(end);
    let options = &inner.options;
    let (size, queued, request) = (options.segment_size, options.max_queued, options.max_request);
    let mut builder = Builder::new(size, queued, request, end, topics);
    if new {
        let pushed = builder.push_membership(&Membership::alone(inner.id).to_bytes());
        assert!(pushed.is_ok(), "an empty log has room for its first entry");
        inner.wake.notify_one();
    }
    *inner.builder.borrow_mut() = builder;
    if inner.phase.get() == Phase::Recovering {
        inner.phase.set(Phase::Open);
    }
}

/// Writes batches until the store is stopped and nothing waits any more.
async fn write(
    inner: &Rc<Inner>,
    replicator: &mut Standalone,
    vote: &mut VoteFile,
    events: &Sender<Event>,
) -> Result<(), StoreError> {
    assert!(replicator.accepts(), "appends are taken only where they can be proposed");
    loop {
        check_flushes(inner)?;
        let next = inner.builder.borrow_mut().take();
        if let Some(batch) = next {
            let began = runtime::now();
            let committed = replicator.propose(batch).await?;
            check_flushes(inner)?;
            mark_segment(inner, vote, committed.start).await?;
            count(inner, &committed, began.elapsed());
            publish(inner, committed, events).await?;
        } else if inner.phase.get() == Phase::Stopping {
            return Ok(());
        } else if runtime::timeout(IDLE, inner.wake.notified()).await.is_err() {
            prepare(inner, replicator).await;
        }
    }
}

/// Notes beside the vote that the log reaches into a new segment, before anybody is told of what is in
/// it: should the segment be gone at the next start, the log is not taken for a shorter one.
async fn mark_segment(
    inner: &Inner,
    vote: &mut VoteFile,
    start: PhysicalOffset,
) -> Result<(), StoreError> {
    let last = vote.vote();
    let segment = |offset: PhysicalOffset| offset.0 / inner.options.segment_size;
    if segment(start) == segment(last.idle_mark) {
        return Ok(());
    }
    assert!(start > last.idle_mark, "the log grows at its end");
    vote.store(Vote { idle_mark: start, ..last }).await?;
    Ok(())
}

fn count(inner: &Inner, committed: &Committed, took: Duration) {
    let counters = &inner.counters;
    let records: u64 = committed.entries.iter().map(|entry| u64::from(entry.header.records)).sum();
    counters.batches.set(counters.batches.get() + 1);
    counters.bytes.set(counters.bytes.get() + committed.end.since(committed.start));
    counters.records.set(counters.records.get() + records);
    counters.write_time.set(counters.write_time.get() + took);
    counters.slowest_write.set(counters.slowest_write.get().max(took));
}

/// Makes a committed batch visible: to readers at the tail, in the index, and to the owner.
async fn publish(
    inner: &Rc<Inner>,
    committed: Committed,
    events: &Sender<Event>,
) -> Result<(), StoreError> {
    let Committed { buf, memory, base, start, end, entries } = committed;
    inner.tail.borrow_mut().push(Part { buf: Rc::clone(&buf), memory, base, start, end });
    assert!(inner.committed.get() <= start, "what is committed stays committed");
    inner.committed.set(end);
    for placed in entries {
        let from = placed.at + ENTRY_HEADER_LEN;
        let payload = Slice::new(Rc::clone(&buf), from..from + placed.header.payload_len as usize);
        let applied = apply(inner, Entry { header: placed.header, payload }, false)?;
        drop(events.send(Event::Committed(applied)).await);
    }
    Ok(())
}

/// Enters a committed entry into the index. The only way in, for what was read at start and for what
/// was just written.
fn apply(inner: &Inner, entry: Entry, replayed: bool) -> Result<Applied, StoreError> {
    let Entry { header, payload } = entry;
    let what = understand(inner, &header, payload).map_err(|why| StoreError::Foreign {
        index: header.index.0,
        offset: header.offset,
        why,
    })?;
    Ok(Applied { replayed, index: header.index, timestamp: header.timestamp, what })
}

fn understand(inner: &Inner, header: &Replicated, payload: Slice) -> Result<What, String> {
    let mut index = inner.index.borrow_mut();
    Ok(match header.kind {
        Kind::Membership => {
            Membership::from_bytes(&payload)?;
            What::Membership
        }
        Kind::Messages => What::Messages(messages(&mut index, header, &payload)?),
        Kind::Topic => match TopicCommand::from_bytes(&payload)? {
            TopicCommand::Put { name, queues, payload } => {
                index.put_topic(&name, queues, header.index);
                What::TopicPut { name, queues, payload }
            }
            TopicCommand::Delete { name } => {
                index.delete_topic(&name);
                What::TopicDeleted { name }
            }
        },
        Kind::Command => {
            let kind = CommandKind(*payload.first().ok_or("a command without a kind")?);
            What::Command { kind, payload: payload.slice(1..payload.len()) }
        }
    })
}

fn messages(
    index: &mut Index,
    header: &Replicated,
    payload: &[u8],
) -> Result<Vec<AppliedRecord>, String> {
    let mut applied = Vec::with_capacity(header.records as usize);
    let mut at = header.offset.plus(ENTRY_HEADER_LEN as u64);
    let mut left = payload;
    while !left.is_empty() {
        let record = Record::parse(left).map_err(|error| error.to_string())?;
        if record.physical_offset() != at {
            return Err(format!(
                "the record at offset {at} says it is at {}",
                record.physical_offset()
            ));
        }
        let unit = index.add(&record)?;
        applied.push(AppliedRecord {
            topic: unit.topic,
            queue: record.queue_id(),
            queue_offset: record.queue_offset(),
            physical: at,
            size: unit.size,
            tag_hash: unit.tag_hash,
            store_time: record.store_time(),
        });
        at = at.plus(record.bytes().len() as u64);
        left = &left[record.bytes().len()..];
    }
    if applied.len() != header.records as usize {
        return Err(format!("{} records, the header says {}", applied.len(), header.records));
    }
    Ok(applied)
}

/// Does a little of what is left for idle times: the next segment's file, once the active one is half
/// full.
async fn prepare(inner: &Inner, replicator: &mut Standalone) {
    let size = inner.options.segment_size;
    if replicator.end.offset.0 % size > size / 2 {
        let busy = || inner.builder.borrow().queued() > 0 || inner.phase.get() != Phase::Open;
        replicator.spares.prepare(busy).await;
    }
}

/// Flushes what was written and not flushed, every `interval` until `over`.
async fn flush_regularly(inner: Rc<Inner>, interval: Duration, over: Flag) {
    while runtime::timeout(interval, over.raised()).await.is_err() {
        let written = inner.committed.get();
        if inner.durable.get() >= written {
            continue;
        }
        // A segment that is not active any more was flushed before its successor was made.
        if let Err(error) = inner.log.active().file.sync().await {
            inner.phase.set(Phase::Failed);
            *inner.flush_failure.borrow_mut() = Some(error);
            inner.wake.notify_one();
            return;
        }
        let durable = inner.durable.get().max(written);
        inner.durable.set(durable);
    }
}

/// Tells of a failed background flush. To be asked before anything that was written meanwhile counts
/// as committed: a later flush may succeed although what the failed one was to cover is lost.
fn check_flushes(inner: &Inner) -> Result<(), StoreError> {
    inner.flush_failure.take().map_or(Ok(()), |error| Err(error.into()))
}
