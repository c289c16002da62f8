//! Registration at NameServers that note what they are told.

mod support;

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use remoting::body::{Body, RegisterBrokerBody, body_crc};
use remoting::header::DecodeExt;
use remoting::header::route::{BrokerHeader, RegisterBrokerHeader};
use remoting::{CommandRef, RequestCode, ResponseCode, ResponseHead};
use runtime::Instant;
use runtime::sim::Simulation;
use support::log::Lines;
use support::{Client, IP, Place, Running, config, in_simulation, simulated};
use transport::{Connection, Limits, Serve, Server};

const SECOND: Duration = Duration::from_secs(1);
const PORTS: [u16; 2] = [9876, 9877];

/// A NameServer that notes.
#[derive(Default)]
struct Notes {
    registrations: RefCell<Vec<(Instant, RegisterBrokerBody)>>,
    good_byes: Cell<usize>,
    /// Answers code 1 instead.
    refuses: Cell<bool>,
    /// Answers nothing.
    is_mute: Cell<bool>,
}

impl Serve for Notes {
    fn on_request(&self, connection: &Connection, request: CommandRef<'_>, body: Bytes) {
        match RequestCode::from_code(request.code) {
            Some(RequestCode::RegisterBroker) => self.registered(&request, &body),
            Some(RequestCode::UnregisterBroker) => {
                let header = BrokerHeader::decode(RequestCode::UnregisterBroker, &request.ext);
                let header = header.expect("a header");
                assert_eq!((header.broker_name, header.broker_id), ("broker-a", 0));
                self.good_byes.set(self.good_byes.get() + 1);
            }
            other => panic!("{other:?}"),
        }
        if self.is_mute.get() {
            return;
        }
        let code = match self.refuses.get() {
            true => ResponseCode::SystemError,
            false => ResponseCode::Success,
        };
        let head =
            ResponseHead { code: code.code(), opaque: request.opaque, remark: None, ext: &() };
        connection.respond(&head, &[]);
    }
}

impl Notes {
    fn registered(&self, request: &CommandRef<'_>, body: &[u8]) {
        let header = RegisterBrokerHeader::decode(RequestCode::RegisterBroker, &request.ext);
        let header = header.expect("a header");
        assert_eq!(header.broker_addr, "10.0.0.1:10911");
        assert_eq!((header.cluster_name, header.broker_id), ("DefaultCluster", 0));
        assert_eq!(header.body_crc32, Some(body_crc(body)));
        assert_eq!(header.compressed, Some(false));
        let body = RegisterBrokerBody::decode(body).expect("a body");
        self.registrations.borrow_mut().push((runtime::now(), body));
    }

    /// The topics of each registration since the last call.
    fn take(&self) -> Vec<Vec<String>> {
        let all = std::mem::take(&mut *self.registrations.borrow_mut());
        let names = |body: RegisterBrokerBody| body.topics.topic_config_table.into_keys().collect();
        all.into_iter().map(|(_, body)| names(body)).collect()
    }
}

async fn namesrv(port: u16) -> (Server, Rc<Notes>) {
    let notes = Rc::new(Notes::default());
    let addr = SocketAddr::from((support::IP, port));
    let server = Server::bind(addr, Limits::default(), Rc::clone(&notes)).await;
    let server = server.expect("the port is free");
    server.serve();
    (server, notes)
}

async fn broker(place: &Place) -> Running {
    let addrs = format!("{0}:{1}; {0}:{2};", support::IP, PORTS[0], PORTS[1]);
    Running::start(&config(place, &[("namesrvAddr", &addrs)]), place).await
}

/// Waits until `holds`, at most `limit` of virtual time.
async fn within(limit: Duration, what: &str, holds: impl Fn() -> bool) -> Duration {
    let start = runtime::now();
    while !holds() {
        assert!(start.elapsed() < limit, "{what} does not hold after {limit:?}");
        runtime::sleep(Duration::from_millis(5)).await;
    }
    start.elapsed()
}

