//! A disk without room: the store stops, starts and serves all the same, and goes on once there is some.

mod support;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{PhysicalOffset, QueueId};
use runtime::fs;
use runtime::sim::{Disk, Node, Simulation};
use storage::{AppendError, CommandKind, Options, Scale, Warning};
use support::{Opened, draft, open, options};

const LIMIT: Duration = Duration::from_secs(3600);
const STORE: &str = "/store";
const LEN: usize = 300_000;
const QUEUE: QueueId = QueueId(0);

fn node() -> (Simulation, Node, Disk) {
    let sim = Simulation::new(1);
    let node = sim.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let disk = node.disk();
    (sim, node, disk)
}

fn size() -> u64 {
    options(Path::new(STORE)).segment_size
}

/// Sends until the log reaches beyond `offset`; the number of messages.
async fn fill(opened: &mut Opened, offset: u64) -> u64 {
    let mut sent = 0;
    let mut at = 0;
    while at < offset {
        opened.append("T", QUEUE, &vec![0x5A; LEN]).await;
        at = opened.collect(1).await[0].physical.0;
        sent += 1;
    }
    sent
}

async fn new_store(offset: u64) -> (Opened, u64) {
    let mut opened = open(options(Path::new(STORE))).await;
    opened.store.append_create_topic("T", 1, b"").expect("room");
    let sent = fill(&mut opened, offset).await;
    opened.answer().await;
    (opened, sent)
}

/// Sends until the disk has no room for what the log needs; the messages that came back.
async fn until_full(opened: &mut Opened) -> u64 {
    let before = opened.store.queue("T", QUEUE).expect("the queue is there").max.0;
    while !opened.store.stats().full {
        match opened.store.append_message(&draft("T", QUEUE, &vec![1; LEN])) {
            Ok(()) | Err(AppendError::NoSegment | AppendError::Full) => {}
            Err(error) => panic!("{error}"),
        }
        opened.answer().await;
    }
    opened.answer().await;
    opened.store.queue("T", QUEUE).expect("the queue is there").max.0 - before
}

async fn all_are_there(opened: &Opened, messages: u64) {
    let units = opened.units("T", QUEUE).await;
    assert_eq!(units.len() as u64, messages);
    for (_, unit) in [units[0], units[units.len() - 1]] {
        opened.store.read_units(&[unit]).await.expect("intact");
    }
}

#[test]
fn a_stop_on_a_full_disk_ends_and_loses_nothing() {
    let (sim, node, disk) = node();
    let life = node.start("full", || async {
        let (mut opened, sent) = new_store(size() * 3 / 4).await;
        runtime::sleep(Duration::from_secs(10)).await; // the next segment's file is there
        let sent = sent + until_full(&mut opened).await;
        opened.store.append_command(CommandKind(9), b"waits").expect("commands are taken");
        let began = runtime::now();
        opened.stop().await;
        assert!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
        sent
    });
    let there = |name: &str| disk.files().iter().any(|(path, _)| path.ends_with(name));
    sim.run_for(Duration::from_secs(5));
    assert!(there("spare.0"), "{:?}", disk.files());
    disk.resize(disk.used());
    let sent = sim.join(life, LIMIT).expect("it ends");
    node.crash();
    disk.resize(u64::MAX / 2);
    let life = node.start("room", move || async move {
        let mut opened = open(options(Path::new(STORE))).await;
        assert!(opened.recovery.clean);
        all_are_there(&opened, sent).await;
        let more = fill(&mut opened, 3 * size()).await;
        all_are_there(&opened, sent + more).await;
        opened.stop().await;
    });
    sim.join(life, LIMIT).expect("it ends");
}

