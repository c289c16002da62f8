//! What only the simulation does: the same run again, crashes, networks of nodes.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test: it panics on errors and looks at the machine directly"
)]

use std::cell::{Cell, RefCell};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use runtime::executor::JoinError;
use runtime::sim::{Node, Simulation};
use runtime::{
    BLOCK, File, OpenMode, Placement, Spec, TcpListener, TcpStream, now, sleep, spawn, timeout,
    yield_now,
};

const LIMIT: Duration = Duration::from_secs(60);

fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, last)
}

fn addr(last: u8, port: u16) -> SocketAddr {
    SocketAddr::from((ip(last), port))
}

async fn serve(port: u16) {
    let listener = TcpListener::bind(SocketAddr::from(([0, 0, 0, 0], port))).await.unwrap();
    let file = match File::open("/log", OpenMode::CreateNew).await {
        Ok(file) => file,
        Err(_) => File::open("/log", OpenMode::ReadWrite).await.unwrap(),
    };
    let file = Rc::new(file);
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let file = file.clone();
        spawn(async move {
            let (mut read, mut write) = stream.into_split();
            let mut bytes = BytesMut::new();
            while matches!(read.read(&mut bytes, 4096).await, Ok(n) if n > 0) {
                let mut block = file.buffer(BLOCK);
                block[..bytes.len()].copy_from_slice(&bytes);
                let at = runtime::random_below(16) * BLOCK as u64;
                file.write_at(&Rc::new(block), at).await.unwrap();
                file.sync().await.unwrap();
                if write.write_all(&bytes).await.is_err() {
                    break;
                }
                bytes.clear();
            }
        })
        .detach();
    }
}

async fn ask(server: SocketAddr, rounds: u32) -> u64 {
    let (mut read, mut write) = TcpStream::connect(server).await.unwrap().into_split();
    let start = now();
    let mut bytes = BytesMut::new();
    for _ in 0..rounds {
        let word = runtime::random_u64().to_be_bytes();
        write.write_all(&word).await.unwrap();
        while bytes.len() < 8 {
            assert!(read.read(&mut bytes, 100).await.unwrap() > 0);
        }
        assert_eq!(bytes.split_to(8)[..], word);
        sleep(Duration::from_micros(runtime::random_below(200))).await;
    }
    u64::try_from(start.elapsed().as_nanos()).unwrap()
}

/// Three nodes, five clients; the fingerprint, and the time it took.
fn run(seed: u64) -> (u64, u64) {
    let sim = Simulation::new(seed);
    let server = sim.node("server", ip(1));
    let clients = [sim.node("a", ip(2)), sim.node("b", ip(3))];
    drop(server.start("serve", || serve(80)));
    let asked = Arc::new(AtomicU32::new(0));
    for client in &clients {
        let asked = asked.clone();
        drop(client.start("ask", move || async move {
            sleep(Duration::from_millis(1)).await;
            let tasks: Vec<_> = (0..5).map(|_| spawn(ask(addr(1, 80), 20))).collect();
            for task in tasks {
                task.await;
            }
            asked.fetch_add(1, Ordering::Relaxed);
        }));
    }
    assert!(sim.run_until(LIMIT, || asked.load(Ordering::Relaxed) == 2));
    (sim.trace_hash(), sim.now().as_nanos())
}

#[test]
fn the_same_seed_gives_the_same_run_and_others_differ() {
    let mut hashes = Vec::new();
    for seed in 0..20 {
        let first = run(seed);
        assert_eq!(first, run(seed), "seed {seed}");
        hashes.push(first.0);
    }
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 20, "every seed gives another run");
}

#[test]
fn the_seed_decides_the_order_of_tasks() {
    let order = |seed| {
        let sim = Simulation::new(seed);
        let node = sim.node("n0", ip(1));
        let executor = node.start("main", || async {
            let order = Rc::new(RefCell::new(Vec::new()));
            let tasks: Vec<_> = (0..6)
                .map(|i| {
                    let order = order.clone();
                    spawn(async move {
                        sleep(Duration::from_millis(10)).await;
                        order.borrow_mut().push(i);
                    })
                })
                .collect();
            for task in tasks {
                task.await;
            }
            order.take()
        });
        sim.join(executor, LIMIT).unwrap()
    };
    let mut orders: Vec<_> = (0..50).map(order).collect();
    orders.sort();
    orders.dedup();
    assert!(orders.len() > 30, "only {} orders in 50 seeds", orders.len());
}

