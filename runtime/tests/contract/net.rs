//! TCP: connections that work.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use runtime::{Task, TcpListener, TcpStream, sleep, spawn, timeout};

use crate::harness::Env;

/// Sends back everything it receives on one connection, then ends.
fn echo_once(listener: TcpListener) -> Task<()> {
    spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let (mut read, mut write) = stream.into_split();
        let mut bytes = BytesMut::new();
        while read.read(&mut bytes, 64 << 10).await.unwrap() > 0 {
            write.write_all(&bytes).await.unwrap();
            bytes.clear();
        }
        write.shutdown().await.unwrap();
    })
}

pub async fn echo(env: Env) {
    let listener = TcpListener::bind(env.any_port()).await.unwrap();
    let addr = listener.local_addr();
    assert_ne!(addr.port(), 0);
    assert_eq!(addr.ip(), env.ip);
    let server = echo_once(listener);
    let stream = TcpStream::connect(addr).await.unwrap();
    assert_eq!(stream.peer_addr(), addr);
    assert_eq!(stream.local_addr().ip(), env.ip);
    stream.set_nodelay(true).unwrap();
    let (mut read, mut write) = stream.into_split();
    let mut bytes = BytesMut::from(&b"before "[..]);
    for i in 0..20u32 {
        write.write_all(&i.to_be_bytes()).await.unwrap();
        let start = bytes.len();
        while bytes.len() < start + 4 {
            assert!(read.read(&mut bytes, 3).await.unwrap() <= 3, "max is kept");
        }
        assert_eq!(bytes[start..], i.to_be_bytes());
    }
    assert_eq!(bytes[..7], *b"before ", "reading appends");
    write.shutdown().await.unwrap();
    assert_eq!(read.read(&mut bytes, 10).await.unwrap(), 0);
    assert_eq!(read.read(&mut bytes, 10).await.unwrap(), 0, "the end stays the end");
    server.await;
}

pub async fn large_transfer_both_ways(env: Env) {
    const TOTAL: usize = 6 << 20;
    let listener = TcpListener::bind(env.any_port()).await.unwrap();
    let addr = listener.local_addr();
    let server = echo_once(listener);
    let (mut read, mut write) = TcpStream::connect(addr).await.unwrap().into_split();
    let sent: Vec<u8> = (0..TOTAL).map(|i| ((i * 31) >> 7).to_le_bytes()[0]).collect();
    let to_send = sent.clone();
    let sender = spawn(async move {
        for chunk in to_send.chunks(1_000_003) {
            write.write_all(chunk).await.unwrap();
        }
        write.shutdown().await.unwrap();
        write
    });
    let mut received = BytesMut::new();
    while read.read(&mut received, 256 << 10).await.unwrap() > 0 {}
    assert!(received[..] == sent[..]);
    sender.await;
    server.await;
}

pub async fn back_pressure(env: Env) {
    let listener = TcpListener::bind(env.any_port()).await.unwrap();
    let (mut read, mut write) = connect_pair(&listener).await;
    // Nobody reads: the writer must come to a stand.
    let chunk = vec![7u8; 1 << 20];
    let mut sent = 0u64;
    while timeout(Duration::from_millis(300), write.1.write_all(&chunk)).await.is_ok() {
        sent += chunk.len() as u64;
        assert!(sent < 256 << 20, "{sent} bytes went nowhere");
    }
    drop(write);
    // Everything that was taken arrives, and then the end.
    let mut bytes = BytesMut::new();
    let mut received = 0u64;
    loop {
        bytes.clear();
        match read.0.read(&mut bytes, 1 << 20).await.unwrap() {
            0 => break,
            n => received += n as u64,
        }
        assert!(bytes.iter().all(|b| *b == 7));
    }
    assert!(received >= sent && received <= sent + chunk.len() as u64);
}

type Ends = (runtime::ReadHalf, runtime::WriteHalf);

