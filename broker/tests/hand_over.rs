//! Leaders that make place for another member: what is under way is finished first, and one that is sick is not given the lead again
//! and again.

#![allow(clippy::unwrap_used, reason = "a test: it panics on errors")]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use remoting::body::{Body, KvTable};
use remoting::header::offset::UpdateOffsetHeader;
use remoting::{Command, RequestCode, ResponseCode};
use runtime::Instant;
use support::Client;
use support::cluster::{Cluster, addr, state, transfer, try_send};

const SEEDS: u64 = 5;
const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn what_is_under_way_is_answered_before_another_one_leads_as_an_operator_asks() {
    for seed in 0..SEEDS {
        let cluster = Cluster::founded(seed, &[]);
        let first = cluster.leader();
        let [next, _] = Cluster::others(first);
        let refused: Arc<Mutex<Vec<(ResponseCode, String)>>> = Arc::default();
        for sender in 0..20 {
            let told = Arc::clone(&refused);
            cluster.background(move || async move {
                runtime::sleep(Duration::from_micros(sender * 137)).await;
                while let Some(sent) = try_send(first, b"a message", PATIENCE).await {
                    if let Err(refusal) = sent {
                        told.lock().unwrap().push(refusal);
                    }
                    runtime::sleep(Duration::from_millis(2)).await;
                }
            });
        }
        cluster.run_for(Duration::from_secs(1));
        assert_eq!(*refused.lock().unwrap(), [], "seed {seed}");
        cluster.client(move || async move {
            let client = Client::connect(addr(first)).await;
            client.pull("T", 0, 0).await; // makes the group
            let header = UpdateOffsetHeader {
                consumer_group: "G",
                topic: "T",
                queue_id: 0,
                commit_offset: 33,
            };
            let commit = Command::oneway(RequestCode::UpdateConsumerOffset).with_ext(&header);
            runtime::sleep(Duration::from_millis(100)).await;
            client.connection.oneway(&commit).unwrap();
            runtime::sleep(Duration::from_millis(5)).await;
            let answer = transfer(first, next).await;
            assert_eq!(answer.code, 0, "{:?}", answer.remark);
            runtime::sleep(Duration::from_secs(1)).await;
            let client = Client::connect(addr(next)).await;
            assert_eq!(client.committed("G", "T", 0).await, Some(33), "seed {seed}");
            let sent = try_send(first, b"a message", PATIENCE).await;
            assert!(matches!(sent, Some(Ok(_))), "seed {seed}: it is handed on: {sent:?}");
        });
        let refused = refused.lock().unwrap();
        let unknown = refused.iter().find(|(_, remark)| remark.contains("is unknown"));
        assert_eq!(unknown, None, "seed {seed}");
    }
}

#[test]
fn a_sick_member_that_should_lead_is_given_the_lead_ever_more_seldom() {
    let cluster = Cluster::founded(1, &[]);
    let mut times = 0;
    let end = cluster.simulation.now() + Duration::from_secs(180);
    while cluster.simulation.now() < end {
        if cluster.leader() == 0 {
            // It is well until it leads.
            times += 1;
            [1, 2].iter().for_each(|other| cluster.cut(0, *other));
            cluster.run_for(Duration::from_secs(1));
            cluster.mend();
        }
        cluster.run_for(Duration::from_millis(200));
    }
    // Each of the others begins with one after five seconds; the next ones come a minute later, and two minutes after that.
    assert!((2..=8).contains(&times), "{times} times in three minutes");
}

/// The term of the group as a node knows it, and whether that one leads.
async fn term(at: usize) -> (i64, bool) {
    let state = state(at).await;
    (state.term, state.role == "LEADER")
}

/// Longer than a hand-over takes; less than an election.
const SILENCE: Duration = Duration::from_millis(100);

#[test]
fn a_leader_that_stood_still_and_comes_back_costs_no_second_silence() {
    for seed in 0..2 {
        let cluster = Cluster::founded(seed, &[]);
        // Whoever should lead does by then.
        cluster.run_for(Duration::from_secs(7));
        let first = cluster.leader();
        let acked: Arc<Mutex<Vec<Instant>>> = Arc::default();
        for at in Cluster::others(first) {
            let acked = Arc::clone(&acked);
            cluster.background(move || async move {
                loop {
                    if let Some(Ok(_)) = try_send(at, b"a message", Duration::from_secs(1)).await {
                        acked.lock().unwrap().push(runtime::now());
                    }
                    runtime::sleep(Duration::from_millis(8)).await;
                }
            });
        }
        cluster.run_for(Duration::from_millis(500));
        cluster.machines[first].pause();
        cluster.run_for(Duration::from_millis(5_400 + 113 * seed));
        let healed = cluster.simulation.now();
        cluster.machines[first].resume();
        // It is given the lead again once it has been well for five seconds.
        cluster.run_for(Duration::from_secs(9));
        let mut acked = std::mem::take(&mut *acked.lock().unwrap());
        acked.retain(|at| *at > healed);
        acked.sort();
        let gaps = acked.windows(2).map(|two| (two[1] - two[0], two[0] - healed));
        let silences: Vec<_> = gaps.filter(|(gap, _)| *gap > SILENCE).collect();
        assert_eq!(silences, [], "seed {seed}: n{first} was away; how long, and when");
    }
}