#[test]
fn everything_at_start_and_changes_at_once_and_a_good_bye() {
    in_simulation(21, |place| async move {
        let (_first, one) = namesrv(PORTS[0]).await;
        let (_second, two) = namesrv(PORTS[1]).await;
        let shard = broker(&place).await;
        for notes in [&one, &two] {
            within(SECOND, "the first registration", || !notes.registrations.borrow().is_empty())
                .await;
            let first = notes.take();
            assert_eq!(first.len(), 1);
            for topic in ["TBW102", "broker-a", "DefaultCluster", "BenchmarkTest"] {
                assert!(first[0].contains(&topic.to_owned()), "{topic}");
            }
        }
        let client = Client::connect(place.addr()).await;
        client.create_topic("T", 4).await;
        within(SECOND / 2, "the change", || !one.registrations.borrow().is_empty()).await;
        assert_eq!(one.take(), [["T"]], "only what has changed");
        client.send("Auto", 0, b"x").await;
        within(SECOND / 2, "the change", || !one.registrations.borrow().is_empty()).await;
        assert_eq!(one.take(), [["Auto"]]);
        let delete = RequestCode::DeleteTopicInBroker;
        assert_eq!(client.request(delete, &[("topic", "T")]).await.code, 0);
        within(SECOND / 2, "the change", || !one.registrations.borrow().is_empty()).await;
        let all = one.take();
        assert!(all[0].contains(&"Auto".to_owned()) && !all[0].contains(&"T".to_owned()));

        runtime::sleep(SECOND * 91).await;
        let regular = one.take();
        assert_eq!(regular.len(), 3, "every thirty seconds");
        assert!(regular.iter().all(|topics| topics.len() > 5));
        let began = runtime::now();
        shard.stop().await;
        assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
        assert_eq!((one.good_byes.get(), two.good_byes.get()), (1, 1));
    });
}

#[test]
fn several_changes_are_told_one_by_one_each_with_its_version() {
    in_simulation(26, |place| async move {
        let (_first, one) = namesrv(PORTS[0]).await;
        let shard = broker(&place).await;
        within(SECOND, "the first registration", || !one.take().is_empty()).await;
        let client = Client::connect(place.addr()).await;
        let names: Vec<String> = (0..50).map(|n| format!("T{n:02}")).collect();
        for queues in [2, 4] {
            let creates = names.iter().map(|topic| client.create_topic(topic, queues));
            futures::future::join_all(creates).await;
            runtime::sleep(SECOND).await;
            let told = std::mem::take(&mut *one.registrations.borrow_mut());
            let told: Vec<_> = told.into_iter().map(|(_, body)| body.topics).collect();
            // A NameServer skips a topic that it knows when the version is not new.
            let counters: Vec<i64> = told.iter().map(|body| body.data_version.counter).collect();
            assert!(counters.is_sorted_by(|one, next| one < next), "{counters:?}");
            let topics = told.iter().flat_map(|body| {
                assert_eq!(body.topic_config_table.len(), 1, "a change is told alone");
                body.topic_config_table.values()
            });
            let topics: Vec<_> = topics.collect();
            assert!(topics.iter().all(|topic| topic.write_queue_nums == queues));
            assert!(topics.iter().map(|topic| &topic.topic_name).eq(&names));
        }
        shard.stop().await;
    });
}

#[test]
fn a_dead_nameserver_costs_nothing_and_is_found_when_it_is_back() {
    in_simulation(22, |place| async move {
        let (_first, one) = namesrv(PORTS[0]).await;
        let shard = broker(&place).await;
        within(SECOND, "one is there", || !one.take().is_empty()).await;
        let client = Client::connect(place.addr()).await;
        let began = runtime::now();
        client.send("T", 0, b"x").await;
        assert!(began.elapsed() < SECOND, "nobody waits for the one that is down");
        runtime::sleep(SECOND * 20).await;
        let (second, two) = namesrv(PORTS[1]).await;
        let took =
            within(SECOND * 7, "it is back", || !two.registrations.borrow().is_empty()).await;
        assert!(took > Duration::ZERO);
        assert!(two.take()[0].contains(&"T".to_owned()), "everything it missed is told");

        // It goes and comes back at once, with an empty memory.
        second.shutdown(SECOND).await;
        runtime::sleep(SECOND / 2).await;
        let (second, two) = namesrv(PORTS[1]).await;
        let back = || !two.registrations.borrow().is_empty();
        within(SECOND * 2, "it is back", back).await;
        assert!(two.take()[0].contains(&"TBW102".to_owned()));

        // Where only the connection is lost, nobody misses the broker for long.
        runtime::sleep(SECOND * 10).await;
        second.shutdown(Duration::ZERO).await;
        let (_second, two) = namesrv(PORTS[1]).await;
        let back = || !two.registrations.borrow().is_empty();
        within(SECOND / 2, "it is back", back).await;
        shard.stop().await;
        assert_eq!(two.good_byes.get(), 1);
    });
}

