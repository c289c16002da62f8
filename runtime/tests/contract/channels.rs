//! Channels.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use runtime::channel::{
    Closed, Flag, Notify, SendError, TrySendError, mailbox, mpsc, oneshot, promise,
};
use runtime::{Placement, Spec, sleep, spawn, timeout, yield_now};

use crate::harness::Env;

const SHORT: Duration = Duration::from_millis(5);

fn spec(name: &str) -> Spec {
    Spec { name: name.to_owned(), placement: Placement::Any, busy_poll: None }
}

pub async fn oneshot_values_and_closing(_env: Env) {
    let (sender, receiver) = oneshot();
    let waiting = spawn(receiver);
    yield_now().await;
    sender.send(7).unwrap();
    assert_eq!(waiting.await, Ok(7));

    let (sender, mut receiver) = oneshot();
    assert_eq!(receiver.try_take(), None);
    sender.send(8).unwrap();
    assert_eq!(receiver.try_take(), Some(8));

    let (sender, receiver) = oneshot::<u32>();
    let waiting = spawn(receiver);
    yield_now().await;
    drop(sender);
    assert_eq!(waiting.await, Err(Closed));

    let (sender, receiver) = oneshot();
    assert!(!sender.is_closed());
    drop(receiver);
    assert!(sender.is_closed());
    assert_eq!(sender.send(9), Err(SendError(9)));
}

pub async fn mpsc_is_bounded_and_ordered(_env: Env) {
    let (sender, mut receiver) = mpsc(3);
    for i in 0..3 {
        sender.try_send(i).unwrap();
    }
    assert_eq!(sender.try_send(3), Err(TrySendError::Full(3)));
    assert_eq!(receiver.len(), 3);
    assert!(timeout(SHORT, sender.send(99)).await.is_err(), "there is no room");
    let feeding = spawn(async move {
        for i in 3..100 {
            sender.send(i).await.unwrap();
        }
    });
    for i in 0..100 {
        assert!(receiver.len() <= 3);
        assert_eq!(receiver.recv().await, Some(i), "a given-up value is never sent");
    }
    feeding.await;
    assert_eq!(receiver.recv().await, None);
    assert_eq!(receiver.recv().await, None);
}

pub async fn mpsc_closing(_env: Env) {
    let (sender, receiver) = mpsc(1);
    sender.try_send(1).unwrap();
    let blocked = {
        let sender = sender.clone();
        spawn(async move { sender.send(2).await })
    };
    sleep(SHORT).await;
    assert!(!sender.is_closed());
    drop(receiver);
    assert!(sender.is_closed());
    assert_eq!(blocked.await, Err(SendError(2)));
    assert_eq!(sender.try_send(3), Err(TrySendError::Closed(3)));

    let (sender, mut receiver) = mpsc::<u32>(4);
    let other = sender.clone();
    let waiting = spawn(async move { receiver.recv().await });
    sleep(SHORT).await;
    drop(sender);
    sleep(SHORT).await;
    drop(other);
    assert_eq!(waiting.await, None);
}

pub async fn mpsc_waiting_senders_take_turns(_env: Env) {
    let (sender, mut receiver) = mpsc(1);
    sender.try_send(0).unwrap();
    let mut waiting = Vec::new();
    for i in 1..6 {
        let sender = sender.clone();
        waiting.push(spawn(async move { sender.send(i).await }));
        sleep(SHORT).await; // in the line, in this order
    }
    // The first in the line gives up after it was called: its turn passes on.
    assert_eq!(receiver.recv().await, Some(0));
    drop(waiting.remove(0));
    drop(sender);
    let mut rest = Vec::new();
    while let Some(value) = timeout(Duration::from_secs(5), receiver.recv()).await.unwrap() {
        rest.push(value);
        sleep(SHORT).await;
    }
    assert_eq!(rest, [2, 3, 4, 5]);
    for task in waiting {
        task.await.unwrap();
    }
}