/// Both ends of a new connection: the accepted one, the connecting one.
pub async fn connect_pair(listener: &TcpListener) -> (Ends, Ends) {
    let addr = listener.local_addr();
    let connecting = spawn(async move { TcpStream::connect(addr).await.unwrap() });
    let (accepted, peer) = listener.accept().await.unwrap();
    let connected = connecting.await;
    assert_eq!(connected.local_addr(), peer);
    assert_eq!(accepted.local_addr(), connected.peer_addr());
    (accepted.into_split(), connected.into_split())
}

pub async fn many_connections(env: Env) {
    let listener = TcpListener::bind(env.any_port()).await.unwrap();
    let addr = listener.local_addr();
    let server = spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            spawn(async move {
                let (mut read, mut write) = stream.into_split();
                let mut bytes = BytesMut::new();
                while read.read(&mut bytes, 4096).await.unwrap() > 0 {
                    write.write_all(&bytes).await.unwrap();
                    bytes.clear();
                }
            })
            .detach();
        }
    });
    let clients: Vec<_> = (0..100u32)
        .map(|i| {
            spawn(async move {
                let stream = TcpStream::connect(addr).await.unwrap();
                let (mut read, mut write) = stream.into_split();
                let mut bytes = BytesMut::new();
                for round in 0..5u32 {
                    sleep(Duration::from_micros(u64::from(i * round % 7) * 100)).await;
                    write.write_all(&(i + round).to_be_bytes()).await.unwrap();
                    while bytes.len() < 4 {
                        assert!(read.read(&mut bytes, 4).await.unwrap() > 0);
                    }
                    assert_eq!(bytes.split_to(4)[..], (i + round).to_be_bytes());
                }
            })
        })
        .collect();
    for client in clients {
        client.await;
    }
    drop(server);
}

pub async fn port_in_use_names_the_port(env: Env) {
    let listener = TcpListener::bind(env.any_port()).await.unwrap();
    let addr = listener.local_addr();
    let any: SocketAddr = format!("0.0.0.0:{}", addr.port()).parse().unwrap();
    for clash in [addr, any] {
        let error = TcpListener::bind(clash).await.expect_err("the port is taken");
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&clash.to_string()), "{error}");
    }
}

pub async fn listener_port_is_free_after_drop(env: Env) {
    let listener = TcpListener::bind(env.any_port()).await.unwrap();
    let addr = listener.local_addr();
    for _ in 0..5 {
        // With an accept under way and connections that are still open or just closed.
        let listener = match TcpListener::bind(addr).await {
            Ok(listener) => listener,
            Err(_) => break,
        };
        drop(listener);
    }
    let pair = connect_pair(&listener).await;
    assert!(timeout(Duration::from_millis(5), listener.accept()).await.is_err());
    drop(listener);
    let again = TcpListener::bind(addr).await.unwrap();
    drop(pair);
    let pair = connect_pair(&again).await;
    drop((pair, again));
    drop(TcpListener::bind(addr).await.unwrap());
}

pub async fn resolve_addresses_and_names(env: Env) {
    let literal = SocketAddr::new(env.ip, 9876);
    assert_eq!(runtime::resolve(&literal.to_string()).await.unwrap(), [literal]);
    let found = runtime::resolve("localhost:80").await.unwrap();
    assert!(found.iter().all(|addr| addr.ip().is_loopback() && addr.port() == 80), "{found:?}");
    assert!(!found.is_empty());
    let name = "no-such-host.invalid:80";
    let error = runtime::resolve(name).await.unwrap_err();
    assert!(error.to_string().contains(name), "{error}");
    assert!(runtime::resolve("no port").await.is_err());
}

pub async fn foreign_address_is_refused(_env: Env) {
    // Of a network that is reserved for documentation: nobody has it.
    let error = TcpListener::bind("192.0.2.1:0".parse().unwrap()).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
}
