//! Members of a group at a NameServer of 4.9.8, which forgets whoever has the id that a good-bye names.

#![allow(clippy::unwrap_used, reason = "a test: it panics on errors")]

mod support;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use remoting::header::DecodeExt;
use remoting::header::route::{BrokerHeader, RegisterBrokerHeader};
use remoting::{CommandRef, RequestCode, ResponseCode, ResponseHead};
use support::cluster::{Cluster, addr};
use transport::{Connection, Limits, Serve, Server};

const NAMESRV: &str = "10.0.0.9:9876";
const SEEDS: u64 = 8;

/// What it knows.
#[derive(Default)]
struct Known {
    /// Addresses by broker id.
    brokers: BTreeMap<i64, String>,
    /// Good-byes that named another id than the one under which the broker is known.
    wrong: Vec<(String, i64)>,
    good_byes: usize,
}

struct Names(Arc<Mutex<Known>>);

impl Serve for Names {
    fn on_request(&self, connection: &Connection, request: CommandRef<'_>, _: Bytes) {
        let mut known = self.0.lock().unwrap();
        match RequestCode::from_code(request.code) {
            Some(RequestCode::RegisterBroker) => {
                let header =
                    RegisterBrokerHeader::decode(RequestCode::RegisterBroker, &request.ext);
                let header = header.unwrap();
                known.brokers.retain(|_, addr| addr != header.broker_addr);
                known.brokers.insert(header.broker_id, header.broker_addr.to_owned());
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
        let code = ResponseCode::Success.code();
        let head = ResponseHead { code, opaque: request.opaque, remark: None, ext: &() };
        connection.respond(&head, &[]);
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

#[test]
fn a_leader_that_stops_says_good_bye_under_the_id_by_which_it_is_known() {
    for seed in 0..SEEDS {
        let mut cluster = Cluster::new(seed, &[("namesrvAddr", NAMESRV)]);
        let known = namesrv(&cluster);
        (0..3).for_each(|at| cluster.start(at));
        let is_complete = || known.lock().unwrap().brokers.len() == 3;
        assert!(cluster.simulation.run_until(Duration::from_secs(30), is_complete), "seed {seed}");
        cluster.run_for(Duration::from_secs(1));
        let leads = known.lock().unwrap().brokers[&0].clone();
        let first = (0..3).find(|at| addr(*at).to_string() == leads).expect("it is one of them");
        cluster.stop(first);
        let known = known.lock().unwrap();
        assert_eq!(known.good_byes, 1, "seed {seed}");
        assert_eq!(known.wrong, [], "seed {seed}: n{first} stops: {:?}", known.brokers);
        assert!(known.brokers.values().all(|addr| *addr != leads), "seed {seed}");
        assert!(known.brokers.contains_key(&0), "seed {seed}: another one leads");
    }
}
