//! Whole runs against a small broker, in a simulation and over real sockets.

mod support;

use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bench::BenchError;
use bench::args::CommandLine;
use bench::interrupts::Interrupts;
use bench::report::Summary;
use clap::Parser;
use runtime::sim::Simulation;
use runtime::{Placement, Spec};
use support::{Fake, Fault};

/// Longest time of one test: virtual in the simulation, real on sockets.
const LIMIT: Duration = Duration::from_secs(120);

fn simulated<F, Fut>(test: F)
where
    F: FnOnce(SocketAddr) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let simulation = Simulation::new(11);
    let node = simulation.node("node", [10, 0, 0, 1].into());
    let executor = node.start("test", move || test(([10, 0, 0, 1], 0).into()));
    simulation.join(executor, LIMIT).expect("the run ends in time");
}

fn on_sockets<F, Fut>(test: F)
where
    F: FnOnce(SocketAddr) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let spec = Spec { name: "bench-test".into(), placement: Placement::Any, busy_poll: None };
    let bounded =
        move || async move { runtime::timeout(LIMIT, test(([127, 0, 0, 1], 0).into())).await };
    let executor = runtime::start(spec, bounded).expect("an executor");
    executor.join().expect("the run ends").expect("the run ends in time");
}

async fn run(fake: &Fake, line: &str) -> Result<Summary, BenchError> {
    let line = format!("mqbench {line} -t T -n {}", fake.addr());
    let parsed = CommandLine::try_parse_from(line.split_whitespace()).expect("good flags");
    let mode = parsed.mode().expect("a single run");
    let outcome = bench::run::run(mode.clone(), &Interrupts::default(), &mut |_| {}).await?;
    Ok(Summary::new(&mode, outcome))
}

async fn fake(addr: SocketAddr, fault: Fault) -> (transport::Server, Rc<Fake>) {
    Fake::start(addr, 100_000, fault).await
}

/// Produces, and consumes what was produced, with everything right.
async fn there_and_back(addr: SocketAddr) {
    let (_server, fake) = fake(addr, Fault::None).await;
    let line =
        "produce --count 2000 --in-flight 16 --connections 3 --size 100 --queues 5 --warmup 0s";
    let sent = run(&fake, line).await.expect("a run");
    assert_eq!((sent.sent, sent.acked, sent.errors), (2000, 2000, 0), "{sent}");
    assert_eq!((sent.verdict(), sent.broken.total(), sent.unanswered), (None, 0, 0));
    assert_eq!((fake.stored("T"), sent.queues, sent.connections), (2000, 5, 3));
    assert_eq!((sent.measured, sent.latency_count), (2000, 2000));
    assert!(sent.rate > 0.0 && sent.bytes_per_s > 99.0 * sent.rate, "{sent}");
    assert!(sent.p50_us > Some(0.0) && sent.max_us >= sent.p999_us && sent.p99_us >= sent.p50_us);

    let line = "consume --count 2000 --connections 2 --size 100 --warmup 0s -g G";
    let received = run(&fake, line).await.expect("a run");
    assert_eq!((received.received, received.errors), (2000, 0), "{received}");
    assert_eq!((received.verdict(), received.broken.total()), (None, 0), "{received}");
    assert_eq!((received.connections, received.moved), (2, 0));
    let committed: i64 = fake.committed.borrow().values().sum();
    assert_eq!(committed, 2000, "the group's progress was stored at the end");

    // Where the group stopped there is nothing more; at the end neither; at the beginning all of it.
    for (from, want) in [("committed", 0), ("last", 0), ("first", 2000)] {
        let line = format!("consume --duration 1s --warmup 0s -g G --from {from}");
        let received = run(&fake, &line).await.expect("a run");
        assert_eq!((received.received, received.errors), (want, 0), "{from}: {received}");
    }
}