#[test]
fn a_start_on_a_full_disk_serves_without_the_index_and_may_trim() {
    let (sim, node, disk) = node();
    let life = node.start("before", || async {
        let (opened, sent) = new_store(5 * size() + size() / 2).await;
        opened.stop().await;
        for file in fs::list(Path::new(STORE).join("index")).await.expect("readable") {
            let path = Path::new(STORE).join("index").join(file.name);
            fs::remove_file(path).await.expect("removable");
        }
        // Room that the next start would make.
        let half_zeroed = Path::new(STORE).join("log").join("spare.tmp");
        if fs::exists(&half_zeroed).await.expect("readable") {
            fs::remove_file(half_zeroed).await.expect("removable");
        }
        sent
    });
    let sent = sim.join(life, LIMIT).expect("it ends");
    node.crash();
    disk.resize(disk.used());
    let life = node.start("full", move || async move {
        let mut opened = open(options(Path::new(STORE))).await;
        assert_eq!(opened.recovery.records, sent);
        all_are_there(&opened, sent).await;
        let full = opened.store.append_message(&draft("T", QUEUE, b"more"));
        assert_eq!(full, Err(AppendError::Full));
        let to = PhysicalOffset(3 * size());
        opened.store.append_trim(to).await.expect("its checkpoint is there");
        while opened.store.stats().min < to {
            opened.drain_some().await;
        }
        // The space of the segments is free: the index is written, and messages are taken again.
        runtime::sleep(Duration::from_secs(10)).await;
        opened.answer().await;
        assert!(!opened.store.stats().full);
        let left = opened.units("T", QUEUE).await.len() as u64;
        let more = fill(&mut opened, 7 * size()).await;
        all_are_there(&opened, left + more).await;
        opened.stop().await;
        left + more
    });
    let left = sim.join(life, LIMIT).expect("it ends");
    node.crash();
    let life = node.start("after", move || async move {
        let opened = open(options(Path::new(STORE))).await;
        assert!(opened.restored.is_some(), "there is a checkpoint again");
        all_are_there(&opened, left).await;
        opened.stop().await;
    });
    sim.join(life, LIMIT).expect("it ends");
}

#[test]
fn a_segment_that_is_not_due_has_no_space_that_a_checkpoint_needs() {
    let (sim, node, disk) = node();
    let life = node.start("cramped", || async {
        let scale = Scale { interval: 1 << 20, ..Scale::default() };
        let mut opened = open(Options { scale, ..options(Path::new(STORE)) }).await;
        opened.store.append_create_topic("T", 1, b"").expect("room");
        let mut sent = 0;
        // To the middle of the second segment, whose file is there: nothing but checkpoints and the index need space.
        while opened.store.stats().max.0 < size() + size() / 2 {
            match opened.store.append_message(&draft("T", QUEUE, &vec![1; LEN])) {
                Ok(()) => sent += 1,
                Err(AppendError::NoSegment | AppendError::Full) => {}
                Err(error) => panic!("{error}"),
            }
            runtime::sleep(Duration::from_millis(20)).await;
            opened.answer().await;
        }
        assert!(!opened.store.stats().full);
        all_are_there(&opened, sent).await;
        opened.stop().await;
    });
    let second = format!("{:020}", size());
    let there = |end: &str| {
        let files = disk.files();
        files.iter().any(|(path, len)| path.ends_with(end) && *len == size())
    };
    assert!(sim.run_until(LIMIT, || there(&second) && there("spare.tmp")));
    disk.resize(disk.used() + 8192);
    sim.join(life, LIMIT).expect("it ends");
}

#[test]
fn a_needless_checkpoint_that_stays_is_a_warning() {
    let (sim, node, _) = node();
    let life = node.start("life", || async {
        let (mut opened, sent) = new_store(size() + 1).await;
        // No checkpoint is a directory, so nothing that removes files removes it.
        let stays = PathBuf::from(format!("{STORE}/checkpoints/{:020}", 123));
        fs::create_dir_all(&stays).await.expect("writable");
        let more = fill(&mut opened, 5 * size()).await;
        opened.answer().await;
        let [Warning::Leftover(error)] = &opened.warnings[..] else {
            panic!("{:?}", opened.warnings)
        };
        assert!(error.to_string().contains("123"), "{error}");
        all_are_there(&opened, sent + more).await;
        opened.stop().await;
    });
    sim.join(life, LIMIT).expect("it ends");
}
