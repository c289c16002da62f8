//! The simulated network, one direction at a time, and when it is rough.
#![allow(clippy::unwrap_used, reason = "a test: it panics on errors")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use runtime::sim::{Node, Simulation};
use runtime::{TcpListener, TcpStream, now, spawn, timeout};

const PORT: u16 = 80;
const LIMIT: Duration = Duration::from_secs(120);

/// Counts the bytes that come, and answers each.
async fn answer(received: Arc<AtomicU32>) {
    let listener = TcpListener::bind(SocketAddr::from(([0, 0, 0, 0], PORT))).await.unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let received = received.clone();
        spawn(async move {
            let (mut read, mut write) = stream.into_split();
            let mut bytes = BytesMut::new();
            while matches!(read.read(&mut bytes, 1).await, Ok(1)) {
                received.fetch_add(1, Ordering::Relaxed);
                write.write_all(&bytes.split()).await.unwrap();
            }
        })
        .detach();
    }
}

/// Asks so often, one after the other; the times that the answers took.
async fn ask(server: SocketAddr, rounds: u8, answered: Arc<Mutex<Vec<(u8, Duration)>>>) {
    let (mut read, mut write) = TcpStream::connect(server).await.unwrap().into_split();
    let mut bytes = BytesMut::new();
    for round in 0..rounds {
        let asked = now();
        write.write_all(&[round]).await.unwrap();
        assert_eq!(read.read(&mut bytes, 1).await.unwrap(), 1);
        answered.lock().unwrap().push((bytes.split_to(1)[0], asked.elapsed()));
    }
}

struct Two {
    sim: Simulation,
    server: Node,
    client: Node,
    received: Arc<AtomicU32>,
    answered: Arc<Mutex<Vec<(u8, Duration)>>>,
}

impl Two {
    fn new(seed: u64) -> Two {
        let sim = Simulation::new(seed);
        let server = sim.node("server", Ipv4Addr::new(10, 0, 0, 1));
        let client = sim.node("client", Ipv4Addr::new(10, 0, 0, 2));
        let two = Two { sim, server, client, received: Arc::default(), answered: Arc::default() };
        let received = two.received.clone();
        drop(two.server.start("answer", || answer(received)));
        two.sim.run_for(Duration::from_secs(1));
        two
    }

    fn addr(&self) -> SocketAddr {
        SocketAddr::from((self.server.ip(), PORT))
    }

    fn counts(&self) -> (u32, usize) {
        (self.received.load(Ordering::Relaxed), self.answered.lock().unwrap().len())
    }
}

#[test]
fn what_is_cut_one_way_arrives_the_other() {
    for seed in 0..10 {
        let two = Two::new(seed);
        let (addr, answered) = (two.addr(), two.answered.clone());
        let asking = two.client.start("ask", move || ask(addr, 200, answered));
        assert!(two.sim.run_until(LIMIT, || two.counts().1 > 20));
        two.sim.cut_way(&two.server, &two.client);
        two.sim.run_for(Duration::from_secs(5));
        let (received, answered) = two.counts();
        assert_eq!(received as usize, answered + 1, "one is asked, and its answer under way");
        let late = two.client.start("late", move || async move {
            timeout(Duration::from_secs(2), TcpStream::connect(addr)).await.is_err()
        });
        assert!(two.sim.join(late, LIMIT).unwrap(), "no connection is made one way");
        two.sim.mend(&two.server, &two.client);
        two.sim.join(asking, LIMIT).unwrap();
        let numbers: Vec<u8> = two.answered.lock().unwrap().iter().map(|(n, _)| *n).collect();
        assert_eq!(numbers, (0..200).collect::<Vec<_>>(), "seed {seed}");
    }
}

#[test]
fn a_firewall_answers_that_nobody_is_there_though_somebody_is() {
    for seed in 0..10 {
        let two = Two::new(seed);
        let addr = two.addr();
        let asking = two.client.start("ask", move || async move {
            let (mut read, mut write) = TcpStream::connect(addr).await.unwrap().into_split();
            let mut bytes = BytesMut::new();
            loop {
                let asked = write.write_all(&[1]).await;
                if let Err(error) = asked.and(read.read(&mut bytes, 1).await.map(drop)) {
                    return error.kind();
                }
            }
        });
        assert!(two.sim.run_until(LIMIT, || two.counts().0 > 20));
        two.sim.reject(&two.client, &two.server);
        let lost = two.sim.join(asking, LIMIT).unwrap();
        assert_eq!(lost, std::io::ErrorKind::ConnectionReset, "seed {seed}");
        let dial =
            move || async move { TcpStream::connect(addr).await.map(drop).map_err(|e| e.kind()) };
        let refused = two.sim.join(two.client.start("dial", dial), LIMIT).unwrap();
        assert_eq!(refused, Err(std::io::ErrorKind::ConnectionRefused), "seed {seed}");
        two.sim.admit(&two.client, &two.server);
        assert_eq!(two.sim.join(two.client.start("again", dial), LIMIT).unwrap(), Ok(()));
    }
}

#[test]
fn a_rough_network_is_late_and_loses_nothing_for_good() {
    for seed in 0..10 {
        let two = Two::new(seed);
        let longer = Duration::from_millis(40);
        two.sim.roughen(&two.client, &two.server, longer, 5);
        let (addr, answered) = (two.addr(), two.answered.clone());
        let asking = two.client.start("ask", move || ask(addr, 100, answered));
        two.sim.join(asking, LIMIT).unwrap();
        let times: Vec<Duration> = two.answered.lock().unwrap().iter().map(|(_, t)| *t).collect();
        assert_eq!(times.len(), 100);
        assert!(times.iter().all(|time| *time >= 2 * longer), "seed {seed}: both ways");
        let lost = times.iter().filter(|time| **time >= Duration::from_millis(200)).count();
        assert!((10..70).contains(&lost), "seed {seed}: {lost} of 100 were lost and sent again");
        two.sim.smooth(&two.client, &two.server);
        let (addr, answered) = (two.addr(), two.answered.clone());
        let again = two.client.start("again", move || ask(addr, 10, answered));
        two.sim.join(again, LIMIT).unwrap();
        let late = two.answered.lock().unwrap()[100..].iter().any(|(_, time)| *time > longer);
        assert!(!late, "seed {seed}: as usual again");
    }
}