pub async fn notify(_env: Env) {
    let notify = Rc::new(Notify::new());
    notify.notify_one();
    notify.notify_one();
    notify.notified().await;
    assert!(timeout(SHORT, notify.notified()).await.is_err(), "one permit at most");
    assert!(!notify.has_waiters(), "who gave up does not wait");

    let woken = Rc::new(RefCell::new(Vec::new()));
    let tasks: Vec<_> = (0..4)
        .map(|i| {
            let (notify, woken) = (notify.clone(), woken.clone());
            spawn(async move {
                sleep(Duration::from_millis(i * 2)).await;
                notify.notified().await;
                woken.borrow_mut().push(i);
            })
        })
        .collect();
    sleep(Duration::from_millis(40)).await;
    notify.notify_one();
    sleep(SHORT).await;
    assert_eq!(*woken.borrow(), [0], "the longest-waiting first");
    notify.notify_all();
    for task in tasks {
        task.await;
    }
    assert_eq!(woken.borrow().len(), 4);
    assert!(timeout(SHORT, notify.notified()).await.is_err(), "notify_all leaves no permit");
}

pub async fn flag(_env: Env) {
    let flag = Flag::new();
    let count = Rc::new(Cell::new(0));
    let tasks: Vec<_> = (0..3)
        .map(|_| {
            let (flag, count) = (flag.clone(), count.clone());
            spawn(async move {
                flag.raised().await;
                count.set(count.get() + 1);
            })
        })
        .collect();
    assert!(timeout(SHORT, flag.raised()).await.is_err());
    assert!(!flag.is_raised() && count.get() == 0);
    flag.clone().raise();
    for task in tasks {
        task.await;
    }
    assert!(flag.is_raised() && count.get() == 3);
    flag.raised().await;
}

pub async fn mailbox_across_executors(_env: Env) {
    let (requests, mut inbox) = mailbox::<(u32, runtime::channel::Promise<u32>)>(4);
    let server = runtime::start(spec("server"), move || async move {
        let mut served = 0;
        while let Some((value, reply)) = inbox.recv().await {
            reply.fulfil(value + 1).unwrap();
            served += 1;
        }
        served
    });
    let clients: Vec<_> = (0..10)
        .map(|i| {
            let requests = requests.clone();
            spawn(async move {
                for round in 0..20 {
                    let (reply, answer) = promise();
                    requests.send((i * 100 + round, reply)).await.unwrap();
                    assert_eq!(answer.await, Ok(i * 100 + round + 1));
                    if round % 5 == 0 {
                        sleep(Duration::from_micros(500)).await; // let both sides park
                    }
                }
            })
        })
        .collect();
    for client in clients {
        client.await;
    }
    drop(requests);
    assert_eq!(server.unwrap().finished().await.unwrap(), 200);
}

pub async fn mailbox_is_bounded_and_closes(_env: Env) {
    let (sender, mut receiver) = mailbox(2);
    sender.try_send(1).unwrap();
    sender.try_send(2).unwrap();
    assert_eq!(sender.try_send(3), Err(TrySendError::Full(3)));
    assert!(timeout(SHORT, sender.send(4)).await.is_err());
    assert_eq!(receiver.try_recv(), Some(1));
    sender.send(5).await.unwrap();
    let late = {
        let sender = sender.clone();
        spawn(async move { sender.send(6).await })
    };
    sleep(SHORT).await;
    assert_eq!(receiver.recv().await, Some(2));
    assert_eq!(receiver.recv().await, Some(5));
    assert_eq!(receiver.recv().await, Some(6));
    late.await.unwrap();
    assert_eq!(receiver.try_recv(), None);
    drop(receiver);
    assert!(sender.is_closed());
    assert_eq!(sender.try_send(7), Err(TrySendError::Closed(7)));
    assert_eq!(sender.send(8).await, Err(SendError(8)));
}

pub async fn promises(_env: Env) {
    let (promise_one, receiver) = promise();
    assert!(!receiver.is_ready());
    let waiting = spawn(receiver);
    sleep(SHORT).await;
    promise_one.fulfil(1).unwrap();
    assert_eq!(waiting.await, Ok(1));

    let (broken, receiver) = promise::<u32>();
    drop(broken);
    assert!(receiver.is_ready());
    assert_eq!(receiver.await, Err(Closed));

    let (unwanted, receiver) = promise();
    drop(receiver);
    assert_eq!(unwanted.fulfil(2), Err(SendError(2)));
}
