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
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use remoting::header::DecodeExt;
use remoting::header::offset::{OffsetReply, QueueHeader};
use remoting::{RequestCode, ResponseCode};
use runtime::{Placement, Spec};
use support::{Client, Sent, send_header};

const MQBROKER: &str = env!("CARGO_BIN_EXE_mqbroker");
/// Six segments and what else the store needs.
const SIZE: &str = "size=120m";
const LIMIT: Duration = Duration::from_secs(120);
const BODY: usize = 900_000;

/// A small file system in memory, for the length of the test.
struct Mount(PathBuf);

impl Mount {
    /// `None` where nothing can be mounted.
    fn new() -> Option<Self> {
        let name = format!("full-disk-{}", std::process::id());
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&dir).expect("a writable target directory");
        let mount = Command::new("mount")
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
        let unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
        if unmounted.is_ok_and(|status| status.success()) {
            drop(fs::remove_dir(&self.0));
        }
    }
}

/// A broker that is killed with the test.
struct Broker(Child);

impl Broker {
    fn start(dir: &Path, port: u16) -> Self {
        let conf = dir.join("broker.conf");
        let text = format!(
            "brokerName = broker-a\nlistenPort = {port}\nbindAddress = 127.0.0.1\nstorePathRootDir = {}\n\
             mappedFileSizeCommitLog = 16MiB\nmaxMessageSize = 1MiB\nflushDiskType = SYNC_FLUSH\ntailBudget = 4MiB\n",
            dir.join("store").display()
        );
        fs::write(&conf, text).expect("there is room");
        let child = Command::new(MQBROKER)
            .arg("-c")
            .arg(&conf)
            .env_remove("NAMESRV_ADDR")
            .env("RUST_LOG", "info")
            .stdin(Stdio::null())
            .spawn();
        Self(child.expect("mqbroker starts"))
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
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

async fn run(port: u16) {
    let addr = ([127, 0, 0, 1], port).into();
    while transport::connect(
        addr,
        transport::Limits::default(),
        std::rc::Rc::new(transport::NoRequests),
    )
    .await
    .is_err()
    {
        runtime::sleep(Duration::from_millis(50)).await;
    }
    let client = Client::connect(addr).await;
    client.create_topic("T", 1).await;
    let mut sent = 0;
    for round in 0..2 {
        sent = fill(&client, sent).await;
        let oldest = check(&client, sent).await;
        assert!(sent - oldest > 20, "round {round}: {oldest} to {sent}");
        assert_eq!(client.commit("G", "T", 0, sent).await.code, 0, "offsets go on");
        // The oldest messages go, and messages are taken again, without anybody's doing.
        while let Err((code, remark)) = send(&client, sent).await {
            assert!(
                matches!(code, ResponseCode::ServiceNotAvailable | ResponseCode::SystemBusy),
                "{remark}"
            );
            runtime::sleep(Duration::from_millis(100)).await;
        }
        sent += 1;
        assert!(check(&client, sent).await > 0, "something made room");
        assert_eq!(client.committed("G", "T", 0).await, Some(sent - 1));
    }
}

#[test]
fn a_broker_on_a_full_disk_refuses_makes_room_and_goes_on() {
    let Some(mount) = Mount::new() else {
        // Where it could be mounted, in CI as root, a failure is one.
        let root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
        let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
        assert!(!(root && ci), "a tmpfs cannot be mounted");
        eprintln!("skipped: a_broker_on_a_full_disk needs root to mount a small tmpfs");
        return;
    };
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = free.local_addr().expect("it is bound").port();
    drop(free);
    let broker = Broker::start(&mount.0, port);
    let spec = Spec { name: "full-disk".into(), placement: Placement::Any, busy_poll: None };
    let bounded = move || async move { runtime::timeout(LIMIT, run(port)).await };
    let executor = runtime::start(spec, bounded).expect("an executor");
    executor.join().expect("the run ends").expect("the run ends in time");
    drop(broker);
}
