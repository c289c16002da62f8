//! Limits, broken peers, and the end of a server, on both backends.

mod support;

use std::rc::Rc;
use std::time::Duration;

use remoting::Command;
use support::{Raw, encoded, everywhere, request, server, until};
use transport::{BindError, ConnectError, Limits, NoRequests, RequestError, Server, connect};

const SECOND: Duration = Duration::from_secs(1);

/// A request that is answered with `bytes` bytes.
fn ask_for(opaque: i32, bytes: usize) -> Vec<u8> {
    let bytes = bytes.to_string();
    encoded(&Command { opaque, ..Command::request(4).with_ext(&[("bytes", bytes.as_str())]) })
}

#[test]
fn a_peer_that_does_not_read_is_not_read_from_and_gets_everything_later() {
    everywhere(|addr| async move {
        let limits =
            Limits { stall: Duration::from_secs(50), in_flight: 1000, ..Limits::test_min() };
        let (server, echo) = server(addr, limits.clone()).await;
        let mut slow = Raw::connect(server.local_addr()).await;
        // Far more than the sockets between hold.
        let (count, size) = (600, 32 * 1024);
        let all: Vec<u8> = (0..count).flat_map(|n| ask_for(n, size)).collect();
        slow.send(&all).await;
        let mut seen = 0;
        until("the server stops reading", || {
            let before = std::mem::replace(&mut seen, echo.requests.get());
            before == seen && seen > 0
        })
        .await;
        assert!(seen < count as usize, "{seen} requests were taken although nobody reads");
        // Others are served meanwhile.
        let brisk =
            connect(server.local_addr(), Limits::default(), Rc::new(NoRequests)).await.unwrap();
        brisk.request(Command::request(1), SECOND).await.unwrap();
        for n in 0..count {
            let answer = slow.next().await.unwrap();
            assert_eq!((answer.opaque, answer.body.len()), (n, size));
        }
    });
}

#[test]
fn a_peer_that_never_reads_is_given_up() {
    everywhere(|addr| async move {
        let limits = Limits { idle: Duration::from_secs(60), ..Limits::test_min() };
        let (server, echo) = server(addr, limits).await;
        let mut stuck = Raw::connect(server.local_addr()).await;
        let all: Vec<u8> = (0..600).flat_map(|n| ask_for(n, 32 * 1024)).collect();
        stuck.send(&all).await;
        until("it is closed", || echo.closed.get() == 1).await;
        assert_eq!(server.connections(), 0);
    });
}

#[test]
fn late_answers_beyond_the_limit_close_the_connection() {
    everywhere(|addr| async move {
        let limits = Limits { outbox_limit: 64 * 1024, ..Limits::test_min() };
        let (server, echo) = server(addr, limits).await;
        let mut raw = Raw::connect(server.local_addr()).await;
        raw.send(&ask_for(1, 128 * 1024)).await;
        assert_eq!(raw.next().await, None);
        until("it is closed", || echo.closed.get() == 1 && server.connections() == 0).await;
    });
}

#[test]
fn unanswered_requests_stop_the_reading() {
    everywhere(|addr| async move {
        let limits = Limits::test_min();
        let (server, echo) = server(addr, limits.clone()).await;
        let mut raw = Raw::connect(server.local_addr()).await;
        let all: Vec<u8> = (0..20).flat_map(|n| encoded(&request(3, n, b""))).collect();
        raw.send(&all).await;
        until("the limit is reached", || echo.requests.get() == limits.in_flight).await;
        runtime::sleep(Duration::from_millis(100)).await;
        assert_eq!(echo.requests.get(), limits.in_flight);
        let mut answered = 0;
        while answered < 20 {
            echo.release();
            assert_eq!(raw.next().await.unwrap().opaque, answered);
            answered += 1;
        }
    });
}

#[test]
fn own_requests_have_a_limit() {
    everywhere(|addr| async move {
        let (server, echo) = server(addr, Limits::default()).await;
        let limits = Limits::test_min();
        let client =
            connect(server.local_addr(), limits.clone(), Rc::new(NoRequests)).await.unwrap();
        let tasks: Vec<_> = (0..limits.outstanding)
            .map(|_| {
                let client = client.clone();
                runtime::spawn(async move { client.request(Command::request(3), 9 * SECOND).await })
            })
            .collect();
        until("all are there", || echo.requests.get() == limits.outstanding).await;
        let refused = client.request(Command::request(1), SECOND).await;
        let (peer, limit) = (server.local_addr(), limits.outstanding);
        assert_eq!(refused, Err(RequestError::TooMany { peer, limit }));
        // A request that nobody awaits any more makes room.
        let mut tasks = tasks.into_iter();
        drop(tasks.next());
        runtime::sleep(Duration::from_millis(20)).await;
        client.request(Command::request(1), SECOND).await.unwrap();
        echo.release();
        for task in tasks {
            assert_eq!(task.await.unwrap().body, "late");
        }
    });
}

