//! Requests and answers, in both directions, on both backends.

mod support;

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use remoting::{Command, CommandRef, ResponseHead};
use support::{Echo, Raw, encoded, everywhere, in_simulation, next, request, server, until};
use transport::{Connection, Limits, NoRequests, RequestError, Serve, connect};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_request_is_answered_with_its_body_and_fields() {
    everywhere(|addr| async move {
        let (server, echo) = server(addr, Limits::default()).await;
        let client =
            connect(server.local_addr(), Limits::default(), Rc::new(NoRequests)).await.unwrap();
        let ask = Command::request(1).with_ext(&[("topic", "T"), ("键", "值\n")]).with_body("body");
        let answer = client.request(ask.clone(), SECOND).await.unwrap();
        assert_eq!((answer.code, &answer.body[..]), (0, &b"body"[..]));
        assert_eq!(answer.ext, ask.ext);
        assert!(answer.flag.is_response());
        let large = Command::request(1).with_body(vec![5; 4 << 20]);
        assert_eq!(client.request(large.clone(), 20 * SECOND).await.unwrap().body, large.body);
        assert_eq!(echo.requests.get(), 2);
        client.close();
        client.closed().await;
        until("the server notices", || echo.closed.get() == 1 && server.connections() == 0).await;
        assert_eq!(
            client.request(ask, SECOND).await,
            Err(RequestError::Closed { peer: server.local_addr(), code: 1 })
        );
    });
}

#[test]
fn frames_that_come_byte_by_byte_are_whole_frames() {
    everywhere(|addr| async move {
        let (server, _) = server(addr, Limits::default()).await;
        let mut raw = Raw::connect(server.local_addr()).await;
        let mut bytes = encoded(&request(1, 41, b"one"));
        bytes.extend(encoded(&request(1, 42, b"")));
        for byte in bytes {
            raw.send(&[byte]).await;
            runtime::yield_now().await;
        }
        let (first, second) = (raw.next().await.unwrap(), raw.next().await.unwrap());
        assert_eq!((first.opaque, &first.body[..]), (41, &b"one"[..]));
        assert_eq!((second.opaque, &second.body[..]), (42, &b""[..]));
    });
}

#[test]
fn ten_thousand_pipelined_requests_are_answered_in_order() {
    everywhere(|addr| async move {
        let (server, echo) = server(addr, Limits::default()).await;
        let Raw { mut receive, mut send, mut buffer } = Raw::connect(server.local_addr()).await;
        let all: Vec<u8> = (0..10_000).flat_map(|n| encoded(&request(1, n, b"x"))).collect();
        let writer = runtime::spawn(async move { send.write_all(&all).await.map(|()| send) });
        for n in 0..10_000 {
            assert_eq!(next(&mut receive, &mut buffer).await.unwrap().opaque, n);
        }
        writer.await.unwrap();
        assert_eq!(echo.requests.get(), 10_000);
    });
}

#[test]
fn many_in_flight_are_matched_by_number() {
    everywhere(|addr| async move {
        let (server, echo) = server(addr, Limits::default()).await;
        let client =
            connect(server.local_addr(), Limits::default(), Rc::new(NoRequests)).await.unwrap();
        let tasks: Vec<_> = (0..500)
            .map(|n: i32| {
                let client = client.clone();
                runtime::spawn(async move {
                    // Every second one is answered late, and in one go.
                    let ask = Command::request(1 + 2 * (n % 2)).with_body(n.to_string());
                    (n, client.request(ask, 20 * SECOND).await.unwrap())
                })
            })
            .collect();
        until("all are there", || echo.requests.get() == 500).await;
        echo.release();
        for task in tasks {
            let (n, answer) = task.await;
            let expected = if n % 2 == 0 { n.to_string() } else { "late".to_owned() };
            assert_eq!(answer.body, expected);
        }
    });
}

/// Asks back over the connection that a request came over, and answers with what it was told.
struct AsksBack;

impl Serve for AsksBack {
    fn on_request(&self, connection: &Connection, request: CommandRef<'_>, _: Bytes) {
        let (connection, opaque) = (connection.clone(), request.opaque);
        runtime::spawn(async move {
            let told = connection.request(Command::request(307), SECOND).await;
            let told = told.expect("the client answers");
            let head = ResponseHead { code: 0, opaque, remark: Some("asked back"), ext: &() };
            connection.respond(&head, &told.body);
        })
        .detach();
    }
}

