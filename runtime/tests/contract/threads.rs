//! Plain threads that are executors for a while.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use runtime::{Placement, Spec, block_on, now, random_u64, sleep, spawn};

const SHORT: Duration = Duration::from_millis(5);

struct Raise<'a>(&'a Cell<bool>);

impl Drop for Raise<'_> {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

/// Called on a plain thread.
pub fn a_thread_blocks_until_its_future_is_done() {
    let before = now();
    // The future borrows from the thread, and what it gives back need not be `Send`.
    let (order, dropped) = (RefCell::new(Vec::new()), Cell::new(false));
    let given = block_on("blocked", async {
        let _held = Raise(&dropped);
        let task = spawn(async {
            sleep(SHORT).await;
            Rc::new(7)
        });
        order.borrow_mut().push(1);
        let output = task.await;
        order.borrow_mut().push(2);
        output
    });
    assert_eq!(*given.unwrap(), 7);
    assert_eq!(*order.borrow(), [1, 2]);
    assert!(dropped.get());
    assert!(now() - before >= SHORT);

    // Again on the same thread; the tasks of the first time are gone. Another executor runs beside it.
    let left = Rc::new(());
    let held = left.clone();
    let other = Spec { name: "other".to_owned(), placement: Placement::Any, busy_poll: None };
    let other = runtime::start(other, || async {
        sleep(SHORT).await;
        random_u64()
    });
    block_on("again", async move {
        spawn(async move {
            sleep(Duration::from_secs(3600)).await;
            drop(held);
        })
        .detach();
        other.unwrap().finished().await.unwrap();
    })
    .unwrap();
    assert_eq!(Rc::strong_count(&left), 1);
    assert!(now() - before < Duration::from_secs(3600));
}
