//! A member whose log is damaged while it runs gets from the others what it had.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use model::{PhysicalOffset, QueueOffset};
use runtime::{File, OpenMode, now, sleep};
use storage::{Damaged, EntryLog, Event, Options, ReadError, Scale, Store, StoreError, Unit};

use super::member::{LIMIT, Live, QUEUE, TOPIC, entries, named, options, until};
use super::{alone, join, simulated};

const BLOCK: u64 = 4096;

/// Changes a bit in each of so many blocks from this one on, behind everybody's back.
async fn rot(dir: &Path, first: u64, count: u64) {
    let size = options(dir).segment_size;
    for block in first..first + count {
        let (segment, at) = (block * BLOCK / size * size, block * BLOCK % size);
        let path: PathBuf = dir.join("log").join(format!("{segment:020}"));
        let file = File::open(&path, OpenMode::ReadWrite).await.unwrap();
        let bytes = file.read_at(at, BLOCK as usize).await.unwrap();
        let mut copy = file.buffer(BLOCK as usize);
        copy.copy_from_slice(&bytes);
        copy[1234] ^= 1;
        file.write_at(&Rc::new(copy), at).await.unwrap();
        file.sync().await.unwrap();
        file.close().await.unwrap();
    }
}

/// Where messages of the queue are.
async fn units(live: &Live, from: u64, most: usize) -> Vec<Unit> {
    let units = live.store.older_units(TOPIC, QUEUE, QueueOffset(from), most).await.unwrap();
    units.into_iter().map(|(_, unit)| unit).collect()
}

