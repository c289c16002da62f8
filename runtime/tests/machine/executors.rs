//! Executors as threads.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use runtime::channel::mailbox;
use runtime::executor::{JoinError, StartError, stalls};
use runtime::{BLOCK, File, OpenMode, Placement, Spec, allowed_cores, sleep};

use crate::child;

fn spec(name: &str, placement: Placement) -> Spec {
    Spec { name: name.to_owned(), placement, busy_poll: None }
}

#[test]
fn executors_are_pinned_and_helpers_are_not() {
    child::in_child("executors::executors_are_pinned_and_helpers_are_not", || {
        let allowed = allowed_cores();
        let executors: Vec<_> = allowed
            .iter()
            .map(|core| {
                let spec = spec(&format!("pinned-{core}"), Placement::Core(*core));
                let body = || async {
                    assert!(runtime::fs::exists("/").await.unwrap()); // wakes its helper
                    drop(runtime::resolve("localhost:1").await);
                    sleep(Duration::from_millis(300)).await;
                };
                runtime::start(spec, body).unwrap()
            })
            .collect();
        std::thread::sleep(Duration::from_millis(100));
        let threads = runtime::process::threads();
        for core in &allowed {
            let name = format!("pinned-{core}");
            let own: Vec<_> = threads.iter().filter(|thread| thread.name == name).collect();
            assert!(own.len() == 1 && own[0].allowed == [*core], "{threads:?}");
            let helper = format!("pinned-{core}-files");
            let helpers: Vec<_> = threads.iter().filter(|thread| thread.name == helper).collect();
            assert!(helpers.len() == 1 && helpers[0].allowed == allowed, "{threads:?}");
        }
        let watchdog = threads.iter().find(|thread| thread.name == "watchdog").unwrap();
        assert_eq!(watchdog.allowed, allowed);
        let main = std::process::id();
        assert_eq!(threads.iter().find(|thread| thread.tid == main).unwrap().allowed, allowed);
        // A pinned parent must not make others believe that there is one core.
        assert_eq!(allowed_cores(), allowed);
        for executor in executors {
            executor.join().unwrap();
        }
    });
}

