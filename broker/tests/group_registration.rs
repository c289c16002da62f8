//! Members of a group at a NameServer: one of 4.9.8, which forgets whoever has the id that a good-bye names, and one that an old
//! connection does not reach any more.

#![allow(clippy::unwrap_used, reason = "a test: it panics on errors")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use remoting::header::DecodeExt;
use remoting::header::route::{BrokerHeader, RegisterBrokerHeader};
use remoting::{CommandRef, RequestCode, ResponseCode, ResponseHead};
use runtime::Instant;
use support::Client;
use support::cluster::{Cluster, addr, transfer};
use transport::{Connection, Limits, Serve, Server};

const NAMESRV: &str = "10.0.0.9:9876";
const SEEDS: u64 = 8;
/// Time between two registrations: `registerNameServerPeriod`.
const PERIOD: Duration = Duration::from_secs(30);
/// So long one that led stays broker 0, if no other takes that.
const LINGERS: Duration = Duration::from_secs(1);

/// What it knows.
#[derive(Default)]
struct Known {
    /// Addresses by broker id.
    brokers: BTreeMap<i64, String>,
    /// Good-byes that named another id than the one under which the broker is known.
    wrong: Vec<(String, i64)>,
    good_byes: usize,
    /// The connection on which each has registered last: with it the NameServer forgets it.
    links: BTreeMap<String, SocketAddr>,
    /// Who has registered, on which connection.
    heard: BTreeSet<SocketAddr>,
    /// What is said on these connections does not arrive, or later than what is said on another one.
    deaf: BTreeSet<SocketAddr>,
    /// What was said on them: the connection, the broker and its id.
    late: Vec<(SocketAddr, String, i64)>,
    /// How often there was no broker 0, after a registration or the end of a connection.
    headless: usize,
    /// When each has registered, and under which id.
    times: Vec<(Instant, String, i64)>,
    /// It hears that a connection is reset so much later, and takes what came on it until then.
    slow_to_close: Duration,
    /// It answers so much later.
    slow_to_answer: Duration,
}

impl Known {
    fn registers(&mut self, peer: SocketAddr, broker: String, id: i64) {
        self.times.push((runtime::now(), broker.clone(), id));
        self.brokers.retain(|_, addr| *addr != broker);
        self.brokers.insert(id, broker.clone());
        self.links.insert(broker, peer);
    }
}

struct Names(Arc<Mutex<Known>>);

impl Serve for Names {
    fn on_request(&self, connection: &Connection, request: CommandRef<'_>, _: Bytes) {
        let mut known = self.0.lock().unwrap();
        let peer = connection.peer();
        known.heard.insert(peer);
        match RequestCode::from_code(request.code) {
            Some(RequestCode::RegisterBroker) => {
                let header =
                    RegisterBrokerHeader::decode(RequestCode::RegisterBroker, &request.ext);
                let header = header.unwrap();
                let broker = header.broker_addr.to_owned();
                if known.deaf.contains(&peer) {
                    known.late.push((peer, broker, header.broker_id));
                    return;
                }
                known.registers(peer, broker.clone(), header.broker_id);
                let (late, others) =
                    std::mem::take(&mut known.late).into_iter().partition(|late| late.1 == broker);
                known.late = others;
                let late: Vec<_> = late;
                late.into_iter().for_each(|(peer, broker, id)| known.registers(peer, broker, id));
                known.headless += usize::from(!known.brokers.contains_key(&0));
            }
            Some(RequestCode::UnregisterBroker) => {
                let header =
                    BrokerHeader::decode(RequestCode::UnregisterBroker, &request.ext).unwrap();
                known.good_byes += 1;
                let named = known.brokers.remove(&header.broker_id);
                if named.as_deref() != Some(header.broker_addr) {
                    known.wrong.push((header.broker_addr.to_owned(), header.broker_id));
                }
            }
            other => panic!("{other:?}"),
        }
        let (connection, opaque) = (connection.clone(), request.opaque);
        let (later, code) = (known.slow_to_answer, ResponseCode::Success.code());
        runtime::spawn(async move {
            runtime::sleep(later).await;
            let head = ResponseHead { code, opaque, remark: None, ext: &() };
            connection.respond(&head, &[]);
        })
        .detach();
    }

