//! Groups of three brokers whose clients ask a member that does not lead.

#![allow(clippy::unwrap_used, reason = "a test: it panics on errors")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use model::{Record, Term};
use raft::net::{Constants, Facts, Forwarded, Limits, NoAnswer, NotSent, Peers, who_is};
use raft::{Member as RaftMember, MemberId};
use remoting::body::{Body, LockReply, LockRequest, SubscriptionGroupConfig};
use remoting::{Command, RequestCode, ResponseCode};
use storage::StoreId;
use support::cluster::{Cluster, addr, stored_by};
use support::member::{Member, queue};
use support::{Client, create_header, pull_header, send_header, sent};
use transport::Connection;

const SEEDS: u64 = 3;
const CLIENTS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9));
/// For so long a member waits for the leader's answer.
const WAIT: Duration = Duration::from_secs(2);
/// What an answer takes that comes by another node, beside what is waited for.
const MOMENT: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(30);

const TAKE: RequestCode = RequestCode::LockBatchMq;
const GIVE: RequestCode = RequestCode::UnlockBatchMq;

/// What a client of group `G` says who wants queue 0 of topic `T`, or gives it back.
fn lock(client: &str) -> Vec<u8> {
    let request = LockRequest {
        client_id: client.to_owned(),
        consumer_group: "G".to_owned(),
        mq_set: vec![queue("T", "broker-a", 0)],
        only_this_broker: false,
    };
    request.encode()
}

/// How many queues a client was given.
fn locked(answer: &Command) -> usize {
    LockReply::decode(&answer.body).unwrap().locked.len()
}

fn send(body: &[u8]) -> Command {
    let header = send_header("T", 0);
    Command::request(RequestCode::SendMessageV2).with_ext(&header).with_body(body.to_vec())
}

/// The bodies of queue 0 of topic `T` at a node, each with where it was born, once it has so many.
async fn read(at: usize, count: usize) -> Vec<(Vec<u8>, SocketAddr)> {
    let client = Client::connect(addr(at)).await;
    while client.max_offset("T", 0).await < i64::try_from(count).unwrap() {
        runtime::sleep(Duration::from_millis(10)).await;
    }
    let mut all = Vec::new();
    loop {
        let header = pull_header("T", 0, i64::try_from(all.len()).unwrap());
        let answer = client.request(RequestCode::PullMessage, &header).await;
        let mut rest = &answer.body[..];
        if rest.is_empty() {
            return all;
        }
        while !rest.is_empty() {
            let record = Record::parse(rest).unwrap();
            all.push((record.body().to_vec(), record.born_host()));
            rest = &rest[record.bytes().len()..];
        }
    }
}

#[test]
fn what_is_sent_to_a_follower_is_stored_once_as_the_leader_would() {
    for seed in 0..SEEDS {
        let cluster = Cluster::founded(seed, &[]);
        let first = cluster.leader();
        let [one, other] = Cluster::others(first);
        let found = cluster.client(move || async move {
            let direct = Client::connect(addr(first)).await;
            let begin = usize::try_from(direct.max_offset("T", 0).await).unwrap();
            let mut due = Vec::new();
            for (number, at) in (0_u32..).zip([one, other, first, one, other]) {
                let client = Client::connect(addr(at)).await;
                let body = number.to_be_bytes();
                for code in [RequestCode::SendMessage, RequestCode::SendMessageV2] {
                    let command = Command::request(code).with_ext(&send_header("T", 0));
                    let answer = client.ask(command.with_body(body.to_vec())).await;
                    let sent = sent(&answer).unwrap();
                    assert_eq!(stored_by(&sent), first, "its id is the leader's");
                    assert_eq!(usize::try_from(sent.offset).unwrap(), begin + due.len());
                    assert!(sent.transaction.is_some(), "its key comes back");
                    due.push((body.to_vec(), client.connection.local().port()));
                }
                client.connection.oneway(&oneway(b"oneway")).unwrap();
                due.push((b"oneway".to_vec(), client.connection.local().port()));
                // A batch, which comes behind what went before on the connection.
                let batch = Command::request(RequestCode::SendBatchMessage);
                let batch = batch.with_ext(&send_header("T", 0));
                let answer = client.ask(batch.with_body(batch_of(&[b"x", b"y"]))).await;
                let sent = sent(&answer).unwrap();
                assert_eq!(usize::try_from(sent.offset).unwrap(), begin + due.len());
                assert_eq!(sent.id.split(',').count(), 2);
                for body in [b"x", b"y"] {
                    due.push((body.to_vec(), client.connection.local().port()));
                }
            }
            let found = read(other, begin + due.len()).await.split_off(begin);
            assert!(found.iter().all(|(_, born)| born.ip() == CLIENTS), "{found:?}");
            let found: Vec<_> = found.into_iter().map(|(body, born)| (body, born.port())).collect();
            (found, due)
        });
        assert_eq!(
            found.0, found.1,
            "seed {seed}: each once, in order, with its producer's address"
        );
        assert_eq!(cluster.ended(), Vec::<String>::new());
    }
}

