//! One life of a store: it recovers, is checked, works, and ends or is ended.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::{PhysicalOffset, QueueId, QueueOffset};
use runtime::random_below;
use storage::{
    AppendError, Applied, CommandKind, Event, Events, Keep, Options, ReadError, Recovery, Store,
    TrimError, Unit, What,
};

use crate::invariants::{Loss, reconcile};
use crate::model::{Entry, Message, Model, Op, Place, UNREAD, body};
use crate::observe::{QUEUES, TOPICS, observe, seen};
use crate::support::draft;
use crate::tiles;

/// The kind of the commands that histories append.
const COMMAND: CommandKind = CommandKind(9);

/// A bound on the virtual time of a stop: disks stand still for seconds, and are slow.
pub const STOP: Duration = Duration::from_secs(600);

/// What outlives the process.
pub type Shared = Arc<Mutex<Model>>;

pub fn with<T>(shared: &Shared, change: impl FnOnce(&mut Model) -> T) -> T {
    change(&mut shared.lock().expect("no test thread has panicked"))
}

/// What a life is to do.
#[derive(Clone)]
pub struct Script {
    pub options: Options,
    /// What the store may have lost since the last life.
    pub loss: Loss,
    /// In one out of so many, a message is large: 1 fills segments, so that they roll.
    pub large_one_in: u64,
    /// The disk may fail.
    pub faulty: bool,
    /// In one out of so many turns the beginning of the log is given up.
    pub trim_one_in: u64,
    /// Every entry ends where a block ends; see [`tiles`].
    pub tiles: bool,
    /// Stop in order after so many turns; otherwise go on until killed.
    pub turns: Option<u64>,
}

/// How a life ended by itself.
#[derive(Debug)]
pub enum Ended {
    /// In order, as the script says.
    Stopped,
    /// It was not opened.
    Refused(String),
    /// It was opened, or had worked, and gave up.
    Failed(String),
    /// Something in it could not be read.
    Unreadable(ReadError),
}

/// What the owner is told of a committed entry that holds no messages.
pub fn op_of(what: &What) -> Op {
    match what {
        What::Messages(_) => unreachable!("asked for entries without messages"),
        What::TopicPut { name, queues, .. } => Op::TopicPut { name: name.clone(), queues: *queues },
        What::TopicDeleted { name } => Op::TopicDelete { name: name.clone() },
        What::Command { kind, payload } => {
            assert_eq!(*kind, COMMAND, "a command of another kind than any that was appended");
            let number = payload[..].try_into().expect("commands have eight bytes");
            Op::Command { number: u64::from_le_bytes(number) }
        }
        What::Membership => Op::Membership,
        What::Trimmed { to } => Op::Trim { to: *to },
    }
}

/// A live, from its start to its end. Panics when an invariant does not hold.
pub async fn live(script: Script, shared: Shared) -> Ended {
    let (store, mut events) = match Store::open(script.options.clone()).await {
        Ok(opened) => opened,
        Err(error) => return Ended::Refused(error.to_string()),
    };
    let (restored, replayed, recovery) = match recovered(&mut events, &shared).await {
        Ok(recovered) => recovered,
        Err(error) => return Ended::Failed(error),
    };
    let mut seen = match observe(&store, replayed, &recovery).await {
        Ok(seen) => seen,
        Err(error) => return Ended::Unreadable(error),
    };
    // What the log before a checkpoint came to is what the owner said then, and it was told of all of it.
    let before = with(&shared, |model| model.oldest(restored));
    let before =
        before.expect("a checkpoint is never of what was lost, or of what nobody was told");
    seen.entries.splice(..0, before);
    if let Err(violated) = with(&shared, |model| reconcile(model, &seen, script.loss)) {
        panic!("{violated}");
    }
    work(script, &shared, &store, events).await
}

/// The owner's state: how many entries it was told of.
fn state(entries: usize) -> Vec<u8> {
    (entries as u64).to_le_bytes().to_vec()
}

