//! Members that have less than the others: one whose log was trimmed away meanwhile, and those that join a store which had no
//! replicas.

mod support;

use std::time::Duration;

use remoting::header::DecodeExt;
use remoting::header::offset::{OffsetReply, QueueHeader};
use remoting::{RequestCode, ResponseCode};
use support::cluster::{Cluster, addr};
use support::log::Lines;
use support::{Client, send_header};

const MIB: u64 = 1 << 20;
/// A disk that holds some segments of 16 MiB: the first messages go soon.
const SMALL_DISK: u64 = 128 * MIB;
/// Messages that it does not hold.
const MANY: u64 = 160;

fn body(number: u64) -> Vec<u8> {
    let mut body = number.to_be_bytes().to_vec();
    body.resize(900_000, u8::try_from(number % 251).expect("small"));
    body
}

/// Sends so many large messages to queue 0 of topic `L`, each as often as it is refused.
async fn send_large(at: usize, count: u64) {
    let client = Client::connect(addr(at)).await;
    client.create_topic("L", 1).await;
    for number in 0..count {
        while client.send_with(&send_header("L", 0), &body(number)).await.is_err() {
            runtime::sleep(Duration::from_millis(200)).await;
        }
    }
}

async fn offset(client: &Client, code: RequestCode) -> i64 {
    let answer = client.request(code, &QueueHeader { topic: "L", queue_id: 0 }).await;
    OffsetReply::decode(code, &answer.ext).map_or(-1, |reply| reply.offset)
}

/// Checks that a node has the messages of topic `L` from the oldest to the end; the offset of the oldest.
async fn read_large(at: usize, end: i64) -> i64 {
    let client = Client::connect(addr(at)).await;
    while offset(&client, RequestCode::GetMaxOffset).await < end {
        runtime::sleep(Duration::from_millis(100)).await;
    }
    let min = offset(&client, RequestCode::GetMinOffset).await;
    let mut next = min;
    while next < end {
        let pulled = client.pull("L", 0, next).await;
        assert_eq!(pulled.code, ResponseCode::Success, "n{at}, {next}: {}", pulled.remark);
        for (number, found) in pulled.offsets.iter().zip(&pulled.bodies) {
            assert!(*found == body(*number), "message {number}");
        }
        next = pulled.next;
    }
    min
}

#[test]
fn a_member_whose_log_was_trimmed_away_gets_a_checkpoint_and_the_log_behind_it() {
    let lines = Lines::keep();
    let mut cluster = Cluster::founded(3, &[]);
    cluster.machines.iter().for_each(|machine| machine.disk().resize(SMALL_DISK));
    let first = cluster.leader();
    let [behind, other] = Cluster::others(first);
    cluster.client(move || async move {
        let client = Client::connect(addr(first)).await;
        client.create_topic("Kept", 3).await;
        client.pull("T", 0, 0).await; // makes the group
        assert_eq!(client.commit("G", "T", 0, 1).await.code, 0);
    });
    cluster.crash(behind);
    let end = i64::try_from(MANY).expect("small");
    let min = cluster.client(move || async move {
        send_large(first, MANY).await;
        read_large(first, end).await
    });
    assert!(min > 20, "the first messages are gone: {min}");
    assert!(lines.with("the log is opened again").is_empty());
    // Something of its first life holds the store for longer than that lasts.
    cluster.linger(Duration::from_secs(8));
    cluster.start(behind);
    cluster.run_for(Duration::from_secs(30)); // it opens its log, and again
    let min = cluster.client(move || async move { read_large(behind, end).await });
    assert!(min > 20, "it has what there is, and no more: {min}");
    assert_eq!(lines.with("the log is opened again").len(), 1, "it got a snapshot");
    // It is a member like the others: with one of them gone it makes the majority, and may lead.
    cluster.crash(first);
    let next = cluster.leader();
    cluster.crash(next);
    cluster.start(first);
    cluster.run_for(Duration::from_secs(2));
    let third = cluster.leader();
    assert!([first, behind, other].contains(&third) && third != next);
    cluster.client(move || async move {
        let client = Client::connect(addr(third)).await;
        assert_eq!(client.committed("G", "T", 0).await, Some(1), "the checkpoint has offsets");
        assert_eq!(client.max_offset("Kept", 2).await, 0, "and topics");
    });
    assert_eq!(cluster.ended(), Vec::<String>::new());
}

