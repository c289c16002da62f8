//! Whole studies against small brokers: a rate, an audit, and each subcommand that runs several windows.

mod support;

use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bench::args::CommandLine;
use bench::interrupts::Interrupts;
use bench::report::{Document, Screen, Summary, page};
use bench::study::{Metric, Session, Study, Window};
use bench::{BenchError, Findings};
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
    let simulation = Simulation::new(23);
    let node = simulation.node("node", [10, 0, 0, 1].into());
    let executor = node.start("test", move || test(([10, 0, 0, 1], 0).into()));
    simulation.join(executor, LIMIT).expect("the study ends in time");
}

async fn carry_out(line: &str) -> Result<Findings, BenchError> {
    let line = format!("mqbench {line}");
    let parsed = CommandLine::try_parse_from(line.split_whitespace()).expect("good flags");
    let session = Session { interrupts: Interrupts::default(), screen: Screen::new(false, None) };
    bench::carry_out(&session, &parsed.command).await
}

async fn run(fake: &Fake, line: &str) -> Summary {
    match carry_out(&format!("{line} -t T -n {}", fake.addr())).await {
        Ok(Findings::Run(run)) => *run,
        Ok(_) => panic!("one run"),
        Err(error) => panic!("{error}"),
    }
}

async fn study(line: &str) -> Study {
    match carry_out(line).await {
        Ok(Findings::Study(study)) => *study,
        Ok(_) => panic!("several runs"),
        Err(error) => panic!("{error}"),
    }
}

async fn fake(addr: SocketAddr, fault: Fault) -> (transport::Server, Rc<Fake>) {
    Fake::start(addr, 100_000, fault).await
}

/// Labels and numbers of windows of a study, which must also fit on a page.
fn shape(study: &Study) -> Vec<(String, usize)> {
    assert_eq!(study.verdict(), None, "{study}");
    let value = Findings::Study(Box::new(study.clone())).value();
    let document = Document::read("study", &value).expect("a result that can be plotted");
    assert!(page("t", &[document]).contains("</html>"));
    study.sides.iter().map(|side| (side.label.clone(), side.windows.len())).collect()
}

#[test]
fn a_rate_is_kept_and_spread_evenly_over_the_connections() {
    simulated(|addr| async move {
        let (_server, fake) = fake(addr, Fault::None).await;
        let line = "produce --rate 500 --duration 4s --connections 3 --in-flight 50";
        let sent = run(&fake, line).await;
        assert_eq!((sent.sent, sent.acked, sent.unsent, sent.errors), (2000, 2000, 0, 0), "{sent}");
        assert!((sent.rate - 500.0).abs() < 2.0, "{sent}");
        assert_eq!((sent.latency, sent.latency_count), ("due to acknowledgement", 2000));
        assert!(sent.late_max_us.is_some());
        assert!(sent.points.len() >= 3);
        let steady = sent.points.iter().all(|point| (point.rate - 500.0).abs() <= 10.0);
        assert!(steady, "{:?}", sent.points);
    });
}

#[test]
fn a_rate_that_cannot_be_kept_shows_in_the_latencies() {
    simulated(|addr| async move {
        let (_server, fake) = fake(addr, Fault::None).await;
        let closed = run(&fake, "produce --duration 1s --in-flight 1").await;
        // Ten times of what one in flight comes to.
        let rate = (closed.rate * 10.0).round();
        let line = format!("produce --rate {rate} --duration 1s --in-flight 1");
        let open = run(&fake, &line).await;
        assert!(open.unsent > open.sent, "{open}");
        assert!(open.p50_us > Some(100_000.0), "half of them waited long: {open}");
        assert!(open.notes.iter().any(|note| note.contains("could not be sent")), "{open}");
    });
}

#[test]
fn an_audit_finds_what_is_there() {
    simulated(|addr| async move {
        let (_server, fake) = fake(addr, Fault::None).await;
        let line = "produce --count 3000 --connections 3 --queues 4 --audit";
        // The second one meets the messages of the first, and must not take them for its own.
        for _ in 0..2 {
            let sent = run(&fake, line).await;
            let audit = sent.audit.expect("it was asked for");
            assert_eq!((audit.looked_for, audit.foreign, audit.unacknowledged), (3000, 0, 0));
            assert_eq!((sent.broken.total(), sent.verdict()), (0, None), "{sent}");
        }
    });
}

#[test]
fn an_audit_finds_what_is_wrong() {
    simulated(|addr| async move {
        let (_server, fake) = fake(addr, Fault::Skip(100)).await;
        let sent = run(&fake, "produce --count 1000 --queues 1 --audit").await;
        assert_eq!((sent.broken.lost, sent.broken.twice), (10, 0), "{sent}");
        assert!(sent.verdict().is_some() && sent.to_string().contains("lost 10"), "{sent}");
        fake.fault.set(Fault::Twice(50));
        let sent = run(&fake, "produce --count 1000 --queues 1 --audit").await;
        assert_eq!((sent.broken.lost, sent.broken.twice), (0, 20), "{sent}");
    });
}