#[test]
fn who_should_lead_and_does_not_keep_up_is_not_asked_to() {
    let mut cluster = Cluster::founded(1, &[]);
    cluster.run_for(Duration::from_secs(8));
    if cluster.leader() == 0 {
        cluster.crash(0);
        cluster.run_for(Duration::from_secs(1));
        cluster.start(0);
    }
    let first = cluster.leader();
    assert_ne!(first, 0);
    for at in [1, 2] {
        cluster.background(move || async move {
            while try_send(at, b"a message", PATIENCE).await.is_some() {
                runtime::sleep(Duration::from_millis(20)).await;
            }
        });
    }
    // Connected, and behind by less than what hinders a member from voting, whenever it is looked at.
    let (before, _) = cluster.client(move || term(first));
    for _ in 0..25 {
        cluster.machines[0].disk().stall(Duration::from_millis(400));
        cluster.run_for(Duration::from_millis(300));
        assert_eq!(cluster.client(move || term(first)), (before, true));
    }
    // It keeps up, and gets the lead.
    cluster.run_for(Duration::from_secs(10));
    assert!(cluster.client(move || term(0)).1);
}

/// A number of what `brokerStatus` shows of a node.
async fn status(at: usize, key: &str) -> u64 {
    let client = Client::connect(addr(at)).await;
    let answer = client.ask(Command::request(RequestCode::GetBrokerRuntimeInfo)).await;
    let table = KvTable::decode(&answer.body).expect("a table").table;
    table[key].parse().expect("a number")
}

#[test]
fn offsets_that_were_not_in_the_log_when_an_office_ended_are_counted() {
    let mut dropped = 0;
    for seed in 0..SEEDS {
        let cluster = Cluster::founded(seed, &[]);
        let first = cluster.leader();
        cluster.run_for(Duration::from_secs(1) + Duration::from_millis(150 * seed));
        cluster.client(move || async move {
            Client::connect(addr(first)).await.pull("T", 0, 0).await; // makes the group
        });
        Cluster::others(first).iter().for_each(|other| cluster.cut(first, *other));
        cluster.client(move || async move {
            let client = Client::connect(addr(first)).await;
            let (consumer_group, topic) = ("G", "T");
            let header =
                UpdateOffsetHeader { consumer_group, topic, queue_id: 0, commit_offset: 1 };
            let commit = Command::oneway(RequestCode::UpdateConsumerOffset).with_ext(&header);
            client.connection.oneway(&commit).unwrap();
            client.max_offset("T", 0).await;
        });
        cluster.run_for(Duration::from_secs(2));
        dropped += cluster.client(move || status(first, "raftOffsetCommitsDropped"));
    }
    // What the log has taken by then may be stored.
    assert!((1..=SEEDS).contains(&dropped), "{dropped}");
}

#[test]
fn what_a_lost_office_costs_is_counted() {
    let cluster = Cluster::founded(3, &[]);
    let first = cluster.leader();
    for sender in 0..20 {
        cluster.background(move || async move {
            runtime::sleep(Duration::from_micros(sender * 137)).await;
            while try_send(first, b"a message", PATIENCE).await.is_some() {
                runtime::sleep(Duration::from_millis(10)).await;
            }
        });
    }
    cluster.run_for(Duration::from_secs(1));
    let before = cluster.client(move || status(first, "raftLeaderChanges"));
    assert_eq!(cluster.client(move || status(first, "raftSendsUnknown")), 0);
    Cluster::others(first).iter().for_each(|other| cluster.cut(first, *other));
    cluster.run_for(Duration::from_secs(1));
    cluster.client(move || async move {
        let client = Client::connect(addr(first)).await;
        let header =
            UpdateOffsetHeader { consumer_group: "G", topic: "T", queue_id: 0, commit_offset: 1 };
        let commit = Command::oneway(RequestCode::UpdateConsumerOffset).with_ext(&header);
        client.connection.oneway(&commit).unwrap();
        client.max_offset("T", 0).await;
    });
    cluster.mend();
    cluster.run_for(Duration::from_secs(1));
    let of = |key: &'static str| cluster.client(move || status(first, key));
    assert_eq!(of("raftSendsUnknown"), 20, "all that were under way");
    assert!(of("raftSendsRefused") > 20, "{}", of("raftSendsRefused"));
    assert_eq!(of("raftOffsetCommitsDropped"), 1);
    assert!(of("raftLeaderChanges") > before, "{before}");
}
