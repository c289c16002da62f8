//! The bytes of a checkpoint file. `docs/format/checkpoint.md` has the tables.

use std::collections::HashMap;
use std::mem::offset_of;

use model::{LogIndex, PhysicalOffset, QueueId, QueueOffset, Term, UnixMillis};
use runtime::BLOCK;

use super::{Checkpoint, Mins};
use crate::command::{TopicState, TopicStates};
use crate::identity::StoreId;
use crate::membership::Membership;
use crate::part::QueueKey;
use crate::position::Position;
use crate::topics::{Counter, Incarnation, Topic, Topics};
use crate::versions;

const MAGIC: [u8; 8] = *b"TPCHECK\0";

/// The header as it lies on the disk. Only its layout is used; the fields are copied one by one.
#[repr(C)]
struct Layout {
    magic: [u8; 8],
    version: u8,
    reserved: [u8; 3],
    crc: u32,
    store: [u8; 16],
    offset: u64,
    index: u64,
    term: u64,
    generation: u64,
    timestamp: u64,
    last: u64,
    trim: u64,
    body_len: u64,
    body_crc: u32,
    chain: u32,
    largest: u32,
    end: [u8; 0],
}

const AT_VERSION: usize = offset_of!(Layout, version);
const AT_CRC: usize = offset_of!(Layout, crc);
const AT_STORE: usize = offset_of!(Layout, store);
const AT_OFFSET: usize = offset_of!(Layout, offset);
const AT_INDEX: usize = offset_of!(Layout, index);
const AT_TERM: usize = offset_of!(Layout, term);
const AT_GENERATION: usize = offset_of!(Layout, generation);
const AT_TIMESTAMP: usize = offset_of!(Layout, timestamp);
const AT_LAST: usize = offset_of!(Layout, last);
const AT_TRIM: usize = offset_of!(Layout, trim);
const AT_BODY_LEN: usize = offset_of!(Layout, body_len);
const AT_BODY_CRC: usize = offset_of!(Layout, body_crc);
const AT_CHAIN: usize = offset_of!(Layout, chain);
const AT_LARGEST: usize = offset_of!(Layout, largest);
const LEN: usize = offset_of!(Layout, end);
const _: () = assert!(AT_VERSION == 8 && AT_CRC == 12 && AT_STORE == 16 && LEN == 108);
const _: () = assert!(LEN <= BLOCK);

/// Bytes before each section of the body: its kind and its length.
const SECTION_HEADER: usize = 8;
/// Queues that one section of topics describes at most, unless a single topic has more: about 100 KiB.
const QUEUES_A_SECTION: usize = 4096;
/// The most bytes of one section.
const SECTION_MAX: usize = u32::MAX as usize;

/// What a section of the body holds. The number is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
enum Section {
    Membership = 1,
    Topics = 2,
    Owner = 3,
}

impl Section {
    fn from_number(number: u32) -> Option<Self> {
        let all = [Self::Membership, Self::Topics, Self::Owner];
        all.into_iter().find(|section| *section as u32 == number)
    }
}

fn put_section(body: &mut Vec<u8>, section: Section, bytes: &[u8]) {
    assert!(bytes.len() <= SECTION_MAX, "a section is below 4 GiB");
    body.extend_from_slice(&(section as u32).to_le_bytes());
    body.extend_from_slice(&u32::try_from(bytes.len()).expect("just checked").to_le_bytes());
    body.extend_from_slice(bytes);
}

