//! What a simulated disk does wrong when it is told to, and that the seed decides all of it.
#![allow(clippy::unwrap_used, reason = "a test: it panics on errors")]

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::Duration;

use runtime::fs::{self, LockError};
use runtime::sim::{DiskOp, Node, Simulation, When};
use runtime::{BLOCK, Buffer, File, IoError, OpenMode, now, sleep};

const LIMIT: Duration = Duration::from_secs(600);
const BLOCK_LEN: u64 = BLOCK as u64;

fn world(seed: u64) -> (Simulation, Node) {
    let sim = Simulation::new(seed);
    let node = sim.node("n0", Ipv4Addr::new(10, 0, 0, 1));
    (sim, node)
}

/// Runs `body` on the node to its end.
fn run<T: Send + 'static, Fut: Future<Output = T> + 'static>(
    sim: &Simulation,
    node: &Node,
    body: impl FnOnce() -> Fut + Send + 'static,
) -> T {
    sim.join(node.start("test", body), LIMIT).unwrap()
}

fn filled(len: usize, byte: u8) -> Rc<Buffer> {
    let mut buffer = runtime::buffer(len);
    buffer.fill(byte);
    Rc::new(buffer)
}

fn errno<T>(result: Result<T, IoError>) -> Option<i32> {
    result.err().and_then(|error| error.source.raw_os_error())
}

async fn create(path: &str) -> File {
    File::open(path, OpenMode::CreateNew).await.unwrap()
}

#[test]
fn a_power_cut_keeps_what_was_made_durable_and_any_part_of_the_rest() {
    let mut outcomes = BTreeSet::new();
    for seed in 0..60 {
        let (sim, node) = world(seed);
        run(&sim, &node, || async {
            let synced = create("/synced").await;
            synced.write_at(&filled(BLOCK, 1), 0).await.unwrap();
            synced.sync().await.unwrap();
            let durable = File::open_dsync("/durable", OpenMode::CreateNew).await.unwrap();
            durable.write_at(&filled(BLOCK, 2), 0).await.unwrap();
            fs::sync_dir("/").await.unwrap();
            synced.write_at(&filled(BLOCK, 3), BLOCK_LEN).await.unwrap();
            create("/unsynced").await;
            fs::rename("/durable", "/moved").await.unwrap();
        });
        node.power_cut();
        let files: Vec<_> = node.disk().files();
        let names: Vec<_> = files.iter().map(|(path, _)| path.to_str().unwrap()).collect();
        let moved = names.contains(&"/moved");
        assert!(moved != names.contains(&"/durable"), "a rename is atomic: {names:?}");
        let content = node.disk().content(if moved { "/moved" } else { "/durable" });
        assert_eq!(content, [2; BLOCK]);
        let synced = node.disk().content("/synced");
        assert_eq!(synced[..BLOCK], [1; BLOCK]);
        outcomes.insert((moved, names.contains(&"/unsynced"), synced.len() > BLOCK));
    }
    assert!(outcomes.len() >= 7, "the seed decides each on its own: {outcomes:?}");
}

#[test]
fn a_write_in_flight_may_be_there_after_a_power_cut_and_after_a_crash_and_does_not_land_later() {
    let survivors = |cut: bool| {
        let there = (0..60).filter(|seed| {
            let (sim, node) = world(*seed);
            run(&sim, &node, || async {
                let file = create("/f").await;
                file.allocate(BLOCK_LEN).await.unwrap();
                file.sync().await.unwrap();
                fs::sync_dir("/").await.unwrap();
            });
            drop(node.start("write", || async {
                let file = File::open("/f", OpenMode::ReadWrite).await.unwrap();
                sleep(Duration::from_millis(1)).await;
                file.write_at(&filled(BLOCK, 1), 0).await.unwrap();
                panic!("the power goes before");
            }));
            sim.run_for(Duration::from_micros(500));
            node.disk().slow(1000);
            sim.run_for(Duration::from_millis(5));
            if cut {
                node.power_cut()
            } else {
                node.crash()
            }
            let at_once = node.disk().content("/f");
            sim.run_for(Duration::from_secs(1));
            assert!(node.disk().content("/f") == at_once, "it belongs to the life before");
            let written = at_once.iter().filter(|byte| **byte == 1).count();
            assert!(cut || [0, BLOCK].contains(&written), "a crash tears nothing");
            written > 0
        });
        there.count()
    };
    for cut in [false, true] {
        let survivors = survivors(cut);
        assert!((5..55).contains(&survivors), "{survivors} of 60");
    }
}