#[test]
fn a_nameserver_that_stays_away_is_not_forgotten() {
    let lines = Lines::keep();
    let simulation = Simulation::new(27);
    let node = simulation.node("node", IP);
    let executor = node.start("test", || async {
        let place = simulated();
        let (first, one) = namesrv(PORTS[0]).await;
        let shard = broker(&place).await;
        within(SECOND, "one is there", || !one.take().is_empty()).await;
        runtime::sleep(SECOND * 60 * 5).await;
        // One was never there, the other goes for twenty-five minutes.
        first.shutdown(SECOND).await;
        runtime::sleep(SECOND * 60 * 25).await;
        let (_first, one) = namesrv(PORTS[0]).await;
        within(SECOND * 7, "it is back", || !one.take().is_empty()).await;
        runtime::sleep(SECOND * 60).await;
        shard.stop().await;
    });
    simulation.join(executor, SECOND * 3600).expect("the simulated run ends in time");
    let of = |port: u16, part: &str| {
        let namesrv = format!("namesrv={IP}:{port}");
        lines.with(part).into_iter().filter(|line| line.contains(&namesrv)).collect::<Vec<_>>()
    };
    for port in PORTS {
        // At once, and after 1, 11 and 21 minutes.
        assert_eq!(of(port, " WARN ").len(), 4, "{:#?}", of(port, " WARN "));
        let reminders = of(port, "still not registered");
        assert!(reminders[0].contains("away=6"), "after a minute: {reminders:#?}");
        assert!(reminders[1].contains("away=66"), "and ten more: {reminders:#?}");
        assert!(reminders[0].contains("take it out of namesrvAddr"), "{reminders:#?}");
    }
    let back = of(PORTS[0], "the NameServer is there again");
    assert!(back.len() == 1 && back[0].contains("away=150"), "{back:#?}");
    assert_eq!(of(PORTS[1], " INFO ").len(), 0);
}

#[test]
fn a_nameserver_that_refuses_or_says_nothing_is_tried_again() {
    in_simulation(23, |place| async move {
        let (_first, one) = namesrv(PORTS[0]).await;
        let (_second, two) = namesrv(PORTS[1]).await;
        one.refuses.set(true);
        two.is_mute.set(true);
        let shard = broker(&place).await;
        runtime::sleep(SECOND * 10).await;
        assert!(one.take().len() >= 3, "it is tried every few seconds");
        one.refuses.set(false);
        two.is_mute.set(false);
        within(SECOND * 6, "it is accepted", || !one.take().is_empty()).await;
        assert!(one.take().is_empty(), "then it is enough");
        // The one that said nothing has 24 seconds for its answer.
        two.take();
        within(SECOND * 25, "it is accepted", || !two.take().is_empty()).await;
        shard.stop().await;
    });
}

#[test]
fn a_mute_nameserver_does_not_hold_up_the_stop() {
    in_simulation(24, |place| async move {
        let (_first, one) = namesrv(PORTS[0]).await;
        one.is_mute.set(true);
        let shard = broker(&place).await;
        within(SECOND, "it is asked", || !one.registrations.borrow().is_empty()).await;
        let began = runtime::now();
        shard.stop().await;
        assert!(began.elapsed() < SECOND * 4, "{:?}", began.elapsed());
    });
}

#[test]
fn the_same_seed_registers_the_same_way() {
    let run = || {
        in_simulation(25, |place| async move {
            assert_eq!(place.addr(), simulated().addr());
            let (_first, one) = namesrv(PORTS[0]).await;
            let shard = broker(&place).await;
            within(SECOND, "it is asked", || !one.registrations.borrow().is_empty()).await;
            runtime::sleep(SECOND * 40).await;
            shard.stop().await;
        })
    };
    assert_eq!(run(), run());
}
