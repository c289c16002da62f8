//! Seeds out of a store that is made in the simulator.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use broker::shard::commands::{
    ConsumerOffsets, GroupCommand, OffsetUpdate, QueueLocks, SubscriptionGroup, TopicConfig,
};
use broker::shard::state::{GroupLocks, GroupOffsets, ShardState, TopicState, VersionState};
use model::{Draft, QueueId, UnixMillis, record};
use runtime::sim::Simulation;
use runtime::{BLOCK, File, OpenMode, fs};
use storage::{AppendError, CommandKind, Event, Events, Flush, FlushMethod, Options, Store};

use super::Seed;
use crate::check::command::BROKERS;
use crate::check::store::{CHECKPOINT_HEADER, part_input};

const HEADER: usize = storage::ENTRY_HEADER_LEN;
/// Small messages, with keys.
const MESSAGES: usize = 60;
/// A body so large that a few fill a segment: checkpoint and index files are written at its end.
const LARGE: usize = 1_000_000;

pub(super) fn seeds() -> Vec<Seed> {
    let simulation = Simulation::new(1);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let executor = node.start("seeds", || async {
        let dir = Path::new("/store");
        fill(dir).await;
        let mut files = Vec::new();
        for folder in ["", "log", "checkpoints", "index"] {
            let folder = dir.join(folder);
            for entry in fs::list(&folder).await.unwrap_or_default() {
                if let Some(bytes) = bytes_of(&folder.join(&entry.name)).await {
                    let folder = folder.file_name().and_then(|name| name.to_str());
                    files.push((folder.unwrap_or_default().to_owned(), entry.name, bytes));
                }
            }
        }
        files
    });
    let files = simulation.join(executor, Duration::from_secs(3600)).expect("it ends");
    let mut seeds = Vec::new();
    for (folder, name, bytes) in files {
        of_file(&mut seeds, &folder, &name, &bytes);
    }
    commands(&mut seeds);
    seeds.push(Seed::new("states", "full", state().to_bytes()));
    seeds.push(Seed::new("states", "empty", ShardState::default().to_bytes()));
    seeds
}

/// The bytes of a file; `None` for a folder.
async fn bytes_of(path: &Path) -> Option<Vec<u8>> {
    let file = File::open(path, OpenMode::ReadOnly).await.ok()?;
    let len = usize::try_from(file.len().await.ok()?).expect("small");
    let bytes = file.read_at(0, len).await.ok()?.to_vec();
    file.close().await.ok()?;
    Some(bytes)
}

/// Makes a store with two topics, more than a segment of messages, a command, and a topic that is gone.
async fn fill(dir: &Path) {
    let mut options = Options {
        dir: dir.to_owned(),
        log_dir: dir.join("log"),
        segment_size: 0,
        flush: Flush::Sync,
        method: FlushMethod::Fdatasync,
        max_batch: 1024 * 1024,
        tail_budget: 64 * 1024,
        cache_size: 4 * 1024 * 1024,
        max_queued: 4 * 1024 * 1024,
        max_request: 1024 * 1024,
        shard: 0,
        shards: 1,
        scale: storage::Scale::default(),
    };
    options.segment_size = options.smallest_segment();
    let (store, mut events) = Store::open(options).await.expect("a new store");
    while !matches!(answer(&mut events).await, Event::Recovered(_)) {}
    for topic in ["T", "gone", "%RETRY%g"] {
        store
            .append_create_topic(topic, 4, &TopicConfig::new(topic, 4, 6).to_bytes())
            .expect("room");
    }
    store.append_delete_topic("gone").expect("it is there");
    store.append_command(CommandKind(2), &offsets().to_bytes()).expect("room");
    for number in 0..MESSAGES {
        let body = vec![b'x'; number * 7];
        append(&store, &mut events, number, &body).await;
    }
    for number in 0..6 {
        append(&store, &mut events, number, &vec![0x5A; LARGE]).await;
    }
    let stopping = store.clone();
    let stopped = runtime::spawn(async move { stopping.stop().await });
    while !matches!(answer(&mut events).await, Event::Stopped) {}
    stopped.await;
}

/// The next event; gives the state if that is wanted.
async fn answer(events: &mut Events) -> Event {
    loop {
        match events.next().await {
            Event::StateWanted(wanted) => wanted.give(state().to_bytes()),
            other => return other,
        }
    }
}

async fn append(store: &Store, events: &mut Events, number: usize, body: &[u8]) {
    let host = "127.0.0.1:10911".parse().expect("an address");
    let v6 = "[2001:db8::1]:7".parse().expect("an address");
    let properties =
        format!("KEYS\x01k{} k\x02UNIQ_KEY\x01{number:032X}\x02TAGS\x01TagA", number % 7);
    let draft = Draft {
        topic: if number.is_multiple_of(3) { "%RETRY%g" } else { "T" },
        queue_id: QueueId(u32::try_from(number % 4).expect("small")),
        flag: 0,
        sys_flag: 0,
        born_time: UnixMillis(1),
        born_host: if number.is_multiple_of(5) { v6 } else { host },
        store_host: host,
        reconsume_times: 0,
        prepared_offset: 0,
        body,
        properties: properties.as_bytes(),
        more_properties: b"CLUSTER\x01c\x02",
    };
    while let Err(error) = store.append_message(&draft) {
        assert_eq!(error, AppendError::NoSegment, "the only reason to wait");
        runtime::sleep(Duration::from_millis(1)).await;
    }
    while !matches!(answer(events).await, Event::Committed(_)) {}
}

