//! `mqbroker` on a small file system of its own: it fills up, refuses, makes room and goes on, and loses nothing.
//!
//! Mounting needs root. Without it the test says that it was skipped; simulated disks are in `retention.rs`.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test starts processes and mounts file systems"
)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Stdio};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use remoting::header::DecodeExt;
use remoting::header::offset::{OffsetReply, QueueHeader};
use remoting::{Command, RequestCode, ResponseCode};
use runtime::{Placement, Spec};
use support::process::{Broker, free_port};
use support::{Client, Sent, send_header};
use transport::{Limits, NoRequests, connect};

/// Six segments and what else the store needs.
const SIZE: &str = "size=120m";
const LIMIT: Duration = Duration::from_secs(120);
const BODY: usize = 900_000;
/// Two segments' room.
const BALLAST: usize = 32 << 20;

/// A small file system in memory, for the length of the test.
struct Mount(PathBuf);

impl Mount {
    /// `None` where nothing can be mounted.
    fn new() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("full-disk-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&dir).expect("a writable target directory");
        let mount = process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", SIZE, "tmpfs"])
            .arg(&dir)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if mount.is_ok_and(|status| status.success()) {
            return Some(Self(dir));
        }
        drop(fs::remove_dir(&dir));
        None
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let unmounted = process::Command::new("umount").arg("-l").arg(&self.0).status();
        if unmounted.is_ok_and(|status| status.success()) {
            drop(fs::remove_dir(&self.0));
        }
    }
}

/// A broker on that file system.
struct Place {
    mount: Mount,
    port: u16,
}

impl Place {
    fn start(&self, lines: &str) -> Broker {
        let conf = self.mount.0.join("broker.conf");
        let text = format!(
            "brokerName = broker-a\nlistenPort = {}\nbindAddress = 127.0.0.1\nstorePathRootDir = {}\n\
             mappedFileSizeCommitLog = 16MiB\nmaxMessageSize = 1MiB\nflushDiskType = SYNC_FLUSH\ntailBudget = 4MiB\n\
             {lines}",
            self.port,
            self.mount.0.join("store").display()
        );
        // A full disk has no room for it another time.
        if !fs::read_to_string(&conf).is_ok_and(|there| there == text) {
            fs::write(&conf, text).expect("there is room");
        }
        Broker::start(&conf, None)
    }