/// Answers every request with its own name.
struct Named(&'static str);

impl Serve for Named {
    fn on_request(&self, connection: &Connection, request: CommandRef<'_>, _: Bytes) {
        let head = ResponseHead { code: 0, opaque: request.opaque, remark: None, ext: &() };
        connection.respond(&head, self.0.as_bytes());
    }
}

#[test]
fn a_server_asks_its_client() {
    everywhere(|addr| async move {
        let server =
            transport::Server::bind(addr, Limits::default(), Rc::new(AsksBack)).await.unwrap();
        server.serve();
        for name in ["first", "second"] {
            let client = connect(server.local_addr(), Limits::default(), Rc::new(Named(name)))
                .await
                .unwrap();
            let answer = client.request(Command::request(1), SECOND).await.unwrap();
            assert_eq!(
                (answer.remark.as_deref(), &answer.body[..]),
                (Some("asked back"), name.as_bytes())
            );
        }
    });
}

#[test]
fn oneway_requests_are_never_answered() {
    everywhere(|addr| async move {
        let (server, echo) = server(addr, Limits::default()).await;
        let mut raw = Raw::connect(server.local_addr()).await;
        raw.send(&encoded(&Command { opaque: 1, ..Command::oneway(1) })).await;
        raw.send(&encoded(&request(1, 2, b""))).await;
        assert_eq!(raw.next().await.unwrap().opaque, 2, "only the second is answered");
        assert_eq!(echo.requests.get(), 2);

        let client =
            connect(server.local_addr(), Limits::default(), Rc::new(NoRequests)).await.unwrap();
        client.oneway(&Command::oneway(1).with_body("x")).unwrap();
        until("it arrives", || echo.requests.get() == 3).await;
    });
}

#[test]
fn a_request_is_answered_once() {
    everywhere(|addr| async move {
        let (server, echo) = server(addr, Limits::default()).await;
        let mut raw = Raw::connect(server.local_addr()).await;
        raw.send(&encoded(&request(3, 7, b""))).await;
        until("it is held", || echo.held.borrow().len() == 1).await;
        let (connection, opaque) = echo.held.borrow()[0].clone();
        echo.held.borrow_mut().push((connection, opaque));
        echo.release();
        raw.send(&encoded(&request(1, 8, b""))).await;
        assert_eq!(raw.next().await.unwrap().opaque, 7);
        assert_eq!(raw.next().await.unwrap().opaque, 8);
    });
}

#[test]
fn what_is_left_unanswered_gets_no_answer_and_holds_up_no_end() {
    everywhere(|addr| async move {
        let (server, echo) = server(addr, Limits::default()).await;
        let mut raw = Raw::connect(server.local_addr()).await;
        raw.send(&encoded(&request(3, 7, b""))).await;
        until("it is held", || echo.held.borrow().len() == 1).await;
        let (connection, opaque) = echo.held.borrow()[0].clone();
        connection.leave_unanswered(opaque);
        echo.release();
        raw.send(&encoded(&request(1, 8, b""))).await;
        assert_eq!(raw.next().await.unwrap().opaque, 8, "the answer to 7 goes nowhere");
        raw.send(&encoded(&request(3, 9, b""))).await;
        until("it is held", || echo.held.borrow().len() == 1).await;
        let end = runtime::spawn(server.shutdown(60 * SECOND));
        runtime::yield_now().await;
        connection.leave_unanswered(9);
        runtime::timeout(20 * SECOND, end).await.expect("nobody waits for an answer");
    });
}

#[test]
fn time_out_and_late_answer() {
    everywhere(|addr| async move {
        let (server, echo) = server(addr, Limits::default()).await;
        let client =
            connect(server.local_addr(), Limits::default(), Rc::new(NoRequests)).await.unwrap();
        let limit = Duration::from_millis(50);
        let peer = server.local_addr();
        assert_eq!(
            client.request(Command::request(3), limit).await,
            Err(RequestError::Timeout { peer, code: 3, limit })
        );
        echo.release();
        let answer = client.request(Command::request(1).with_body("next"), SECOND).await.unwrap();
        assert_eq!(answer.body, "next", "the late answer finds nobody");
    });
}

#[test]
fn waiting_requests_fail_when_the_connection_closes() {
    everywhere(|addr| async move {
        let (server, echo) = server(addr, Limits::default()).await;
        let client =
            connect(server.local_addr(), Limits::default(), Rc::new(NoRequests)).await.unwrap();
        let peer = server.local_addr();
        let waiting = {
            let client = client.clone();
            runtime::spawn(async move { client.request(Command::request(2), 20 * SECOND).await })
        };
        until("it is there", || echo.requests.get() == 1).await;
        drop(server);
        assert_eq!(waiting.await, Err(RequestError::Closed { peer, code: 2 }));
        assert!(!client.is_open());
        client.closed().await;
    });
}

#[test]
fn too_long_an_answer_becomes_an_error() {
    everywhere(|addr| async move {
        let (server, _) = server(addr, Limits::default()).await;
        let client =
            connect(server.local_addr(), Limits::default(), Rc::new(NoRequests)).await.unwrap();
        let too_much = remoting::MAX_FRAME.to_string();
        let ask = Command::request(4).with_ext(&[("bytes", too_much.as_str())]);
        let answer = client.request(ask, SECOND).await.unwrap();
        assert_eq!(answer.code, 1);
        assert!(answer.remark.unwrap().contains("exceeds the limit"));
    });
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = || {
        in_simulation(99, |addr| async move {
            let (server, _) = server(addr, Limits::default()).await;
            let client =
                connect(server.local_addr(), Limits::default(), Rc::new(NoRequests)).await.unwrap();
            for n in 0..50 {
                let ask = Command::request(1).with_body(vec![n; 1000]);
                client.request(ask, SECOND).await.unwrap();
            }
            server.shutdown(SECOND).await;
        })
    };
    assert_eq!(run(), run());
}

#[test]
fn a_service_is_told_of_open_and_close_once() {
    everywhere(|addr| async move {
        let (server, echo) = server(addr, Limits::default()).await;
        for n in 1..=3 {
            let client: Rc<Echo> = Rc::default();
            let connection =
                connect(server.local_addr(), Limits::default(), client.clone()).await.unwrap();
            connection.request(Command::request(1), SECOND).await.unwrap();
            assert_eq!(echo.opened.get(), n);
            connection.close();
            connection.closed().await;
            assert_eq!((client.opened.get(), client.closed.get()), (1, 1));
            until("the server is told", || echo.closed.get() == n).await;
        }
    });
}