#[test]
fn what_is_no_frame_closes_the_connection_and_nobody_else_notices() {
    everywhere(|addr| async move {
        let (server, echo) =
            server(addr, Limits { max_connections: 100, ..Limits::default() }).await;
        let good =
            connect(server.local_addr(), Limits::default(), Rc::new(NoRequests)).await.unwrap();
        let garbage: [&[u8]; 7] = [
            b"GET / HTTP/1.1\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            &[0xff; 64],
            &[0, 0, 0, 0, 0, 0, 0, 0],
            &[0, 0, 0, 6, 0, 0, 0, 2, b'{', b'}'],
            &[0, 0, 0, 8, 1, 0, 0, 4, 1, 2, 3, 4],
            &[0x16, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3],
        ];
        for (n, bytes) in garbage.into_iter().enumerate() {
            let mut raw = Raw::connect(server.local_addr()).await;
            raw.send(bytes).await;
            assert_eq!(raw.next().await, None, "{bytes:?}");
            until("the server has closed it", || echo.closed.get() == n + 1).await;
            good.request(Command::request(1), SECOND).await.unwrap();
        }
        assert_eq!(server.connections(), 1);
    });
}

/// Good frames with bytes changed, cut or put in, from a fixed seed.
#[test]
fn damaged_frames_are_answered_or_close_the_connection() {
    everywhere(|addr| async move {
        let (server, echo) =
            server(addr, Limits { max_connections: 100, ..Limits::default() }).await;
        let good =
            connect(server.local_addr(), Limits::default(), Rc::new(NoRequests)).await.unwrap();
        let mut seed = 0x9e37_79b9_u64;
        let mut random = move |below: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            usize::try_from(seed % below as u64).unwrap()
        };
        for round in 0..1000 {
            let mut bytes = encoded(&request(1, round, b"some body"));
            for _ in 0..=random(3) {
                let at = random(bytes.len());
                match random(3) {
                    0 => bytes[at] ^= 1 << random(8),
                    1 => bytes.truncate(at + 1),
                    _ => bytes.insert(at, u8::try_from(random(256)).unwrap()),
                }
            }
            let mut raw = Raw::connect(server.local_addr()).await;
            // The server may close before it has taken everything.
            if raw.send.write_all(&bytes).await.is_ok() && raw.send.shutdown().await.is_ok() {
                while raw.next().await.is_some() {}
            }
            if round % 100 == 0 {
                good.request(Command::request(1), SECOND).await.unwrap();
            }
        }
        until("all are closed", || server.connections() == 1).await;
        assert_eq!(echo.closed.get(), 1000);
        assert!(good.is_open());
    });
}

#[test]
fn connections_beyond_the_limit_are_refused() {
    everywhere(|addr| async move {
        let (server, _) = server(addr, Limits::test_min()).await;
        let mut all = Vec::new();
        for _ in 0..2 {
            let client = connect(server.local_addr(), Limits::test_min(), Rc::new(NoRequests))
                .await
                .unwrap();
            client.request(Command::request(1), SECOND).await.unwrap();
            all.push(client);
        }
        // The reset may come before or after the end of the handshake is noticed.
        let third = connect(server.local_addr(), Limits::test_min(), Rc::new(NoRequests)).await;
        if let Ok(third) = third {
            let refused = third.request(Command::request(1), SECOND).await;
            assert!(matches!(refused, Err(RequestError::Closed { .. })), "{refused:?}");
        }
        all[0].close();
        until("there is room again", || server.connections() == 1).await;
        let fourth =
            connect(server.local_addr(), Limits::test_min(), Rc::new(NoRequests)).await.unwrap();
        fourth.request(Command::request(1), SECOND).await.unwrap();
    });
}

#[test]
fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    everywhere(|addr| async move {
        let limits = Limits { idle: Duration::from_millis(1500), ..Limits::test_min() };
        let (server, echo) = server(addr, limits).await;
        let idle =
            connect(server.local_addr(), Limits::default(), Rc::new(NoRequests)).await.unwrap();
        let busy =
            connect(server.local_addr(), Limits::default(), Rc::new(NoRequests)).await.unwrap();
        for _ in 0..30 {
            busy.request(Command::request(1), SECOND).await.unwrap();
            runtime::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!((echo.opened.get(), echo.closed.get()), (2, 1));
        assert!(busy.is_open() && !idle.is_open());
    });
}

