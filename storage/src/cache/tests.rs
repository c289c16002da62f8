//! The cache over a disk that counts, waits and fails.

#![allow(clippy::cast_possible_truncation, reason = "test data is small")]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use runtime::IoOp;
use runtime::sim::Simulation;

use super::*;

const W: u64 = WINDOW as u64;
const FILE: FileId = FileId(4096);

/// A file whose byte at any position is known.
struct Disk {
    len: u64,
    content: RefCell<Vec<u8>>,
    /// Reads, in the order in which they began.
    reads: RefCell<Vec<(u64, usize)>>,
    running: Cell<usize>,
    most: Cell<usize>,
    /// Blocks that cannot be read.
    bad: RefCell<BTreeSet<u64>>,
}

impl Disk {
    fn new(windows: u64) -> Rc<Self> {
        let disk = Self {
            len: windows * W,
            content: RefCell::default(),
            reads: RefCell::default(),
            running: Cell::new(0),
            most: Cell::new(0),
            bad: RefCell::default(),
        };
        disk.rewrite(1);
        Rc::new(disk)
    }

    /// Gives the file other bytes.
    fn rewrite(&self, version: u64) {
        let words = 1..=self.len / 8;
        let mixed = words.flat_map(|word| {
            (word.wrapping_mul(0x9E37_79B9_7F4A_7C15 ^ version) >> 8).to_le_bytes()
        });
        *self.content.borrow_mut() = mixed.collect();
    }

    /// Whether these are the bytes at `pos`.
    fn has(&self, pos: u64, bytes: &[u8]) -> bool {
        self.content.borrow()[pos as usize..][..bytes.len()] == *bytes
    }

    fn check(&self, pos: u64, bytes: &[u8]) {
        assert!(self.has(pos, bytes), "{} bytes at {pos}", bytes.len());
    }

    fn place(self: &Rc<Self>) -> Place<'_, Self> {
        Place { source: self, file: FILE, limit: self.len, shared: false }
    }

    fn count(&self) -> usize {
        self.reads.borrow().len()
    }
}

/// Counts a read, also one that is given up.
struct Running<'a>(&'a Disk);

impl<'a> Running<'a> {
    fn begin(disk: &'a Disk) -> Self {
        disk.running.set(disk.running.get() + 1);
        disk.most.set(disk.most.get().max(disk.running.get()));
        Self(disk)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.set(self.0.running.get() - 1);
    }
}

impl Source for Disk {
    async fn read_windows(&self, pos: u64, count: usize) -> Result<Vec<Slice>, IoError> {
        let all = self.read_at(pos, count * WINDOW).await?;
        let starts = (0..all.len()).step_by(WINDOW);
        Ok(starts.map(|at| all.slice(at..all.len().min(at + WINDOW))).collect())
    }

    async fn read_at(&self, pos: u64, len: usize) -> Result<Slice, IoError> {
        self.reads.borrow_mut().push((pos, len));
        let running = Running::begin(self);
        runtime::sleep(Duration::from_micros(50 + runtime::random_below(300))).await;
        drop(running);
        let blocks = pos / BLOCK as u64..(pos + len as u64).div_ceil(BLOCK as u64);
        if self.bad.borrow().range(blocks).next().is_some() {
            return Err(IoError::path(IoOp::Read, "/disk", io::Error::from_raw_os_error(5)));
        }
        let len = len.min(self.len.saturating_sub(pos) as usize);
        let pos = pos.min(self.len);
        let mut buffer = runtime::buffer(len.next_multiple_of(BLOCK).max(BLOCK));
        buffer[..len].copy_from_slice(&self.content.borrow()[pos as usize..][..len]);
        Ok(Slice::new(Rc::new(buffer), 0..len))
    }
}

fn simulate<Fut: Future<Output = ()> + 'static>(
    seed: u64,
    test: impl FnOnce() -> Fut + Send + 'static,
) {
    let simulation = Simulation::new(seed);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let executor = node.start("cache", test);
    let ended = simulation.join(executor, Duration::from_secs(600));
    ended.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
}

fn want(pos: u64, len: usize) -> Want {
    Want { pos, len, run: len }
}

/// As many bytes as make a window worth reading.
fn dense(pos: u64) -> Want {
    want(pos, DENSE)
}