fn oneway(body: &[u8]) -> Command {
    let header = send_header("T", 0);
    Command::oneway(RequestCode::SendMessageV2).with_ext(&header).with_body(body.to_vec())
}

/// The body of a batch of messages without properties.
fn batch_of(bodies: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for body in bodies {
        let len = i32::try_from(22 + body.len()).unwrap();
        out.extend(len.to_be_bytes());
        out.extend([0; 12]); // magic, CRC, flag
        out.extend(i32::try_from(body.len()).unwrap().to_be_bytes());
        out.extend_from_slice(body);
        out.extend([0; 2]);
    }
    out
}

#[test]
fn what_else_only_the_leader_can_do_is_done_by_way_of_a_follower() {
    let cluster = Cluster::founded(1, &[]);
    let first = cluster.leader();
    let [one, other] = Cluster::others(first);
    cluster.client(move || async move {
        let (near, far) = (Client::connect(addr(one)).await, Client::connect(addr(first)).await);
        near.create_topic("Made", 3).await;
        assert_eq!(far.max_offset("Made", 2).await, 0, "it is there when that is answered");
        let member = Member::connect(addr(one)).await;
        let group = SubscriptionGroupConfig {
            group_name: "G".to_owned(),
            retry_max_times: 3,
            ..SubscriptionGroupConfig::default()
        };
        let update = RequestCode::UpdateAndCreateSubscriptiongroup;
        assert_eq!(member.ask(update, &[], group.encode()).await.code, 0);

        assert_eq!(near.committed("G", "T", 0).await, None);
        assert_eq!(near.commit("G", "T", 0, 1).await.code, 0);
        assert_eq!(far.committed("G", "T", 0).await, Some(1));
        assert_eq!(near.committed("G", "T", 0).await, Some(1));
        let by_other = Client::connect(addr(other)).await;
        assert_eq!(by_other.committed("G", "T", 0).await, Some(1), "as the leader knows it");

        let direct = Member::connect(addr(first)).await;
        assert_eq!(locked(&member.ask(TAKE, &[], lock("a")).await), 1);
        assert_eq!(locked(&direct.ask(TAKE, &[], lock("b")).await), 0);
        assert_eq!(member.ask(GIVE, &[], lock("a")).await.code, 0);
        assert_eq!(locked(&direct.ask(TAKE, &[], lock("b")).await), 1);

        // What the leader refuses is refused in its words.
        let bad = near.request(RequestCode::UpdateAndCreateTopic, &create_header("a b", 1)).await;
        let same = far.request(RequestCode::UpdateAndCreateTopic, &create_header("a b", 1)).await;
        assert_ne!(bad.code, 0);
        assert_eq!((bad.code, bad.remark), (same.code, same.remark));
        let deletes = [("topic", "Made")];
        assert_eq!(
            member.ask(RequestCode::DeleteTopicInBroker, &deletes, Vec::new()).await.code,
            0
        );
        let gone = [("groupName", "G"), ("cleanOffset", "true")];
        let answer = member.ask(RequestCode::DeleteSubscriptiongroup, &gone, Vec::new()).await;
        assert_eq!(answer.code, 0);
        assert_eq!(far.committed("G", "T", 0).await, None);
    });
}

