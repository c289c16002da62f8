//! Sockets and the limits of the process.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::Duration;

use runtime::net::can_listen;
use runtime::{Placement, Spec, TcpListener, TcpStream, sleep, timeout};

use crate::child;

fn spec(name: &str) -> Spec {
    Spec { name: name.to_owned(), placement: Placement::Any, busy_poll: None }
}

#[test]
fn a_port_that_somebody_listens_on_cannot_be_had() {
    let listen = || async {
        let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let addr = listener.local_addr();
        let error = can_listen(addr).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
        addr
    };
    let addr = runtime::start(spec("listener"), listen).unwrap().join().unwrap();
    can_listen(addr).unwrap();
    // The look has left nothing behind.
    can_listen(addr).unwrap();
    let nobodys: SocketAddr = "192.0.2.1:9876".parse().unwrap();
    assert_eq!(can_listen(nobodys).unwrap_err().kind(), ErrorKind::AddrNotAvailable);
}

#[test]
fn accepting_survives_too_many_open_files() {
    const TEST: &str = "sockets::accepting_survives_too_many_open_files";
    if child::is_child(TEST) {
        let executor = runtime::start(spec("emfile"), || async { run_out_of_files().await });
        return executor.unwrap().join().unwrap();
    }
    let command = child::command(TEST);
    let limited = child::prepared(command, || child::limit(libc::RLIMIT_NOFILE, 64));
    let report = child::run(limited);
    assert!(report.passed, "{}", report.text);
}

async fn run_out_of_files() {
    let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let addr = listener.local_addr();
    let mut clients = Vec::new();
    let mut accepted = Vec::new();
    // Clients take the descriptors until there are none left for the accepting side.
    loop {
        match TcpStream::connect(addr).await {
            Ok(client) => clients.push(client),
            Err(error) => {
                assert_eq!(error.source.raw_os_error(), Some(libc::EMFILE), "{error}");
                break;
            }
        }
        assert!(clients.len() < 64);
    }
    for _ in 0..5 {
        match timeout(Duration::from_secs(5), listener.accept()).await.unwrap() {
            Ok(connection) => accepted.push(connection),
            Err(error) => assert_eq!(error.source.raw_os_error(), Some(libc::EMFILE), "{error}"),
        }
    }
    assert!(accepted.is_empty(), "there was a descriptor left");
    // With descriptors again, everybody who waited gets in.
    let waiting = clients.len();
    for _ in 0..8 {
        drop(clients.pop());
    }
    sleep(Duration::from_millis(50)).await;
    while let Ok(next) = timeout(Duration::from_millis(300), listener.accept()).await {
        match next {
            Ok(connection) => accepted.push(connection),
            Err(_) => break,
        }
    }
    assert!(accepted.len() >= 7, "{} of {waiting} were accepted", accepted.len());
}

#[test]
fn two_processes_do_not_share_a_port() {
    const TEST: &str = "sockets::two_processes_do_not_share_a_port";
    const PORT: &str = "RUNTIME_TEST_PORT";
    if child::is_child(TEST) {
        let addr: SocketAddr = std::env::var(PORT).unwrap().parse().unwrap();
        let executor = runtime::start(spec("second"), move || async move {
            TcpListener::bind(addr).await.err().map(|error| (error.kind(), error.to_string()))
        });
        let (kind, text) = executor.unwrap().join().unwrap().expect("the port is taken");
        assert_eq!(kind, ErrorKind::AddrInUse);
        return eprintln!("refused: {text}");
    }
    let executor = runtime::start(spec("first"), || async {
        let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let addr = listener.local_addr();
        let mut command = child::command(TEST);
        command.env(PORT, addr.to_string());
        // Blocks this executor: it has nothing else to do, and the port stays bound.
        (addr, child::run(command))
    });
    let (addr, report) = executor.unwrap().join().unwrap();
    assert!(report.passed, "{}", report.text);
    assert!(report.text.contains(&format!("listen on {addr}")), "{}", report.text);
}

#[test]
fn a_connection_attempt_that_hangs_can_be_given_up() {
    // A full backlog that nobody takes from: the kernel drops further attempts silently.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    // SAFETY: plain integers; listening again only changes the backlog.
    child::check(unsafe { libc::listen(listener.as_raw_fd(), 0) }).unwrap();
    let addr = listener.local_addr().unwrap();
    let executor = runtime::start(spec("hanging"), move || async move {
        let mut held = Vec::new();
        let mut given_up = 0;
        for _ in 0..10 {
            match timeout(Duration::from_millis(50), TcpStream::connect(addr)).await {
                Ok(connected) => held.push(connected.unwrap()),
                Err(_) => given_up += 1,
            }
        }
        given_up
    });
    let given_up = executor.unwrap().join().unwrap();
    assert!(given_up >= 5, "only {given_up} attempts hung");
    drop(listener);
}
