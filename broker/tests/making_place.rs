//! Whom a leader asks to lead that makes place, and what becomes of the consumer offsets that come meanwhile.

#![allow(clippy::unwrap_used, reason = "a test: it panics on errors")]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use remoting::body::{Body, KvTable};
use remoting::header::offset::UpdateOffsetHeader;
use remoting::header::raft::TransferLeaderHeader;
use remoting::{Command, RequestCode, ResponseCode};
use runtime::Instant;
use support::Client;
use support::cluster::{Cluster, addr, state, transfer, try_send};
use support::log::Lines;

const SEEDS: u64 = 3;
const SECOND: Duration = Duration::from_secs(1);
/// Longer than a flush takes, and less than what makes the others elect somebody.
const STALL: Duration = Duration::from_millis(90);
/// As for machines that are shared: an election by time takes four seconds and more.
const SLOW: &[(&str, &str)] = &[
    ("raftHeartbeatMillis", "200"),
    ("raftElectionMinMillis", "2000"),
    ("raftElectionMaxMillis", "3000"),
];

fn commit(offset: i64) -> Command {
    let (consumer_group, topic) = ("G", "T");
    let header = UpdateOffsetHeader { consumer_group, topic, queue_id: 0, commit_offset: offset };
    Command::oneway(RequestCode::UpdateConsumerOffset).with_ext(&header)
}

/// A number of what `brokerStatus` shows of a node.
async fn status(at: usize, key: &str) -> u64 {
    let client = Client::connect(addr(at)).await;
    let answer = client.ask(Command::request(RequestCode::GetBrokerRuntimeInfo)).await;
    let table = KvTable::decode(&answer.body).expect("a table").table;
    table[key].parse().expect("a number")
}

/// A group with a leader that has heard of a consumer group.
fn founded(seed: u64, keys: &[(&str, &str)]) -> (Cluster, usize) {
    let cluster = Cluster::founded(seed, keys);
    let first = cluster.leader();
    cluster.client(move || async move {
        Client::connect(addr(first)).await.pull("T", 0, 0).await; // makes the group
    });
    (cluster, first)
}

/// What a consumer has told, and when; and when its connection has ended.
#[derive(Default)]
struct Told {
    offsets: Vec<(i64, Instant)>,
    ended: Option<Instant>,
}

/// A consumer that tells ever higher offsets on one connection, until that ends.
fn commits_all_the_time(cluster: &Cluster, at: usize) -> Arc<Mutex<Told>> {
    let all: Arc<Mutex<Told>> = Arc::default();
    let told = Arc::clone(&all);
    cluster.background(move || async move {
        let client = Client::connect(addr(at)).await;
        for offset in 1.. {
            runtime::sleep(Duration::from_millis(3)).await;
            if !client.connection.is_open() || client.connection.oneway(&commit(offset)).is_err() {
                told.lock().unwrap().ended = Some(runtime::now());
                return;
            }
            told.lock().unwrap().offsets.push((offset, runtime::now()));
        }
    });
    all
}

/// Asks a node for the offset all the time, once it leads, and looks that it never falls.
fn watches_the_offset(cluster: &Cluster, at: usize) {
    cluster.background(move || async move {
        let mut last = 0;
        loop {
            runtime::sleep(Duration::from_millis(7)).await;
            let client = Client::connect(addr(at)).await;
            let asked = runtime::timeout(SECOND, client.committed("G", "T", 0)).await;
            let Ok(Some(now)) = asked else { continue };
            assert!(now >= last, "{now} after {last}");
            last = now;
        }
    });
}