/// What became of a message: where it is, or why it is refused; and how long that took.
type Answered = (u64, Duration, Result<i64, (ResponseCode, String)>);
type Log = Arc<Mutex<Vec<Answered>>>;

/// Sends numbers to a node, many at a time on one connection, and waits for all answers.
async fn send_many(at: usize, first: u64, count: u64, log: Log) {
    let client = Client::connect(addr(at)).await;
    let mut sending = Vec::new();
    for number in first..first + count {
        let (connection, log) = (client.connection.clone(), Arc::clone(&log));
        sending.push(runtime::spawn(send_one(connection, number, log)));
        runtime::sleep(Duration::from_micros(500)).await;
    }
    futures::future::join_all(sending).await;
}

async fn send_one(connection: Connection, number: u64, log: Log) {
    let began = runtime::now();
    if let Ok(answer) = connection.request(send(&number.to_be_bytes()), PATIENCE).await {
        let result = sent(&answer).map(|sent| sent.offset);
        log.lock().unwrap().push((number, began.elapsed(), result));
    }
}

/// Checks that what was acknowledged is where it was said to be, and that nothing is stored twice, at whoever leads now. What was
/// said to be not acted on is not there.
fn check(cluster: &Cluster, log: &Log) -> BTreeMap<u64, i64> {
    let at = cluster.leader();
    let found = cluster.client(move || async move {
        let client = Client::connect(addr(at)).await;
        let end = usize::try_from(client.max_offset("T", 0).await).unwrap();
        read(at, end).await
    });
    let mut places = BTreeMap::new();
    for (offset, (body, _)) in (0..).zip(found) {
        let Ok(number) = <[u8; 8]>::try_from(&body[..]) else { continue };
        let before = places.insert(u64::from_be_bytes(number), offset);
        assert_eq!(before, None, "{number:?} is stored twice");
    }
    for (number, _, result) in &*log.lock().unwrap() {
        match result {
            Ok(offset) => assert_eq!(places.get(number), Some(offset), "{number}"),
            Err((_, why)) if why.contains("not acted on") || why.contains("[OVERLOAD]") => {
                assert_eq!(places.get(number), None, "{number} is there: {why}");
            }
            Err(_) => {}
        }
    }
    places
}

fn all_answered(log: &Log, count: u64) {
    let numbers: BTreeSet<u64> = log.lock().unwrap().iter().map(|(number, _, _)| *number).collect();
    assert_eq!(numbers, (0..count).collect(), "each has one answer");
    assert_eq!(log.lock().unwrap().len() as u64, count);
}

/// All refusals are of the codes upon which a producer tries another broker.
fn refusals(log: &Log) -> usize {
    let log = log.lock().unwrap();
    let refused: Vec<_> = log.iter().filter_map(|(_, _, result)| result.as_ref().err()).collect();
    for (code, why) in &refused {
        assert_eq!(*code, ResponseCode::ServiceNotAvailable, "{why}");
    }
    refused.len()
}

#[test]
fn a_leader_that_dies_with_requests_under_way_makes_none_of_them_twice() {
    for seed in 0..SEEDS * 2 {
        let mut cluster = Cluster::founded(seed, &[]);
        let first = cluster.leader();
        let [one, other] = Cluster::others(first);
        let log = Log::default();
        let sending = Arc::clone(&log);
        cluster.background(move || send_many(one, 0, 400, sending));
        cluster.run_for(Duration::from_millis(60 + seed * 7));
        // Some are under way, whatever the moment.
        cluster.machines[first].disk().stall(Duration::from_secs(1));
        cluster.run_for(Duration::from_millis(20));
        match seed % 2 {
            0 => cluster.crash(first),
            _ => cluster.lose_power(first),
        }
        cluster.run_for(Duration::from_secs(6));
        all_answered(&log, 400);
        let refused = refusals(&log);
        assert!((1..400).contains(&refused), "seed {seed}: {refused} are refused");
        let slowest = log.lock().unwrap().iter().map(|(_, took, _)| *took).max().unwrap();
        assert!(slowest < WAIT + MOMENT, "seed {seed}: {slowest:?}");
        assert!([one, other].contains(&cluster.leader()));
        check(&cluster, &log);
        assert_eq!(cluster.ended(), Vec::<String>::new());
    }
}