async fn recovered(
    events: &mut Events,
    shared: &Shared,
) -> Result<(usize, Vec<Applied>, Recovery), String> {
    let (mut restored, mut replayed) = (0, Vec::new());
    loop {
        match events.next().await {
            Event::Committed(applied) => {
                assert!(applied.replayed);
                replayed.push(applied);
            }
            Event::Restored(state) => {
                assert!(replayed.is_empty(), "the checkpoint comes first");
                let entries = state.try_into().expect("a state has eight bytes");
                restored = u64::from_le_bytes(entries) as usize;
            }
            Event::StateWanted(wanted) => {
                // This life may end before it is compared, and its state be what the next one starts with.
                let told = replayed.iter().map(|applied| entry_of(applied, None));
                with(shared, |model| model.glimpse(told));
                wanted.give(state(restored + replayed.len()));
            }
            Event::Recovered(recovery) => return Ok((restored, replayed, recovery)),
            Event::Failed(error) => return Err(error.to_string()),
            Event::Warned(_) => {}
            Event::Stopped => panic!("nobody has stopped it"),
        }
    }
}

async fn work(script: Script, shared: &Shared, store: &Store, events: Events) -> Ended {
    let applier = runtime::spawn(apply(Arc::clone(shared), store.clone(), events));
    for _ in 0..2 {
        runtime::spawn(read_forever(Arc::clone(shared), store.clone(), script.faulty)).detach();
    }
    let mut turns = 0;
    while script.turns.is_none_or(|all| turns < all) {
        turns += 1;
        for _ in 0..random_below(8) {
            let appended = match script.tiles {
                true => tiles::append(shared, store),
                false => append(&script, shared, store),
            };
            match appended {
                Err(AppendError::Failed) => return applier.await,
                Ok(()) | Err(AppendError::Busy { .. } | AppendError::NoSegment) => {}
                Err(AppendError::Full | AppendError::NoFile { .. }) => {}
                Err(AppendError::NoTopic | AppendError::NoQueue { .. }) => {}
                Err(error) => panic!("an append is refused: {error}"),
            }
        }
        if random_below(script.trim_one_in) == 0 {
            match trim(shared, store).await {
                Err(AppendError::Failed) => return applier.await,
                Ok(()) | Err(AppendError::Busy { .. } | AppendError::NoSegment) => {}
                Err(AppendError::Full) => {}
                Err(error) => panic!("a trim is refused: {error}"),
            }
        }
        runtime::sleep(Duration::from_micros(random_below(2_000))).await;
    }
    with(shared, |model| model.stopping = true);
    let stopped = runtime::timeout(STOP, store.stop()).await;
    stopped.unwrap_or_else(|_| panic!("a stop does not end within {STOP:?}"));
    with(shared, |model| model.stopping = false);
    applier.await
}

/// Gives up some of the oldest segments.
async fn trim(shared: &Shared, store: &Store) -> Result<(), AppendError> {
    let segments = store.segments();
    let newest = segments.len() - 1;
    // All of it more often than not: of several segments some are deleted, and not only used again.
    let at = if random_below(3) == 0 { random_below(newest as u64 + 1) as usize } else { newest };
    let (to, _) = segments[at];
    let keeps = [Keep::Many, Keep::Recycled, Keep::Next];
    store.keep(keeps[random_below(keeps.len() as u64) as usize], 0);
    match store.append_trim(to).await {
        Ok(()) => {
            with(shared, |model| model.pending.push_back(Op::Trim { to }));
            Ok(())
        }
        Err(TrimError::Where { .. }) => Ok(()),
        Err(TrimError::Append(error)) => Err(error),
    }
}