    fn on_close(&self, connection: &Connection) {
        let (known, peer) = (Arc::clone(&self.0), connection.peer());
        let later = known.lock().unwrap().slow_to_close;
        runtime::spawn(async move {
            runtime::sleep(later).await;
            let mut known = known.lock().unwrap();
            let Known { brokers, links, late, headless, .. } = &mut *known;
            let had_leader = brokers.contains_key(&0);
            brokers.retain(|_, addr| links.get(addr) != Some(&peer));
            *headless += usize::from(had_leader && !brokers.contains_key(&0));
            late.retain(|(of, ..)| *of != peer);
        })
        .detach();
    }
}

fn namesrv(cluster: &Cluster) -> Arc<Mutex<Known>> {
    let known = Arc::new(Mutex::new(Known::default()));
    let names = Arc::clone(&known);
    cluster.background(move || async move {
        let listen = NAMESRV.parse().expect("an address");
        let server = Server::bind(listen, Limits::default(), Rc::new(Names(names))).await.unwrap();
        server.serve();
        std::future::pending::<()>().await;
    });
    known
}

/// Starts all, and waits until they are registered; who leads.
fn start(cluster: &mut Cluster, known: &Mutex<Known>) -> usize {
    (0..3).for_each(|at| cluster.start(at));
    let is_complete = || known.lock().unwrap().brokers.len() == 3;
    assert!(cluster.simulation.run_until(Duration::from_secs(30), is_complete));
    cluster.run_for(Duration::from_secs(1));
    let leads = known.lock().unwrap().brokers[&0].clone();
    (0..3).find(|at| addr(*at).to_string() == leads).expect("it is one of them")
}

#[test]
fn a_leader_that_stops_says_good_bye_under_the_id_by_which_it_is_known() {
    for seed in 0..SEEDS {
        let mut cluster = Cluster::new(seed, &[("namesrvAddr", NAMESRV)]);
        let known = namesrv(&cluster);
        let first = start(&mut cluster, &known);
        let leads = addr(first).to_string();
        cluster.stop(first);
        let known = known.lock().unwrap();
        assert_eq!(known.good_byes, 1, "seed {seed}");
        assert_eq!(known.wrong, [], "seed {seed}: n{first} stops: {:?}", known.brokers);
        assert!(known.brokers.values().all(|addr| *addr != leads), "seed {seed}");
        assert!(known.brokers.contains_key(&0), "seed {seed}: another one leads");
    }
}

/// The NameServer hears nothing more of a member on the connection that it has.
fn lose_connection(known: &Mutex<Known>, at: usize) {
    let mut known = known.lock().unwrap();
    let of_member = |peer: &SocketAddr| peer.ip() == addr(at).ip();
    let lost: Vec<SocketAddr> = known.heard.iter().copied().filter(of_member).collect();
    assert!(!lost.is_empty(), "it has registered");
    known.deaf.extend(lost);
}