#[test]
fn a_graceful_stop_answers_what_was_taken() {
    everywhere(|addr| async move {
        let (server, echo) = server(addr, Limits::default()).await;
        let at = server.local_addr();
        let client = connect(at, Limits::default(), Rc::new(NoRequests)).await.unwrap();
        let waiting = {
            let client = client.clone();
            runtime::spawn(async move { client.request(Command::request(3), 9 * SECOND).await })
        };
        until("it is there", || echo.requests.get() == 1).await;
        let stopping = runtime::spawn(server.shutdown(5 * SECOND));
        runtime::sleep(Duration::from_millis(50)).await;
        let refused = connect(at, Limits::default(), Rc::new(NoRequests)).await;
        assert!(matches!(refused, Err(ConnectError::Io(_))), "{refused:?}");
        echo.release();
        assert_eq!(waiting.await.unwrap().body, "late");
        stopping.await;
        client.closed().await;
        assert_eq!(echo.closed.get(), 1);
    });
}

#[test]
fn a_graceful_stop_does_not_wait_for_ever() {
    everywhere(|addr| async move {
        let (server, echo) = server(addr, Limits::default()).await;
        let mut raw = Raw::connect(server.local_addr()).await;
        raw.send(&encoded(&request(2, 1, b""))).await;
        until("it is there", || echo.requests.get() == 1).await;
        let before = runtime::now();
        server.shutdown(Duration::from_millis(300)).await;
        assert!(runtime::now() - before < 2 * SECOND);
        assert_eq!(raw.next().await, None);
    });
}

/// Clients must notice the death of a process at once, and a plain end is taken for a pause.
#[test]
fn a_server_that_dies_resets_and_one_that_stops_does_not() {
    everywhere(|addr| async move {
        for graceful in [false, true] {
            let (server, echo) = server(addr, Limits::default()).await;
            let mut raw = Raw::connect(server.local_addr()).await;
            until("it is there", || echo.opened.get() == 1).await;
            let stopping = runtime::spawn(async move {
                match graceful {
                    true => server.shutdown(SECOND).await,
                    false => drop(server),
                }
            });
            let end = raw.receive.read(&mut raw.buffer, 1).await;
            match graceful {
                true => assert_eq!(end.expect("a plain end"), 0),
                false => {
                    let kind = end.expect_err("a reset").kind();
                    assert_eq!(kind, std::io::ErrorKind::ConnectionReset);
                }
            }
            drop(raw);
            stopping.await;
        }
    });
}

#[test]
fn the_port_can_be_taken_again_at_once_and_not_twice() {
    everywhere(|addr| async move {
        let (first, _) = server(addr, Limits::default()).await;
        let at = first.local_addr();
        let client = connect(at, Limits::default(), Rc::new(NoRequests)).await.unwrap();
        client.request(Command::request(1), SECOND).await.unwrap();
        let taken = Server::bind(at, Limits::default(), Rc::new(NoRequests)).await.err().unwrap();
        assert!(matches!(taken, BindError::InUse { addr } if addr == at), "{taken}");
        assert!(taken.to_string().contains(&format!("port {}", at.port())));
        first.shutdown(SECOND).await;
        let (second, _) = server(at, Limits::default()).await;
        let client = connect(at, Limits::default(), Rc::new(NoRequests)).await.unwrap();
        client.request(Command::request(1), SECOND).await.unwrap();
        drop(second);
    });
}

#[test]
fn nobody_listening_is_a_clear_error() {
    everywhere(|addr| async move {
        let (server, _) = server(addr, Limits::default()).await;
        let at = server.local_addr();
        server.shutdown(SECOND).await;
        let error = connect(at, Limits::default(), Rc::new(NoRequests)).await.unwrap_err();
        assert!(error.to_string().contains(&at.to_string()), "{error}");
    });
}

#[test]
fn a_port_that_is_freed_in_a_moment_is_waited_for() {
    everywhere(|addr| async move {
        let (first, _) = server(addr, Limits::default()).await;
        let addr = first.local_addr();
        let freed = runtime::spawn(async move {
            runtime::sleep(Duration::from_millis(100)).await;
            drop(first);
        });
        let (second, _) = server(addr, Limits::default()).await;
        freed.await;
        assert_eq!(second.local_addr(), addr);
        // It is not waited for beyond a second.
        let third = runtime::timeout(
            5 * SECOND,
            Server::bind(addr, Limits::default(), Rc::new(NoRequests)),
        );
        assert!(matches!(third.await, Ok(Err(BindError::InUse { .. }))));
    });
}