#[test]
fn no_offset_is_lost_while_another_one_is_asked_to_lead_as_an_operator_wants() {
    for seed in 0..SEEDS {
        let (cluster, first) = founded(seed, &[]);
        let [next, other] = Cluster::others(first);
        let told = commits_all_the_time(&cluster, first);
        watches_the_offset(&cluster, next);
        cluster.run_for(SECOND + Duration::from_millis(130 * seed));
        // Nobody has all of the log at once.
        [next, other].iter().for_each(|at| {
            cluster.machines[*at].disk().stall(STALL);
        });
        cluster.client(move || async move {
            let answer = transfer(first, next).await;
            assert_eq!(answer.code, 0, "seed {seed}: {:?}", answer.remark);
        });
        cluster.run_for(Duration::from_millis(200));
        assert_eq!(cluster.client(move || status(first, "raftOffsetCommitsDropped")), 0);
        let (last, _) = *told.lock().unwrap().offsets.last().unwrap();
        cluster.run_for(2 * SECOND);
        let committed = cluster.client(move || async move {
            Client::connect(addr(next)).await.committed("G", "T", 0).await
        });
        assert!(committed >= Some(last), "seed {seed}: {committed:?}, and {last} was told");
    }
}

#[test]
fn no_offset_is_lost_that_a_consumer_tells_a_leader_that_is_being_stopped() {
    for seed in 0..SEEDS {
        let (mut cluster, first) = founded(seed, &[]);
        let others = Cluster::others(first);
        let told = commits_all_the_time(&cluster, first);
        cluster.run_for(SECOND + Duration::from_millis(130 * seed));
        others.iter().for_each(|at| {
            cluster.machines[*at].disk().stall(STALL);
        });
        cluster.stop(first);
        let next = cluster.leader();
        let committed = cluster.client(move || async move {
            Client::connect(addr(next)).await.committed("G", "T", 0).await
        });
        let told = told.lock().unwrap();
        let ended = told.ended.expect("its connection has ended");
        // What is on the way to a server that closes is lost.
        let told = told.offsets.iter().filter(|(_, at)| ended - *at > Duration::from_millis(20));
        let last = told.map(|(offset, _)| *offset).next_back();
        assert!(committed >= last, "seed {seed}: {committed:?}, and {last:?} was told");
    }
}

/// How long it takes until a node takes a message itself, or hands it on to one who does.
fn until_taken(cluster: &Cluster, at: usize) -> Duration {
    let began = cluster.simulation.now();
    cluster.client(move || async move {
        while !matches!(try_send(at, b"a message", SECOND).await, Some(Ok(_))) {
            runtime::sleep(Duration::from_millis(2)).await;
        }
    });
    cluster.simulation.now() - began
}

#[test]
fn a_leader_that_is_stopped_asks_the_next_one_where_the_first_does_not_take_over() {
    for away in 0..2 {
        let (mut cluster, first) = founded(7, SLOW);
        cluster.run_for(SECOND);
        let others = Cluster::others(first);
        // One of the two is asked first; and it does not hear of it.
        cluster.cut(first, others[away]);
        cluster.tell_to_stop(first);
        let silence = until_taken(&cluster, others[1 - away]);
        assert!(silence < 2 * SECOND, "{silence:?} without n{}", others[away]);
    }
}

/// A group that n0, which should, does not lead.
fn led_by_another(keys: &[(&str, &str)]) -> (Cluster, usize) {
    let mut cluster = Cluster::founded(1, keys);
    cluster.run_for(8 * SECOND);
    if cluster.leader() == 0 {
        cluster.crash(0);
        cluster.run_for(SECOND);
        cluster.start(0);
        cluster.run_for(SECOND);
    }
    let first = cluster.leader();
    assert_ne!(first, 0);
    (cluster, first)
}

#[test]
fn a_leader_that_is_stopped_asks_one_that_has_all_of_the_log() {
    let (mut cluster, first) = led_by_another(&[]);
    let third = 3 - first;
    cluster.background(move || async move {
        while try_send(first, b"a message", SECOND).await.is_some() {}
    });
    cluster.machines[0].disk().stall(4 * SECOND);
    cluster.run_for(Duration::from_millis(50));
    let lines = Lines::keep();
    cluster.tell_to_stop(first);
    cluster.run_for(Duration::from_millis(200));
    let (over, to) = ("leadership is handed over", format!("to=n{third} "));
    assert!(lines.with(over).iter().any(|line| line.contains(&to)), "{:?}", lines.with(""));
}

