//! Questions for consumer offsets that a group of brokers cannot answer at once: they are answered later or not at all, and never
//! refused. A consumer of 4.9.8 takes any refusal for "no offset", and begins at the end of the queue.

#![allow(clippy::unwrap_used, reason = "a test: it panics on errors")]

mod support;

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use remoting::RequestCode;
use remoting::header::DecodeExt;
use remoting::header::offset::OffsetReply;
use support::cluster::{Cluster, addr, leader};
use support::{Client, offset_question};
use transport::{Connection, Limits, NoRequests, RequestError, connect};

const OFFSET: i64 = 7;
/// As clients of Java have it.
const PATIENCE: Duration = Duration::from_secs(5);
const SEEDS: u64 = 3;

/// A group whose leader was told an offset.
fn founded(seed: u64) -> (Cluster, usize) {
    let cluster = Cluster::founded(seed, &[]);
    let first = cluster.leader();
    cluster.client(move || async move {
        let client = Client::connect(addr(first)).await;
        client.pull("T", 0, 0).await; // makes the group
        assert_eq!(client.commit("G", "T", 0, OFFSET).await.code, 0);
    });
    (cluster, first)
}

/// What a node answers to one question: the offset, or another code.
async fn ask(connection: &Connection, limit: Duration) -> Result<Result<i64, i32>, RequestError> {
    let answer = connection.request(offset_question("G", "T", 0), limit).await?;
    let reply = OffsetReply::decode(RequestCode::QueryConsumerOffset, &answer.ext);
    Ok(match answer.code {
        0 => Ok(reply.expect("an offset").offset),
        code => Err(code),
    })
}

async fn dial(to: SocketAddr) -> Option<Connection> {
    connect(to, Limits::default(), Rc::new(NoRequests)).await.ok()
}

/// Asks a node all the time, and notes its answers.
fn asks_all_the_time(cluster: &Cluster, at: usize) -> Arc<Mutex<Vec<Result<i64, i32>>>> {
    let answers = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&answers);
    cluster.background(move || async move {
        loop {
            runtime::sleep(Duration::from_millis(3)).await;
            let Some(connection) = dial(addr(at)).await else { continue };
            // One that does not answer may hold many.
            while let Ok(answer) = ask(&connection, Duration::from_millis(100)).await {
                told.lock().unwrap().push(answer);
                runtime::sleep(Duration::from_millis(3)).await;
            }
        }
    });
    answers
}

#[test]
fn whatever_happens_to_leaders_no_question_for_an_offset_is_refused() {
    for seed in 0..SEEDS {
        let (mut cluster, first) = founded(seed);
        let answers: Vec<_> = (0..3).map(|at| asks_all_the_time(&cluster, at)).collect();
        let pause = Duration::from_millis(800 + 37 * seed);
        cluster.run_for(pause);
        Cluster::others(first).iter().for_each(|other| cluster.cut(first, *other));
        cluster.run_for(pause);
        cluster.mend();
        cluster.run_for(pause);
        let second = cluster.leader();
        cluster.stop(second);
        cluster.start(second);
        cluster.run_for(pause);
        let third = cluster.leader();
        cluster.crash(third);
        cluster.start(third);
        cluster.run_for(pause);
        for (at, answers) in answers.iter().enumerate() {
            let answers = answers.lock().unwrap();
            let refused = answers.iter().find(|answer| **answer != Ok(OFFSET));
            assert_eq!(refused, None, "seed {seed}: n{at}");
        }
        let all: usize = answers.iter().map(|answers| answers.lock().unwrap().len()).sum();
        assert!(all > 100, "seed {seed}: {all} answers");
    }
}

#[test]
fn a_question_that_comes_during_an_election_is_answered_by_the_one_who_wins_it() {
    for seed in 0..SEEDS {
        let (mut cluster, first) = founded(seed);
        cluster.run_for(Duration::from_secs(1));
        // Without a connection to its end the others wait until they have heard nothing for long enough.
        Cluster::others(first).iter().for_each(|other| cluster.cut(first, *other));
        cluster.run_for(Duration::from_millis(50));
        cluster.crash(first);
        let asked = cluster.client(move || async move {
            let ask_one = async |at| {
                let connection = dial(addr(at)).await.expect("it listens");
                ask(&connection, PATIENCE).await
            };
            let [one, other] = Cluster::others(first);
            futures::future::join(ask_one(one), ask_one(other)).await
        });
        let (next, _) = cluster.client(|| async { leader().await });
        let (one, other) = asked;
        let (won, lost) =
            if next == Cluster::others(first)[0] { (one, other) } else { (other, one) };
        assert_eq!(won, Ok(Ok(OFFSET)), "seed {seed}");
        let is_refused = !matches!(lost, Ok(Ok(OFFSET)) | Err(RequestError::Timeout { .. }));
        assert!(!is_refused, "seed {seed}: {lost:?}");
    }
}

#[test]
fn a_leader_asks_the_others_again_when_they_do_not_answer_for_a_moment() {
    for seed in 0..SEEDS {
        let (cluster, first) = founded(seed);
        cluster.run_for(Duration::from_secs(1));
        // Longer than openraft waits for them, and shorter than a leader without them stays one.
        let stall = Duration::from_millis(300);
        Cluster::others(first).iter().for_each(|at| cluster.machines[*at].disk().stall(stall));
        let answer = cluster.client(move || async move {
            let connection = dial(addr(first)).await.expect("it listens");
            ask(&connection, PATIENCE).await
        });
        assert_eq!(answer, Ok(Ok(OFFSET)), "seed {seed}");
    }
}

#[test]
fn a_question_that_is_held_keeps_nobody_waiting_and_no_stop() {
    let (mut cluster, first) = founded(9);
    // It knows of nobody who leads. One that still takes another for the leader hands questions on.
    Cluster::others(first).iter().for_each(|at| cluster.cut(first, *at));
    cluster.run_for(Duration::from_secs(1));
    cluster.client(move || async move {
        let client = Client::connect(addr(first)).await;
        let connection = client.connection.clone();
        let held = runtime::spawn(async move { ask(&connection, PATIENCE).await });
        runtime::sleep(Duration::from_millis(10)).await;
        client.max_offset("T", 0).await;
        assert!(matches!(held.await, Err(RequestError::Timeout { .. })), "it leads no more");
    });
    let silence = Arc::new(Mutex::new(None));
    let told = Arc::clone(&silence);
    cluster.background(move || async move {
        let connection = dial(addr(first)).await.expect("it listens");
        let began = runtime::now();
        let answer = ask(&connection, 10 * PATIENCE).await;
        *told.lock().unwrap() = Some((answer.is_err(), began.elapsed()));
    });
    cluster.run_for(Duration::from_millis(100));
    cluster.stop(first);
    let silence = silence.lock().unwrap().take().expect("its connection is closed");
    assert!(silence.0 && silence.1 < Duration::from_secs(1), "{silence:?}");
}
