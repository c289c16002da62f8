//! What members come to whose disks have lost something that only others may want.

use std::net::Ipv4Addr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use model::PhysicalOffset;
use raft::Role;
use runtime::sim::Simulation;
use runtime::{File, OpenMode, fs, now, sleep};
use storage::{EntryLog, Event, Store};

use super::member::{LIMIT, Live, named, options, until};
use super::{alone, begin_otherwise, join, machine, simulated};

const BLOCK: usize = 4096;

/// The name of what is at this offset.
fn name(offset: u64) -> String {
    format!("{offset:020}")
}

async fn spoil(path: &Path, at: u64) {
    let file = File::open(path, OpenMode::ReadWrite).await.unwrap();
    let mut block = file.buffer(BLOCK);
    block.fill(0xA5);
    file.write_at(&Rc::new(block), at).await.unwrap();
    file.sync().await.unwrap();
    file.close().await.unwrap();
}

/// Segments' beginnings at which there is a checkpoint.
async fn beginnings(dir: &Path) -> Vec<u64> {
    let size = options(dir).segment_size;
    let found = fs::list(dir.join("checkpoints")).await.unwrap();
    let offsets = found.iter().filter_map(|entry| entry.name.parse::<u64>().ok());
    let mut found: Vec<u64> = offsets.filter(|offset| offset.is_multiple_of(size)).collect();
    found.sort_unstable();
    found
}

#[test]
fn a_member_whose_trimmed_log_begins_with_a_damaged_checkpoint_lives_and_brings_up_others() {
    simulated(|| async {
        let (dir, count) = (Path::new("/a"), 1600);
        let size = options(dir).segment_size;
        alone(dir, count, PhysicalOffset(size)).await;
        let at = beginnings(dir).await;
        assert!(at.len() >= 2 && at[0] == size, "{at:?}");
        // What the trim came to is in a later checkpoint.
        let (first, count) = (Live::start(dir, 0).await, count + 10);
        first.found().await;
        first.send(10, 40_000).await;
        sleep(Duration::from_secs(1)).await;
        first.stop().await.unwrap();
        spoil(&dir.join("checkpoints").join(name(size)), 0).await;
        let first = Live::start(dir, 0).await;
        until("it leads", || first.leads()).await;
        let second = join(&first, Live::start(Path::new("/b"), 1).await, 1).await;
        assert_eq!(second.messages(), count);
        first.send(3, 100).await;
        until("it has all", || second.messages() == count + 3).await;
        second.stop().await.unwrap();
        first.stop().await.unwrap();
        // None of them is left: it can bring up nobody, and is a member all the same.
        for offset in beginnings(dir).await {
            spoil(&dir.join("checkpoints").join(name(offset)), 0).await;
        }
        let (first, second) = (Live::start(dir, 0).await, Live::start(Path::new("/b"), 1).await);
        until("one of them leads", || first.leads() || second.leads()).await;
        let leader = if first.leads() { &first } else { &second };
        leader.send(3, 100).await;
        until("both have all", || first.messages() == count + 6 && second.messages() == count + 6)
            .await;
        second.stop().await.unwrap();
        first.stop().await.unwrap();
    });
}

#[test]
fn a_leader_that_cannot_read_what_a_newcomer_lacks_leads_on() {
    simulated(|| async {
        let (dir, count) = (Path::new("/a"), 800);
        alone(dir, count, PhysicalOffset(0)).await;
        spoil(&dir.join("log").join(name(0)), 640 * BLOCK as u64).await;
        let first = Live::start(dir, 0).await;
        first.found().await;
        let second = Live::start(Path::new("/b"), 1).await;
        first.node.raft().add_learner(second.id, named(1), false).await.unwrap();
        until("it has the beginning", || second.store.written().0 > 100_000).await;
        sleep(Duration::from_secs(20)).await;
        assert!(first.leads() && first.failed.borrow().is_none(), "{:?}", first.failed);
        first.send(3, 100).await;
        assert_eq!(second.node.role(), Role::Following(Some(first.id)), "it is heard of");
        assert!(second.messages() < count, "what is damaged is not sent");
        second.stop().await.unwrap();
        first.stop().await.unwrap();
    });
}