async fn read(cache: &Cache, disk: &Rc<Disk>, want: Want) -> Slice {
    let bytes = cache.fetch(&disk.place(), want).await.expect("the disk works");
    assert!(bytes.len() >= want.len && bytes.len() <= want.run);
    disk.check(want.pos, &bytes);
    bytes
}

/// Reads at random: along, about, over the ends of windows; gives up some of the reads.
async fn wander(cache: Cache, disk: Rc<Disk>, budget: usize) {
    let below = |n: u64| runtime::random_below(n);
    let mut pos = below(disk.len);
    for _ in 0..60 {
        let len = 1 + [below(2000), below(20_000), below(3 * W)][below(3) as usize];
        let run = len + [0, below(W)][below(2) as usize];
        if pos + run > disk.len || below(8) == 0 {
            pos = below(disk.len - 4 * W);
        }
        let want = Want { pos, len: len as usize, run: run as usize };
        if below(8) == 0 {
            let patience = Duration::from_micros(below(400));
            drop(runtime::timeout(patience, read(&cache, &disk, want)).await);
        } else {
            pos += read(&cache, &disk, want).await.len() as u64;
            cache.served(FILE, want.pos, len);
        }
        assert!(cache.stats().memory <= budget as u64);
        assert!(disk.most.get() <= MAX_READS);
    }
}

#[test]
fn whatever_is_read_is_what_is_on_the_disk() {
    for seed in 0..15 {
        simulate(seed, move || async move {
            let budget = [0, WINDOW - 1, WINDOW, 3 * WINDOW, 16 * WINDOW][seed as usize % 5];
            let (cache, disk) = (Cache::new(budget), Disk::new(24));
            let readers: Vec<_> = (0..6)
                .map(|_| runtime::spawn(wander(cache.clone(), disk.clone(), budget)))
                .collect();
            for reader in readers {
                reader.await;
            }
            let stats = cache.stats();
            assert!(stats.reads > 0 && stats.misses > 0);
            assert_eq!(budget < WINDOW, stats.memory == 0, "{stats:?}");
        });
    }
}

#[test]
fn readers_of_one_window_share_its_read() {
    simulate(1, || async {
        let (cache, disk) = (Cache::new(8 * WINDOW), Disk::new(4));
        let readers: Vec<_> = (0..16)
            .map(|i| {
                let (cache, disk) = (cache.clone(), disk.clone());
                runtime::spawn(async move { drop(read(&cache, &disk, dense(i * 1000)).await) })
            })
            .collect();
        for reader in readers {
            reader.await;
        }
        assert_eq!(*disk.reads.borrow(), [(0, WINDOW)]);
        assert_eq!((cache.stats().misses, cache.stats().reads), (16, 1));
    });
}

#[test]
fn a_reader_that_goes_does_not_take_the_read_along() {
    simulate(2, || async {
        let (cache, disk) = (Cache::new(8 * WINDOW), Disk::new(4));
        let short = Duration::from_micros(10);
        let first = runtime::timeout(short, read(&cache, &disk, dense(0))).await;
        assert!(first.is_err(), "it has gone");
        let second = read(&cache, &disk, dense(0)).await;
        assert_eq!((disk.count(), second.len()), (1, DENSE));
        // Nobody waits for this one.
        let third = runtime::timeout(short, read(&cache, &disk, dense(2 * W))).await;
        assert!(third.is_err());
        runtime::sleep(Duration::from_millis(5)).await;
        let hits = cache.stats().hits;
        read(&cache, &disk, dense(2 * W)).await;
        assert_eq!((disk.count(), cache.stats().hits), (2, hits + 1));
    });
}

/// Reads the file from its beginning, by steps of half a window; how far ahead of the reader the disk was asked for
/// anything, in windows.
async fn read_along(cache: &Cache, disk: &Rc<Disk>, writes: bool) -> u64 {
    let mut furthest = 0;
    for pos in (0..disk.len).step_by(WINDOW / 2) {
        drop(writes.then(|| cache.log_writes()));
        read(cache, disk, want(pos, WINDOW / 2)).await;
        let last = |(at, len): &(u64, usize)| (at + *len as u64 - 1) / W;
        let reached = disk.reads.borrow().iter().map(last).max().expect("it was read");
        furthest = furthest.max(reached - pos / W);
        runtime::sleep(Duration::from_micros(100)).await;
    }
    furthest
}

