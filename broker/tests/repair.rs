//! Groups of three brokers, one of whose logs is damaged: it is repaired with what the others have, while the broker runs and when it
//! starts.

#![allow(clippy::cast_possible_truncation, reason = "test data is small")]
#![allow(clippy::unwrap_used, reason = "a test: it panics on errors")]

mod support;

use std::path::PathBuf;
use std::time::Duration;

use remoting::{RequestCode, ResponseCode};
use runtime::BLOCK;
use runtime::sim::Node;
use storage::{EntryLog, Options};
use support::cluster::{Cluster, addr};
use support::{Client, LIMIT, Place, Sent, config, pull_header, pulled};

const MESSAGES: u64 = 60;
/// Bytes before the first message of an entry, and where the format's version is among them.
const ENTRY_HEADER: u64 = 88;
const VERSION_AT: u64 = 3;
/// How often a pull is tried again.
const ATTEMPTS: u32 = 3000;

fn place_of(sent: &Sent) -> u64 {
    u64::from_str_radix(&sent.id[16..], 16).unwrap()
}

/// A group that has messages; where each is in the log.
fn filled(seed: u64) -> (Cluster, usize, Vec<u64>) {
    let cluster = Cluster::founded(seed, &[]);
    let first = cluster.leader();
    let places = cluster.client(move || async move {
        let client = Client::connect(addr(first)).await;
        let mut places = Vec::new();
        for number in 0..MESSAGES {
            let body = vec![number as u8; 1000 + 97 * (number as usize * 31 % 100)];
            places.push(place_of(&client.send("T", 0, &body).await));
        }
        places
    });
    (cluster, first, places)
}

/// The file of the log that holds `offset`, and where in it.
fn file_of(machine: &Node, offset: u64) -> (PathBuf, u64) {
    let files: Vec<PathBuf> = machine.disk().files().into_iter().map(|(path, _)| path).collect();
    let base_of = |path: &PathBuf| {
        let is_of_log = path.parent().is_some_and(|dir| dir.ends_with("log"));
        let name = path.file_name().and_then(|name| name.to_str()).filter(|_| is_of_log)?;
        (name.len() == 20).then(|| name.parse::<u64>().ok()).flatten()
    };
    let of_log = files.iter().filter_map(|path| Some((base_of(path)?, path)));
    let holds = of_log.filter(|(base, _)| *base <= offset).max_by_key(|(base, _)| *base);
    let (base, path) = holds.expect("the log begins before");
    (path.clone(), offset - base)
}

/// Damages something within a message.
fn damage(machine: &Node, place: u64, kind: u64) {
    let (file, at) = file_of(machine, place + 200);
    match kind % 4 {
        0 => machine.disk().flip_bit(file, at * 8 + 3),
        3 => machine.disk().flip_bit(file, (at - 200 - ENTRY_HEADER + VERSION_AT) * 8 + 1),
        1 => machine.disk().spoil(file, at..at + 1),
        _ => machine.disk().spoil(file, at..at + 3 * BLOCK as u64),
    }
}

/// Pulls all messages from a node, again and again where one is damaged; how many, and how often it was refused.
async fn pull_all(at: usize) -> (i64, u32) {
    let client = Client::connect(addr(at)).await;
    let (mut next, mut refused) = (0, 0);
    let end = client.max_offset("T", 0).await;
    while next < end {
        // One that is refused says nothing of offsets.
        let answer = client.request(RequestCode::PullMessage, &pull_header("T", 0, next)).await;
        match ResponseCode::from_code(answer.code) {
            Some(ResponseCode::Success) => next = pulled(&answer).next,
            Some(ResponseCode::SystemError) if refused < ATTEMPTS => {
                refused += 1;
                runtime::sleep(Duration::from_millis(10)).await;
            }
            code => panic!(
                "node {at}, message {next}, refused {refused} times: {code:?}, {:?}",
                answer.remark
            ),
        }
    }
    (next, refused)
}

fn options_of(at: usize) -> Options {
    let ip = format!("10.0.0.{}", at + 1).parse().unwrap();
    let place = Place { ip, port: 10_911, dir: "/store".into() };
    config(&place, &[]).store_options("/store".into(), "/store/log".into(), 0)
}

/// Where each entry lies, and its chain, of all that a log has which is closed.
fn log_of(cluster: &Cluster, at: usize) -> Vec<(u64, Option<u32>)> {
    let life = cluster.machines[at].start("look", move || async move {
        let log = EntryLog::open(&options_of(at)).await.expect("it is whole");
        let all = model::LogIndex(0)..model::LogIndex(u64::MAX);
        let entries = log.reader().read(all, usize::MAX).await.expect("it is whole");
        entries.iter().map(|entry| (entry.offset.0, entry.head.chain)).collect()
    });
    cluster.simulation.join(life, LIMIT).expect("it ends")
}