#[test]
fn a_follower_that_is_cut_off_from_the_leader_alone_says_that_nobody_knows() {
    for seed in 0..SEEDS {
        let cluster = Cluster::founded(seed, &[]);
        let first = cluster.leader();
        let [one, _] = Cluster::others(first);
        let log = Log::default();
        let sending = Arc::clone(&log);
        cluster.background(move || send_many(one, 0, 600, sending));
        cluster.run_for(Duration::from_millis(100));
        cluster.cut(one, first);
        cluster.run_for(Duration::from_secs(8));
        all_answered(&log, 600);
        assert!(refusals(&log) > 100, "seed {seed}");
        let slowest = log.lock().unwrap().iter().map(|(_, took, _)| *took).max().unwrap();
        assert!(slowest < WAIT + MOMENT, "seed {seed}: {slowest:?}");
        check(&cluster, &log);
        cluster.mend();
        cluster.run_for(Duration::from_secs(2));
        // What was on its way comes late, or never; and what comes after that arrives.
        let again = Log::default();
        let sending = Arc::clone(&again);
        cluster.client(move || send_many(one, 1000, 20, sending));
        cluster.run_for(Duration::from_secs(1));
        let answers = again.lock().unwrap().len();
        assert_eq!((answers, refusals(&again)), (20, 0), "seed {seed}");
        check(&cluster, &log);
        check(&cluster, &again);
    }
}

#[test]
fn what_was_given_back_late_by_way_of_a_follower_is_not_taken_from_who_has_got_it_anew() {
    for seed in 0..SEEDS {
        let cluster = Cluster::founded(seed, &[]);
        let first = cluster.leader();
        let [one, _] = Cluster::others(first);
        cluster.client(move || async move {
            // The follower has a connection to the leader.
            assert_eq!(
                locked(&Member::connect(addr(one)).await.ask(TAKE, &[], lock("a")).await),
                1
            );
        });
        cluster.cut(one, first);
        let told = Arc::new(Mutex::new(None));
        let code = Arc::clone(&told);
        cluster.background(move || async move {
            let answer = Member::connect(addr(one)).await.ask(GIVE, &[], lock("a")).await;
            *code.lock().unwrap() = Some(answer.code);
        });
        cluster.run_for(WAIT + MOMENT);
        let unknown = ResponseCode::ServiceNotAvailable.code();
        assert_eq!(told.lock().unwrap().take(), Some(unknown), "seed {seed}: nobody knows");
        cluster.client(move || async move {
            let direct = Member::connect(addr(first)).await;
            assert_eq!(locked(&direct.ask(TAKE, &[], lock("a")).await), 1, "has it still");
        });
        cluster.mend();
        cluster.run_for(Duration::from_secs(3));
        cluster.client(move || async move {
            let direct = Member::connect(addr(first)).await;
            assert_eq!(locked(&direct.ask(TAKE, &[], lock("b")).await), 0, "seed {seed}");
        });
    }
}

#[test]
fn a_follower_that_turns_leader_meanwhile_stores_each_message_once() {
    for seed in 0..SEEDS * 2 {
        let mut cluster = Cluster::founded(seed, &[]);
        let first = cluster.leader();
        let [one, other] = Cluster::others(first);
        let log = Log::default();
        for (at, number) in [(one, 0), (other, 300)] {
            let sending = Arc::clone(&log);
            cluster.background(move || send_many(at, number, 300, sending));
        }
        cluster.run_for(Duration::from_millis(60 + seed * 5));
        // It hands over, to one of those who hand requests on to it.
        cluster.stop(first);
        cluster.run_for(Duration::from_secs(3));
        all_answered(&log, 600);
        let stored = 600 - refusals(&log);
        assert!(stored > 300, "seed {seed}: {stored} are stored");
        assert!([one, other].contains(&cluster.leader()));
        let places = check(&cluster, &log);
        // Of those that were stored each node's are in the order in which they were sent.
        let acknowledged = |from: u64| {
            let log = log.lock().unwrap();
            let ours = log.iter().filter(|(number, ..)| (from..from + 300).contains(number));
            let stored: BTreeMap<u64, i64> = ours
                .filter_map(|(number, _, result)| Some((*number, *result.as_ref().ok()?)))
                .collect();
            stored
        };
        for from in [0, 300] {
            let stored = acknowledged(from);
            assert!(stored.values().is_sorted(), "seed {seed}: {stored:?}");
            assert!(stored.iter().all(|(number, offset)| places[number] == *offset));
        }
        assert_eq!(cluster.ended(), Vec::<String>::new());
    }
}

