//! Groups of three brokers that lose their leader: who follows, how soon, and what those are told who wait.

#![allow(clippy::unwrap_used, reason = "a test: it panics on errors")]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use remoting::body::{Body, LockReply, LockRequest};
use remoting::{Command, RequestCode, ResponseCode};
use runtime::sim::{DiskOp, When};
use support::Client;
use support::cluster::{Cluster, addr, leader, try_send_bytes};
use support::member::{Member, queue};

/// With the default times. A lease and the shortest wait of an election take 280 ms.
const AT_ONCE: Duration = Duration::from_millis(100);
/// What a lease, an election and its rounds take at most, if the first one succeeds.
const ELECTED: Duration = Duration::from_millis(600);
/// A leader that hears of nobody knows after 360 ms that another one may lead.
const KNOWN: Duration = Duration::from_millis(500);
const SEEDS: u64 = 3;
const PATIENCE: Duration = Duration::from_secs(30);

/// Time until somebody else acknowledges a message.
fn until_followed(cluster: &Cluster, before: usize) -> Duration {
    cluster.client(move || async move {
        let began = runtime::now();
        loop {
            let (at, _) = leader().await;
            if at != before {
                return began.elapsed();
            }
        }
    })
}

#[test]
fn a_leader_that_is_killed_is_followed_at_once() {
    for seed in 0..SEEDS {
        let mut cluster = Cluster::founded(seed, &[]);
        let first = cluster.leader();
        cluster.run_for(Duration::from_secs(1));
        cluster.crash(first);
        let took = until_followed(&cluster, first);
        assert!(took < AT_ONCE, "seed {seed}: {took:?}");
    }
}

/// What somebody was answered who sends to `at` all the time, one message after the other: when, and how. The body of each is its place
/// here.
type Log = Arc<Mutex<Vec<(runtime::Instant, runtime::Instant, Result<i64, ResponseCode>)>>>;

fn sends_all_the_time(cluster: &Cluster, at: usize) -> Log {
    let log = Log::default();
    let told = Arc::clone(&log);
    cluster.background(move || async move {
        loop {
            let (asked, body) = (runtime::now(), body_of(told.lock().unwrap().len()));
            if let Some(answer) = try_send_bytes(at, body, PATIENCE).await {
                let answer = answer.map(|sent| sent.offset).map_err(|(code, _)| code);
                told.lock().unwrap().push((asked, runtime::now(), answer));
            }
            runtime::sleep(Duration::from_millis(5)).await;
        }
    });
    log
}

fn body_of(number: usize) -> Bytes {
    Bytes::from(format!("message {number}"))
}

/// Checks that all that was acknowledged is where it was said to be, at whoever leads now.
fn check(cluster: &Cluster, log: &Log) {
    let answers: Vec<_> = log.lock().unwrap().iter().map(|(_, _, answer)| *answer).collect();
    let stored = answers.into_iter().enumerate();
    let stored: Vec<_> =
        stored.filter_map(|(number, answer)| Some((answer.ok()?, body_of(number)))).collect();
    assert!(!stored.is_empty());
    cluster.client(move || async move {
        let (at, _) = leader().await;
        let client = Client::connect(addr(at)).await;
        for (offset, body) in stored {
            let pulled = client.pull("T", 0, offset).await;
            assert_eq!(pulled.bodies[0], body, "offset {offset}");
        }
    });
}

#[test]
fn who_waits_at_a_leader_that_is_cut_off_is_told_when_it_has_lost_its_office() {
    for seed in 0..SEEDS {
        let cluster = Cluster::founded(seed, &[]);
        let first = cluster.leader();
        let log = sends_all_the_time(&cluster, first);
        cluster.run_for(Duration::from_secs(1));
        let cut = cluster.simulation.now();
        Cluster::others(first).iter().for_each(|other| cluster.cut(first, *other));
        let took = until_followed(&cluster, first);
        assert!(took < ELECTED, "seed {seed}: {took:?}");
        cluster.run_for(Duration::from_secs(2));
        {
            let log = log.lock().unwrap();
            let late: Vec<_> = log.iter().filter(|(_, answered, _)| *answered > cut).collect();
            assert!(late.len() > 100, "seed {seed}: {} answers", late.len());
            for (asked, answered, answer) in late {
                let waited = *answered - *asked;
                assert!(waited < KNOWN, "seed {seed}: {waited:?} for {answer:?}");
                let is_told = *answer == Err(ResponseCode::ServiceNotAvailable);
                let is_old = *asked < cut && answer.is_ok();
                assert!(is_told || is_old, "seed {seed}: {answer:?} after {waited:?}");
            }
        }
        cluster.mend();
        cluster.run_for(Duration::from_secs(1));
        check(&cluster, &log);
    }
}