#[test]
fn virtual_time_costs_nothing_and_moves_only_when_all_wait() {
    let sim = Simulation::new(1);
    let node = sim.node("n0", ip(1));
    let executor = node.start("main", || async {
        let start = now();
        let wall = runtime::unix_millis();
        assert_eq!(u64::from(runtime::local_hour(wall)), wall / 3_600_000 % 24, "UTC everywhere");
        for _ in 0..1000 {
            spawn(async {}).await;
        }
        assert_eq!(now(), start, "work takes no virtual time");
        sleep(Duration::from_secs(3600 * 24 * 365)).await;
        (start.elapsed(), runtime::unix_millis() - wall)
    });
    let began = std::time::Instant::now();
    let year = Duration::from_secs(3600 * 24 * 365);
    let (elapsed, wall) = sim.join(executor, 2 * year).unwrap();
    assert_eq!(elapsed, year);
    assert_eq!(u128::from(wall), year.as_millis());
    assert!(began.elapsed() < Duration::from_secs(5));
    let before = sim.now();
    sim.run_for(Duration::from_secs(5));
    assert_eq!(sim.now() - before, Duration::from_secs(5));
}

#[test]
fn a_spinning_loop_of_yields_lets_time_pass() {
    let sim = Simulation::new(1);
    let node = sim.node("n0", ip(1));
    let executor = node.start("main", || async {
        let deadline = now() + Duration::from_millis(1);
        while now() < deadline {
            yield_now().await;
        }
    });
    sim.join(executor, LIMIT).unwrap();
}

#[test]
#[should_panic(expected = "spins without waiting")]
fn a_task_that_wakes_itself_for_ever_is_found() {
    let sim = Simulation::new(1);
    let node = sim.node("n0", ip(1));
    drop(node.start("main", || async {
        std::future::poll_fn::<(), _>(|cx| {
            cx.waker().wake_by_ref();
            std::task::Poll::Pending
        })
        .await;
    }));
    sim.run_for(Duration::from_secs(1));
}

/// How a written block is made durable.
#[derive(Clone, Copy)]
enum Flushed {
    Not,
    BySync,
    ByDsync,
}

fn write_block(node: &Node, flushed: Flushed) -> runtime::Executor<()> {
    node.start("write", move || async move {
        let file = match flushed {
            Flushed::ByDsync => File::open_dsync("/f", OpenMode::CreateNew).await.unwrap(),
            Flushed::Not | Flushed::BySync => File::open("/f", OpenMode::CreateNew).await.unwrap(),
        };
        let mut block = file.buffer(BLOCK);
        block.fill(7);
        file.write_at(&Rc::new(block), 0).await.unwrap();
        if let Flushed::BySync = flushed {
            file.sync().await.unwrap();
        }
        sleep(Duration::from_secs(1000)).await;
    })
}

#[test]
fn a_crash_keeps_what_was_written_and_the_disk_knows_what_was_not_synced() {
    let lost = BLOCK as u64;
    for (flushed, unsynced) in [(Flushed::BySync, 0), (Flushed::ByDsync, 0), (Flushed::Not, lost)] {
        let sim = Simulation::new(3);
        let node = sim.node("n0", ip(1));
        let executor = write_block(&node, flushed);
        sim.run_for(Duration::from_secs(1));
        assert_eq!(node.unsynced_bytes(), unsynced);
        node.crash();
        assert!(matches!(executor.join(), Err(JoinError::Died { .. })));
        let executor = node.start("read", || async {
            let file = File::open("/f", OpenMode::ReadOnly).await.unwrap();
            file.read_at(0, BLOCK).await.unwrap().to_vec()
        });
        assert_eq!(sim.join(executor, LIMIT).unwrap(), [7; BLOCK]);
    }
}

