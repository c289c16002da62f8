//! The tick of every executor, and the thread that notices when it stops.
//!
//! An executor whose tick is late is one that a task, the scheduler or the machine has stalled.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use crate::clock::{Instant, real_now};
use crate::executor::Placement;

/// How often an executor beats.
pub(crate) const TICK: Duration = Duration::from_millis(50);

/// An executor whose tick is later than this is reported.
const STALL_MIN: Duration = Duration::from_millis(500);

/// How often the watchdog looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// When an executor last showed that it runs.
pub(crate) struct Pulse {
    name: String,
    placement: Placement,
    beaten_at: AtomicU64,
}

impl Pulse {
    fn beat(&self) {
        self.beaten_at.store(real_now().as_nanos(), Ordering::Relaxed);
    }

    fn silence(&self) -> Duration {
        real_now() - Instant::from_nanos(self.beaten_at.load(Ordering::Relaxed))
    }
}

static WATCHED: Mutex<Vec<Watched>> = Mutex::new(Vec::new());
static STALLS: AtomicU64 = AtomicU64::new(0);

struct Watched {
    pulse: Weak<Pulse>,
    stalled: bool,
}

/// Stalls of executors noticed so far in this process: each is a time of 500 ms or more in which an executor ran no task.
pub fn stalls() -> u64 {
    STALLS.load(Ordering::Relaxed)
}

/// Registers the executor `name`, until the pulse is dropped.
pub(crate) fn watch(name: &str, placement: Placement) -> Arc<Pulse> {
    let name = name.to_owned();
    let pulse = Arc::new(Pulse { name, placement, beaten_at: AtomicU64::new(0) });
    pulse.beat();
    let watched = Watched { pulse: Arc::downgrade(&pulse), stalled: false };
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner).push(watched);
    start_watchdog();
    pulse
}

/// Beats until the executor ends.
pub(crate) async fn tick(pulse: Arc<Pulse>) {
    loop {
        pulse.beat();
        crate::time::sleep(TICK).await;
    }
}

fn start_watchdog() {
    static STARTED: OnceLock<()> = OnceLock::new();
    STARTED.get_or_init(|| {
        let body = || {
            crate::executor::use_allowed_cores();
            loop {
                thread::sleep(LOOK_EVERY);
                look();
            }
        };
        if let Err(error) = thread::Builder::new().name("watchdog".to_owned()).spawn(body) {
            tracing::warn!(%error, "no watchdog thread: stalled executors will not be reported");
        }
    });
}

fn look() {
    let mut news = Vec::new();
    {
        let mut watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
        watched.retain_mut(|entry| {
            let Some(pulse) = entry.pulse.upgrade() else { return false };
            let silence = pulse.silence();
            let stalled = silence > STALL_MIN;
            if stalled && !entry.stalled {
                news.push(stall_line(&pulse.name, pulse.placement, silence));
            }
            entry.stalled = stalled;
            true
        });
    }
    // After the lock: a slow log must not hold up the start of an executor.
    for line in news {
        STALLS.fetch_add(1, Ordering::Relaxed);
        tracing::warn!("{line}");
    }
}

/// What an operator is told of a stall.
fn stall_line(name: &str, placement: Placement, silence: Duration) -> String {
    let (at, core) = match placement {
        Placement::Core(core) => (format!(" on core {core}"), "that core"),
        Placement::Any => (String::new(), "its cores"),
    };
    format!(
        "executor {name}{at} has made no progress for {} ms: it was busy with one piece of its own work for so long, or other load has {core}, or \
         the disk or the kernel holds it up; look at what clients asked of it then, at the steal time (`st` in top), at other \
         processes on {core}, and into dmesg",
        silence.as_millis()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_is_told_with_what_to_look_at() {
        let line = stall_line("shard-0", Placement::Core(3), Duration::from_millis(731));
        for words in
            ["executor shard-0 on core 3", "for 731 ms", "own work", "steal", "that core", "dmesg"]
        {
            assert!(line.contains(words), "no `{words}` in: {line}");
        }
        let line = stall_line("namesrv", Placement::Any, Duration::from_secs(1));
        assert!(line.starts_with("executor namesrv has made no progress for 1000 ms: "), "{line}");
    }
}