    /// A client, once the broker takes one and answers it.
    async fn client(&self) -> Client {
        let addr = ([127, 0, 0, 1], self.port).into();
        loop {
            if let Ok(connection) = connect(addr, Limits::default(), Rc::new(NoRequests)).await {
                let client = Client { connection };
                let answer = client.connection.request(question(), LIMIT).await;
                // The kernel closes the sockets of a killed process some time after its death.
                if answer.is_ok() {
                    return client;
                }
            }
            runtime::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The broker dies, as with `kill -9`, and is started again.
    async fn killed(&self, broker: Broker, lines: &str) -> (Broker, Client) {
        drop(broker);
        let broker = self.start(lines);
        let client = self.client().await;
        (broker, client)
    }
}

/// Some question that any broker answers.
fn question() -> Command {
    let header = QueueHeader { topic: "T", queue_id: 0 };
    Command::request(RequestCode::GetMaxOffset).with_ext(&header)
}

fn body(number: i64) -> Vec<u8> {
    let mut body = number.to_be_bytes().to_vec();
    body.resize(BODY, u8::try_from(number % 251).expect("small"));
    body
}

async fn send(client: &Client, number: i64) -> Result<Sent, (ResponseCode, String)> {
    client.send_with(&send_header("T", 0), &body(number)).await
}

/// Sends until the disk is full; how many messages there are then.
async fn fill(client: &Client, mut sent: i64) -> i64 {
    loop {
        match send(client, sent).await {
            Ok(stored) => {
                assert_eq!(stored.offset, sent);
                sent += 1;
            }
            Err((ResponseCode::SystemBusy, _)) => runtime::sleep(Duration::from_millis(5)).await,
            Err((code, remark)) => {
                assert_eq!(code, ResponseCode::ServiceNotAvailable, "{remark}");
                assert!(remark.contains("the broker's disk is full ["), "{remark}");
                return sent;
            }
        }
    }
}

/// Pulls all that is there; the oldest offset. Trims may go on meanwhile.
async fn check(client: &Client, end: i64) -> i64 {
    let (mut at, mut oldest) = (0, 0);
    while at < end {
        let pulled = client.pull("T", 0, at).await;
        match pulled.code {
            ResponseCode::Success => {
                for (offset, found) in pulled.offsets.iter().zip(&pulled.bodies) {
                    assert_eq!(offset.cast_signed(), at, "none is passed over");
                    assert!(*found == body(at), "message {at}");
                    at += 1;
                }
            }
            ResponseCode::PullRetryImmediately => assert!(pulled.next >= at),
            ResponseCode::PullOffsetMoved => {
                assert_eq!(pulled.remark, "OFFSET_TOO_SMALL");
                assert_eq!(pulled.next, pulled.min);
                (at, oldest) = (pulled.next, pulled.next);
            }
            code => panic!("{code:?} {}", pulled.remark),
        }
    }
    let code = RequestCode::GetMaxOffset;
    let answer = client.request(code, &QueueHeader { topic: "T", queue_id: 0 }).await;
    assert_eq!(OffsetReply::decode(code, &answer.ext).expect("an offset").offset, end);
    oldest
}

/// Sends a message as soon as there is room.
async fn send_when_there_is_room(client: &Client, number: i64) {
    while let Err((code, remark)) = send(client, number).await {
        let waits = matches!(code, ResponseCode::ServiceNotAvailable | ResponseCode::SystemBusy);
        assert!(waits, "{remark}");
        runtime::sleep(Duration::from_millis(100)).await;
    }
}

async fn oldest_messages_make_room(place: Place) {
    let broker = place.start("");
    let client = place.client().await;
    client.create_topic("T", 1).await;
    let mut sent = 0;
    for round in 0..2 {
        sent = fill(&client, sent).await;
        let oldest = check(&client, sent).await;
        assert!(sent - oldest > 20, "round {round}: {oldest} to {sent}");
        assert_eq!(client.commit("G", "T", 0, sent).await.code, 0, "offsets go on");
        // The oldest messages go, and messages are taken again, without anybody's doing.
        send_when_there_is_room(&client, sent).await;
        sent += 1;
        assert!(check(&client, sent).await > 0, "something made room");
    }
    let (_broker, client) = place.killed(broker, "").await;
    assert!(check(&client, sent).await > 0);
    assert_eq!(client.committed("G", "T", 0).await, Some(sent - 1));
}

/// Nothing may go before its time, so all that was acknowledged is there at any time.
const KEEPS_ALL: &str = "cleanFileForciblyEnable = false\n";

async fn somebody_makes_room(place: Place) {
    let mut broker = place.start(KEEPS_ALL);
    let mut client = place.client().await;
    client.create_topic("T", 1).await;
    assert_eq!(send(&client, 0).await.expect("it is stored").offset, 0);
    let ballast = place.mount.0.join("ballast");
    fs::write(&ballast, vec![1; BALLAST]).expect("there is room");
    let mut sent = fill(&client, 1).await;
    for _ in 0..2 {
        assert_eq!(check(&client, sent).await, 0, "nothing has gone");
        let refused = send(&client, sent).await.expect_err("the disk is full");
        assert_eq!(refused.0, ResponseCode::ServiceNotAvailable, "{}", refused.1);
        assert_eq!(client.commit("G", "T", 0, sent).await.code, 0, "offsets go on");
        (broker, client) = place.killed(broker, KEEPS_ALL).await;
        assert_eq!(client.committed("G", "T", 0).await, Some(sent));
    }
    fs::remove_file(&ballast).expect("it is there");
    let full = sent;
    while sent < full + 10 {
        send_when_there_is_room(&client, sent).await;
        sent += 1;
    }
    assert_eq!(check(&client, sent).await, 0, "nothing has gone");
    (broker, client) = place.killed(broker, KEEPS_ALL).await;
    assert_eq!(check(&client, sent).await, 0, "nothing has gone");
    assert_eq!(client.committed("G", "T", 0).await, Some(full));
    drop(broker);
}

/// Runs a test on a file system of its own, where one can be mounted.
fn on_a_small_disk<Fut: Future<Output = ()> + 'static>(test: fn(Place) -> Fut) {
    let Some(mount) = Mount::new() else {
        // Where it could be mounted, in CI as root, a failure is one.
        let root =
            process::Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
        let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
        assert!(!(root && ci), "a tmpfs cannot be mounted");
        eprintln!("skipped: a full disk needs root to mount a small tmpfs");
        return;
    };
    let place = Place { mount, port: free_port(&[]) };
    let spec = Spec { name: "full-disk".into(), placement: Placement::Any, busy_poll: None };
    let bounded = move || async move { runtime::timeout(LIMIT, test(place)).await };
    let executor = runtime::start(spec, bounded).expect("an executor");
    executor.join().expect("the run ends").expect("the run ends in time");
}

#[test]
fn a_broker_on_a_full_disk_refuses_makes_room_and_goes_on() {
    on_a_small_disk(oldest_messages_make_room);
}

#[test]
fn a_disk_that_fills_and_is_freed_loses_nothing() {
    on_a_small_disk(somebody_makes_room);
}