#[test]
fn a_member_that_does_not_get_level_is_asked_for_once() {
    let (cluster, first) = founded(2, &[]);
    let [slow, _] = Cluster::others(first);
    cluster.run_for(SECOND);
    cluster.machines[slow].disk().stall(5 * SECOND);
    let term = cluster.client(move || state(first)).term;
    cluster.client(move || async move {
        assert!(matches!(try_send(first, b"a message", SECOND).await, Some(Ok(_))));
        let answer = transfer(first, slow).await;
        assert_eq!(answer.code, ResponseCode::IllegalOperation.code(), "{:?}", answer.remark);
        let remark = answer.remark.unwrap_or_default();
        assert!(remark.contains("groupState") && remark.contains("--to"), "{remark}");
        assert!(matches!(try_send(first, b"a message", SECOND).await, Some(Ok(_))));
    });
    assert_eq!(cluster.client(move || state(first)).term, term, "it leads on");
}

/// Tells a member that leadership is held for so long, away from n0; `at_least`: unless it is for longer.
async fn hold(at: usize, time: Duration, at_least: Option<bool>) {
    let state = state(at).await;
    let away = state.members.iter().find(|member| member.label == "n0");
    let header = TransferLeaderHeader {
        group: &state.group,
        store: None,
        hold_millis: i64::try_from(time.as_millis()).ok(),
        at_least,
        away: away.map(|member| &*member.store),
    };
    let client = Client::connect(addr(at)).await;
    let answer = client.request(RequestCode::TransferRaftLeader, &header).await;
    assert_eq!(answer.code, 0, "{:?}", answer.remark);
}

#[test]
fn one_that_leadership_is_held_away_from_is_not_asked_by_a_leader_that_is_stopped() {
    let (mut cluster, first) = led_by_another(&[]);
    cluster.client(move || async move {
        hold(first, 600 * SECOND, None).await;
        // What another command needs does not shorten what an operator has said.
        hold(first, Duration::ZERO, Some(true)).await;
    });
    cluster.run_for(30 * SECOND);
    let lines = Lines::keep();
    cluster.stop(first);
    let (over, to) = ("leadership is handed over", format!("to=n{} ", 3 - first));
    assert!(lines.with(over).iter().any(|line| line.contains(&to)), "{:?}", lines.with(over));
}

/// Lets the disk of a node have so many percent in use.
fn fill(cluster: &Cluster, at: usize, percent: u64) {
    let disk = cluster.machines[at].disk();
    disk.resize(disk.used() * 100 / percent);
}

/// Once a second.
const LOOKS: u32 = 600;

#[test]
fn a_leader_with_too_little_of_its_disk_left_makes_place_and_leads_ever_less() {
    // Nothing old goes to make room, and the log itself has it.
    let cluster = Cluster::founded(3, &[SLOW, &[("cleanFileForciblyEnable", "false")]].concat());
    cluster.run_for(8 * SECOND);
    assert_eq!(cluster.leader(), 0, "it should lead");
    fill(&cluster, 0, 95);
    cluster.run_for(30 * SECOND);
    let next = cluster.leader();
    assert!(matches!(cluster.client(move || try_send(next, b"a message", SECOND)), Some(Ok(_))));
    // It is level, and should lead: it gets the lead back now and then, and refuses messages.
    let mut led = 0;
    for _ in 0..LOOKS {
        cluster.run_for(SECOND);
        led += u32::from(cluster.client(move || state(0)).role == "LEADER");
    }
    assert!(led < LOOKS * 2 / 5, "it leads {led} of {LOOKS} seconds");
    // It serves again when there is room.
    cluster.machines[0].disk().heal();
    cluster.run_for(20 * SECOND);
    cluster.leader();
}