#[test]
fn what_is_more_than_may_be_under_way_is_refused_at_once() {
    let cluster = Cluster::founded(7, &[]);
    let first = cluster.leader();
    let [one, other] = Cluster::others(first);
    // Nobody flushes, so nothing is committed, and everybody keeps the office that he has for a moment.
    let log = Log::default();
    let sending = Arc::clone(&log);
    for at in [one, other] {
        cluster.machines[at].disk().stall(Duration::from_millis(300));
    }
    cluster.background(move || async move {
        let client = Client::connect(addr(one)).await;
        let send = |number| {
            let (connection, log) = (client.connection.clone(), Arc::clone(&sending));
            runtime::spawn(send_one(connection, number, log))
        };
        futures::future::join_all((0..4500).map(send)).await;
    });
    cluster.run_for(Duration::from_secs(5));
    all_answered(&log, 4500);
    let busy = {
        let log = log.lock().unwrap();
        let is_busy = |answer: &&Answered| matches!(&answer.2, Err((ResponseCode::SystemBusy, why)) if why.contains("does not lead"));
        log.iter().filter(is_busy).count()
    };
    // All came while the first ones waited, or nearly all.
    assert!((300..=4500 - 4096).contains(&busy), "{busy} of those beyond the limit go elsewhere");
    let stored = log.lock().unwrap().iter().filter(|(_, _, result)| result.is_ok()).count();
    assert_eq!(stored, 4500 - busy, "and the others are stored");
    check(&cluster, &log);
}

/// A leader that commits late, and two hands of sends by way of a follower: the first one waits for longer than the follower does.
#[test]
fn a_send_that_is_late_takes_no_younger_one_along() {
    let keys = [
        ("raftHeartbeatMillis", "200"),
        ("raftElectionMinMillis", "2000"),
        ("raftElectionMaxMillis", "3000"),
    ];
    for seed in 0..SEEDS {
        let cluster = Cluster::founded(seed, &keys);
        let first = cluster.leader();
        let [one, other] = Cluster::others(first);
        cluster.run_for(Duration::from_secs(1));
        let log = Log::default();
        for at in [one, other] {
            cluster.machines[at].disk().stall(Duration::from_millis(2_300));
        }
        for (from, count) in [(0, 1), (1, 20)] {
            let sending = Arc::clone(&log);
            cluster.background(move || send_many(one, from, count, sending));
            cluster.run_for(Duration::from_millis(1_500));
        }
        all_answered(&log, 21);
        assert_eq!(refusals(&log), 1, "seed {seed}");
        {
            let log = log.lock().unwrap();
            let late = log.iter().find(|(number, ..)| *number == 0).unwrap();
            assert!(late.2.as_ref().unwrap_err().1.contains("is unknown"), "seed {seed}: {late:?}");
        }
        assert_eq!(check(&cluster, &log).len(), 21, "seed {seed}: they are stored all the same");
        assert_eq!(cluster.leader(), first, "seed {seed}");
    }
}

/// A member that nobody has heard of, and that hands on whatever it likes.
async fn stranger(to: usize) -> (Peers, MemberId) {
    let facts = Facts {
        store: MemberId(StoreId(77)),
        cluster: "DefaultCluster".into(),
        group: "broker-a".into(),
        known_as: "broker-a".into(),
        shard: 0,
        constants: Constants::new(16 * 1024 * 1024),
    };
    let limits = Limits::new(4 * 1024 * 1024);
    let there = SocketAddr::new(addr(to).ip(), 40_911);
    let id = who_is(there, &facts, &limits).await.expect("it lets members in");
    let peers = Peers::new(facts, limits);
    peers.know([(&id, &RaftMember::new("n", there))]);
    (peers, id)
}