fn of_file(seeds: &mut Vec<Seed>, folder: &str, name: &str, bytes: &[u8]) {
    let short = name.trim_start_matches('0');
    match (folder, name) {
        ("store", "store") => seeds.push(Seed::new("identities", "store", &bytes[..52])),
        ("store", "vote") => {
            for (slot, bytes) in bytes.chunks(BLOCK).enumerate() {
                seeds.push(Seed::new("votes", format!("slot-{slot}"), bytes));
            }
        }
        ("log", _) if name.len() == 20 => {
            seeds.push(Seed::new("segments", format!("at-{short}"), &bytes[..60]));
            entries(seeds, bytes);
        }
        ("checkpoints", _) => {
            let len = u64::from_le_bytes(bytes[88..96].try_into().expect("eight bytes"));
            let body = &bytes[BLOCK..][..usize::try_from(len).expect("small")];
            let input = [&bytes[..CHECKPOINT_HEADER], body].concat();
            seeds.push(Seed::new("checkpoints", format!("at-{short}"), input));
            topic_states(seeds, body);
        }
        ("index", _) => {
            let seed = seeds.iter().filter(|seed| seed.target == "parts").count();
            seeds.push(Seed::new("parts", format!("part-{seed}"), part_input(bytes)));
        }
        _ => {}
    }
}

fn u32_at(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize
}

/// Entries of a segment, and what is in them.
fn entries(seeds: &mut Vec<Seed>, segment: &[u8]) {
    let mut chain = segment[56..60].to_vec();
    let mut rest = &segment[BLOCK..];
    while rest.starts_with(b"TPE") {
        let len = HEADER + u32_at(rest, 8);
        let entry = &rest[..len];
        let (kind, index) =
            (entry[12], u64::from_le_bytes(entry[16..24].try_into().expect("eight")));
        if len < 600 {
            seeds.push(Seed::new("entries", format!("{index}"), [&chain, entry].concat()));
        }
        let payload = &entry[HEADER..];
        let command = match kind {
            1 => Some(1),
            3 => Some(0),
            _ => None,
        };
        if let Some(which) = command {
            seeds.push(Seed::new(
                "commands",
                format!("entry-{index}"),
                [&[which], payload].concat(),
            ));
        } else if kind == 2 && index.is_multiple_of(8) && payload.len() >= record::MIN_LEN {
            seeds.push(Seed::new("records", format!("entry-{index}"), payload));
        }
        chain = entry[4..8].to_vec();
        rest = rest.get(len.next_multiple_of(8)..).unwrap_or_default();
    }
}

/// The topics of a checkpoint's body.
fn topic_states(seeds: &mut Vec<Seed>, mut body: &[u8]) {
    while body.len() > 8 {
        let (section, len) = (u32_at(body, 0), u32_at(body, 4));
        if section == 2 {
            seeds.push(Seed::new("commands", "topic-states", [&[2], &body[8..8 + len]].concat()));
        }
        body = &body[8 + len..];
    }
}

fn offsets() -> ConsumerOffsets {
    let update = |group: &str, topic: &str| OffsetUpdate {
        group: group.to_owned(),
        topic: topic.to_owned(),
        queues: vec![(0, 7), (3, u64::MAX)],
    };
    ConsumerOffsets { updates: vec![update("g", "T"), update("a longer name", "%RETRY%g")] }
}

fn commands(seeds: &mut Vec<Seed>) {
    let mut put = |name: &str, which: u8, bytes: &[u8]| {
        seeds.push(Seed::new("commands", name, [&[which], bytes].concat()));
    };
    put("trim", 3, &[0, 0, 16, 0, 0, 0, 0, 0, 0]);
    let mut topic = TopicConfig::new("a topic of some length", 8, 6);
    topic.attributes.push(("message.type".to_owned(), "FIFO".to_owned()));
    put("topic", BROKERS, &topic.to_bytes());
    let mut group = SubscriptionGroup::new("a group of some length");
    group.attributes.push(("a".to_owned(), "b".to_owned()));
    put("group", BROKERS + 1, &GroupCommand::Put(group).to_bytes());
    let gone = GroupCommand::Delete { name: "g".to_owned(), offsets: true };
    put("group-gone", BROKERS + 1, &gone.to_bytes());
    put("offsets", BROKERS + 2, &offsets().to_bytes());
    let queues = [("T".to_owned(), 0), ("T".to_owned(), 3), ("a longer name".to_owned(), 1)];
    let locks = QueueLocks::new(("g", "10.0.0.9@4711"), true, &queues);
    put("locks", BROKERS + 3, &locks.to_bytes());
}

fn state() -> ShardState {
    let topic = |name: &str| TopicState { config: TopicConfig::new(name, 4, 6), most_queues: 8 };
    let version = VersionState { timestamp: 1_763_000_000_000, counter: 3 };
    let queues = |topic: &str| (topic.to_owned(), vec![(0, 7), (3, 9)]);
    ShardState {
        topics: vec![topic("%RETRY%g"), topic("T")],
        topics_version: version,
        groups: vec![
            SubscriptionGroup::new("g"),
            SubscriptionGroup::new("a longer name than that"),
        ],
        groups_version: version,
        offsets: vec![GroupOffsets {
            group: "g".to_owned(),
            topics: vec![queues("%RETRY%g"), queues("T")],
        }],
        locks: vec![GroupLocks {
            group: "g".to_owned(),
            held: vec![("10.0.0.9@4711".to_owned(), "T".to_owned(), 3)],
        }],
    }
}