#[test]
fn who_reads_along_finds_the_next_windows_there() {
    simulate(3, || async {
        let (cache, disk) = (Cache::new(64 * WINDOW), Disk::new(40));
        let furthest = read_along(&cache, &disk, false).await;
        assert!((AHEAD_IN_QUIET..AHEAD_IN_QUIET + TOGETHER).contains(&furthest), "{furthest}");
        let mut reads = std::mem::take(&mut *disk.reads.borrow_mut());
        reads.sort_unstable();
        let (single, together) = reads.split_at(2);
        assert_eq!(*single, [(0, WINDOW), (W, WINDOW)], "which tell nothing");
        assert_eq!(together[0], (2 * W, 2 * WINDOW));
        let whole = |i| (i * TOGETHER * W, TOGETHER as usize * WINDOW);
        assert_eq!(together[1..], (1..10).map(whole).collect::<Vec<_>>()[..], "each window once");
        let stats = cache.stats();
        assert_eq!((stats.read_ahead, stats.reads, stats.read_bytes), (38, 12, disk.len));
    });
}

#[test]
fn beside_writes_what_is_read_ahead_comes_in_small_pieces() {
    simulate(3, || async {
        let (cache, disk) = (Cache::new(8 * WINDOW), Disk::new(20));
        let furthest = read_along(&cache, &disk, true).await;
        assert!(furthest <= AHEAD, "so far ahead and not more: {furthest}");
        let whole: Vec<_> = (0..20).map(|i| (i * W, WINDOW)).collect();
        disk.reads.borrow_mut().sort_unstable();
        assert_eq!(*disk.reads.borrow(), whole, "each window once");
        let stats = cache.stats();
        assert_eq!(stats.read_ahead, 18, "all but the first two, which tell nothing");
        assert_eq!((stats.reads, stats.read_bytes), (20, disk.len));
        assert_eq!(stats.misses + stats.hits, 40);
    });
}

#[test]
fn what_was_to_be_read_together_is_not_once_the_log_is_written_to() {
    simulate(10, || async {
        let (cache, disk) = (Cache::new(64 * WINDOW), Disk::new(64));
        read(&cache, &disk, dense(0)).await;
        read(&cache, &disk, dense(W)).await; // what is behind it stands in line
        let writing = cache.log_writes();
        let before = disk.count();
        runtime::sleep(Duration::from_millis(20)).await;
        let began: Vec<_> = disk.reads.borrow()[before..].to_vec();
        assert!(!began.is_empty(), "nobody waits for ever");
        assert!(began.iter().all(|(_, len)| *len <= WINDOW), "{began:?}");
        drop(writing);
        for pos in (0..disk.len).step_by(WINDOW) {
            read(&cache, &disk, dense(pos)).await;
        }
    });
}

#[test]
fn a_bad_block_does_not_take_its_neighbours_along_again_and_again() {
    simulate(11, || async {
        let (cache, disk) = (Cache::new(64 * WINDOW), Disk::new(40));
        let bad = 11 * W + W / 2;
        disk.bad.borrow_mut().insert(bad / BLOCK as u64);
        for pos in (0..disk.len).step_by(DENSE).filter(|pos| !(11 * W..12 * W).contains(pos)) {
            read(&cache, &disk, dense(pos)).await;
        }
        let hits = |(at, len): &&(u64, usize)| (*at..*at + *len as u64).contains(&bad);
        let reads = disk.reads.borrow();
        let failed: Vec<_> = reads.iter().filter(hits).collect();
        assert_eq!(failed.iter().filter(|(_, len)| *len > WINDOW).count(), 1, "{failed:?}");
        assert!(failed.len() <= 6, "{failed:?}");
    });
}

#[test]
fn many_readers_do_not_push_out_what_was_read_ahead_for_others() {
    simulate(9, || async {
        // As many readers as the cache has room for: with four windows each they fit, with fifteen they do not.
        let (cache, disk) = (Cache::new(64 * WINDOW), Disk::new(8 * 40));
        let readers: Vec<_> = (0..8)
            .map(|reader| {
                let (cache, disk) = (cache.clone(), disk.clone());
                runtime::spawn(async move {
                    for step in 0..80 {
                        let pos = reader * 40 * W + step * W / 2;
                        read(&cache, &disk, want(pos, WINDOW / 2)).await;
                        runtime::sleep(Duration::from_micros(500)).await;
                    }
                })
            })
            .collect();
        for reader in readers {
            reader.await;
        }
        // But at its end, where it goes ahead into what the next one has done with.
        let again = cache.stats().read_bytes - disk.len;
        assert!(again <= 8 * 20 * W, "{again} bytes were read twice");
    });
}