/// The whole file, a multiple of [`BLOCK`] long. Lets others run now and then: a checkpoint of very many
/// queues takes longer than a send may wait.
pub(crate) async fn encode(checkpoint: &Checkpoint, store: StoreId) -> Vec<u8> {
    let mut file = vec![0; BLOCK];
    put_section(&mut file, Section::Membership, &checkpoint.membership.to_bytes());
    let (mut states, mut queues) = (Vec::new(), 0);
    // In the order of their making, so that the same state always has the same bytes.
    let mut topics: Vec<_> = checkpoint.topics.iter().collect();
    topics.sort_unstable_by_key(|(name, topic)| (topic.incarnation, *name));
    for (name, topic) in topics {
        queues += topic.counters().len();
        states.push(state(name, topic, &checkpoint.mins));
        if queues >= QUEUES_A_SECTION {
            let topics = std::mem::take(&mut states);
            put_section(&mut file, Section::Topics, &TopicStates { topics }.to_bytes());
            queues = 0;
            runtime::yield_now().await;
        }
    }
    put_section(&mut file, Section::Topics, &TopicStates { topics: states }.to_bytes());
    put_section(&mut file, Section::Owner, &checkpoint.owner);
    let body_len = file.len() - BLOCK;
    let mut body_crc = 0;
    for part in file[BLOCK..].chunks(128 * 1024) {
        body_crc = crc32c::crc32c_append(body_crc, part);
        runtime::yield_now().await;
    }
    put_header(&mut file[..BLOCK], checkpoint, store, body_len as u64, body_crc);
    file.resize(file.len().next_multiple_of(BLOCK), 0);
    file
}

fn state(name: &str, topic: &Topic, mins: &Mins) -> TopicState {
    let incarnation = topic.incarnation;
    let queue = |(number, counter): (u32, &Counter)| {
        let key = QueueKey { incarnation, queue: QueueId(number) };
        let min = mins.get(&key).copied().unwrap_or_default();
        (min.0.min(counter.next.0), counter.next.0, counter.began.0)
    };
    let queues = (0..).zip(topic.counters()).map(queue).collect();
    TopicState { name: name.to_owned(), incarnation: incarnation.0.0, queues }
}

fn put_header(
    block: &mut [u8],
    checkpoint: &Checkpoint,
    store: StoreId,
    body_len: u64,
    body_crc: u32,
) {
    let at = &checkpoint.position;
    let mut put =
        |from: usize, bytes: &[u8]| block[from..from + bytes.len()].copy_from_slice(bytes);
    put(0, &MAGIC);
    put(AT_VERSION, &[versions::CHECKPOINT]);
    put(AT_STORE, &store.0.to_le_bytes());
    put(AT_OFFSET, &at.offset.0.to_le_bytes());
    put(AT_INDEX, &at.index.0.to_le_bytes());
    put(AT_TERM, &at.term.0.to_le_bytes());
    put(AT_GENERATION, &at.generation.to_le_bytes());
    put(AT_TIMESTAMP, &at.timestamp.0.to_le_bytes());
    put(AT_LAST, &at.last.0.to_le_bytes());
    put(AT_TRIM, &checkpoint.trim.0.to_le_bytes());
    put(AT_BODY_LEN, &body_len.to_le_bytes());
    put(AT_BODY_CRC, &body_crc.to_le_bytes());
    put(AT_CHAIN, &at.chain.to_le_bytes());
    put(AT_LARGEST, &checkpoint.largest_record.to_le_bytes());
    let crc = crc32c::crc32c(&block[AT_STORE..BLOCK]);
    block[AT_CRC..AT_STORE].copy_from_slice(&crc.to_le_bytes());
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// Why bytes are no checkpoint of this store in this version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bad {
    Damaged(String),
    Version(u8),
    /// The checksums hold, and what they cover means nothing to this version.
    Unknown(String),
    Store(StoreId),
}

impl From<&str> for Bad {
    fn from(why: &str) -> Self {
        Self::Damaged(why.to_owned())
    }
}

/// Reads a whole file; the error says what is wrong with it. Never panics, whatever the bytes are.
pub(crate) fn decode(file: &[u8], store: StoreId) -> Result<Checkpoint, Bad> {
    read(file, Some(store))
}

/// As [`decode`], whichever store wrote it.
pub(crate) fn decode_of_any(file: &[u8]) -> Result<Checkpoint, Bad> {
    read(file, None)
}