#[test]
fn who_comes_to_lead_is_known_at_once_also_where_its_connection_is_as_good_as_lost() {
    for seed in 0..SEEDS {
        let mut cluster = Cluster::new(seed, &[("namesrvAddr", NAMESRV)]);
        let known = namesrv(&cluster);
        let first = start(&mut cluster, &known);
        // Connections count as old after a few seconds.
        cluster.run_for(Duration::from_secs(10));
        let [next, other] = Cluster::others(first);
        [next, other].iter().for_each(|at| lose_connection(&known, *at));
        let mut limit = Duration::from_secs(1);
        if seed % 2 == 1 {
            // One that was due meanwhile waits for its answer.
            cluster.run_for(Duration::from_secs(23));
        }
        if seed % 4 == 3 {
            // And it is taken behind the one on the next connection, and forgotten with its own.
            known.lock().unwrap().slow_to_close = Duration::from_millis(300);
            limit = Duration::from_secs(2);
        }
        cluster.crash(first);
        let is_led = || {
            let known = known.lock().unwrap();
            known.brokers.get(&0).is_some_and(|leads| *leads != addr(first).to_string())
        };
        assert!(cluster.simulation.run_until(limit, is_led), "seed {seed}");
        // And stays known, whatever arrives late.
        cluster.run_for(Duration::from_secs(5));
        let known = known.lock().unwrap().brokers.clone();
        assert!(known.contains_key(&0) && known.len() == 2, "seed {seed}: {known:?}");
    }
}

#[test]
fn there_is_a_broker_0_all_the_time_while_another_member_takes_over() {
    for seed in 0..SEEDS {
        let mut cluster = Cluster::new(seed, &[("namesrvAddr", NAMESRV)]);
        let known = namesrv(&cluster);
        let first = start(&mut cluster, &known);
        cluster.run_for(Duration::from_secs(10));
        let [next, _] = Cluster::others(first);
        lose_connection(&known, next);
        known.lock().unwrap().headless = 0;
        let own = addr(first).to_string();
        if seed % 4 == 1 {
            // It is about to register in any case.
            let of_leader =
                |(when, broker, _): &(Instant, String, i64)| (*broker == own).then_some(*when);
            let last = known.lock().unwrap().times.iter().filter_map(of_leader).max().unwrap();
            let due = last + PERIOD - Duration::from_millis(200);
            cluster.run_for(due.saturating_since(cluster.simulation.now()));
        }
        let began = cluster.simulation.now();
        assert_eq!(cluster.client(move || transfer(first, next)).code, 0, "seed {seed}");
        if seed % 2 == 0 {
            cluster.run_for(Duration::from_millis(300));
            cluster.client(move || async move {
                Client::connect(addr(first)).await.create_topic("New", 1).await;
            });
        }
        cluster.run_for(Duration::from_secs(3));
        let known = known.lock().unwrap();
        for (when, broker, id) in &known.times {
            let is_early = *broker == own && *when > began && *when < began + LINGERS;
            assert!(!is_early || *id == 0, "seed {seed}: {:?} after", *when - began);
        }
        let now =
            |at: usize| known.brokers.iter().find(|(_, known)| **known == addr(at).to_string());
        assert_eq!(now(next).map(|(id, _)| *id), Some(0), "seed {seed}");
        assert!(now(first).is_some_and(|(id, _)| *id > 0), "seed {seed}: it follows");
        assert_eq!(known.headless, 0, "seed {seed}: times without a broker 0");
    }
}

#[test]
fn a_nameserver_that_always_takes_its_time_is_not_dialled_anew() {
    for seed in 0..SEEDS {
        let mut cluster = Cluster::new(seed, &[("namesrvAddr", NAMESRV)]);
        let known = namesrv(&cluster);
        known.lock().unwrap().slow_to_answer = Duration::from_millis(300);
        let first = start(&mut cluster, &known);
        cluster.run_for(Duration::from_secs(10));
        let [next, _] = Cluster::others(first);
        let before = known.lock().unwrap().heard.clone();
        known.lock().unwrap().headless = 0;
        assert_eq!(cluster.client(move || transfer(first, next)).code, 0, "seed {seed}");
        cluster.run_for(Duration::from_secs(5));
        let known = known.lock().unwrap();
        assert_eq!(known.brokers.get(&0), Some(&addr(next).to_string()), "seed {seed}");
        assert_eq!(known.heard, before, "seed {seed}: on the connections that there were");
        assert_eq!(known.headless, 0, "seed {seed}: times without a broker 0");
    }
}
