//! What an executor costs that does nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use runtime::process::{cpu_time, resident_memory};
use runtime::{Placement, Spec, sleep};

use crate::child;

const EXECUTORS: u32 = 4;

#[test]
fn an_idle_executor_costs_little() {
    child::in_child("footprint::an_idle_executor_costs_little", || {
        let stop = Arc::new(AtomicBool::new(false));
        let start = |i: u32| {
            let stop = stop.clone();
            let spec =
                Spec { name: format!("idle-{i}"), placement: Placement::Any, busy_poll: None };
            let body = move || async move {
                while !stop.load(Ordering::Relaxed) {
                    sleep(Duration::from_millis(500)).await;
                }
            };
            runtime::start(spec, body).unwrap()
        };
        // The first also pays for what the process needs once.
        let first = start(0);
        std::thread::sleep(Duration::from_millis(200));
        let memory = resident_memory();
        let more: Vec<_> = (1..EXECUTORS).map(start).collect();
        std::thread::sleep(Duration::from_millis(200));
        let each = resident_memory().saturating_sub(memory) / u64::from(EXECUTORS - 1);

        let before = cpu_time();
        std::thread::sleep(Duration::from_secs(3));
        let used = (cpu_time() - before) / EXECUTORS;
        let percent = used.as_secs_f64() / 3.0 * 100.0;
        eprintln!("an idle executor: {percent:.2} % of a core, {} KiB resident", each >> 10);
        stop.store(true, Ordering::Relaxed);
        for executor in std::iter::once(first).chain(more) {
            executor.join().unwrap();
        }
        assert!(percent < 1.0, "an idle executor uses {percent:.2} % of a core");
        assert!(each < 4 << 20, "an idle executor takes {each} bytes");
    });
}
