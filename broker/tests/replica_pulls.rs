//! Pulls from behind the end of what a member of a group has: only a leader that is certain of the end sends consumers back to it.

#![allow(clippy::unwrap_used, reason = "a test: it panics on errors")]

mod support;

use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use remoting::header::pull::{PullHeader, pull_flag};
use remoting::{Command, RequestCode, ResponseCode};
use support::cluster::{Cluster, addr, leader, try_send};
use support::{Client, pull_header, pulled};
use transport::{Limits, NoRequests, connect};

const SEEDS: u64 = 3;
/// Upon which a consumer goes where the answer says.
const GOES: [ResponseCode; 4] = [
    ResponseCode::Success,
    ResponseCode::PullNotFound,
    ResponseCode::PullRetryImmediately,
    ResponseCode::PullOffsetMoved,
];

/// What a node answers all the time to pulls from an offset: code, and where to go on.
type Log = Arc<Mutex<Vec<(ResponseCode, i64)>>>;

fn pulls_all_the_time(cluster: &Cluster, at: usize, from: i64) -> Log {
    let log = Log::default();
    let told = Arc::clone(&log);
    cluster.background(move || async move {
        loop {
            runtime::sleep(Duration::from_millis(1)).await;
            let connected = connect(addr(at), Limits::default(), Rc::new(NoRequests)).await;
            let Ok(connection) = connected else { continue };
            let pull =
                || Command::request(RequestCode::PullMessage).with_ext(&pull_header("T", 0, from));
            while let Ok(answer) = connection.request(pull(), Duration::from_millis(500)).await {
                // Refused, by one that does not have the group or the topic yet, nobody goes anywhere.
                let pulled = pulled(&answer);
                if GOES.contains(&pulled.code) {
                    told.lock().unwrap().push((pulled.code, pulled.next));
                }
                runtime::sleep(Duration::from_millis(1)).await;
            }
        }
    });
    log
}

/// The offset behind the last message, of which there are some.
fn end_of(cluster: &Cluster) -> i64 {
    cluster.client(|| async {
        let (at, _) = leader().await;
        let client = Client::connect(addr(at)).await;
        client.pull("T", 0, 0).await; // makes the group
        for _ in 0..20 {
            client.send("T", 0, b"a message").await;
        }
        client.max_offset("T", 0).await
    })
}

#[test]
fn no_member_that_comes_back_sends_a_consumer_back() {
    for seed in 0..SEEDS {
        let mut cluster = Cluster::founded(seed, &[]);
        let end = end_of(&cluster);
        let logs: Vec<_> = (0..3).map(|at| pulls_all_the_time(&cluster, at, end)).collect();
        cluster.run_for(Duration::from_millis(500));
        for at in 0..3 {
            cluster.crash(at);
            cluster.run_for(Duration::from_millis(200));
            cluster.start(at);
            cluster.run_for(Duration::from_secs(1));
        }
        (0..3).for_each(|at| cluster.crash(at));
        (0..3).for_each(|at| cluster.start(at));
        cluster.run_for(Duration::from_secs(2));
        for (at, log) in logs.iter().enumerate() {
            let log = log.lock().unwrap();
            let back = log.iter().find(|(_, next)| *next < end);
            assert_eq!(back, None, "seed {seed}: n{at}, from {end}");
            let waits = log.iter().all(|(code, _)| *code == ResponseCode::PullNotFound);
            assert!(waits, "seed {seed}: n{at}: {log:?}");
            assert!(log.len() > 100, "seed {seed}: n{at} has answered {} pulls", log.len());
        }
    }
}

#[test]
fn no_leader_that_is_followed_and_does_not_know_it_sends_a_consumer_back() {
    for seed in 0..SEEDS {
        let cluster = Cluster::founded(seed, &[]);
        let first = cluster.leader();
        let end = end_of(&cluster);
        cluster.run_for(Duration::from_millis(500));
        Cluster::others(first).iter().for_each(|other| cluster.cut(first, *other));
        // One that read a few messages which the next leader took comes back to the old one.
        let log = pulls_all_the_time(&cluster, first, end + 3);
        cluster.run_for(Duration::from_secs(1));
        let log = log.lock().unwrap();
        let back = log.iter().find(|(_, next)| *next < end + 3);
        assert_eq!(back, None, "seed {seed}: from {}", end + 3);
        assert!(!log.is_empty(), "seed {seed}");
    }
}

#[test]
fn a_leader_sends_a_consumer_back_and_who_follows_it_lets_it_wait_for_its_message() {
    let cluster = Cluster::founded(5, &[]);
    let first = cluster.leader();
    let end = end_of(&cluster);
    cluster.client(move || async move {
        let client = Client::connect(addr(first)).await;
        let moved = client.pull("T", 0, end + 100).await;
        assert_eq!((moved.code, moved.next), (ResponseCode::PullOffsetMoved, end));
        assert_eq!(moved.remark, "OFFSET_OVERFLOW_BADLY");
        let follower = Client::connect(addr(Cluster::others(first)[0])).await;
        let nothing = follower.pull("T", 0, end + 100).await;
        assert_eq!((nothing.code, nothing.next), (ResponseCode::PullNotFound, end + 100));
        let waits = PullHeader {
            sys_flag: pull_flag::SUBSCRIPTION | pull_flag::SUSPEND,
            suspend_timeout_millis: 10_000,
            ..pull_header("T", 0, end + 2)
        };
        let sending = async {
            for body in [b"0", b"1", b"2", b"3"] {
                runtime::sleep(Duration::from_millis(200)).await;
                client.send("T", 0, body).await;
            }
        };
        let (found, ()) = futures::future::join(follower.pull_with(&waits), sending).await;
        assert_eq!((found.code, found.offsets[0].cast_signed()), (ResponseCode::Success, end + 2));
        assert_eq!(found.bodies[0], b"2");
    });
}

/// The others go on committing what the leader has appended, and it cannot take that in itself.
#[test]
fn a_leader_whose_disk_stands_still_keeps_a_pull_from_behind_the_end_no_longer_than_its_office() {
    for seed in 0..SEEDS {
        let cluster = Cluster::founded(seed, &[]);
        let first = cluster.leader();
        let end = end_of(&cluster);
        cluster.background(move || async move {
            loop {
                drop(try_send(first, b"a message", Duration::from_millis(20)).await);
                runtime::sleep(Duration::from_millis(1)).await;
            }
        });
        cluster.run_for(Duration::from_millis(100));
        cluster.machines[first].disk().stall(Duration::from_secs(10));
        cluster.run_for(Duration::from_millis(50));
        let (pulled, took) = cluster.client(move || async move {
            let client = Client::connect(addr(first)).await;
            let began = runtime::now();
            (client.pull("T", 0, end + 100_000).await, began.elapsed())
        });
        assert_eq!(pulled.next, end + 100_000, "seed {seed}: {pulled:?}");
        assert!(took < Duration::from_millis(600), "seed {seed}: {took:?}");
    }
}
