//! Whose directory it is: creation replaces nothing that was in use, and one store has one owner.

mod support;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{PhysicalOffset, QueueId};
use runtime::sim::Simulation;
use storage::{CommandKind, LARGEST_REQUEST, OpenError, Options, ReadError};
use support::{draft, everywhere, open, options, try_open};

async fn a_used_store(options: Options) -> u64 {
    let mut opened = open(options).await;
    opened.store.append_create_topic("T", 1, b"").expect("room");
    opened.store.append_message(&draft("T", QueueId(0), b"kept")).expect("room");
    let offset = opened.collect(1).await[0].physical.0;
    opened.stop().await;
    offset
}

async fn refused(options: Options) -> OpenError {
    try_open(options).await.err().expect("refused")
}

async fn rename(from: &Path, to: &Path) {
    runtime::fs::rename(from, to).await.expect("writable");
}

#[test]
fn a_store_that_lost_its_identity_is_not_made_anew() {
    everywhere("no-identity", |dir| async move {
        let offset = a_used_store(options(&dir)).await;
        let (identity, vote) = (dir.with_extension("identity"), dir.with_extension("vote"));
        rename(&dir.join("store"), &identity).await;
        let error = refused(options(&dir)).await;
        assert!(matches!(error, OpenError::Identity { .. }), "{error}");
        // The log alone is reason enough.
        rename(&dir.join("vote"), &vote).await;
        let error = refused(options(&dir)).await;
        assert!(matches!(error, OpenError::Identity { .. }), "{error}");
        assert!(error.to_string().contains("00000000000000000000"), "{error}");
        assert!(error.to_string().contains("mqstore check"), "{error}");
        rename(&vote, &dir.join("vote")).await;
        rename(&identity, &dir.join("store")).await;
        let opened = open(options(&dir)).await;
        opened.store.record_at(PhysicalOffset(offset)).await.expect("it is still there");
        opened.stop().await;
    });
}

#[test]
fn a_store_that_lost_its_identity_is_told_by_its_later_segments_too() {
    everywhere("no-identity-later", |dir| async move {
        a_used_store(options(&dir)).await;
        rename(&dir.join("store"), &dir.with_extension("identity")).await;
        // What retention has left: no first segment.
        let log = options(&dir).log_dir;
        let later = log.join("00000000000016777216");
        rename(&log.join("00000000000000000000"), &later).await;
        let error = refused(options(&dir)).await;
        assert!(matches!(error, OpenError::Identity { .. }), "{error}");
        for part in ["00000000000016777216", "restore it from a copy", "mqstore check"] {
            assert!(error.to_string().contains(part), "{part} in {error}");
        }
        // Another program's file of such a name is no segment.
        runtime::fs::remove_file(&later).await.expect("writable");
        let file = runtime::File::open(&later, runtime::OpenMode::CreateNew).await;
        file.expect("writable").close().await.expect("nothing was written");
        let error = refused(options(&dir)).await;
        assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
    });
}

#[test]
fn the_log_of_another_store_is_left_alone() {
    everywhere("log-elsewhere", |dir| async move {
        let at = |name: &str| {
            let store = dir.join(name);
            Options { log_dir: dir.join("the-log"), ..options(&store) }
        };
        let first = open(at("a")).await;
        let error = refused(at("b")).await;
        assert!(matches!(error, OpenError::Locked(_)), "{error}");
        first.stop().await;
        let offset = a_used_store(at("a")).await;
        let error = refused(at("b")).await;
        assert!(matches!(error, OpenError::Identity { .. }), "{error}");
        let opened = open(at("a")).await;
        opened.store.record_at(PhysicalOffset(offset)).await.expect("it is still there");
        opened.stop().await;
    });
}

#[test]
fn what_a_file_system_keeps_for_itself_is_nobodys() {
    everywhere("lost-and-found", |dir| async move {
        let log_dir = dir.with_extension("log");
        let options = Options { log_dir: log_dir.clone(), ..options(&dir) };
        for mount in [&dir, &log_dir] {
            runtime::fs::create_dir_all(mount.join("lost+found")).await.expect("writable");
        }
        a_used_store(options.clone()).await;
        assert!(!open(options).await.recovery.new);
    });
    everywhere("lost-file", |dir| async move {
        runtime::fs::create_dir_all(&dir).await.expect("writable");
        let file = dir.join("lost+found");
        let file = runtime::File::open(&file, runtime::OpenMode::CreateNew).await;
        file.expect("writable").close().await.expect("closable");
        let error = refused(options(&dir)).await;
        assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
    });
}

#[test]
fn the_names_on_the_way_to_a_store_outlive_a_death_and_a_power_cut() {
    let limit = Duration::from_secs(600);
    let dir = || PathBuf::from("/data/turbopump/store");
    for at in (0..2000).step_by(20) {
        let sim = Simulation::new(at);
        let node = sim.node("node", Ipv4Addr::new(10, 0, 0, 1));
        // Dies while it makes the directories, or soon after that.
        let first = node.start("first", move || async move {
            drop(try_open(options(&dir())).await);
            std::future::pending::<()>().await;
        });
        sim.run_for(Duration::from_micros(at));
        node.crash();
        drop(first);
        let second = node.start("second", move || async move {
            let mut opened = open(options(&dir())).await;
            opened.store.append_create_topic("T", 1, b"").expect("room");
            opened.append("T", QueueId(0), b"acknowledged").await;
            opened.collect(1).await;
        });
        sim.join(second, limit).expect("it ends");
        node.power_cut();
        let third = node.start("third", move || async move {
            let opened = open(options(&dir())).await;
            opened.store.queue("T", QueueId(0)).map(|range| range.max.0)
        });
        let found = sim.join(third, limit).expect("it starts");
        assert_eq!(found, Some(1), "after a death at {at} us");
    }
}

#[test]
fn commands_fit_however_small_messages_must_be() {
    everywhere("small-requests", |dir| async move {
        let small = Options { max_request: 16, ..options(&dir) };
        let mut opened = open(small.clone()).await;
        opened.store.append_create_topic("T", 1, &[7; 1_000]).expect("room");
        opened.store.append_command(CommandKind(1), &[7; 100_000]).expect("room");
        opened.drain_some().await;
        opened.stop().await;
        assert!(!open(small.clone()).await.recovery.new);
        let large = Options { max_request: LARGEST_REQUEST + 1, ..small };
        assert!(matches!(refused(large).await, OpenError::RequestSize { .. }));
    });
}

#[test]
fn what_only_looks_like_a_record_is_not_read() {
    everywhere("forged", |dir| async move {
        let mut opened = open(options(&dir)).await;
        opened.store.append_create_topic("T", 1, b"").expect("room");
        let mut body = vec![0; 200];
        body[..4].copy_from_slice(&3_000_000_u32.to_be_bytes());
        body[4..8].copy_from_slice(&0xDAA3_20A7_u32.to_be_bytes());
        opened.append("T", QueueId(0), &body).await;
        let record = opened.collect(1).await.remove(0);
        // A record with IPv4 hosts has 88 bytes before its body.
        let forged = opened.store.record_at(record.physical.plus(88)).await;
        assert!(matches!(forged, Err(ReadError::NoRecord { .. })), "{forged:?}");
        opened.stop().await;
    });
}