/// Blocking calls know no simulation.
#[test]
fn a_thread_that_blocks_sends_one_at_a_time() {
    on_sockets(|addr| async move {
        let (_server, fake) = fake(addr, Fault::None).await;
        let line = "produce --count 500 --blocking --size 100 --connections 2 --warmup 0s --audit";
        let sent = run(&fake, line).await.expect("a run");
        assert_eq!((sent.verdict(), sent.sent, sent.acked), (None, 500, 500), "{sent}");
        assert_eq!((fake.stored("T"), sent.connections, sent.latency_count), (500, 2, 500));
        // The time is up while answers come.
        let line = "produce --duration 200ms --blocking --warmup 100ms";
        let sent = run(&fake, line).await.expect("a run");
        assert_eq!((sent.verdict(), sent.unanswered, sent.duration_s), (None, 0, 0.2), "{sent}");
        assert!(sent.acked > 10, "{sent}");
    });
}

#[test]
fn what_was_sent_comes_back_in_a_simulation() {
    simulated(there_and_back);
}

#[test]
fn what_was_sent_comes_back_over_sockets() {
    on_sockets(there_and_back);
}

/// The time is up, not a count: warm-up and measurement are told apart.
async fn by_time(addr: SocketAddr) {
    let (_server, fake) = fake(addr, Fault::None).await;
    let line = "produce --duration 200ms --warmup 100ms --in-flight 4 --size 10";
    let sent = run(&fake, line).await.expect("a run");
    assert_eq!((sent.verdict(), sent.errors, sent.duration_s), (None, 0, 0.2), "{sent}");
    assert_eq!(sent.sent, sent.acked);
    assert_eq!(fake.stored("T"), sent.sent);
    // A third of the run was warm-up; the sim's latencies are steady, so its messages are about a third too.
    let part = sent.measured as f64 / sent.acked as f64;
    assert!((0.55..0.78).contains(&part), "measured {} of {}", sent.measured, sent.acked);
    assert!(sent.latency_count.abs_diff(sent.measured) <= 4 * 2);
    assert_eq!(sent.rate, (sent.measured as f64 / 0.2 * 1000.0).round() / 1000.0);
}

#[test]
fn the_warm_up_does_not_count() {
    simulated(by_time);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let trace = || {
        let simulation = Simulation::new(5);
        let node = simulation.node("node", [10, 0, 0, 1].into());
        let executor = node.start("test", || async {
            let (_server, fake) = fake(([10, 0, 0, 1], 0).into(), Fault::None).await;
            let line = "produce --count 300 --warmup 0s --connections 2";
            run(&fake, line).await.expect("a run").p99_us.expect("latencies").to_bits()
        });
        let p99 = simulation.join(executor, LIMIT).expect("it ends");
        (p99, simulation.trace_hash())
    };
    assert_eq!(trace(), trace());
}

#[test]
fn a_consumer_gets_what_is_sent_while_it_waits() {
    simulated(|addr| async move {
        let (_server, fake) = fake(addr, Fault::None).await;
        run(&fake, "produce --count 1 --warmup 0s").await.expect("a topic");
        let consumer = {
            let fake = fake.clone();
            let line = "consume --from last --count 500 --warmup 0s";
            runtime::spawn(async move { run(&fake, line).await.expect("a run") })
        };
        runtime::sleep(Duration::from_secs(3)).await;
        let line = "produce --count 500 --warmup 0s --in-flight 1";
        run(&fake, line).await.expect("a run");
        let received = consumer.await;
        assert_eq!((received.received, received.broken.total()), (500, 0), "{received}");
        // In whole milliseconds, and a held pull is answered at once.
        assert!(received.p99_us < Some(20_000.0), "{received}");
    });
}

async fn with_fault(addr: SocketAddr, fault: Fault, line: &str) -> (Rc<Fake>, Summary) {
    let (_server, fake) = fake(addr, fault).await;
    let sent = run(&fake, line).await.expect("a run");
    (fake, sent)
}