#[test]
fn a_leader_whose_disk_does_not_give_what_a_newcomer_lacks_says_so_and_leads_on() {
    let (simulation, node) = machine();
    let (is_stalled, stalls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (wanted, stalled) = (Arc::clone(&stalls), Arc::clone(&is_stalled));
    let run = node.start("group", || async move {
        let (dir, count) = (Path::new("/a"), 800);
        alone(dir, count, PhysicalOffset(0)).await;
        let first = Live::start(dir, 0).await;
        first.found().await;
        let second = Live::start(Path::new("/b"), 1).await;
        wanted.store(true, Ordering::Relaxed);
        until("reads hang", || stalled.load(Ordering::Relaxed)).await;
        first.node.raft().add_learner(second.id, named(1), false).await.unwrap();
        sleep(Duration::from_secs(20)).await;
        assert_eq!(first.node.group().burden(), None, "it may take long");
        sleep(Duration::from_secs(20)).await;
        let burden = first.node.group().burden();
        assert!(burden.is_some_and(|why| why.contains("cannot be read")), "{burden:?}");
        first.send(3, 100).await;
        assert_eq!(second.messages(), 0, "it gets nothing");
        sleep(Duration::from_secs(60)).await;
        assert!(first.node.group().burden().is_some() && first.leads());
        // It is no error: what was read comes in the end.
        until("it has all", || second.messages() == count + 3).await;
        until("all is well", || first.node.group().burden().is_none()).await;
        assert!(first.failed.borrow().is_none(), "{:?}", first.failed);
        second.stop().await.unwrap();
        first.stop().await.unwrap();
    });
    assert!(simulation.run_until(LIMIT, || stalls.load(Ordering::Relaxed)), "they run");
    node.disk().stall_reads(Duration::from_secs(120));
    is_stalled.store(true, Ordering::Relaxed);
    simulation.join(run, LIMIT * 10).expect("it ends");
}

#[test]
fn a_trimmed_segment_goes_though_it_is_damaged() {
    simulated(|| async {
        let dir = Path::new("/a");
        let size = options(dir).segment_size;
        alone(dir, 1600, PhysicalOffset(0)).await;
        spoil(&dir.join("log").join(name(0)), 640 * BLOCK as u64).await;
        let member = Live::start(dir, 0).await;
        member.found().await;
        member.store.append_trim(PhysicalOffset(size)).await.unwrap();
        until("its file goes", || member.store.segments()[0].0 == PhysicalOffset(size)).await;
        assert!(member.leads() && member.failed.borrow().is_none(), "{:?}", member.failed);
        member.send(3, 100).await;
        member.stop().await.unwrap();
        let member = Live::start(dir, 0).await;
        until("it leads", || member.leads()).await;
        member.stop().await.unwrap();
    });
}

#[test]
fn a_trim_after_a_start_does_not_keep_a_member_from_answering() {
    let simulation = Simulation::new(0x5EED);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    node.disk().slow(20);
    let life = node.start("member", move || async move {
        let dir = Path::new("/a");
        let size = options(dir).segment_size;
        alone(dir, 1600, PhysicalOffset(0)).await;
        let member = Live::start(dir, 0).await;
        member.found().await;
        member.store.append_trim(PhysicalOffset(size)).await.unwrap();
        let mut longest = Duration::ZERO;
        while member.store.segments()[0].0 == PhysicalOffset(0) {
            let asked = now();
            member.node.raft().is_initialized().await.unwrap();
            longest = longest.max(asked.elapsed());
            sleep(Duration::from_millis(1)).await;
        }
        member.stop().await.unwrap();
        longest
    });
    let longest = simulation.join(life, LIMIT).expect("it ends");
    assert!(longest < Duration::from_millis(50), "{longest:?} without an answer");
}

#[test]
fn a_copy_of_a_store_that_was_alone_is_not_opened_as_a_broker_of_its_own() {
    simulated(|| async {
        let (ours, theirs) = (Path::new("/a"), Path::new("/b"));
        alone(ours, 1, PhysicalOffset(0)).await;
        let log = EntryLog::open(&options(ours)).await.unwrap();
        let founder = log.id();
        log.close().await.unwrap();
        begin_otherwise(theirs, founder).await;
        let (_store, mut events) = Store::open(options(theirs)).await.unwrap();
        let refused = loop {
            match events.next().await {
                Event::Failed(error) => break error.to_string(),
                Event::Recovered(_) => panic!("it is another store's log"),
                _ => {}
            }
        };
        assert!(refused.contains("/b/log"), "{refused}");
        // Its own is.
        let (store, events) = Store::open(options(ours)).await.unwrap();
        let owner = runtime::spawn(super::own(events));
        sleep(Duration::from_secs(1)).await;
        store.stop().await;
        assert_eq!(owner.await, None);
    });
}