fn read(file: &[u8], store: Option<StoreId>) -> Result<Checkpoint, Bad> {
    if file.len() < BLOCK || file[..MAGIC.len()] != MAGIC {
        return Err("this is no checkpoint".into());
    }
    if file[AT_VERSION] != versions::CHECKPOINT {
        return Err(Bad::Version(file[AT_VERSION])); // before the CRC, which it may compute in another way
    }
    if u32_at(file, AT_CRC) != crc32c::crc32c(&file[AT_STORE..BLOCK]) {
        return Err("the CRC of its header does not match".into());
    }
    let whose = u128::from_le_bytes(file[AT_STORE..AT_OFFSET].try_into().expect("sixteen bytes"));
    if store.is_some_and(|store| whose != store.0) {
        return Err(Bad::Store(StoreId(whose)));
    }
    let len = usize::try_from(u64_at(file, AT_BODY_LEN)).unwrap_or(usize::MAX);
    let body = file[BLOCK..].get(..len).ok_or("it is shorter than its header says")?;
    if u32_at(file, AT_BODY_CRC) != crc32c::crc32c(body) {
        return Err("the CRC of its body does not match".into());
    }
    decode_body(file, body).map_err(Bad::Unknown)
}

fn decode_body(header: &[u8], mut body: &[u8]) -> Result<Checkpoint, String> {
    let position = Position {
        offset: PhysicalOffset(u64_at(header, AT_OFFSET)),
        index: LogIndex(u64_at(header, AT_INDEX)),
        term: Term(u64_at(header, AT_TERM)),
        chain: u32_at(header, AT_CHAIN),
        timestamp: UnixMillis(u64_at(header, AT_TIMESTAMP)),
        generation: u64_at(header, AT_GENERATION),
        last: PhysicalOffset(u64_at(header, AT_LAST)),
    };
    let (mut topics, mut mins) = (Topics::default(), HashMap::new());
    let (mut membership, mut owner) = (None, None);
    while !body.is_empty() {
        if body.len() < SECTION_HEADER {
            return Err("its last section is cut off".into());
        }
        let (number, len) = (u32_at(body, 0), u32_at(body, 4) as usize);
        let bytes = body[SECTION_HEADER..].get(..len).ok_or("a section is cut off")?;
        match Section::from_number(number).ok_or_else(|| format!("unknown section {number}"))? {
            Section::Membership => membership = Some(Membership::from_bytes(bytes)?),
            Section::Topics => restore(TopicStates::from_bytes(bytes)?, &mut topics, &mut mins)?,
            Section::Owner => owner = Some(bytes.to_vec()),
        }
        body = &body[SECTION_HEADER + len..];
    }
    Ok(Checkpoint {
        position,
        trim: PhysicalOffset(u64_at(header, AT_TRIM)),
        largest_record: u32_at(header, AT_LARGEST),
        membership: membership.ok_or("it has no membership")?,
        topics,
        mins: mins.into(),
        owner: owner.ok_or("it has no state of the store's owner")?,
    })
}

fn restore(
    states: TopicStates,
    topics: &mut Topics,
    mins: &mut HashMap<QueueKey, QueueOffset>,
) -> Result<(), String> {
    for TopicState { name, incarnation, queues } in states.topics {
        let incarnation = Incarnation(LogIndex(incarnation));
        if topics.find(&name).is_some() {
            return Err(format!("topic {} is there twice", shown(&name)));
        }
        for (number, (min, next, _)) in (0..).zip(&queues) {
            if min > next {
                let topic = shown(&name);
                return Err(format!("queue {number} of {topic} begins behind its end"));
            }
            if *min > 0 {
                let key = QueueKey { incarnation, queue: QueueId(number) };
                mins.insert(key, QueueOffset(*min));
            }
        }
        let counter = |(_, next, began): (u64, u64, u64)| Counter {
            next: QueueOffset(next),
            began: PhysicalOffset(began),
        };
        let counters = queues.into_iter().map(counter).collect();
        topics.restore(&name, Topic::new(incarnation, counters));
    }
    Ok(())
}

/// A name that may be anything, for a message: the beginning of it, on one line.
fn shown(name: &str) -> String {
    let begin: String = name.chars().take(64).collect();
    format!("{begin:?}")
}