#[test]
fn locks_are_gone_after_a_power_cut() {
    let (sim, node) = world(1);
    let lock = || async {
        let lock = fs::lock_exclusive("/lock").await.unwrap();
        assert!(matches!(fs::lock_exclusive("/lock").await, Err(LockError::Held { .. })));
        sleep(Duration::from_secs(1)).await;
        drop(lock);
    };
    drop(node.start("first", lock));
    sim.run_for(Duration::from_millis(500));
    node.power_cut();
    run(&sim, &node, lock);
}

#[test]
fn the_nth_operation_fails_once() {
    let (sim, node) = world(2);
    node.disk().fail(DiskOp::Write, When::Nth(2));
    node.disk().fail(DiskOp::Read, When::Nth(3));
    node.disk().fail(DiskOp::Metadata, When::Nth(3));
    run(&sim, &node, || async {
        let file = create("/f").await;
        let block = filled(BLOCK, 1);
        file.write_at(&block, 0).await.unwrap();
        assert_eq!(errno(file.write_at(&block, 0).await), Some(libc::EIO));
        file.write_at(&block, 0).await.unwrap();
        for nth in 1..=4 {
            assert_eq!(errno(file.read_at(0, 10).await), (nth == 3).then_some(libc::EIO), "{nth}");
        }
        file.truncate(BLOCK_LEN).await.unwrap();
        assert_eq!(errno(fs::rename("/f", "/g").await), Some(libc::EIO));
        assert!(fs::exists("/f").await.unwrap());
    });
    assert_eq!(node.disk().failures(), 3);
}

#[test]
fn a_failed_write_may_have_written_any_sector() {
    let mut seen = BTreeSet::new();
    for seed in 0..40 {
        let (sim, node) = world(seed);
        let disk = node.disk();
        disk.fail(DiskOp::Write, When::Nth(2));
        run(&sim, &node, || async {
            let file = File::open_dsync("/f", OpenMode::CreateNew).await.unwrap();
            file.write_at(&filled(BLOCK, 1), 0).await.unwrap();
            assert_eq!(errno(file.write_at(&filled(2 * BLOCK, 2), 0).await), Some(libc::EIO));
            assert_eq!(file.len().await.unwrap(), BLOCK_LEN);
        });
        seen.insert(disk.content("/f").iter().filter(|byte| **byte == 2).count() / 512);
    }
    assert!(seen.contains(&0) && seen.contains(&8) && seen.len() > 3, "{seen:?}");
}

#[test]
fn after_a_failed_sync_later_ones_succeed_and_persist_only_what_is_new() {
    let (sim, node) = world(3);
    node.disk().fail(DiskOp::Flush, When::Nth(3));
    run(&sim, &node, || async {
        let file = create("/f").await;
        fs::sync_dir("/").await.unwrap();
        file.write_at(&filled(3 * BLOCK, 1), 0).await.unwrap();
        file.sync().await.unwrap();
        file.write_at(&filled(BLOCK, 2), 0).await.unwrap();
        assert_eq!(errno(file.sync().await), Some(libc::EIO));
        file.write_at(&filled(BLOCK, 3), BLOCK_LEN).await.unwrap();
        file.sync().await.unwrap();
        assert_eq!(file.read_at(0, 1).await.unwrap()[..], [2], "it can still be read");
    });
    node.crash();
    assert_eq!(node.disk().content("/f")[0], 2, "also by the next process");
    node.power_cut();
    let content = node.disk().content("/f");
    assert_eq!([0, BLOCK, 2 * BLOCK].map(|at| content[at]), [1, 3, 1]);
}