/// Ends a server after some time, from now on.
fn ends_after(server: transport::Server, time: Duration) {
    let end = async move {
        runtime::sleep(time).await;
        drop(server);
    };
    runtime::spawn(end).detach();
}

#[test]
fn a_broker_that_is_away_for_the_audit_leaves_the_figures_and_fails_the_run() {
    simulated(|addr| async move {
        let (server, fake) = fake(addr, Fault::None).await;
        ends_after(server, Duration::from_millis(700));
        let sent = run(&fake, "produce --duration 1s --in-flight 2 --size 10 --audit").await;
        assert!(sent.acked > 200 && sent.p50_us.is_some() && sent.rate > 100.0, "{sent}");
        let verdict = sent.verdict().expect("it was not audited");
        let want = format!("audit not done: broker fake at {}: ", fake.addr());
        assert!(verdict.starts_with(&want) && verdict.len() > want.len(), "{verdict}");
        assert_eq!(sent.to_string().matches("audit not done: ").count(), 1, "{sent}");
        let json: serde_json::Value = serde_json::from_str(&sent.json()).expect("an object");
        assert!(json["audit"].is_null() && json["acked"] == sent.acked);
        let why = json["audit_not_done"].as_str().expect("a reason");
        assert_eq!(format!("audit not done: {why}"), verdict);
    });
}

#[test]
fn a_study_whose_broker_goes_away_tells_what_it_has_and_fails() {
    simulated(|addr| async move {
        let (_a, first) = fake(addr, Fault::None).await;
        let (b, second) = fake(addr, Fault::None).await;
        // In the first window of B; there is a second one of A, and nothing after it, at no other depth either.
        ends_after(b, Duration::from_millis(1500));
        let (a, b) = (first.addr(), second.addr());
        let done =
            study(&format!("compare --a {a} --b {b} -t T --duration 1s -k 3 --depths 1,2 --audit"))
                .await;
        let windows: Vec<_> = done.sides.iter().map(|side| side.windows.len()).collect();
        assert_eq!(windows, [2, 1], "{done}");
        assert!(done.sides.iter().all(|side| side.medians.rate > Some(0.0)), "{done}");
        let verdict = done.verdict().expect("it was not audited");
        assert!(verdict.starts_with("B, 1 in flight #1: audit not done: "), "{verdict}");
        let stopped = done.stopped.as_deref().expect("the second window of B had no broker");
        assert!(stopped.contains(&b), "{stopped}");
        let text = done.to_string();
        for part in ["audit not done: ", "stopped before the last window: "] {
            assert_eq!(text.matches(part).count(), 1, "{part} in:\n{text}");
        }
        // Without a figure there is nothing to show.
        let line = format!("compare --a {b} --b {a} -t T --count 1 -k 1");
        assert!(carry_out(&line).await.is_err());
    });
}

#[test]
fn each_study_of_sends_keeps_its_figures_when_the_broker_goes_away() {
    simulated(|addr| async move {
        for line in ["topics --topics 2 --few 1", "mixed --backlog 1k"] {
            let (server, fake) = fake(addr, Fault::None).await;
            ends_after(server, Duration::from_millis(2500));
            let done = study(&format!(
                "{line} -t T -n {} --duration 300ms --in-flight 2 -k 9 --audit",
                fake.addr()
            ))
            .await;
            assert!(done.sides[0].medians.rate > Some(0.0), "{done}");
            assert!(done.stopped.is_some() && done.verdict().is_some(), "{done}");
        }
    });
}

#[test]
fn compare_takes_turns_at_each_depth() {
    simulated(|addr| async move {
        let (_a, first) = fake(addr, Fault::None).await;
        let (_b, second) = fake(addr, Fault::None).await;
        let (a, b) = (first.addr(), second.addr());
        let line =
            format!("compare --a {a} --b {b} -t T --count 100 -k 3 --depths 1,8 --label-a us");
        let done = study(&line).await;
        let sides = [
            ("us, 1 in flight", 3),
            ("B, 1 in flight", 3),
            ("us, 8 in flight", 3),
            ("B, 8 in flight", 3),
        ];
        assert_eq!(shape(&done), sides.map(|(label, windows)| (label.to_owned(), windows)));
        let rate = done.spreads.iter().find(|spread| spread.name.starts_with("throughput"));
        assert_eq!(rate.expect("a ratio").values.len(), 3);
        assert!(first.stored("T") > 0 && second.stored("T") > 0);

        let line = format!("compare --a {a} --b {b} -t T --count 100 -k 2 --consume");
        let done = study(&line).await;
        assert_eq!(shape(&done), [("A, consume".to_owned(), 2), ("B, consume".to_owned(), 2)]);
        assert_eq!(done.spreads.len(), 1, "{done}");
    });
}