#[test]
fn a_leader_that_nobody_has_followed_leads_again_when_it_is_heard_again() {
    for seed in 0..SEEDS {
        let cluster = Cluster::founded(seed, &[]);
        let first = cluster.leader();
        let log = sends_all_the_time(&cluster, first);
        for _ in 0..3 {
            cluster.run_for(Duration::from_millis(500));
            let [one, other] = Cluster::others(first);
            // Nobody reaches anybody.
            for (one, other) in [(first, one), (first, other), (one, other)] {
                cluster.cut(one, other);
            }
            cluster.run_for(Duration::from_millis(700));
            let (last, before) = {
                let log = log.lock().unwrap();
                (log.last().unwrap().2, log.len())
            };
            assert_eq!(last, Err(ResponseCode::ServiceNotAvailable), "seed {seed}");
            cluster.mend();
            cluster.run_for(Duration::from_secs(1));
            assert!(log.lock().unwrap().len() > before, "seed {seed}: it answers");
        }
        check(&cluster, &log);
    }
}

#[test]
fn a_leader_whose_disk_stands_still_is_followed() {
    for seed in 0..SEEDS {
        let cluster = Cluster::founded(seed, &[]);
        let first = cluster.leader();
        let log = sends_all_the_time(&cluster, first);
        cluster.run_for(Duration::from_secs(1));
        let stalled = cluster.simulation.now();
        cluster.machines[first].disk().stall(Duration::from_secs(5));
        let took = until_followed(&cluster, first);
        assert!(took < ELECTED, "seed {seed}: {took:?}");
        cluster.run_for(Duration::from_secs(1));
        {
            let log = log.lock().unwrap();
            let late: Vec<_> = log.iter().filter(|(_, answered, _)| *answered > stalled).collect();
            assert!(late.len() > 50, "seed {seed}: {} answers", late.len());
            for (asked, answered, answer) in late {
                let waited = *answered - *asked;
                assert!(waited < ELECTED, "seed {seed}: {waited:?} for {answer:?}");
            }
        }
        cluster.run_for(Duration::from_secs(6));
        check(&cluster, &log);
    }
}

#[test]
fn a_leader_whose_disk_fails_is_followed_at_once() {
    for seed in 0..SEEDS {
        let cluster = Cluster::founded(seed, &[]);
        let first = cluster.leader();
        cluster.run_for(Duration::from_secs(1));
        for op in [DiskOp::Flush, DiskOp::Write] {
            cluster.machines[first].disk().fail(op, When::OneIn(1));
        }
        let took = until_followed(&cluster, first);
        assert!(took < AT_ONCE, "seed {seed}: {took:?}");
        // What it has can be read from it all the same, and it says that it is no member any more.
        cluster.run_for(Duration::from_secs(2));
        cluster.client(move || async move {
            let client = Client::connect(addr(first)).await;
            assert_eq!(client.pull("T", 0, 0).await.code, ResponseCode::Success);
        });
        assert_eq!(cluster.ended(), Vec::<String>::new());
    }
}

#[test]
fn what_a_group_acknowledged_outlives_a_power_cut_of_all_with_async_flush() {
    for seed in 0..SEEDS {
        let mut cluster = Cluster::founded(seed, &[("flushDiskType", "ASYNC_FLUSH")]);
        let first = cluster.leader();
        let log = sends_all_the_time(&cluster, first);
        for round in 0..3 {
            cluster.run_for(Duration::from_millis(700 + seed * 31 + round * 7));
            (0..3).for_each(|at| cluster.lose_power(at));
            (0..3).for_each(|at| cluster.start(at));
            check(&cluster, &log);
        }
        assert!(log.lock().unwrap().len() > 50, "seed {seed}");
        assert_eq!(cluster.ended(), Vec::<String>::new(), "seed {seed}");
    }
}

/// What a client of group `G` is answered who asks a node for queue 0 of topic `T`, or gives it back.
async fn lock(at: usize, code: RequestCode, client: &str) -> Result<bool, i32> {
    let member = Member::connect(addr(at)).await;
    let request = LockRequest {
        client_id: client.to_owned(),
        consumer_group: "G".to_owned(),
        mq_set: vec![queue("T", "broker-a", 0)],
        only_this_broker: false,
    };
    let answer = member.ask(code, &[], request.encode()).await;
    match (answer.code, code) {
        (0, RequestCode::UnlockBatchMq) => Ok(true),
        (0, _) => Ok(!LockReply::decode(&answer.body).expect("a set").locked.is_empty()),
        (code, _) => Err(code),
    }
}