#[test]
fn few_windows_are_read_ahead_at_a_time() {
    simulate(4, || async {
        let (cache, disk) = (Cache::new(64 * WINDOW), Disk::new(64));
        for reader in 0..8 {
            read(&cache, &disk, dense(reader * 8 * W)).await;
        }
        let readers: Vec<_> = (0..8)
            .map(|reader| {
                let (cache, disk) = (cache.clone(), disk.clone());
                runtime::spawn(async move {
                    read(&cache, &disk, dense((reader * 8 + 1) * W)).await;
                    assert!(cache.shared.ahead.get() <= MAX_AHEAD);
                })
            })
            .collect();
        for reader in readers {
            reader.await;
        }
        let together = |(_, len): &&(u64, usize)| *len > WINDOW;
        assert!(disk.reads.borrow().iter().filter(together).count() >= MAX_AHEAD);
        assert!(MAX_AHEAD < disk.most.get() && disk.most.get() <= MAX_READS);
        runtime::sleep(Duration::from_millis(5)).await;
        assert_eq!(cache.shared.ahead.get(), 0);
    });
}

#[test]
fn who_jumps_about_reads_what_he_needs() {
    simulate(5, || async {
        let (cache, disk) = (Cache::new(8 * WINDOW), Disk::new(40));
        for window in (0..40).step_by(2) {
            read(&cache, &disk, want(window * W + 77, 1000)).await;
        }
        assert_eq!(cache.stats().read_bytes, 20 * 1000);
        assert_eq!(cache.stats().memory, 0);
        // A place that is asked for again and again is kept after all.
        for time in 0..10 {
            read(&cache, &disk, want(time * 3000, 1000)).await;
        }
        assert_eq!(disk.reads.borrow()[20..], [(0, 1000), (0, WINDOW)]);
        // A search leaves nothing behind.
        let memory = cache.stats().memory;
        for window in 0..40 {
            let bytes = cache.peek(&disk.place(), window * W, 100).await.expect("readable");
            disk.check(window * W, &bytes);
        }
        assert_eq!(cache.stats().memory, memory);
        assert_eq!(disk.count(), 22 + 39);
    });
}

#[test]
fn who_passes_by_does_not_push_out_what_is_shared() {
    simulate(6, || async {
        let (cache, disk) = (Cache::new(8 * WINDOW), Disk::new(100));
        // Two read the first window, one after the other; the second is near the log's end.
        for _ in 0..2 {
            for pos in (0..W).step_by(DENSE) {
                read(&cache, &disk, dense(pos)).await;
                cache.served(FILE, pos, DENSE as u64);
            }
        }
        let near = Place { shared: true, ..disk.place() };
        drop(cache.fetch(&near, dense(2 * W)).await.expect("readable"));
        for pos in (10 * W..disk.len).step_by(DENSE) {
            read(&cache, &disk, dense(pos)).await;
            cache.served(FILE, pos, DENSE as u64);
        }
        let before = disk.count();
        read(&cache, &disk, dense(0)).await;
        read(&cache, &disk, dense(2 * W)).await;
        assert_eq!(disk.count(), before, "both are still there");
        read(&cache, &disk, dense(20 * W)).await;
        assert_eq!(disk.count(), before + 1, "what was passed by is not");
        // The shared ones have half of the budget and not more: they too have to go at last.
        for window in 30..40 {
            let near = Place { shared: true, ..disk.place() };
            drop(cache.fetch(&near, dense(window * W)).await.expect("readable"));
        }
        let before = disk.count();
        read(&cache, &disk, dense(0)).await;
        assert!(disk.count() > before);
    });
}

#[test]
fn a_bad_block_costs_what_is_in_it_and_no_more() {
    simulate(7, || async {
        let (cache, disk) = (Cache::new(8 * WINDOW), Disk::new(4));
        disk.bad.borrow_mut().insert(W / BLOCK as u64 + 3);
        let bad = W + 3 * BLOCK as u64;
        let failed = cache.fetch(&disk.place(), dense(bad)).await;
        assert!(matches!(failed, Err(FetchError::Io(_))), "{failed:?}");
        assert_eq!(cache.stats().memory, 0, "nothing is kept of a read that failed");
        read(&cache, &disk, dense(W + 32 * 1024)).await;
        let over = Want { pos: W - 100, len: 200, run: DENSE };
        read(&cache, &disk, over).await;
        disk.bad.borrow_mut().clear();
        read(&cache, &disk, dense(bad)).await;

        let beyond = Place { limit: disk.len + W, ..disk.place() };
        let short = cache.fetch(&beyond, dense(disk.len)).await;
        assert!(matches!(short, Err(FetchError::Short)), "{short:?}");
    });
}