#[test]
fn refusals_are_counted_by_code_and_remark() {
    simulated(|addr| async move {
        let line = "produce --count 1000 --warmup 0s";
        let (_, sent) = with_fault(addr, Fault::Busy(10), line).await;
        assert_eq!((sent.sent, sent.acked, sent.errors), (1000, 900, 100), "{sent}");
        let [kind] = sent.errors_by_code.as_slice() else { panic!("one kind: {sent}") };
        assert_eq!((kind.code, kind.remark.as_str()), (Some(2), "[REJECTREQUEST]busy: #ms"));
        assert_eq!(sent.verdict(), None, "refusing is no broken promise");
    });
}

#[test]
fn an_offset_given_twice_fails_the_run() {
    simulated(|addr| async move {
        let line = "produce --count 1000 --warmup 0s --in-flight 1 --queues 2";
        let (_, sent) = with_fault(addr, Fault::SameOffset(100), line).await;
        assert_eq!(sent.broken.offsets_not_rising, 10, "{sent}");
        assert!(sent.verdict().is_some());
    });
}

#[test]
fn skipped_and_damaged_messages_fail_the_run() {
    simulated(|addr| async move {
        let (_server, fake) = fake(addr, Fault::Damage(50)).await;
        run(&fake, "produce --count 1000 --warmup 0s --queues 1").await.expect("a run");
        let line = "consume --duration 1s --warmup 0s";
        let received = run(&fake, line).await.expect("a run");
        assert_eq!((received.received, received.broken.bad_checksum), (1000, 20), "{received}");
        fake.fault.set(Fault::Skip(100));
        let received = run(&fake, line).await.expect("a run");
        assert_eq!((received.received, received.broken.missing), (990, 10), "{received}");
        assert!(received.verdict().is_some());
    });
}

#[test]
fn a_lost_connection_is_dialled_again() {
    simulated(|addr| async move {
        let line = "produce --duration 700ms --warmup 0s --in-flight 2 --size 10";
        let (fake, sent) = with_fault(addr, Fault::Close(100), line).await;
        assert!(sent.unanswered > 0 && sent.unanswered <= 2, "{sent}");
        assert_eq!((sent.errors, sent.sent), (sent.unanswered, sent.acked + sent.unanswered));
        assert!(sent.acked > 200, "it went on: {sent}");
        assert_eq!((sent.broken.total(), sent.errors_by_code[0].code), (0, None));
        assert!(fake.stored("T") >= sent.acked, "what was acknowledged is there");
    });
}

#[test]
fn a_lost_connection_of_a_thread_that_blocks_is_dialled_again() {
    on_sockets(|addr| async move {
        let line = "produce --count 300 --blocking --warmup 0s --size 10";
        let (fake, sent) = with_fault(addr, Fault::Close(100), line).await;
        assert_eq!((sent.sent, sent.acked, sent.unanswered), (300, 299, 1), "{sent}");
        assert_eq!((sent.broken.total(), sent.errors_by_code[0].code), (0, None));
        assert!(fake.stored("T") >= sent.acked, "what was acknowledged is there");
    });
}

#[test]
fn a_topic_is_created_by_the_first_send_where_brokers_refuse_to() {
    simulated(|addr| async move {
        let line = "produce --count 100 --warmup 0s --queues 2";
        let (fake, sent) = with_fault(addr, Fault::CreatesOnDemand, line).await;
        assert_eq!((sent.acked, sent.queues, sent.errors), (100, 2, 0), "{sent}");
        assert_eq!(fake.topics.borrow().get("T"), Some(&2));
    });
}

#[test]
fn what_is_missing_is_told_in_one_line() {
    simulated(|addr| async move {
        let (server, fake) = fake(addr, Fault::None).await;
        let error = run(&fake, "consume").await.expect_err("no topic").to_string();
        assert!(error.contains("topic T does not exist") && !error.contains('\n'), "{error}");
        drop(server);
        runtime::sleep(Duration::from_secs(1)).await;
        let error = run(&fake, "produce").await.expect_err("nobody there").to_string();
        assert!(error.contains(&fake.addr()) && error.contains("-n"), "{error}");
        assert!(!error.contains('\n'), "{error}");
    });
}