/// One random append. Numbers are used up only by what was appended.
fn append(script: &Script, shared: &Shared, store: &Store) -> Result<(), AppendError> {
    let topic = TOPICS[random_below(TOPICS.len() as u64) as usize];
    match random_below(300) {
        0..3 => {
            let queues = 1 + random_below(u64::from(QUEUES)) as u32;
            store.append_create_topic(topic, queues, b"payload")?;
            let name = topic.to_owned();
            with(shared, |model| model.pending.push_back(Op::TopicPut { name, queues }));
        }
        3 => {
            store.append_delete_topic(topic)?;
            let name = topic.to_owned();
            with(shared, |model| model.pending.push_back(Op::TopicDelete { name }));
        }
        4..20 => {
            let number = with(shared, |model| model.commands);
            store.append_command(COMMAND, &number.to_le_bytes())?;
            with(shared, |model| {
                model.commands += 1;
                model.pending.push_back(Op::Command { number });
            });
        }
        20..40 => append_messages(script, shared, store, topic, 1 + random_below(5))?,
        _ => append_messages(script, shared, store, topic, 1)?,
    }
    Ok(())
}

fn append_messages(
    script: &Script,
    shared: &Shared,
    store: &Store,
    topic: &str,
    count: u64,
) -> Result<(), AppendError> {
    let first = with(shared, |model| model.appended.len() as u64);
    let queue = QueueId(random_below(u64::from(QUEUES)) as u32);
    let bodies: Vec<Vec<u8>> = (first..first + count).map(body).collect();
    let bytes: usize = bodies.iter().map(Vec::len).sum();
    // The numbers decide how long messages are; a short history skips the large ones.
    let too_large = bytes > 900_000 || (bytes > 10_000 && random_below(script.large_one_in) > 0);
    if too_large {
        // A number that was never appended must not come back either.
        let never = Message { number: first, topic: String::new(), queue };
        with(shared, |model| model.appended.push(never));
        return Ok(());
    }
    let drafts: Vec<_> = bodies.iter().map(|body| draft(topic, queue, body)).collect();
    store.append_messages(&drafts)?;
    with(shared, |model| {
        for number in first..first + count {
            let message = Message { number, topic: topic.to_owned(), queue };
            model.pending.push_back(Op::Message(message.clone()));
            model.appended.push(message);
        }
    });
    Ok(())
}

/// Takes what comes back until the store's last word.
async fn apply(shared: Shared, store: Store, mut events: Events) -> Ended {
    loop {
        match events.next().await {
            Event::Committed(applied) => {
                assert!(!applied.replayed);
                let max = store.stats().max;
                let (entry, durable) = (entry_of(&applied, Some(max)), durable(&store));
                let committed = with(&shared, |model| {
                    model.durable = model.durable.max(durable);
                    model.commit(entry)
                });
                assert_eq!(committed, Ok(()), "while it works");
            }
            Event::Stopped => {
                with(&shared, |model| {
                    assert_eq!(model.pending, [], "all is committed before a stop");
                    model.durable = durable(&store);
                });
                return Ended::Stopped;
            }
            Event::Failed(error) => {
                let refused = store.append_command(COMMAND, b"12345678");
                assert_eq!(refused, Err(AppendError::Failed), "a store that failed takes nothing");
                return Ended::Failed(error.to_string());
            }
            Event::StateWanted(wanted) => {
                wanted.give(state(with(&shared, |model| model.entries.len())));
            }
            Event::Warned(_) => {}
            Event::Recovered(_) | Event::Restored(_) => panic!("it recovers once"),
        }
    }
}

/// What the store says is durable.
fn durable(store: &Store) -> model::PhysicalOffset {
    let stats = store.stats();
    model::PhysicalOffset(stats.max.0 - stats.unflushed)
}

/// An entry as it is told: which messages are in it is not read.
fn entry_of(applied: &Applied, end: Option<PhysicalOffset>) -> Entry {
    let index = applied.index.0;
    let What::Messages(records) = &applied.what else {
        return Entry { index, ops: vec![(op_of(&applied.what), None)], end };
    };
    let placed = records.iter().map(|record| {
        let place = Place { offset: record.queue_offset, physical: record.physical };
        let (topic, queue) = (record.topic.to_string(), record.queue);
        (Op::Message(Message { number: UNREAD, topic, queue }), Some(place))
    });
    Entry { index, ops: placed.collect(), end }
}

