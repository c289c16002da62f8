//! `kill -9` on a real disk: a broker of two shards under load dies again and again, and what its clients were answered
//! stays true.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test starts processes, makes its own directories and measures time"
)]

mod support;

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use runtime::{Executor, Placement, Spec};
use support::LIMIT;
use support::answers::{Shared, check_all, client, with};
use support::process::{Broker, free_port};

const SHARDS: u16 = 2;
/// Distance of the shards' ports.
const STRIDE: u16 = 7;
const KILLS: u64 = 8;
/// Clients of each shard.
const CLIENTS: u64 = 16;
/// Messages that each shard must have acknowledged in a life before it ends.
const ACKNOWLEDGED_AT_LEAST: u64 = 100;
/// Time for a start, until so much is acknowledged.
const PROGRESS: Duration = Duration::from_secs(30);
/// A shard's last word before it is asked anything.
const SERVES: &str = "boot success";

/// The broker's files, and what each shard's clients were answered.
struct Place {
    dir: PathBuf,
    conf: PathBuf,
    shards: Vec<(SocketAddr, Shared)>,
}

impl Place {
    fn new() -> Self {
        let name = format!("kill9-{}", std::process::id());
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&dir).expect("a writable target directory");
        let port = free_port(&[STRIDE]);
        // Segments so small that they roll, and that checkpoints are made, under this load.
        let text = format!(
            "brokerName = broker-a\nlistenPort = {port}\nbindAddress = 127.0.0.1\nstorePathRootDir = {}\n\
             mappedFileSizeCommitLog = 16MiB\nmaxMessageSize = 1MiB\nflushDiskType = SYNC_FLUSH\ntailBudget = 4MiB\n\
             shards = {SHARDS}\nshardPortStride = {STRIDE}\n",
            dir.join("store").display()
        );
        let conf = dir.join("broker.conf");
        fs::write(&conf, text).expect("our directory");
        let addr = |shard| SocketAddr::from(([127, 0, 0, 1], port + shard * STRIDE));
        let shards = (0..SHARDS).map(|shard| (addr(shard), Shared::default())).collect();
        Self { dir, conf, shards }
    }

    fn log(&self) -> PathBuf {
        self.dir.join("broker.log")
    }

    fn start(&self) -> Broker {
        Broker::start(&self.conf, Some(File::create(self.log()).expect("our directory")))
    }

    fn acknowledged(&self) -> Vec<u64> {
        let shards = self.shards.iter();
        shards.map(|(_, shared)| with(shared, |answers| answers.acknowledged)).collect()
    }

    /// Waits until each shard has acknowledged some more.
    fn wait_for_progress(&self, broker: &mut Broker) {
        let (before, end) = (self.acknowledged(), Instant::now() + PROGRESS);
        let grown = |(now, before): (u64, &u64)| now >= before + ACKNOWLEDGED_AT_LEAST;
        while !self.acknowledged().into_iter().zip(&before).all(grown) {
            let fails = broker.has_ended() || Instant::now() > end;
            let now = self.acknowledged();
            let log = || fs::read_to_string(self.log()).unwrap_or_default();
            assert!(!fails, "from {before:?} to {now:?} only; the broker's log:\n{}", log());
            sleep(Duration::from_millis(5));
        }
    }

    /// Waits until all shards serve. A port that takes connections would not show it: the kernel closes the sockets
    /// of a dead process that used io_uring some time after its parent was told of its death.
    fn wait_until_it_serves(&self) {
        let end = Instant::now() + PROGRESS;
        let log = || fs::read_to_string(self.log()).expect("our file");
        while log().matches(SERVES).count() < usize::from(SHARDS) {
            assert!(Instant::now() < end, "it does not serve:\n{}", log());
            sleep(Duration::from_millis(5));
        }
    }

    /// Clients of all shards, at work until `over`.
    fn load(&self, over: &Arc<AtomicBool>) -> Executor<()> {
        let (shards, over) = (self.shards.clone(), Arc::clone(over));
        let main = move || async move {
            for (addr, shared) in shards {
                for number in 0..CLIENTS {
                    runtime::spawn(client(Arc::clone(&shared), number, addr)).detach();
                }
            }
            while !over.load(Ordering::Relaxed) {
                runtime::sleep(Duration::from_millis(10)).await;
            }
        };
        runtime::start(spec("clients"), main).expect("an executor")
    }

    /// Compares all that is there with what was answered. The clients have stopped.
    fn check(&self) {
        let shards = self.shards.clone();
        let bounded = move || async move { runtime::timeout(LIMIT, check_shards(shards)).await };
        let checked = runtime::start(spec("check"), bounded).expect("an executor");
        checked.join().expect("all is there").expect("the check ends in time");
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the store and the log stay in {}", self.dir.display());
        } else {
            drop(fs::remove_dir_all(&self.dir));
        }
    }
}

async fn check_shards(shards: Vec<(SocketAddr, Shared)>) {
    for (addr, shared) in shards {
        assert_eq!(check_all(shared, addr).await, 0, "all questions are answered");
    }
}

fn spec(name: &str) -> Spec {
    Spec { name: name.into(), placement: Placement::Any, busy_poll: None }
}

#[test]
fn what_two_shards_acknowledged_outlives_kills() {
    let place = Place::new();
    let over = Arc::new(AtomicBool::new(false));
    let load = place.load(&over);
    for kill in 0..KILLS {
        let mut broker = place.start();
        place.wait_for_progress(&mut broker);
        // Not always at the same point of what the broker does; once in a while over the rolling of a segment.
        sleep(Duration::from_millis(kill * 137 % 500));
        drop(broker);
    }
    let mut broker = place.start();
    place.wait_for_progress(&mut broker);
    over.store(true, Ordering::Relaxed);
    load.join().expect("no client was answered anything wrong");
    place.check();
    // The last word: once more, with nobody writing since.
    drop(broker);
    let _broker = place.start();
    place.wait_until_it_serves();
    place.check();
    let acknowledged = place.acknowledged();
    println!("{acknowledged:?} messages outlived {} kills", KILLS + 1);
}
