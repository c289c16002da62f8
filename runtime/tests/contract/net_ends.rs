//! TCP: connections that end, fail, or are given up.

use std::io::ErrorKind;
use std::time::Duration;

use bytes::BytesMut;
use runtime::{TcpListener, TcpStream, sleep, spawn, timeout};

use crate::harness::Env;
use crate::net::connect_pair;

pub async fn half_close(env: Env) {
    let listener = TcpListener::bind(env.any_port()).await.unwrap();
    let ((mut read, mut write), (mut far_read, mut far_write)) = connect_pair(&listener).await;
    write.write_all(b"question").await.unwrap();
    write.shutdown().await.unwrap();
    drop(write);
    let mut bytes = BytesMut::new();
    while far_read.read(&mut bytes, 100).await.unwrap() > 0 {}
    assert_eq!(bytes[..], *b"question");
    // The other direction is still open.
    sleep(Duration::from_millis(5)).await;
    far_write.write_all(b"answer").await.unwrap();
    drop((far_read, far_write));
    let mut bytes = BytesMut::new();
    while read.read(&mut bytes, 100).await.unwrap() > 0 {}
    assert_eq!(bytes[..], *b"answer");
}

pub async fn readable_tells_of_bytes_and_of_the_end(env: Env) {
    let listener = TcpListener::bind(env.any_port()).await.unwrap();
    let ((mut read, _write), (far_read, mut far_write)) = connect_pair(&listener).await;
    let mut bytes = BytesMut::new();
    for round in 0..3 {
        let early = timeout(Duration::from_millis(2), async {
            loop {
                read.readable().await.unwrap();
                read.read(&mut bytes, 100).await.unwrap();
            }
        });
        assert!(early.await.is_err(), "there is nothing yet");
        let readable = timeout(Duration::from_millis(2), read.readable()).await;
        assert!(readable.is_err(), "and it was found out that there is nothing");
        assert!(bytes.is_empty(), "round {round}");
        far_write.write_all(b"word").await.unwrap();
        while bytes.len() < 4 {
            read.readable().await.unwrap();
            read.read(&mut bytes, 100).await.unwrap();
        }
        assert_eq!(bytes.split()[..], *b"word");
    }
    drop((far_read, far_write));
    read.readable().await.unwrap();
    assert_eq!(read.read(&mut bytes, 100).await.unwrap(), 0);
    read.readable().await.unwrap();
    assert_eq!(read.read(&mut bytes, 100).await.unwrap(), 0, "the end stays the end");
}

pub async fn refused(env: Env) {
    let listener = TcpListener::bind(env.any_port()).await.unwrap();
    let addr = listener.local_addr();
    drop(listener);
    let error = TcpStream::connect(addr).await.expect_err("nobody listens");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    assert!(error.to_string().contains(&addr.to_string()), "{error}");
}

pub async fn reset_by_zero_linger(env: Env) {
    let listener = TcpListener::bind(env.any_port()).await.unwrap();
    let addr = listener.local_addr();
    let connecting = spawn(async move { TcpStream::connect(addr).await.unwrap() });
    let (accepted, _) = listener.accept().await.unwrap();
    accepted.set_linger(Some(Duration::ZERO)).unwrap();
    let (mut read, _write) = connecting.await.into_split();
    let mut bytes = BytesMut::new();
    let waiting = spawn(async move { read.read(&mut bytes, 100).await });
    sleep(Duration::from_millis(10)).await;
    drop(accepted);
    let error = waiting.await.expect_err("a reset is not an end");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

pub async fn end_by_plain_close(env: Env) {
    let listener = TcpListener::bind(env.any_port()).await.unwrap();
    let (near, (mut read, _write)) = connect_pair(&listener).await;
    let mut bytes = BytesMut::new();
    let waiting = spawn(async move { read.read(&mut bytes, 100).await });
    sleep(Duration::from_millis(10)).await;
    drop(near);
    assert_eq!(waiting.await.unwrap(), 0);
}

pub async fn reset_when_unread(env: Env) {
    let listener = TcpListener::bind(env.any_port()).await.unwrap();
    let (near, (mut read, mut write)) = connect_pair(&listener).await;
    write.write_all(b"nobody reads this").await.unwrap();
    sleep(Duration::from_millis(10)).await;
    drop(near);
    let mut bytes = BytesMut::new();
    let error = read.read(&mut bytes, 100).await.expect_err("data was lost");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

pub async fn write_to_a_closed_peer_fails(env: Env) {
    let listener = TcpListener::bind(env.any_port()).await.unwrap();
    let (near, (_read, mut write)) = connect_pair(&listener).await;
    drop(near);
    for _ in 0..100 {
        if let Err(error) = write.write_all(b"hello?").await {
            let kind = error.kind();
            assert!(matches!(kind, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{kind:?}");
            // A later shutdown of what is gone is no failure.
            write.shutdown().await.unwrap();
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
    panic!("writes to a closed peer keep succeeding");
}

pub async fn accept_is_cancel_safe(env: Env) {
    let listener = TcpListener::bind(env.any_port()).await.unwrap();
    let addr = listener.local_addr();
    let clients = spawn(async move {
        let mut streams = Vec::new();
        for _ in 0..20 {
            streams.push(TcpStream::connect(addr).await.unwrap());
            sleep(Duration::from_micros(700)).await;
        }
        streams
    });
    let mut accepted = Vec::new();
    while accepted.len() < 20 {
        if let Ok(next) = timeout(Duration::from_micros(300), listener.accept()).await {
            accepted.push(next.unwrap());
        }
    }
    let streams = clients.await;
    let mut near: Vec<_> = accepted.iter().map(|(_, peer)| *peer).collect();
    let mut far: Vec<_> = streams.iter().map(TcpStream::local_addr).collect();
    near.sort();
    far.sort();
    assert_eq!(near, far, "each connection was accepted once");
}

pub async fn read_is_cancel_safe(env: Env) {
    let listener = TcpListener::bind(env.any_port()).await.unwrap();
    let ((mut read, _write), (far_read, mut far_write)) = connect_pair(&listener).await;
    let sender = spawn(async move {
        for i in 0..50u8 {
            far_write.write_all(&[i]).await.unwrap();
            sleep(Duration::from_micros(400)).await;
        }
        (far_read, far_write)
    });
    let mut bytes = BytesMut::new();
    while bytes.len() < 50 {
        let before = bytes.len();
        match timeout(Duration::from_micros(150), read.read(&mut bytes, 16)).await {
            Ok(n) => assert_eq!(bytes.len(), before + n.unwrap()),
            Err(_) => assert_eq!(bytes.len(), before),
        }
    }
    let expected: Vec<u8> = (0..50).collect();
    assert_eq!(bytes[..], expected[..]);
    drop(sender.await);
}

pub async fn dropped_listener_resets_the_unaccepted(env: Env) {
    let listener = TcpListener::bind(env.any_port()).await.unwrap();
    let stream = TcpStream::connect(listener.local_addr()).await.unwrap();
    drop(listener);
    let (mut read, _write) = stream.into_split();
    let mut bytes = BytesMut::new();
    let error = read.read(&mut bytes, 10).await.expect_err("nobody will ever serve it");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}