/// Pulls all messages of the queue, one by one; those that cannot be read are tried again for a while.
async fn pull_all(live: &Live) -> u64 {
    let (mut next, end, mut failures) = (0, live.messages(), 0);
    while next < end {
        let units = units(live, next, 1).await;
        let read = live.store.read_units(&units).await;
        match read {
            Ok(records) => {
                assert_eq!(records.len(), 1);
                next += 1;
            }
            Err(ReadError::Damaged { .. }) => {
                failures += 1;
                assert!(failures < 2000, "message {next} is not repaired");
                sleep(Duration::from_millis(10)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    failures
}

async fn three(count: u64) -> [Live; 3] {
    alone(Path::new("/a"), count, PhysicalOffset(0)).await;
    let first = Live::start(Path::new("/a"), 0).await;
    first.found().await;
    let second = join(&first, Live::start(Path::new("/b"), 1).await, 1).await;
    let third = join(&first, Live::start(Path::new("/c"), 2).await, 2).await;
    first.send(20, 1000).await;
    let all = [first, second, third];
    let messages = all[0].messages();
    until("all have all", || all.iter().all(|member| member.messages() == messages)).await;
    all
}

async fn assert_same_logs(all: [Live; 3]) {
    for member in all {
        member.stop().await.unwrap();
    }
    let first = entries(Path::new("/a")).await;
    for dir in ["/b", "/c"] {
        let other = entries(Path::new(dir)).await;
        assert_eq!(first.len(), other.len());
        for (one, other) in first.iter().zip(&other) {
            assert_eq!((one.head, one.offset), (other.head, other.offset), "{dir}");
            assert_eq!(one.payload[..], other.payload[..], "{dir}, entry {}", one.head.index);
        }
    }
}

#[test]
fn what_a_consumer_cannot_read_is_repaired_by_a_follower_and_by_a_leader() {
    simulated(|| async {
        let all = three(300).await;
        for (member, dir, first) in [(&all[1], "/b", 30), (&all[0], "/a", 90)] {
            rot(Path::new(dir), first, 12).await;
            assert!(pull_all(member).await > 0, "it was damaged");
            assert_eq!(pull_all(member).await, 0, "and is not any more");
        }
        assert!(all[0].leads(), "whoever repairs leads on");
        all[0].send(10, 100).await;
        assert_same_logs(all).await;
    });
}

#[test]
fn a_leader_repairs_what_a_newcomer_lacks_and_sends_it() {
    simulated(|| async {
        let all = three(300).await;
        rot(Path::new("/a"), 40, 20).await;
        let messages = all[0].messages();
        let fourth = Live::start(Path::new("/d"), 3).await;
        all[0].node.raft().add_learner(fourth.id, named(3), false).await.unwrap();
        until("it has all", || fourth.messages() == messages).await;
        assert!(all[0].leads());
        fourth.stop().await.unwrap();
        assert_same_logs(all).await;
    });
}

#[test]
fn what_is_damaged_in_all_members_is_not_served_and_nobody_ends() {
    simulated(|| async {
        let all = three(300).await;
        for dir in ["/a", "/b", "/c"] {
            rot(Path::new(dir), 50, 1).await;
        }
        let units = units(&all[1], 0, 300).await;
        let mut refused = 0;
        for unit in &units {
            refused += u64::from(all[1].store.read_units(&[*unit]).await.is_err());
        }
        assert!(refused > 0);
        sleep(Duration::from_secs(30)).await;
        let still = units.iter().map(|unit| all[1].store.read_units(std::slice::from_ref(unit)));
        let still = futures::future::join_all(still).await;
        assert_eq!(still.iter().filter(|read| read.is_err()).count() as u64, refused);
        all[0].send(10, 100).await;
        assert!(all.iter().all(|member| member.failed.borrow().is_none()));
        for member in all {
            member.stop().await.unwrap();
        }
    });
}

#[test]
fn what_nobody_has_keeps_nothing_else_from_being_repaired() {
    simulated(|| async {
        let all = three(300).await;
        for dir in ["/a", "/b", "/c"] {
            rot(Path::new(dir), 30, 1).await;
        }
        rot(Path::new("/b"), 400, 1).await;
        let (mut all_units, mut is_lost) = (Vec::new(), Vec::new());
        while (all_units.len() as u64) < all[0].messages() {
            all_units.extend(units(&all[0], all_units.len() as u64, 300).await);
        }
        for unit in &all_units {
            is_lost.push(all[0].store.read_units(std::slice::from_ref(unit)).await.is_err());
        }
        assert!(is_lost.contains(&true), "nobody has it");
        // A consumer tries again and again what nobody has, and whatever else there is.
        let (mut rounds, end) = (0, now() + LIMIT);
        loop {
            let mut refused = 0;
            for (unit, is_lost) in all_units.iter().zip(&is_lost) {
                let read = all[1].store.read_units(std::slice::from_ref(unit)).await;
                refused += u64::from(read.is_err() && !is_lost);
            }
            if refused == 0 {
                break;
            }
            assert!(now() < end, "{refused} messages are not repaired");
            rounds += 1;
            sleep(Duration::from_millis(100)).await;
        }
        assert!(rounds > 0, "something else was damaged");
        for member in all {
            member.stop().await.unwrap();
        }
    });
}

/// Why a start is refused, which is damage.
async fn refused(dir: &Path) -> PhysicalOffset {
    let (_store, mut events, _opening) = Store::open_member(options(dir)).await.unwrap();
    loop {
        match events.next().await {
            Event::Failed(StoreError::Damage(damage)) => return damage.offset,
            Event::StateWanted(wanted) => wanted.give(b"state".to_vec()),
            Event::Recovered(_) | Event::Stopped | Event::Failed(_) => panic!("it is not refused"),
            _ => {}
        }
    }
}

#[test]
fn a_member_that_does_not_start_is_repaired_and_starts() {
    simulated(|| async {
        let [first, second, third] = three(300).await;
        for _ in 0..6 {
            first.send(1, 6000).await;
        }
        let messages = first.messages();
        until("it has all", || second.messages() == messages).await;
        let end = second.store.written().0;
        second.stop().await.unwrap();
        // Behind the newest checkpoint, and before the last entries.
        rot(Path::new("/b"), (end - 20_000) / BLOCK, 1).await;
        let at = refused(Path::new("/b")).await;
        sleep(Duration::from_secs(1)).await; // its locks are free
        let mut log = Damaged::open(&options(Path::new("/b"))).await.unwrap();
        raft::repair_at_start(&mut log, &third.peers, at).await.expect("it is repaired");
        drop(log);
        let second = Live::start(Path::new("/b"), 1).await;
        first.send(10, 100).await;
        let messages = first.messages();
        until("it has all", || second.messages() == messages).await;
        assert_same_logs([first, second, third]).await;
    });
}

#[test]
fn a_damaged_tail_whose_end_nobody_knows_is_not_repaired() {
    simulated(|| async {
        let [first, second, third] = three(300).await;
        let end = second.store.written().0;
        second.stop().await.unwrap();
        first.send(10, 1000).await;
        rot(Path::new("/b"), (end - 1) / BLOCK, 1).await;
        let at = refused(Path::new("/b")).await;
        sleep(Duration::from_secs(1)).await;
        let mut log = Damaged::open(&options(Path::new("/b"))).await.unwrap();
        let why = raft::repair_at_start(&mut log, &third.peers, at).await.expect_err("no end");
        assert!(!why.is_final, "it may be that others have more");
        let why = why.to_string();
        assert!(why.contains("nothing is intact here that would prove them"), "{why}");
        drop(log);
        assert!(EntryLog::open(&options(Path::new("/b"))).await.is_err(), "it is as it was");
        for member in [first, third] {
            member.stop().await.unwrap();
        }
    });
}

#[test]
fn no_more_is_asked_for_than_the_log_can_reach() {
    simulated(|| async {
        let dir = Path::new("/b");
        let [first, second, third] = three(300).await;
        let end = second.store.written().0;
        second.stop().await.unwrap();
        first.send(40, 40_000).await;
        rot(dir, (end - 1) / BLOCK, 1).await;
        let at = refused(dir).await;
        sleep(Duration::from_secs(1)).await;
        let scale = Scale { furthest: 50_000, ..options(dir).scale };
        let mut log = Damaged::open(&Options { scale, ..options(dir) }).await.unwrap();
        let why = raft::repair_at_start(&mut log, &third.peers, at).await.expect_err("no end");
        assert!(why.is_final, "{why}");
        let why = why.to_string();
        assert!(why.contains("further than which this log cannot reach"), "{why}");
        drop(log);
        for member in [first, third] {
            member.stop().await.unwrap();
        }
    });
}