/// A broker without replicas that has this: messages in topic `T`, an offset of group `G`.
const ALONE: i64 = 50;

fn alone(seed: u64) -> Cluster {
    let mut cluster = Cluster::new(seed, &[]);
    cluster.start_alone(0);
    cluster.run_for(Duration::from_secs(2));
    cluster.client(|| async {
        let client = Client::connect(addr(0)).await;
        client.create_topic("T", 1).await;
        for number in 0..ALONE {
            let sent = client.send("T", 0, format!("message {number}").as_bytes()).await;
            assert_eq!(sent.offset, number);
        }
        client.pull("T", 0, 0).await; // makes the group
        assert_eq!(client.commit("G", "T", 0, 33).await.code, 0);
    });
    cluster.stop(0);
    cluster
}

/// Waits until a node has all that was sent to the broker without replicas, and checks it.
async fn has_all(at: usize) {
    let client = Client::connect(addr(at)).await;
    let mut next = 0;
    while next < ALONE {
        let pulled = client.pull("T", 0, next).await;
        if pulled.code != ResponseCode::Success {
            runtime::sleep(Duration::from_millis(50)).await;
            continue;
        }
        for (found, body) in pulled.offsets.iter().zip(&pulled.bodies) {
            if found.cast_signed() < ALONE {
                assert_eq!(*body, format!("message {found}").into_bytes(), "n{at}");
            }
        }
        next = pulled.next;
    }
}

#[test]
fn a_store_without_replicas_becomes_the_first_member_of_a_group() {
    let lines = Lines::keep();
    let mut cluster = alone(4);
    cluster.start(0);
    // It serves, alone.
    assert_eq!(cluster.leader(), 0);
    assert_eq!(lines.with("nothing is replicated, until").len(), 1);
    cluster.start(1);
    cluster.run_for(Duration::from_secs(3));
    assert!(lines.with("all members have the log").is_empty(), "one is missing");
    assert_eq!(cluster.leader(), 0);
    cluster.start(2);
    cluster.run_for(Duration::from_secs(3));
    assert_eq!(lines.with("all members have the log").len(), 1);
    for at in 0..3 {
        cluster.client(move || has_all(at));
    }
    // The store that was there first dies, and everything is there.
    cluster.crash(0);
    let next = cluster.leader();
    cluster.client(move || async move {
        has_all(next).await;
        let client = Client::connect(addr(next)).await;
        assert_eq!(client.committed("G", "T", 0).await, Some(33));
    });
    cluster.start(0);
    cluster.run_for(Duration::from_secs(1));
    cluster.crash(next);
    assert_ne!(cluster.leader(), next);
    cluster.client(|| has_all(0));
    assert_eq!(cluster.ended(), Vec::<String>::new());
}

#[test]
fn a_store_that_takes_others_in_goes_on_with_that_after_a_crash() {
    for seed in 10..16 {
        let mut cluster = alone(seed);
        (0..3).for_each(|at| cluster.start(at));
        // At any moment of it, several times.
        for round in 1..6 {
            cluster.run_for(Duration::from_millis(300 + (seed * 37 + round * 61) % 180));
            let at = usize::try_from(round % 2).expect("small");
            cluster.crash(at);
            cluster.start(at);
        }
        cluster.run_for(Duration::from_secs(10));
        cluster.crash(0);
        let next = cluster.leader();
        assert_ne!(next, 0, "seed {seed}: the others have votes");
        cluster.client(move || has_all(next));
        assert_eq!(cluster.ended(), Vec::<String>::new(), "seed {seed}");
    }
}

#[test]
fn only_the_first_member_brings_a_store() {
    let mut cluster = Cluster::new(6, &[]);
    cluster.start_alone(1);
    cluster.run_for(Duration::from_secs(2));
    cluster.stop(1);
    cluster.start(1);
    cluster.run_for(Duration::from_secs(2));
    let ended = cluster.ended();
    assert_eq!(ended.len(), 1);
    assert!(ended[0].contains("/store holds the store of a broker without replicas"), "{ended:?}");
    assert!(ended[0].contains("only the first member, n0, may bring such a store"), "{ended:?}");
    // It is as it was.
    cluster.crash(1);
    cluster.start_alone(1);
    cluster.run_for(Duration::from_secs(2));
    assert_eq!(cluster.ended().len(), 1);
    cluster.client(|| async { Client::connect(addr(1)).await.create_topic("T", 1).await });
}
