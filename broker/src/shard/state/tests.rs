//! A shard that is restored is the shard that was.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use config::{Settings, Source};
use model::{QueueId, UnixMillis};
use runtime::sim::Simulation;
use storage::Store;

use super::*;
use crate::config::{Config, KEYS, Surroundings};
use crate::shard::commands::{
    ConsumerOffsets, GroupCommand, OffsetUpdate, QueueLocks, SubscriptionGroup, TopicConfig,
};
use crate::shard::identity::Identity;
use crate::shard::siblings::mailboxes;
use crate::shard::{apply, groups, locks, offsets, topics};

const IP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const LONG_AGO: (apply::Source, UnixMillis) = (apply::Source::Replayed, UnixMillis(1));
const NAMES: [&str; 4] = ["A", "B", "C", "TBW102"];

/// A change that comes back from the log.
#[derive(Clone, Debug)]
enum Change {
    Topic(TopicConfig),
    TopicDeleted(String),
    Group(GroupCommand),
    Offsets(ConsumerOffsets),
    Locks(QueueLocks),
}

/// A number below `below`, from the simulation's seed.
fn below(below: u32) -> u32 {
    u32::try_from(runtime::random_below(u64::from(below))).expect("below a 32-bit number")
}

fn name() -> String {
    NAMES[below(4) as usize].to_owned()
}

fn change() -> Change {
    match below(18) {
        0..4 => {
            let queues = below(20) + 1;
            let mut topic = TopicConfig::new(&name(), queues, below(16));
            topic.read_queues = queues / 2 + 1;
            (topic.order, topic.sys_flag) = (below(2) == 0, below(9).cast_signed());
            topic.attributes.push(("message.type".to_owned(), name()));
            Change::Topic(topic)
        }
        4 => Change::TopicDeleted(name()),
        5..8 => {
            let mut group = SubscriptionGroup::new(&name());
            (group.retry_max_times, group.retry_queue_nums) = (-below(5).cast_signed(), below(9));
            Change::Group(GroupCommand::Put(group))
        }
        8 => Change::Group(GroupCommand::Delete { name: name(), offsets: below(2) == 0 }),
        15.. => {
            let queues = [(name(), below(8))];
            Change::Locks(QueueLocks::new((&name(), &name()), below(3) > 0, &queues))
        }
        _ => {
            let update = |_| OffsetUpdate {
                group: name(),
                topic: name(),
                queues: (0..=below(5))
                    .map(|_| (below(8), runtime::random_below(1 << 60)))
                    .collect(),
            };
            Change::Offsets(ConsumerOffsets { updates: (0..=below(3)).map(update).collect() })
        }
    }
}

fn changes() -> Vec<Change> {
    (0..below(40)).map(|_| change()).collect()
}

fn take(shard: &Rc<Shard>, change: &Change) {
    let applied = match change {
        Change::Topic(topic) => topics::applied(shard, &topic.to_bytes(), LONG_AGO),
        Change::TopicDeleted(name) => {
            topics::applied_delete(shard, name, LONG_AGO);
            Ok(())
        }
        Change::Group(command) => groups::applied(shard, &command.to_bytes(), LONG_AGO),
        Change::Offsets(offsets) => offsets::applied(shard, &offsets.to_bytes(), LONG_AGO.0),
        Change::Locks(change) => locks::applied(shard, &change.to_bytes(), LONG_AGO.0),
    };
    applied.expect("a command of this version");
}

/// A shard over an empty store of its own.
async fn shard(number: usize) -> Rc<Shard> {
    let mut settings = Settings::defaults(&KEYS);
    let dir = format!("/store-{number}");
    for (key, value) in [("brokerName", "b"), ("storePathRootDir", dir.as_str())] {
        settings.set(&Source::option("test"), key, value).expect("a key and its value");
    }
    for (key, value) in [("maxMessageSize", "1MiB"), ("mappedFileSizeCommitLog", "16MiB")] {
        settings.set(&Source::option("test"), key, value).expect("a key and its value");
    }
    let around = Surroundings { home: None, host_name: "test".into(), cores: 2 };
    let config = Arc::new(Config::from_settings(&settings, &around).expect("a configuration"));
    let identity = Identity::of(&config, 0, IP.into());
    let dir = PathBuf::from(dir);
    let options = config.store_options(dir.clone(), dir.join("log"), 0);
    let (store, _events) = Store::open(options).await.expect("a new store");
    Rc::new(Shard::new(config, identity, store, mailboxes(1).remove(0)))
}