#[test]
fn a_disk_that_lies_persists_nothing_it_says_it_does() {
    let mut lost = [0; 3];
    for seed in 0..40 {
        let (sim, node) = world(seed);
        run(&sim, &node, || async {
            create("/f").await;
            File::open_dsync("/d", OpenMode::CreateNew).await.unwrap();
            fs::sync_dir("/").await.unwrap();
        });
        node.disk().lie(true);
        run(&sim, &node, || async {
            let synced = File::open("/f", OpenMode::ReadWrite).await.unwrap();
            synced.write_at(&filled(BLOCK, 1), 0).await.unwrap();
            synced.sync().await.unwrap();
            let durable = File::open_dsync("/d", OpenMode::ReadWrite).await.unwrap();
            durable.write_at(&filled(BLOCK, 1), 0).await.unwrap();
            create("/g").await;
            fs::sync_dir("/").await.unwrap();
        });
        node.disk().heal();
        node.power_cut();
        let disk = node.disk();
        lost[0] += u32::from(!disk.content("/f").starts_with(&[1]));
        lost[1] += u32::from(!disk.content("/d").starts_with(&[1]));
        lost[2] += u32::from(disk.files().len() < 3);
    }
    assert!(lost.iter().all(|times| *times > 5), "{lost:?}");
}

#[test]
fn a_slow_disk_takes_longer_and_a_stalled_one_waits() {
    let (sim, node) = world(4);
    let write = || async {
        let file = create(&format!("/{}", runtime::random_u64())).await;
        let start = now();
        file.write_at(&filled(BLOCK, 1), 0).await.unwrap();
        start.elapsed()
    };
    assert!(run(&sim, &node, write) < Duration::from_micros(200));
    node.disk().slow(100);
    let slow = run(&sim, &node, write);
    assert!(slow > Duration::from_millis(1) && slow < Duration::from_millis(20), "{slow:?}");
    node.disk().heal();
    node.disk().stall(Duration::from_secs(3));
    let before = sim.now();
    run(&sim, &node, write);
    assert!(sim.now() - before >= Duration::from_secs(3));
    assert!(run(&sim, &node, write) < Duration::from_micros(200));
}

#[test]
fn a_full_disk_refuses_until_there_is_space() {
    let (sim, node) = world(5);
    node.disk().resize(4 * BLOCK_LEN);
    run(&sim, &node, || async {
        let file = create("/a").await;
        file.allocate(2 * BLOCK_LEN).await.unwrap();
        assert_eq!(fs::space("/").await.unwrap().available, 2 * BLOCK_LEN);
        let error = file.write_at(&filled(5 * BLOCK, 1), 0).await.err().unwrap();
        assert!(error.is_storage_full(), "{error}");
        assert_eq!(fs::space("/").await.unwrap().available, 0, "what fitted was written");
    });
    assert_eq!(node.disk().content("/a"), [1; 4 * BLOCK]);
    let refused = run(&sim, &node, || async {
        File::open("/b", OpenMode::CreateNew).await.err().unwrap().kind()
    });
    assert_eq!(refused, ErrorKind::StorageFull);
}

#[test]
fn space_comes_back_when_a_file_is_removed_and_closed_or_the_disk_grows() {
    let (sim, node) = world(6);
    let disk = node.disk();
    disk.resize(2 * BLOCK_LEN);
    run(&sim, &node, || async {
        let file = create("/a").await;
        let other = create("/b").await;
        file.write_at(&filled(2 * BLOCK, 1), 0).await.unwrap();
        file.write_at(&filled(2 * BLOCK, 2), 0).await.unwrap(); // what has a place can be written again
        let full = |error: IoError| assert_eq!(error.kind(), ErrorKind::StorageFull);
        full(other.write_at(&filled(BLOCK, 1), 0).await.unwrap_err());
        full(other.allocate(BLOCK_LEN).await.unwrap_err());
        full(File::open("/c", OpenMode::CreateNew).await.unwrap_err());
        full(fs::create_dir_all("/d/e").await.unwrap_err());
        fs::remove_file("/a").await.unwrap();
        full(other.allocate(BLOCK_LEN).await.unwrap_err()); // still open
        file.close().await.unwrap();
        assert_eq!(fs::space("/").await.unwrap().available, 2 * BLOCK_LEN);
        other.allocate(2 * BLOCK_LEN).await.unwrap();
        assert_eq!(fs::space("/").await.unwrap().available, 0);
    });
    assert_eq!(disk.used(), 2 * BLOCK_LEN);
    disk.resize(3 * BLOCK_LEN);
    run(&sim, &node, || async { create("/c").await.allocate(BLOCK_LEN).await.unwrap() });
}