/// All stop, and have the same log.
fn assert_same_logs(mut cluster: Cluster, seed: u64) {
    cluster.run_for(Duration::from_secs(2));
    assert_eq!(cluster.ended(), Vec::<String>::new(), "seed {seed}");
    (0..3).for_each(|at| cluster.stop(at));
    let [one, other, third] = [0, 1, 2].map(|at| log_of(&cluster, at));
    // The last to be stopped may have founded a term of its own.
    let common = one.len().min(other.len()).min(third.len());
    assert!(common as u64 > MESSAGES, "seed {seed}");
    assert_eq!(one[..common], other[..common], "seed {seed}");
    assert_eq!(one[..common], third[..common], "seed {seed}");
}

#[test]
fn what_is_lost_on_one_disk_is_repaired_when_it_is_read() {
    for seed in 0..4 {
        let (mut cluster, first, places) = filled(seed);
        let [_, other] = Cluster::others(first);
        let hurt = if seed % 2 == 0 { first } else { other };
        // What it keeps in memory it does not read.
        cluster.stop(hurt);
        cluster.start(hurt);
        cluster.leader();
        // Its start has read what it reads, or it would be the start that finds the damage.
        cluster.run_for(Duration::from_secs(5));
        for (number, place) in (0..).zip(places.iter().skip(seed as usize).step_by(11)) {
            damage(&cluster.machines[hurt], *place, seed + number);
        }
        let (pulled, refused) = cluster.client(move || pull_all(hurt));
        assert!(
            pulled >= i64::try_from(MESSAGES).unwrap() && refused > 0,
            "seed {seed}: {refused}"
        );
        let (_, refused) = cluster.client(move || pull_all(hurt));
        assert_eq!(refused, 0, "seed {seed}: all is well");
        assert_same_logs(cluster, seed);
    }
}

#[test]
fn a_member_whose_start_is_refused_is_repaired_and_starts_also_after_power_cuts() {
    for seed in 0..4_u64 {
        let (mut cluster, first, places) = filled(seed);
        let [one, _] = Cluster::others(first);
        cluster.stop(one);
        for (number, place) in (0..).zip(places.iter().skip(seed as usize).step_by(13)) {
            damage(&cluster.machines[one], *place, seed + number);
        }
        cluster.start(one);
        if seed > 0 {
            // Somewhere in it.
            cluster.run_for(Duration::from_millis(3 * seed));
            cluster.lose_power(one);
            cluster.start(one);
        }
        cluster.run_for(Duration::from_secs(30));
        assert_eq!(cluster.ended(), Vec::<String>::new(), "seed {seed}");
        let (pulled, refused) = cluster.client(move || pull_all(one));
        assert!(pulled >= i64::try_from(MESSAGES).unwrap(), "seed {seed}");
        assert_eq!(refused, 0, "seed {seed}: all is well");
        assert_same_logs(cluster, seed);
    }
}

#[test]
fn what_is_damaged_before_the_checkpoint_is_repaired_by_a_start_that_reads_it() {
    let (mut cluster, first, places) = filled(11);
    // A term ends in the first segment, and there is a checkpoint behind it.
    cluster.stop(first);
    cluster.start(first);
    let leader = cluster.leader();
    cluster.client(move || async move {
        let client = Client::connect(addr(leader)).await;
        for _ in 0..22 {
            client.send("T", 0, &vec![7; 900_000]).await;
        }
    });
    cluster.run_for(Duration::from_secs(5));
    let [one, _] = Cluster::others(leader);
    cluster.stop(one);
    damage(&cluster.machines[one], places[20], 0);
    cluster.start(one);
    cluster.run_for(Duration::from_secs(30));
    assert_eq!(cluster.ended(), Vec::<String>::new());
    let (_, refused) = cluster.client(move || pull_all(one));
    assert_eq!(refused, 0, "all is well");
    assert_same_logs(cluster, 11);
}

#[test]
fn a_start_is_refused_where_nobody_has_what_is_damaged() {
    let (mut cluster, _, places) = filled(7);
    (0..3).for_each(|at| cluster.stop(at));
    for at in 0..3 {
        damage(&cluster.machines[at], places[20], 0);
        cluster.start(at);
    }
    cluster.run_for(Duration::from_secs(100));
    let ended = cluster.ended();
    assert_eq!(ended.len(), 3, "{ended:?}");
    for why in ended {
        assert!(
            why.contains("damaged at offset") && why.contains("mqadmin replaceMember"),
            "{why}"
        );
        assert!(why.contains("could not be repaired: "), "{why}");
    }
}