/// What the shard answers about everything that may be there.
fn answers(shard: &Shard) -> String {
    let (topics, groups, offsets) =
        (shard.topics.borrow(), shard.groups.borrow(), shard.offsets.borrow());
    let known = NAMES.map(|name| {
        let queues =
            (0..8).map(|queue| NAMES.map(|group| offsets.find(group, name, QueueId(queue))));
        let mut consumers: Vec<_> = offsets.groups_of(name).collect();
        consumers.sort_unstable();
        format!(
            "{:?} {:?} {:?} {:?} {consumers:?} {:?}",
            topics.find(name),
            topics.find_applied(name),
            groups.find(name),
            groups.find_applied(name),
            queues.collect::<Vec<_>>(),
        )
    });
    let (locks, now) = (shard.locks.borrow(), runtime::now());
    let holders = NAMES.map(|group| {
        NAMES.map(|topic| {
            [0, 1, 2, 3, 4, 5, 6, 7].map(|queue| {
                locks.holder(group, &(topic.to_owned(), queue), now).map(str::to_owned)
            })
        })
    });
    let versions = (topics.version(), groups.version());
    format!("{known:?} {versions:?} {} {holders:?} {}", topics.len(), locks.len())
}

/// As before anything was applied.
fn empty(shard: &Shard) {
    shard.topics.replace(Topics::default());
    shard.groups.replace(Groups::default());
    shard.offsets.replace(OffsetTable::default());
    shard.locks.replace(Locks::default());
}

#[test]
fn what_is_restored_is_what_was_and_goes_on_alike() {
    in_simulation(3, || async {
        let (first, second) = (shard(1).await, shard(2).await);
        for round in 0..200 {
            empty(&first);
            empty(&second);
            changes().iter().for_each(|change| take(&first, change));
            let bytes = of(&first).to_bytes();
            restore(&second, &bytes).expect("a state of this version");
            assert_eq!(answers(&first), answers(&second), "round {round}");
            assert_eq!(of(&second).to_bytes(), bytes, "round {round}");
            for change in changes() {
                take(&first, &change);
                take(&second, &change);
            }
            assert_eq!(answers(&first), answers(&second), "round {round}");
            assert_eq!(of(&first), of(&second), "round {round}");
        }
    });
}

fn in_simulation<F: Future<Output = ()> + 'static>(
    seed: u64,
    test: impl FnOnce() -> F + Send + 'static,
) {
    let simulation = Simulation::new(seed);
    let run = simulation.node("node", IP).start("test", test);
    simulation.join(run, Duration::from_secs(60)).expect("the run ends");
}

fn sample() -> ShardState {
    ShardState {
        topics: vec![TopicState { config: TopicConfig::new("T", 4, 6), most_queues: 8 }],
        topics_version: VersionState { timestamp: 1, counter: 2 },
        groups: vec![SubscriptionGroup::new("G")],
        groups_version: VersionState::default(),
        offsets: vec![GroupOffsets {
            group: "a group with a long name".to_owned(),
            topics: vec![("T".to_owned(), vec![(0, 7), (3, u64::MAX)])],
        }],
        locks: vec![GroupLocks {
            group: "G".to_owned(),
            held: vec![("a client with a long name".to_owned(), "T".to_owned(), 3)],
        }],
    }
}

/// FNV-1a of what is written for the same values, in each version that there was. A line is never changed: what a
/// released version wrote is what it wrote. Where a format changes its version rises, and another line comes.
const WRITTEN: [(&str, u8, u64); 6] = [
    ("state", 1, 0xEED8_76BA_F4F6_F207),
    ("state", 2, 0x9FB9_6BAF_D23B_E993),
    ("topic config", 1, 0x5D29_A6FB_3B92_6B82),
    ("group command", 1, 0x1928_225A_991F_9EA1),
    ("consumer offsets", 1, 0x3341_B3F3_67DF_DBD3),
    ("queue locks", 1, 0x3676_9585_7753_4EB1),
];

