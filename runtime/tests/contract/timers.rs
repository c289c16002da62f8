//! Time.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use runtime::{Elapsed, Instant, TcpListener, now, sleep, sleep_until, spawn, timeout, yield_now};

use crate::harness::Env;
use crate::net::connect_pair;

pub async fn sleep_takes_at_least_its_time(_env: Env) {
    for micros in [0, 1, 100, 5_000, 60_000] {
        let wanted = Duration::from_micros(micros);
        let start = now();
        sleep(wanted).await;
        assert!(start.elapsed() >= wanted, "{:?} < {wanted:?}", start.elapsed());
        assert!(start.elapsed() < wanted + Duration::from_secs(5));
    }
    let deadline = now() + Duration::from_millis(10);
    sleep_until(deadline).await;
    assert!(now() >= deadline);
    sleep_until(deadline).await;
}

pub async fn timeouts(_env: Env) {
    let short = Duration::from_millis(5);
    assert_eq!(timeout(short, async { 7 }).await, Ok(7));
    assert_eq!(timeout(Duration::ZERO, async { 7 }).await, Ok(7), "what is ready wins");
    let start = now();
    assert_eq!(timeout(short, std::future::pending::<()>()).await, Err(Elapsed));
    assert!(start.elapsed() >= short);
    let dropped = Rc::new(Cell::new(false));
    let guard = SetOnDrop(dropped.clone());
    let holding = async move {
        let _guard = guard;
        sleep(Duration::from_secs(100)).await;
    };
    assert_eq!(timeout(short, holding).await, Err(Elapsed));
    assert!(dropped.get(), "the future is dropped with the limit");
}

struct SetOnDrop(Rc<Cell<bool>>);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

pub async fn sleepers_wake_in_order(_env: Env) {
    let woken = Rc::new(RefCell::new(Vec::new()));
    let tasks: Vec<_> = [40u64, 10, 30, 20, 50]
        .into_iter()
        .map(|millis| {
            let woken = woken.clone();
            spawn(async move {
                sleep(Duration::from_millis(millis)).await;
                woken.borrow_mut().push(millis);
            })
        })
        .collect();
    for task in tasks {
        task.await;
    }
    assert_eq!(*woken.borrow(), [10, 20, 30, 40, 50]);
}

pub async fn clocks_move_forward(_env: Env) {
    let (start, wall) = (now(), runtime::unix_millis());
    assert!(wall > 1_700_000_000_000, "milliseconds since 1970");
    sleep(Duration::from_millis(30)).await;
    let later: Instant = now();
    assert!(later - start >= Duration::from_millis(30));
    assert_eq!(start - later, Duration::ZERO, "never negative");
    assert!(runtime::unix_millis() >= wall + 25);
}

pub async fn yields_let_io_and_timers_through(env: Env) {
    let listener = TcpListener::bind(env.any_port()).await.unwrap();
    let ((mut read, _write), (far_read, mut far_write)) = connect_pair(&listener).await;
    let done = Rc::new(Cell::new(false));
    let spinner = {
        let done = done.clone();
        spawn(async move {
            while !done.get() {
                yield_now().await;
            }
        })
    };
    let sender = spawn(async move {
        for _ in 0..20 {
            sleep(Duration::from_millis(1)).await;
            far_write.write_all(b"x").await.unwrap();
        }
        (far_read, far_write)
    });
    let start = now();
    let mut bytes = BytesMut::new();
    while bytes.len() < 20 {
        assert!(read.read(&mut bytes, 20).await.unwrap() > 0);
    }
    assert!(start.elapsed() < Duration::from_millis(700), "{:?}", start.elapsed());
    done.set(true);
    spinner.await;
    drop(sender.await);
}