struct CountOnDrop(Arc<AtomicU32>);

impl Drop for CountOnDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_crash_drops_all_tasks_and_frees_ports_and_locks() {
    let sim = Simulation::new(4);
    let node = sim.node("n0", ip(1));
    let dropped = Arc::new(AtomicU32::new(0));
    let pids = Arc::new(Mutex::new(Vec::new()));
    for _ in 0..3 {
        let (guard, pids) = (dropped.clone(), pids.clone());
        let executor = node.start("main", move || async move {
            pids.lock().unwrap().push(runtime::process::pid());
            let _listener = TcpListener::bind(addr(1, 80)).await.unwrap();
            let _lock = runtime::fs::lock_exclusive("/lock").await.unwrap();
            let guards = [CountOnDrop(guard.clone()), CountOnDrop(guard.clone())];
            let [main_guard, task_guard] = guards;
            spawn(async move {
                let _guard = task_guard;
                sleep(LIMIT * 10).await;
            })
            .detach();
            // A second executor of the same process goes down with it.
            let spec =
                Spec { name: "second".to_owned(), placement: Placement::Core(1), busy_poll: None };
            let inner = runtime::start(spec, move || async move {
                let _guard = CountOnDrop(guard);
                std::future::pending::<()>().await;
            });
            let _guard = main_guard;
            inner.unwrap().finished().await.unwrap();
        });
        sim.run_for(Duration::from_secs(1));
        node.crash();
        assert!(executor.join().is_err());
    }
    assert_eq!(dropped.load(Ordering::Relaxed), 9);
    let pids = pids.lock().unwrap();
    assert!(pids[0] != pids[1] && pids[1] != pids[2], "each start is another process: {pids:?}");
}

#[test]
fn the_peers_of_a_crashed_node_see_a_reset_and_then_a_refusal() {
    let sim = Simulation::new(5);
    let server = sim.node("server", ip(1));
    let client = sim.node("client", ip(2));
    drop(server.start("serve", || serve(80)));
    let executor = client.start("ask", || async {
        sleep(Duration::from_millis(5)).await;
        let (mut read, mut write) = TcpStream::connect(addr(1, 80)).await.unwrap().into_split();
        write.write_all(b"hello").await.unwrap();
        let mut bytes = BytesMut::new();
        assert_eq!(read.read(&mut bytes, 100).await.unwrap(), 5);
        let lost = read.read(&mut bytes, 100).await.unwrap_err().kind();
        let refused = TcpStream::connect(addr(1, 80)).await.unwrap_err().kind();
        let written = write.write_all(b"hello").await.unwrap_err().kind();
        (lost, refused, written)
    });
    sim.run_for(Duration::from_secs(1));
    server.crash();
    let seen = sim.join(executor, LIMIT).unwrap();
    let expected =
        (ErrorKind::ConnectionReset, ErrorKind::ConnectionRefused, ErrorKind::BrokenPipe);
    assert_eq!(seen, expected);
    // It may come back with the same address.
    drop(server.start("serve", || serve(80)));
    let executor = client.start("again", || async {
        sleep(Duration::from_millis(5)).await;
        ask(addr(1, 80), 3).await
    });
    sim.join(executor, LIMIT).unwrap();
}

#[test]
fn addresses_lead_to_nodes() {
    let sim = Simulation::new(6);
    let (first, second) = (sim.node("first", ip(1)), sim.node("second", ip(2)));
    drop(first.start("serve", || serve(80)));
    let executor = second.start("ask", || async {
        sleep(Duration::from_millis(5)).await;
        assert_eq!(runtime::resolve("first:80").await.unwrap(), [addr(1, 80)]);
        assert_eq!(runtime::process::local_ipv4(), [ip(2)]);
        // Loopback is the node itself, where nobody listens.
        let own = TcpStream::connect("127.0.0.1:80".parse().unwrap()).await.unwrap_err();
        assert_eq!(own.kind(), ErrorKind::ConnectionRefused);
        let nobody = TcpStream::connect(addr(9, 80)).await.unwrap_err();
        assert_eq!(nobody.kind(), ErrorKind::HostUnreachable);
        // Another node's address cannot be bound here; its own port is free here.
        assert!(TcpListener::bind(addr(1, 81)).await.is_err());
        drop(TcpListener::bind(addr(2, 80)).await.unwrap());
        let stream = TcpStream::connect(addr(1, 80)).await.unwrap();
        assert_eq!(stream.local_addr().ip(), ip(2));
    });
    sim.join(executor, LIMIT).unwrap();
}