#[test]
fn no_format_changes_without_a_version() {
    let fnv = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
    let queues = vec![(3, 7)];
    let update = OffsetUpdate { group: "G".into(), topic: "T".into(), queues };
    let groups = [
        GroupCommand::Put(SubscriptionGroup::new("G")).to_bytes(),
        GroupCommand::Delete { name: "G".into(), offsets: true }.to_bytes(),
    ];
    let now = [
        ("state", 1, sample().to_bytes()),
        ("state", 1, format::bytes_before(sample())),
        ("topic config", 0, TopicConfig::new("T", 4, 6).to_bytes()),
        ("group command", 0, groups.concat()),
        ("consumer offsets", 0, ConsumerOffsets { updates: vec![update] }.to_bytes()),
        ("queue locks", 0, QueueLocks::new(("G", "c"), true, &[("T".into(), 3)]).to_bytes()),
    ];
    let mut changed = Vec::new();
    for (name, version_at, bytes) in now {
        let (version, hash) = (bytes[version_at], bytes.iter().fold(0xCBF2_9CE4_8422_2325, fnv));
        if !WRITTEN.contains(&(name, version, hash)) {
            changed.push(format!("{name:?}, {version}, {hash:#018x}"));
        }
    }
    assert!(
        changed.is_empty(),
        "other bytes than before are written, {changed:?}: docs/format/README.md says what to do at a new version"
    );
}

#[test]
fn no_bytes_make_it_panic() {
    let bytes = sample().to_bytes();
    assert_eq!(ShardState::from_bytes(&bytes), Ok(sample()));
    for end in 0..bytes.len() {
        assert!(ShardState::from_bytes(&bytes[..end]).is_err());
    }
    for at in 0..bytes.len() {
        for flip in [1, 0x80, 0xFF] {
            let mut bad = bytes.clone();
            bad[at] ^= flip;
            // Some flips make another valid state; none makes a panic.
            drop(ShardState::from_bytes(&bad));
        }
    }
    let other = [1, 9, 0, 0];
    assert_eq!(ShardState::from_bytes(&other), Err(StateError::Version { found: Some([1, 9]) }));
    let text = ShardState::from_bytes(&other).expect_err("another version").to_string();
    assert!(
        text.contains("begins with Some([1, 9])") && text.contains("reads [1, 1] and [1, 2]"),
        "{text}"
    );
    let before = format::bytes_before(sample());
    let without = ShardState { locks: Vec::new(), ..sample() };
    assert_eq!(ShardState::from_bytes(&before), Ok(without), "what version 1 wrote is read");
}

#[test]
fn no_damage_makes_it_panic() {
    in_simulation(5, || async {
        let intact = sample().to_bytes();
        for _ in 0..4096 {
            let mut bytes = intact.clone();
            let at = below(u32::try_from(bytes.len()).expect("a short state")) as usize;
            for byte in bytes[at..].iter_mut().take(1 + below(16) as usize) {
                *byte = u8::try_from(below(256)).expect("a byte");
            }
            drop(ShardState::from_bytes(&bytes));
        }
    });
}

#[test]
fn many_queues_and_offsets_stay_small() {
    in_simulation(1, || async {
        let shard = shard(1).await;
        let (topics, groups) = (100, 10);
        for number in 0..topics {
            let topic = TopicConfig::new(&format!("a topic of usual length {number:06}"), 10, 6);
            take(&shard, &Change::Topic(topic));
        }
        for group in 0..groups {
            for number in 0..topics {
                let update = OffsetUpdate {
                    group: format!("a group of usual length {group:06}"),
                    topic: format!("a topic of usual length {number:06}"),
                    queues: (0..10).map(|queue| (queue, 1_000_000)).collect(),
                };
                take(&shard, &Change::Offsets(ConsumerOffsets { updates: vec![update] }));
            }
        }
        let state = of(&shard);
        let bytes = state.to_bytes();
        let offsets = (groups * topics * 10) as usize;
        assert!(bytes.len() < 24 * offsets + 200 * topics as usize, "{} bytes", bytes.len());
        assert_eq!(ShardState::from_bytes(&bytes), Ok(state));
    });
}