/// Reads what is committed, again and again: it is what was told, or an error that says why not.
async fn read_forever(shared: Shared, store: Store, faulty: bool) {
    loop {
        runtime::sleep(Duration::from_micros(500 + random_below(5_000))).await;
        let Some((topic, queue, due)) = with(&shared, |model| choose(model)) else {
            continue;
        };
        let first = QueueOffset(due[0].0);
        let begins = with(&shared, |model| place_of(model, &topic, queue, due[0]));
        let gone = || with(&shared, |model| begins.is_none_or(|begins| begins < model.floor()));
        let units = match store.older_units(&topic, queue, first, due.len()).await {
            Ok(units) => units.into_iter().map(|(_, unit)| unit).collect::<Vec<Unit>>(),
            Err(_) if faulty || gone() => continue, // told, not served
            Err(error) => panic!("{due:?} of {queue} of {topic}: {error}"),
        };
        let read = match store.read_units(&units).await {
            Ok(read) => read,
            Err(_) if faulty || gone() => continue, // told, not served
            Err(error) => panic!("{due:?} of {queue} of {topic}: {error}"),
        };
        if gone() {
            continue; // trimmed while it was read
        }
        for ((offset, number), (unit, bytes)) in due.iter().zip(units.iter().zip(read)) {
            if !with(&shared, |model| still_holds(model, &topic, queue, (*offset, *number))) {
                continue; // the topic was deleted while it was read
            }
            let message = seen(QueueOffset(*offset), unit.offset, &bytes);
            assert_eq!(message.number, Some(*number), "offset {offset} of {queue} of {topic}");
            assert_eq!(message.own_offset.0, *offset, "in {queue} of {topic}");
        }
    }
}

/// Where the message with this offset and number is, if the queue holds it.
fn place_of(
    model: &Model,
    topic: &str,
    queue: QueueId,
    (offset, number): (u64, u64),
) -> Option<PhysicalOffset> {
    let queues = &model.topics.get(topic)?.queues;
    let kept = queues.get(queue.0 as usize)?.get(offset as usize)?;
    (kept.number == number).then_some(kept.physical)
}

/// Whether the store may know already that the topic is gone.
fn is_going(model: &Model, topic: &str) -> bool {
    model.pending.iter().any(|op| matches!(op, Op::TopicDelete { name } if name == topic))
}

/// Whether the message with this offset and number is in the queue, as far as anybody was told.
fn still_holds(model: &Model, topic: &str, queue: QueueId, (offset, number): (u64, u64)) -> bool {
    let queues = model.topics.get(topic).map(|topic| &topic.queues);
    let kept = queues.and_then(|queues| queues.get(queue.0 as usize)?.get(offset as usize));
    kept.is_some_and(|kept| kept.number == number) && !is_going(model, topic)
}

/// Neighbours in a queue, each by its offset and number.
type Wanted = (String, QueueId, Vec<(u64, u64)>);

/// Some neighbours in a queue.
fn choose(model: &Model) -> Option<Wanted> {
    let topic = TOPICS[random_below(TOPICS.len() as u64) as usize];
    let queues = &model.topics.get(topic)?.queues;
    let queue = random_below(queues.len() as u64) as usize;
    let kept = &queues[queue];
    if kept.is_empty() || is_going(model, topic) {
        return None;
    }
    let begins = kept.partition_point(|kept| kept.physical < model.floor());
    if begins == kept.len() {
        return None;
    }
    let from = begins + random_below((kept.len() - begins) as u64) as usize;
    let some = kept.iter().enumerate().skip(from).take(1 + random_below(20) as usize);
    let due = some.map(|(offset, kept)| (offset as u64, kept.number)).collect();
    Some((topic.to_owned(), QueueId(queue as u32), due))
}