const TAKE: RequestCode = RequestCode::LockBatchMq;
const GIVE: RequestCode = RequestCode::UnlockBatchMq;

#[test]
fn a_queue_lock_outlives_the_leader_who_gave_it() {
    for seed in 0..SEEDS {
        let mut cluster = Cluster::founded(seed, &[]);
        let first = cluster.leader();
        let given = cluster.client(move || async move {
            (lock(first, TAKE, "a").await, lock(first, TAKE, "b").await)
        });
        assert_eq!(given, (Ok(true), Ok(false)));
        let [one, other] = Cluster::others(first);
        let elsewhere = cluster.client(move || async move {
            (lock(one, TAKE, "b").await, lock(one, TAKE, "a").await)
        });
        assert_eq!(elsewhere, (Ok(false), Ok(true)), "whoever follows asks the leader");
        cluster.crash(first);
        let second = cluster.leader();
        assert!(second == one || second == other);
        // Between the last renewal and the next one the leader has died.
        let given = cluster.client(move || async move {
            let begin = (lock(second, TAKE, "b").await, lock(second, TAKE, "a").await);
            runtime::sleep(Duration::from_secs(58)).await;
            (begin, lock(second, TAKE, "b").await)
        });
        assert_eq!(given, ((Ok(false), Ok(true)), Ok(false)), "seed {seed}");
        // Who does not come back has it for a lease more, and no longer.
        cluster.start(first);
        cluster.run_for(Duration::from_secs(1));
        cluster.crash(second);
        let third = cluster.leader();
        let given = cluster.client(move || async move {
            runtime::sleep(Duration::from_secs(62)).await;
            (lock(third, TAKE, "b").await, lock(third, TAKE, "a").await)
        });
        assert_eq!(given, (Ok(true), Ok(false)), "seed {seed}: it has ended");
        let given = cluster.client(move || async move {
            (lock(third, GIVE, "b").await, lock(third, TAKE, "a").await)
        });
        assert_eq!(given, (Ok(true), Ok(true)), "seed {seed}: it was given back");
    }
}

/// Who has a queue, and until when nobody else may.
#[derive(Default)]
struct Held {
    by: Option<(u64, runtime::Instant)>,
    taken: u32,
    /// Who has got it from whom, too early.
    twice: Vec<(u64, u64)>,
}

/// A client that wants the queue now and then, from any node.
async fn wants(client: u64, held: Arc<Mutex<Held>>) {
    loop {
        let mut locked = None;
        let mut asked = runtime::now();
        for at in 0..3 {
            if locked.is_none() {
                asked = runtime::now();
                let answer = runtime::timeout(PATIENCE, try_lock(at, &client.to_string())).await;
                locked = answer.ok().flatten();
            }
        }
        if locked == Some(true) {
            let mut held = held.lock().unwrap();
            held.taken += 1;
            if let Some((holder, until)) = held.by
                && holder != client
                && runtime::now() <= until
            {
                held.twice.push((holder, client));
            }
            // From when it was asked for on: it was given later.
            held.by = Some((client, asked + Duration::from_secs(60)));
        }
        runtime::sleep(Duration::from_millis(500 + runtime::random_below(20_000))).await;
    }
}

#[test]
fn no_two_clients_are_given_a_queue_whatever_happens_to_leaders() {
    for seed in 0..2 {
        let mut cluster = Cluster::founded(seed, &[]);
        let held = Arc::new(Mutex::new(Held::default()));
        for client in 0..4 {
            let held = Arc::clone(&held);
            cluster.background(move || wants(client, held));
        }
        for round in 0..5 {
            cluster.run_for(Duration::from_secs(20));
            let at = round % 3;
            cluster.crash(at);
            cluster.run_for(Duration::from_secs(1));
            cluster.start(at);
        }
        let held = held.lock().unwrap();
        assert!(held.taken > 3, "seed {seed}: it was had at all");
        assert_eq!(held.twice, [], "seed {seed}");
    }
}

/// Whether a client gets the queue from a node, if the node answers that.
async fn try_lock(at: usize, client: &str) -> Option<bool> {
    let limits = transport::Limits::default();
    let connected = transport::connect(addr(at), limits, std::rc::Rc::new(transport::NoRequests));
    let connection = connected.await.ok()?;
    let request = LockRequest {
        client_id: client.to_owned(),
        consumer_group: "G".to_owned(),
        mq_set: vec![queue("T", "broker-a", 0)],
        only_this_broker: false,
    };
    let command = Command::request(TAKE).with_body(request.encode());
    let answer = connection.request(command, PATIENCE).await.ok()?;
    let locked = (answer.code == 0).then(|| LockReply::decode(&answer.body).expect("a set").locked);
    locked.map(|locked| !locked.is_empty())
}
