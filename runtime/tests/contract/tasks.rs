//! Tasks and executors.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use runtime::executor::JoinError;
use runtime::{Placement, Spec, Task, sleep, spawn, yield_now};

use crate::harness::Env;

fn spec(name: &str) -> Spec {
    Spec { name: name.to_owned(), placement: Placement::Any, busy_poll: None }
}

struct CountOnDrop(Arc<AtomicU32>);

impl Drop for CountOnDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

pub async fn spawn_returns_the_output(_env: Env) {
    let shared = Rc::new(5);
    let task = spawn(async move { *shared + 2 });
    assert_eq!(task.await, 7);
    let tasks: Vec<_> = (0..1000).map(|i| spawn(async move { i * 2 })).collect();
    for (i, task) in tasks.into_iter().enumerate() {
        assert_eq!(task.await, i * 2);
    }
}

pub async fn spawned_tasks_start_after_the_caller_suspends(_env: Env) {
    let state = Rc::new(RefCell::new(Vec::new()));
    let held = state.borrow_mut();
    let task = {
        let state = state.clone();
        // Polled within this call, it would find the state borrowed.
        spawn(async move { state.borrow_mut().push(1) })
    };
    drop(held);
    assert!(state.borrow().is_empty());
    task.await;
    assert_eq!(*state.borrow(), [1]);
}

pub async fn dropped_tasks_are_cancelled(_env: Env) {
    let dropped = Arc::new(AtomicU32::new(0));
    let ran = Rc::new(Cell::new(0));
    let ticking = {
        let (guard, ran) = (CountOnDrop(dropped.clone()), ran.clone());
        spawn(async move {
            let _guard = guard;
            loop {
                ran.set(ran.get() + 1);
                sleep(Duration::from_millis(1)).await;
            }
        })
    };
    let never_polled = {
        let (guard, ran) = (CountOnDrop(dropped.clone()), ran.clone());
        spawn(async move {
            let _guard = guard;
            ran.set(-1000);
        })
    };
    drop(never_polled);
    sleep(Duration::from_millis(20)).await;
    assert!(ran.get() > 1, "{}", ran.get());
    drop(ticking);
    let at_cancel = ran.get();
    sleep(Duration::from_millis(20)).await;
    assert_eq!(ran.get(), at_cancel);
    assert_eq!(dropped.load(Ordering::SeqCst), 2, "cancelled futures are dropped soon");
}

pub async fn detached_tasks_run_on(_env: Env) {
    let ran = Rc::new(Cell::new(false));
    {
        let ran = ran.clone();
        spawn(async move {
            sleep(Duration::from_millis(5)).await;
            ran.set(true);
        })
        .detach();
    }
    sleep(Duration::from_millis(30)).await;
    assert!(ran.get());
}

pub async fn an_executor_ends_with_its_tasks(_env: Env) {
    let dropped = Arc::new(AtomicU32::new(0));
    let guard = dropped.clone();
    let executor = runtime::start(spec("inner"), move || async move {
        for _ in 0..3 {
            let guard = CountOnDrop(guard.clone());
            spawn(async move {
                let _guard = guard;
                sleep(Duration::from_secs(1000)).await;
            })
            .detach();
        }
        let guard = CountOnDrop(guard.clone());
        spawn(async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        })
        .detach();
        sleep(Duration::from_millis(5)).await;
        "done"
    });
    assert_eq!(executor.unwrap().finished().await.unwrap(), "done");
    assert_eq!(dropped.load(Ordering::SeqCst), 4);
}

pub async fn a_task_may_cancel_itself(_env: Env) {
    let dropped = Arc::new(AtomicU32::new(0));
    let slot: Rc<RefCell<Option<Task<()>>>> = Rc::default();
    let task = {
        let (guard, slot) = (CountOnDrop(dropped.clone()), slot.clone());
        spawn(async move {
            let _guard = guard;
            let own = slot.borrow_mut().take();
            drop(own);
            yield_now().await;
            panic!("a cancelled task runs on");
        })
    };
    *slot.borrow_mut() = Some(task);
    sleep(Duration::from_millis(10)).await;
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}

pub async fn random_numbers(_env: Env) {
    let mut seen: Vec<u64> = (0..100).map(|_| runtime::random_u64()).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 100);
    let mut hits = [0u32; 7];
    for _ in 0..7000 {
        hits[usize::try_from(runtime::random_below(7)).unwrap()] += 1;
    }
    assert!(hits.iter().all(|n| (700..1300).contains(n)), "{hits:?}");
    let mut bytes = [0u8; 64];
    runtime::fill(&mut bytes);
    assert!(bytes.iter().filter(|b| **b == 0).count() < 8);
}

pub async fn panics_do_not_give_a_result(_env: Env) {
    // An executor whose result nobody can have: its main future is dropped unfinished.
    if runtime::process::host_name() == "n0" {
        return; // a panic in the simulator is the whole test's; see the sim tests for crashes
    }
    let executor = runtime::start::<(), _, _>(spec("doomed"), || async {
        yield_now().await;
        std::panic::resume_unwind(Box::new("on purpose"));
    });
    let result = executor.unwrap().finished().await;
    assert_eq!(result, Err(JoinError::Died { name: "doomed".to_owned() }));
}
