//! Groups of three brokers that lose their leader: who follows, how soon, and what those are told who wait.

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use remoting::ResponseCode;
use support::Client;
use support::cluster::{Cluster, addr, leader, try_send};

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

/// What somebody was answered who sends to `at` all the time, one message after the other: when, and how.
type Log = Arc<Mutex<Vec<(runtime::Instant, runtime::Instant, Result<i64, ResponseCode>)>>>;

fn sends_all_the_time(cluster: &Cluster, at: usize) -> Log {
    let log = Log::default();
    let told = Arc::clone(&log);
    cluster.background(move || async move {
        loop {
            let asked = runtime::now();
            if let Some(answer) = try_send(at, b"a message", PATIENCE).await {
                let answer = answer.map(|sent| sent.offset).map_err(|(code, _)| code);
                told.lock().unwrap().push((asked, runtime::now(), answer));
            }
            runtime::sleep(Duration::from_millis(5)).await;
        }
    });
    log
}

/// Checks that all that was acknowledged is where it was said to be, at whoever leads now.
fn check(cluster: &Cluster, log: &Log) {
    let stored: Vec<i64> =
        log.lock().unwrap().iter().filter_map(|(_, _, answer)| answer.ok()).collect();
    assert!(!stored.is_empty());
    cluster.client(move || async move {
        let (at, _) = leader().await;
        let client = Client::connect(addr(at)).await;
        for offset in stored {
            let pulled = client.pull("T", 0, offset).await;
            assert_eq!(pulled.bodies[0], b"a message", "offset {offset}");
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