#[test]
fn bits_rot_and_sectors_cannot_be_read_until_written() {
    let (sim, node) = world(7);
    run(&sim, &node, || async {
        let file = create("/f").await;
        file.write_at(&filled(3 * BLOCK, 0), 0).await.unwrap();
        file.sync().await.unwrap();
        fs::sync_dir("/").await.unwrap();
    });
    node.disk().flip_bit("/f", 8 * 5000 + 3);
    node.disk().spoil("/f", 2 * BLOCK_LEN + 7..2 * BLOCK_LEN + 8);
    node.power_cut();
    run(&sim, &node, || async {
        let file = File::open("/f", OpenMode::ReadWrite).await.unwrap();
        let read = file.read_at(0, 2 * BLOCK).await.unwrap();
        assert_eq!(read.iter().map(|byte| u64::from(*byte)).sum::<u64>(), 8);
        assert_eq!(read[5000], 8);
        for _ in 0..2 {
            assert_eq!(errno(file.read_at(2 * BLOCK_LEN, 1).await), Some(libc::EIO));
        }
        file.write_at(&filled(BLOCK, 5), 2 * BLOCK_LEN).await.unwrap();
        assert_eq!(file.read_at(2 * BLOCK_LEN, 1).await.unwrap()[..], [5]);
    });
    assert_eq!(node.disk().failures(), 2);
}

/// Writers on a disk with every fault, over crashes and power cuts; what was seen, and the fingerprint.
fn troubled(seed: u64) -> (u64, Vec<(std::path::PathBuf, Vec<u8>)>) {
    let (sim, node) = world(seed);
    let disk = sim.disk("n0");
    for life in 0..4 {
        disk.heal();
        for op in [DiskOp::Read, DiskOp::Write, DiskOp::Flush, DiskOp::Metadata] {
            disk.fail(op, When::OneIn(20));
        }
        disk.resize(12 * BLOCK_LEN);
        disk.slow(1 + life);
        disk.lie(life == 2);
        drop(node.start("writer", || async {
            loop {
                let path = format!("/{}", runtime::random_below(4));
                let file = match File::open_dsync(&path, OpenMode::ReadWrite).await {
                    Ok(file) => file,
                    Err(_) => match File::open(&path, OpenMode::CreateNew).await {
                        Ok(file) => file,
                        Err(_) => continue,
                    },
                };
                for _ in 0..runtime::random_below(10) {
                    let at = runtime::random_below(5) * BLOCK_LEN;
                    drop(file.write_at(&filled(BLOCK, 1), at).await);
                    drop(file.sync().await);
                    drop(file.read_at(0, 10).await);
                }
                drop(fs::rename(&path, "/moved").await);
                drop(fs::sync_dir("/").await);
            }
        }));
        sim.run_for(Duration::from_millis(40));
        if life % 2 == 0 { node.power_cut() } else { node.crash() }
    }
    let files = disk.files();
    let contents = files.into_iter().map(|(path, _)| (path.clone(), disk.content(path)));
    (sim.trace_hash(), contents.collect())
}

#[test]
fn the_same_seed_gives_the_same_faults() {
    let mut hashes = BTreeSet::new();
    for seed in 0..20 {
        let first = troubled(seed);
        assert_eq!(first, troubled(seed), "seed {seed}");
        hashes.insert(first.0);
    }
    assert_eq!(hashes.len(), 20);
}
