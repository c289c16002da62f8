//! The latest value and who waits for it; senders that do not keep a queue open.

use std::time::Duration;

use runtime::channel::{Closed, SendError, mpsc, watch};
use runtime::{sleep, spawn, timeout};

use crate::harness::Env;

const SHORT: Duration = Duration::from_millis(5);

pub async fn a_watched_value_is_seen_once(_env: Env) {
    let (sender, mut receiver) = watch(1);
    let mut late = receiver.clone();
    assert!(timeout(SHORT, receiver.changed()).await.is_err(), "the first value is seen");
    sender.send(2).unwrap();
    sender.send(3).unwrap();
    assert_eq!(*receiver.borrow(), 3);
    assert_eq!(receiver.changed().await, Ok(()));
    assert!(timeout(SHORT, receiver.changed()).await.is_err());
    assert_eq!(*late.borrow_and_see(), 3);
    assert!(timeout(SHORT, late.changed()).await.is_err());

    assert!(!sender.modify(|_| false));
    assert!(timeout(SHORT, receiver.changed()).await.is_err());
    assert!(sender.modify(|value| {
        *value += 1;
        true
    }));
    assert_eq!(*sender.borrow(), 4);
    let mut new = sender.subscribe();
    assert!(timeout(SHORT, new.changed()).await.is_err());
    assert_eq!(receiver.changed().await, Ok(()));
    assert_eq!(late.changed().await, Ok(()));
}

pub async fn a_change_wakes_all_who_watch(_env: Env) {
    let (sender, receiver) = watch(0);
    let tasks: Vec<_> = (1..=5)
        .map(|floor| {
            let mut receiver = receiver.clone();
            spawn(async move {
                loop {
                    let value = *receiver.borrow_and_see();
                    if value >= floor {
                        return value;
                    }
                    receiver.changed().await.unwrap();
                }
            })
        })
        .collect();
    for value in 1..=5 {
        sleep(SHORT).await;
        sender.send(value).unwrap();
    }
    for (task, floor) in tasks.into_iter().zip(1..) {
        assert_eq!(task.await, floor);
    }
}

pub async fn a_watch_closes_with_its_last_sender(_env: Env) {
    let (sender, mut receiver) = watch(1);
    let other = sender.clone();
    sender.send(2).unwrap();
    drop(sender);
    assert_eq!(receiver.changed().await, Ok(()), "an unseen value comes before the end");
    let mut second = receiver.clone();
    let waiting = spawn(async move { second.changed().await });
    sleep(SHORT).await;
    drop(other);
    assert_eq!(waiting.await, Err(Closed));
    assert_eq!(receiver.changed().await, Err(Closed));
    assert_eq!(*receiver.borrow(), 2);

    let (sender, receiver) = watch(1);
    drop(receiver);
    assert_eq!(sender.send(2), Err(SendError(2)));
    assert_eq!(*sender.borrow(), 1);
    let receiver = sender.subscribe();
    sender.send(3).unwrap();
    assert_eq!(*receiver.borrow(), 3);
}

pub async fn weak_senders_do_not_keep_a_queue_open(_env: Env) {
    let (sender, mut receiver) = mpsc(2);
    let weak = sender.downgrade();
    let strong = weak.clone().upgrade().unwrap();
    drop(sender);
    strong.try_send(1).unwrap();
    assert!(!receiver.is_closed());
    let waiting = spawn(async move {
        let first = receiver.recv().await;
        (first, receiver.recv().await, receiver.is_closed())
    });
    sleep(SHORT).await;
    drop(strong);
    assert_eq!(waiting.await, (Some(1), None, true));
    assert!(weak.upgrade().is_none());
}