#[test]
fn a_core_that_is_not_allowed_is_an_error() {
    let result = runtime::start(spec("nowhere", Placement::Core(4095)), || async {});
    match result {
        Err(error @ StartError::CoreNotAllowed { core: 4095, .. }) => {
            let text = error.to_string();
            assert!(text.contains("4095") && text.contains("taskset"), "{text}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_panic_ends_only_its_executor_where_panics_unwind() {
    let doomed = runtime::start::<(), _, _>(spec("doomed", Placement::Any), || async {
        runtime::yield_now().await;
        std::panic::resume_unwind(Box::new("on purpose"));
    });
    let died = JoinError::Died { name: "doomed".to_owned() };
    assert_eq!(doomed.unwrap().join(), Err(died));
    let other = runtime::start(spec("other", Placement::Any), || async { 7 });
    assert_eq!(other.unwrap().join(), Ok(7));
}

#[test]
fn executors_leave_next_to_nothing_behind() {
    child::in_child("executors::executors_leave_next_to_nothing_behind", || {
        let once = || {
            let executor = runtime::start(spec("short", Placement::Any), || async {
                let listener = runtime::TcpListener::bind("127.0.0.1:0".parse().unwrap()).await;
                let listener = listener.unwrap();
                let addr = listener.local_addr();
                let stream = runtime::TcpStream::connect(addr).await.unwrap();
                runtime::spawn(async move {
                    let _stream = stream;
                    listener.accept().await.unwrap();
                    listener.accept().await.unwrap();
                })
                .detach();
                sleep(Duration::from_millis(5)).await;
                addr
            });
            let addr = executor.unwrap().join().unwrap();
            // Its listener went with it.
            drop(std::net::TcpListener::bind(addr).unwrap());
        };
        let settle = || {
            std::thread::sleep(Duration::from_millis(100));
            let files = std::fs::read_dir("/proc/self/fd").unwrap().count();
            (files, runtime::process::threads().len(), runtime::process::resident_memory())
        };
        once();
        once();
        let (files, threads, memory) = settle();
        for _ in 0..20 {
            once();
        }
        let (files_after, threads_after, memory_after) = settle();
        assert!(files_after <= files, "{files} open files before, {files_after} after");
        assert!(threads_after <= threads, "{threads} threads before, {threads_after} after");
        let grown = memory_after.saturating_sub(memory) / 20;
        assert!(grown < 64 << 10, "{grown} bytes an executor are lost");
    });
}

#[test]
fn a_stalled_executor_is_noticed() {
    child::in_child("executors::a_stalled_executor_is_noticed", || {
        let executor = runtime::start(spec("stalling", Placement::Any), || async {
            sleep(Duration::from_millis(300)).await;
            let before = stalls();
            std::thread::sleep(Duration::from_millis(1200)); // on purpose
            sleep(Duration::from_millis(300)).await;
            std::thread::sleep(Duration::from_millis(1200));
            sleep(Duration::from_millis(300)).await;
            (before, stalls())
        });
        assert_eq!(executor.unwrap().join().unwrap(), (0, 2));
    });
}

#[test]
fn messages_from_plain_threads_wake_a_parked_executor() {
    let (sender, mut receiver) = mailbox::<Instant>(4);
    let executor = runtime::start(spec("parked", Placement::Any), move || async move {
        let mut delays = Vec::new();
        while let Some(sent) = receiver.recv().await {
            delays.push(sent.elapsed());
        }
        delays
    });
    for i in 0..60 {
        // Not in step with the executor's tick of 50 ms, which would wake it too.
        std::thread::sleep(Duration::from_millis(7 + i % 5));
        sender.try_send(Instant::now()).unwrap();
    }
    drop(sender);
    let mut delays = executor.unwrap().join().unwrap();
    delays.sort();
    assert_eq!(delays.len(), 60);
    // The tick alone would give a median of more than 10 ms.
    assert!(delays[30] < Duration::from_millis(4), "median {:?}", delays[30]);
}

/// Two executors that wake each other: a wake-up that gets lost between looking and falling asleep would end it.
#[test]
fn executors_that_wake_each_other_do_not_miss_it() {
    const ROUNDS: u32 = 20_000;
    for busy_poll in [None, Some(Duration::from_micros(20))] {
        let (to_far, mut far) = mailbox::<u32>(1);
        let (to_near, mut near) = mailbox::<u32>(1);
        let spec = |name: &str| Spec { busy_poll, ..spec(name, Placement::Any) };
        let echo = runtime::start(spec("echo"), move || async move {
            while let Some(round) = far.recv().await {
                to_near.send(round + 1).await.unwrap();
            }
        });
        let asking = runtime::start(spec("asking"), move || async move {
            for round in 0..ROUNDS {
                to_far.send(round).await.unwrap();
                let answer = runtime::timeout(Duration::from_secs(20), near.recv()).await;
                assert_eq!(answer, Ok(Some(round + 1)));
            }
        });
        asking.unwrap().join().unwrap();
        echo.unwrap().join().unwrap();
    }
}

/// More operations than either queue of the ring holds.
#[test]
fn thousands_of_operations_at_once_all_end() {
    const OPERATIONS: usize = 10_000;
    const BLOCKS: usize = 64;
    let executor = runtime::start(spec("many", Placement::Any), || async {
        let name = format!("many-{}-{:x}", std::process::id(), runtime::random_u64());
        let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let file = Rc::new(File::open(&path, OpenMode::CreateNew).await.unwrap());
        let mut blocks = file.buffer(BLOCKS * BLOCK);
        for (number, block) in blocks.chunks_mut(BLOCK).enumerate() {
            block.fill(u8::try_from(number).unwrap());
        }
        file.write_at(&Rc::new(blocks), 0).await.unwrap();
        let reads: Vec<_> = (0..OPERATIONS)
            .map(|i| {
                let (file, block) = (file.clone(), i % BLOCKS);
                runtime::spawn(async move {
                    let read = file.read_at((block * BLOCK) as u64, BLOCK).await.unwrap();
                    read.len() == BLOCK && read.iter().all(|byte| usize::from(*byte) == block)
                })
            })
            .collect();
        for (i, read) in reads.into_iter().enumerate() {
            if i % 7 == 0 {
                drop(read); // given up, some of them while the kernel has them
            } else {
                assert!(read.await, "read {i}");
            }
        }
        drop(file);
        runtime::fs::remove_file(&path).await.unwrap();
    });
    executor.unwrap().join().unwrap();
}

/// An open that was given up leaves no descriptor behind, whether the kernel had it, was about to, or was done.
#[test]
fn opens_that_are_given_up_leave_no_descriptor() {
    child::in_child("executors::opens_that_are_given_up_leave_no_descriptor", || {
        let executor = runtime::start(spec("opens", Placement::Any), || async {
            let name = format!("opens-{}-{:x}", std::process::id(), runtime::random_u64());
            let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
            File::open(&path, OpenMode::CreateNew).await.unwrap().close().await.unwrap();
            let files = || std::fs::read_dir("/proc/self/fd").unwrap().count();
            let before = files();
            for i in 0..200u64 {
                let open = runtime::spawn({
                    let path = path.clone();
                    async move { drop(File::open(&path, OpenMode::ReadOnly).await) }
                });
                sleep(Duration::from_micros(i % 40)).await;
                drop(open);
            }
            sleep(Duration::from_millis(100)).await;
            let after = files();
            runtime::fs::remove_file(&path).await.unwrap();
            (before, after)
        });
        let (before, after) = executor.unwrap().join().unwrap();
        assert!(after <= before, "{before} descriptors before, {after} after");
    });
}

/// An executor never sleeps over something that is ready, also where others want its core. On a machine that does other work besides
/// each write may take a tenth of a second.
#[test]
fn an_appender_keeps_going_under_contention() {
    child::in_child("executors::an_appender_keeps_going_under_contention", || {
        let stop = Arc::new(AtomicBool::new(false));
        let hogs: Vec<_> = (0..allowed_cores().len())
            .map(|_| {
                let stop = stop.clone();
                std::thread::spawn(move || {
                    let mut n = 0u64;
                    while !stop.load(Ordering::Relaxed) {
                        n = std::hint::black_box(n.wrapping_mul(31) + 7);
                    }
                })
            })
            .collect();
        let core = *allowed_cores().last().unwrap();
        let appender = runtime::start(spec("appender", Placement::Core(core)), || async {
            runtime::timeout(Duration::from_secs(30), append(200)).await.is_ok()
        });
        let ended = appender.unwrap().join().unwrap();
        stop.store(true, Ordering::Relaxed);
        for hog in hogs {
            hog.join().unwrap();
        }
        assert!(ended, "an executor slept over what was ready");
    });
}

/// Writes and syncs one block after the other, so many.
async fn append(writes: u64) {
    let name = format!("appender-{}-{:x}", std::process::id(), runtime::random_u64());
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let file = File::open(&path, OpenMode::CreateNew).await.unwrap();
    file.allocate(1 << 20).await.unwrap();
    for number in 0..writes {
        let mut block = file.buffer(BLOCK);
        block.fill(1);
        file.write_at(&Rc::new(block), number % 256 * BLOCK as u64).await.unwrap();
        file.sync().await.unwrap();
    }
    file.close().await.unwrap();
    runtime::fs::remove_file(&path).await.unwrap();
}

/// A file call that nobody waits for any more still answers: its thread must not panic, which ends a release build.
#[test]
fn calls_that_were_given_up_do_not_outlive_their_executor() {
    child::in_child("executors::calls_that_were_given_up_do_not_outlive_their_executor", || {
        std::panic::set_hook(Box::new(|panic| {
            eprintln!("{panic}");
            std::process::exit(3);
        }));
        for _ in 0..20 {
            let body = || async {
                let given_up = runtime::fs::list("/proc");
                runtime::timeout(Duration::from_micros(50), given_up).await.is_err()
            };
            runtime::start(spec("gives-up", Placement::Any), body).unwrap().join().unwrap();
        }
        // Whatever is left of them would answer now.
        std::thread::sleep(Duration::from_millis(200));
    });
}