#[test]
fn what_is_distrusted_is_read_again() {
    simulate(8, || async {
        let (cache, disk) = (Cache::new(8 * WINDOW), Disk::new(4));
        read(&cache, &disk, want(0, 2 * WINDOW)).await;
        disk.rewrite(2);
        cache.distrust(FILE, W - 10, 20);
        assert_eq!(cache.stats().memory, 2 * W, "the two windows that were read ahead");
        read(&cache, &disk, want(0, 2 * WINDOW)).await;
    });
}

#[test]
fn nothing_of_before_is_served_once_a_file_is_forgotten() {
    for seed in 100..130 {
        simulate(seed, || async {
            let (cache, disk) = (Cache::new(16 * WINDOW), Disk::new(8));
            let (before, other) = (Disk::new(8), FileId(1));
            let elsewhere = Place { file: other, ..disk.place() };
            drop(cache.fetch(&elsewhere, dense(0)).await.expect("readable"));
            read(&cache, &disk, dense(0)).await;
            let reader = {
                let (cache, disk) = (cache.clone(), disk.clone());
                runtime::spawn(async move {
                    let mut outcomes = Vec::new();
                    // Several windows, a window, and a small read of which nothing is kept.
                    for want in [want(100, 3 * WINDOW), dense(5 * W), want(7 * W, 10)] {
                        let epoch = cache.shared.epoch.get();
                        let outcome = cache.fetch(&disk.place(), want).await;
                        outcomes.push((epoch, want.pos, outcome));
                    }
                    outcomes
                })
            };
            runtime::sleep(Duration::from_micros(runtime::random_below(1500))).await;
            cache.forget(FILE, 0);
            disk.rewrite(2);
            for (epoch, pos, outcome) in reader.await {
                // What began before is whole and of before, or told to ask again.
                match outcome {
                    Ok(bytes) if epoch == 0 => before.check(pos, &bytes),
                    Ok(bytes) => disk.check(pos, &bytes),
                    Err(FetchError::Forgotten) => assert_eq!(epoch, 0),
                    Err(error) => panic!("{error}"),
                }
            }
            for window in 0..8 {
                read(&cache, &disk, dense(window * W)).await;
            }
            let reads = disk.count();
            let kept = cache.fetch(&elsewhere, dense(0)).await.expect("readable");
            before.check(0, &kept);
            assert_eq!(disk.count(), reads, "the other file was not forgotten");
        });
    }
}

#[test]
fn only_the_end_of_a_file_that_is_cut_is_forgotten() {
    simulate(9, || async {
        let (cache, disk) = (Cache::new(8 * WINDOW), Disk::new(4));
        read(&cache, &disk, want(0, 3 * WINDOW)).await;
        runtime::sleep(Duration::from_millis(5)).await;
        assert_eq!(cache.stats().memory, 4 * W, "one of them was read ahead");
        cache.forget(FILE, W + 1);
        assert_eq!(cache.stats().memory, W);
        let before = disk.count();
        read(&cache, &disk, dense(0)).await;
        assert_eq!(disk.count(), before);
        read(&cache, &disk, dense(W)).await;
        assert_eq!(disk.count(), before + 1);
    });
}

#[test]
fn a_file_that_grows_is_read_as_far_as_it_is_settled() {
    simulate(10, || async {
        let (cache, disk) = (Cache::new(8 * WINDOW), Disk::new(4));
        let mut limit = 50_000;
        while limit < 2 * W {
            let place = Place { limit, ..disk.place() };
            let last = want(limit - 20_000, 20_000);
            let bytes = cache.fetch(&place, last).await.expect("readable");
            disk.check(last.pos, &bytes);
            let furthest = disk.reads.borrow().iter().map(|(at, len)| at + *len as u64).max();
            assert!(furthest <= Some(limit), "what is beyond may still change");
            limit += 17_777;
        }
    });
}