#[test]
fn mixed_sends_while_the_backlog_is_drained() {
    simulated(|addr| async move {
        let (_server, fake) = fake(addr, Fault::None).await;
        // A backlog that is read many times over while the sends last.
        let line = format!("mixed -t T -n {} --backlog 64k --count 200 -k 2 -i 2", fake.addr());
        let done = study(&line).await;
        assert_eq!(fake.stored("T_backlog"), 64);
        let received = done.sides[2].windows.iter().map(|window| match window {
            Window::Load(run) => run.received,
            Window::Figures(_) => 0,
        });
        assert!(
            received.clone().all(|received| received > 64),
            "{:?}",
            received.collect::<Vec<_>>()
        );
        let sides = [("quiet", 2), ("draining", 2), ("consumer", 2)];
        assert_eq!(shape(&done), sides.map(|(label, windows)| (label.to_owned(), windows)));
        assert!(done.sides[2].values(Metric::Rate).all(|rate| rate > Some(0.0)), "{done}");
        assert!(done.spreads.iter().any(|spread| spread.name == "p99, draining / quiet"), "{done}");
        assert!(fake.stored("T") > 0);
    });
}

#[test]
fn topics_creates_the_queues_and_sends_to_all_of_them() {
    simulated(|addr| async move {
        let (_server, fake) = fake(addr, Fault::None).await;
        let line = format!(
            "topics -t T -n {} --topics 5 --queues 40 --few 4 --count 1000 -k 2",
            fake.addr()
        );
        let done = study(&line).await;
        assert_eq!(shape(&done), [("4 queues".to_owned(), 2), ("200 queues".to_owned(), 2)]);
        assert!(done.notes.iter().any(|note| note.contains("200 queues")), "{done}");
        for topic in 0..5 {
            assert_eq!(fake.stored(&format!("T-{topic}")), 400);
        }
        assert_eq!(fake.stored("T-few"), 2000);
    });
}

/// The floor is that of the machine, so these two are not simulated.
#[test]
fn the_floor_is_measured_alone_and_beside_sends() {
    let spec = Spec { name: "bench-test".into(), placement: Placement::Any, busy_poll: None };
    let dir = env!("CARGO_TARGET_TMPDIR");
    let test = move || async move {
        let (_server, fake) = fake(([127, 0, 0, 1], 0).into(), Fault::None).await;
        let line = format!("limit --dir {dir} --count 30 -k 2 --span 8m --method dsync");
        let done = study(&line).await;
        assert_eq!(shape(&done).iter().map(|side| side.1).collect::<Vec<_>>(), [2, 2]);
        assert_eq!(done.spreads[0].unit, "us");
        let line = format!("floor -n {} -t T --dir {dir} --count 30 -k 2 --span 8m", fake.addr());
        let done = study(&line).await;
        assert_eq!(shape(&done).iter().map(|side| side.1).collect::<Vec<_>>(), [2, 2, 2]);
        assert!(done.spreads[1].name.starts_with("p99, sends / (write + echo)"), "{done}");
        assert_eq!(fake.stored("T"), 60);
        let done = study(&format!("{line} --one-replica {}", fake.addr())).await;
        assert_eq!(shape(&done).iter().map(|side| side.1).collect::<Vec<_>>(), [2, 2, 2, 2]);
        let name = "p50, sends / (one replica + write + echo)";
        assert!(done.spreads[0].name.starts_with(name), "{done}");
        assert_eq!(fake.stored("T"), 60 + 2 * 60);
    };
    let bounded = move || async move { runtime::timeout(LIMIT, Box::pin(test())).await };
    let executor = runtime::start(spec, bounded).expect("an executor");
    executor.join().expect("the study ends").expect("the study ends in time");
}

#[test]
fn a_broker_is_asked_until_it_answers() {
    simulated(|addr| async move {
        let broker = SocketAddr::new(addr.ip(), 7911);
        let waiting = runtime::spawn(async move {
            let since = runtime::unix_millis() - 5_000;
            carry_out(&format!("answer --broker {broker} -t T --since {since}")).await
        });
        runtime::sleep(Duration::from_millis(700)).await;
        let (_server, fake) = fake(broker, Fault::None).await;
        let Ok(Findings::Answer(answered)) = waiting.await else { panic!("it is answered") };
        assert!((5_700..5_800).contains(&answered.after_ms), "{answered}");
        assert_eq!((answered.queue_end, answered.log_begin, answered.log_end), (0, None, None));

        fake.log.set(Some((4096, 81_920)));
        let again = carry_out(&format!("answer --broker {broker} -t T")).await;
        let Ok(Findings::Answer(again)) = again else { panic!("it is answered") };
        assert!(again.after_ms < 100, "{again}");
        assert_eq!((again.log_begin, again.log_end), (Some(4096), Some(81_920)));
        assert!(again.json().contains("\"log_end\":81920"), "{}", again.json());
    });
}

#[test]
fn a_broker_that_never_answers_is_named() {
    simulated(|addr| async move {
        let begin = runtime::now();
        let line = format!("answer --broker {}:7911 -t T --wait 3s", addr.ip());
        let error = carry_out(&line).await.err().expect("nobody listens").to_string();
        assert!(error.contains(":7911") && error.contains("--broker"), "{error}");
        let waited = begin.elapsed();
        assert!((3..4).contains(&waited.as_secs()), "{waited:?}");
    });
}
