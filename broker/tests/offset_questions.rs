//! Questions for consumer offsets that a group of brokers cannot answer at once: they are answered later or not at all, and never
//! refused. A consumer of 4.9.8 takes any refusal for "no offset", and begins at the end of the queue.

#![allow(clippy::unwrap_used, reason = "a test: it panics on errors")]

mod support;

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use remoting::header::DecodeExt;
use remoting::header::offset::{OffsetReply, UpdateOffsetHeader};
use remoting::{Command, RequestCode, ResponseCode};
use support::cluster::{Cluster, addr, try_send};
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

fn commit(offset: i64) -> Command {
    let (consumer_group, topic) = ("G", "T");
    let header = UpdateOffsetHeader { consumer_group, topic, queue_id: 0, commit_offset: offset };
    Command::oneway(RequestCode::UpdateConsumerOffset).with_ext(&header)
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
fn questions_that_come_during_an_election_are_answered_by_the_one_who_wins_it_or_by_way_of_the_other()
 {
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
        assert_eq!(asked, (Ok(Ok(OFFSET)), Ok(Ok(OFFSET))), "seed {seed}");
    }
}

#[test]
fn no_question_is_left_when_a_leader_makes_place_whoever_is_asked() {
    for seed in 0..SEEDS {
        let (mut cluster, first) = founded(seed);
        cluster.run_for(Duration::from_secs(1));
        let silences: Arc<Mutex<Vec<(usize, Duration)>>> = Arc::default();
        for at in Cluster::others(first) {
            // Many at a time, at each moment some are on their way.
            for begin in 0..10 {
                let told = Arc::clone(&silences);
                cluster.background(move || async move {
                    let connection = dial(addr(at)).await.expect("it listens");
                    runtime::sleep(Duration::from_micros(210 * begin)).await;
                    for _ in 0..300 {
                        let began = runtime::now();
                        if ask(&connection, PATIENCE).await != Ok(Ok(OFFSET)) {
                            told.lock().unwrap().push((at, began.elapsed()));
                        }
                        runtime::sleep(Duration::from_millis(1)).await;
                    }
                });
            }
        }
        cluster.run_for(Duration::from_millis(100));
        cluster.stop(first);
        assert_ne!(cluster.leader(), first);
        assert_eq!(*silences.lock().unwrap(), [], "seed {seed}");
    }
}

#[test]
fn no_question_is_left_at_a_leader_that_is_stopped_when_the_next_one_is_known() {
    for seed in 0..SEEDS {
        let (mut cluster, first) = founded(seed);
        cluster.run_for(Duration::from_secs(1));
        let silences: Arc<Mutex<Vec<Duration>>> = Arc::default();
        for number in 0..60 {
            let told = Arc::clone(&silences);
            cluster.background(move || async move {
                let connection = dial(addr(first)).await.expect("it listens");
                let pause = Duration::from_micros(250 * number);
                runtime::sleep(Duration::from_millis(10) + pause).await;
                let asked = runtime::now();
                if ask(&connection, PATIENCE).await != Ok(Ok(OFFSET)) {
                    told.lock().unwrap().push(asked.elapsed());
                }
            });
        }
        cluster.run_for(Duration::from_millis(10));
        cluster.stop(first);
        // Those that come last find that it closes their connections.
        let silences = silences.lock().unwrap();
        let longest = silences.iter().max();
        assert!(longest < Some(&Duration::from_millis(2)), "seed {seed}: {longest:?}");
        assert!(silences.len() < 60, "seed {seed}: some come before");
    }
}

#[test]
fn questions_at_a_leader_that_loses_its_office_are_handed_on_to_the_next_one() {
    for seed in 0..SEEDS {
        let (cluster, first) = founded(seed);
        cluster.run_for(Duration::from_secs(1));
        // It leads on for a moment, and is certain of nothing.
        Cluster::others(first).iter().for_each(|other| cluster.cut(first, *other));
        let answers: Arc<Mutex<Vec<_>>> = Arc::default();
        let told = Arc::clone(&answers);
        cluster.background(move || async move {
            let connection = dial(addr(first)).await.expect("it listens");
            let answer = ask(&connection, PATIENCE).await;
            told.lock().unwrap().push(answer);
        });
        cluster.run_for(Duration::from_millis(1_500));
        assert_eq!(*answers.lock().unwrap(), [], "seed {seed}: nobody knows yet");
        cluster.mend();
        cluster.run_for(Duration::from_millis(900));
        assert_eq!(*answers.lock().unwrap(), [Ok(Ok(OFFSET))], "seed {seed}");
    }
}

#[test]
fn questions_of_clients_that_are_gone_take_nobodys_place() {
    let (cluster, first) = founded(11);
    let [one, _] = Cluster::others(first);
    cluster.run_for(Duration::from_secs(1));
    cluster.machines[first].pause();
    let answer = cluster.client(move || async move {
        let mut connections = Vec::new();
        for _ in 0..50 {
            let connection = dial(addr(one)).await.expect("it listens");
            for _ in 0..100 {
                let asking = connection.clone();
                runtime::spawn(async move { drop(ask(&asking, PATIENCE).await) }).detach();
            }
            connections.push(connection);
        }
        runtime::sleep(Duration::from_millis(20)).await;
        let send = async || try_send(one, b"a message", PATIENCE).await.expect("an answer");
        let busy = Some(ResponseCode::SystemBusy);
        assert_eq!(send().await.err().map(|(code, _)| code), busy, "all places are taken");
        connections.iter().for_each(Connection::close);
        runtime::sleep(Duration::from_millis(50)).await;
        send().await
    });
    let refused = answer.err().map(|(code, _)| code);
    assert_ne!(refused, Some(ResponseCode::SystemBusy));
}

#[test]
fn a_question_that_waits_for_the_log_is_left_like_all_others_when_its_time_is_over() {
    let mut cluster = Cluster::new(5, &[]);
    cluster.start_alone(0);
    cluster.client(|| async {
        while dial(addr(0)).await.is_none() {
            runtime::sleep(Duration::from_millis(10)).await;
        }
        let client = Client::connect(addr(0)).await;
        client.create_topic("T", 1).await;
        client.pull("T", 0, 0).await; // makes the group
        assert_eq!(client.commit("G", "T", 0, OFFSET).await.code, 0);
    });
    cluster.machines[0].disk().stall(2 * PATIENCE);
    cluster.client(|| async {
        let client = Client::connect(addr(0)).await;
        client.connection.oneway(&commit(OFFSET + 1)).unwrap();
        let late = ask(&client.connection, 4 * PATIENCE).await;
        assert!(matches!(late, Err(RequestError::Timeout { .. })), "{late:?}");
        assert_eq!(ask(&client.connection, PATIENCE).await, Ok(Ok(OFFSET + 1)));
    });
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