async fn hand_on(to: usize, term: u64, command: &Command) -> Result<Option<i32>, String> {
    let (peers, id) = stranger(to).await;
    let mut frame = Vec::new();
    command.encode(&mut frame).unwrap();
    let origin = SocketAddr::from(([192, 0, 2, 1], 4321));
    let request = Forwarded { term: Term(term), origin, left: WAIT, request: Bytes::from(frame) };
    let sent = peers.hand_on(id, &request).await;
    let mut sent = sent.map_err(|error: NotSent| error.to_string())?;
    let answer = runtime::timeout(WAIT * 2, sent.answer()).await.expect("an answer");
    peers.stop();
    match answer {
        Ok(frame) if frame.is_empty() => Ok(None),
        Ok(frame) => {
            let frame = Bytes::from(frame);
            let range = remoting::frame::split(&frame, usize::MAX).unwrap().unwrap();
            Ok(Some(Command::from_frame(&frame, &range).unwrap().code))
        }
        Err(NoAnswer::NotTaken(why)) => Err(why),
        Err(NoAnswer::Lost(why)) => panic!("{why}"),
    }
}

#[test]
fn what_was_handed_on_is_never_handed_on_again_and_counts_in_one_office_only() {
    let cluster = Cluster::founded(3, &[]);
    let first = cluster.leader();
    let [one, _] = Cluster::others(first);
    cluster.client(move || async move {
        let before = Client::connect(addr(first)).await.max_offset("T", 0).await;
        // To one that does not lead, and knows who does.
        let refused = hand_on(one, 1, &send(b"loop")).await.expect_err("it does not lead");
        assert!(refused.contains("does not lead the group"), "{refused}");
        let refused = hand_on(first, 99, &send(b"late")).await.expect_err("another term");
        assert!(refused.contains("another term than 99"), "{refused}");
        assert_eq!(Client::connect(addr(first)).await.max_offset("T", 0).await, before);
        // What is no request, and what no leader is needed for.
        let answer = Command::reply_to(1, 0);
        let refused = hand_on(first, term(first).await, &answer).await.expect_err("an answer");
        assert!(refused.contains("an answer where a request is expected"), "{refused}");
        let pull = Command::request(RequestCode::PullMessage).with_ext(&pull_header("T", 0, 0));
        let not_supported = ResponseCode::RequestCodeNotSupported.code();
        assert_eq!(hand_on(first, term(first).await, &pull).await, Ok(Some(not_supported)));
        assert_eq!(hand_on(first, term(first).await, &oneway(b"oneway")).await, Ok(None));
        assert_eq!(hand_on(first, term(first).await, &send(b"good")).await, Ok(Some(0)));
        let found = read(first, usize::try_from(before).unwrap() + 2).await;
        let born: Vec<_> = found.iter().rev().take(2).map(|(_, born)| born.to_string()).collect();
        assert_eq!(born, ["192.0.2.1:4321", "192.0.2.1:4321"]);
    });
    assert_eq!(cluster.ended(), Vec::<String>::new());
}

async fn term(at: usize) -> u64 {
    let client = Client::connect(addr(at)).await;
    let answer = client.ask(Command::request(RequestCode::GetRaftGroupState)).await;
    let state = remoting::body::RaftGroupState::decode(&answer.body).unwrap();
    u64::try_from(state.term).unwrap()
}

#[test]
fn without_a_leader_a_request_is_refused_at_once() {
    let mut cluster = Cluster::founded(5, &[]);
    let first = cluster.leader();
    let [one, other] = Cluster::others(first);
    cluster.crash(first);
    cluster.crash(other);
    cluster.run_for(Duration::from_secs(2));
    let took = cluster.client(move || async move {
        let client = Client::connect(addr(one)).await;
        let began = runtime::now();
        let refused = sent(&client.ask(send(b"nobody")).await).expect_err("nobody leads");
        assert_eq!(refused.0, ResponseCode::ServiceNotAvailable, "{}", refused.1);
        began.elapsed()
    });
    assert!(took < Duration::from_secs(1) + MOMENT, "{took:?}");
}