#[test]
fn dropping_a_simulation_drops_its_tasks() {
    let dropped = Arc::new(AtomicU32::new(0));
    let sim = Simulation::new(7);
    let node = sim.node("n0", ip(1));
    let guard = CountOnDrop(dropped.clone());
    drop(node.start("main", move || async move {
        let _guard = guard;
        let _listener = TcpListener::bind(addr(1, 80)).await.unwrap();
        let _never = timeout(LIMIT * 100, std::future::pending::<()>()).await;
    }));
    sim.run_for(Duration::from_secs(1));
    drop(sim);
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
}

#[test]
fn run_until_stops_where_it_is_told_to() {
    let sim = Simulation::new(8);
    let node = sim.node("n0", ip(1));
    let ticks = Arc::new(AtomicU32::new(0));
    let count = ticks.clone();
    drop(node.start("main", move || async move {
        loop {
            sleep(Duration::from_millis(1)).await;
            count.fetch_add(1, Ordering::Relaxed);
        }
    }));
    assert!(sim.run_until(LIMIT, || ticks.load(Ordering::Relaxed) == 10));
    assert_eq!(ticks.load(Ordering::Relaxed), 10);
    let limit_reached = Cell::new(false);
    assert!(!sim.run_until(Duration::from_millis(50), || {
        limit_reached.set(true);
        false
    }));
    assert!(limit_reached.get());
    let total = ticks.load(Ordering::Relaxed);
    assert!((55..=61).contains(&total), "{total}");
}

#[test]
fn a_network_that_is_cut_holds_what_is_sent_until_it_is_mended() {
    for seed in 0..10 {
        let sim = Simulation::new(seed);
        let (server, client, other) =
            (sim.node("server", ip(1)), sim.node("client", ip(2)), sim.node("other", ip(3)));
        drop(server.start("serve", || serve(80)));
        sim.run_for(Duration::from_secs(1));
        let asked = Arc::new(AtomicU32::new(0));
        let counted = asked.clone();
        let executor = client.start("ask", move || async move {
            let (mut read, mut write) = TcpStream::connect(addr(1, 80)).await.unwrap().into_split();
            let (mut bytes, mut answered) = (BytesMut::new(), Vec::new());
            for round in 0..200_u8 {
                write.write_all(&[round]).await.unwrap();
                counted.fetch_add(1, Ordering::Relaxed);
                if read.read(&mut bytes, 1).await.unwrap() == 1 {
                    answered.push(bytes.split_to(1)[0]);
                }
            }
            answered
        });
        assert!(sim.run_until(LIMIT, || asked.load(Ordering::Relaxed) > 50));
        sim.cut(&client, &server);
        sim.run_for(Duration::from_secs(10));
        let stuck = asked.load(Ordering::Relaxed);
        assert!(stuck < 100, "it went on");
        // Others are not concerned, and nobody connects over what is cut.
        let near = other.start("ask", || ask(addr(1, 80), 3));
        sim.join(near, LIMIT).unwrap();
        let refused = client.start("late", || async move {
            timeout(Duration::from_secs(2), TcpStream::connect(addr(1, 80))).await.is_err()
        });
        assert!(sim.join(refused, LIMIT).unwrap(), "it connected");
        assert_eq!(asked.load(Ordering::Relaxed), stuck);
        sim.mend(&client, &server);
        let answered = sim.join(executor, LIMIT).unwrap();
        assert_eq!(answered, (0..200).collect::<Vec<_>>(), "seed {seed}: in order, each once");
    }
}
