//! Sends in quiet, and while a consumer drains a backlog.

use futures::future::join;

use super::{Metric, Session, Side, Study, Window};
use crate::args::{Begin, Consume, Mixed, Mode, Produce, Run};
use crate::error::BenchError;
use crate::interrupts::Interrupts;
use crate::report::Summary;

/// Pulls in flight on each connection.
const PULLS: u32 = 1024;

/// Stores a backlog, then measures sends without and with somebody who reads it, in turn. Every drain goes on where the one
/// before stopped, and begins again at the end: so it lasts as long as the sends, and comes back to a message only after it
/// has read all others.
///
/// # Errors
/// [`BenchError`] if the first run cannot take place, or the backlog not be stored.
pub async fn mixed(session: &Session, args: &Mixed) -> Result<Study, BenchError> {
    let mut study = Study::new("mixed", args);
    let fill = fill(args);
    if let Some(fill) = &fill {
        session.screen.say("storing the backlog");
        let stored = session.load("backlog", fill).await?;
        if let Some(verdict) = stored.verdict() {
            study.notes.push(format!("backlog: {verdict}"));
        }
    }
    let (mut quiet, mut busy) = (Side::new("quiet"), Side::new("draining"));
    let mut consumer = Side::new("consumer");
    let mut send = args.send.clone();
    send.run.gives_way = false; // it is for the consumer
    let send = Mode::Produce(send);
    let drain = drain(args);
    let runs = async {
        for turn in 1..=args.turns.windows {
            if !session.is_interrupted() {
                let label = format!("quiet #{turn}");
                quiet.push(Window::Load(Box::new(session.load(&label, &send).await?)));
            }
            if !session.is_interrupted() {
                let (sent, drained) = side_by_side(session, turn, &send, &drain).await;
                busy.push(Window::Load(Box::new(sent?)));
                let drained = drained?;
                if drained.received == 0 {
                    study.notes.push(format!("window {turn}: there was no backlog to drain"));
                }
                consumer.push(Window::Load(Box::new(drained)));
            }
        }
        Ok(())
    };
    let runs = runs.await;
    study.stop(runs, &[&quiet, &busy, &consumer])?;
    for (metric, name) in [
        (Metric::P50, "p50"),
        (Metric::P99, "p99"),
        (Metric::P999, "p99.9"),
        (Metric::Rate, "throughput"),
    ] {
        study.ratio(&busy, &quiet, metric, name);
    }
    study.add(quiet);
    study.add(busy);
    study.add(consumer);
    study.interrupted = session.is_interrupted();
    Ok(study)
}

/// Sends while the consumer reads; it stops when the sends have ended.
async fn side_by_side(
    session: &Session,
    turn: u32,
    send: &Mode,
    drain: &Mode,
) -> (Result<Summary, BenchError>, Result<Summary, BenchError>) {
    let enough = Interrupts::default();
    let (send_label, drain_label) = (format!("draining #{turn}"), format!("consumer #{turn}"));
    let sending = async {
        let sent = session.load(&send_label, send).await;
        enough.count_one();
        sent
    };
    let (sent, drained) = join(sending, session.load_until(&drain_label, drain, &enough)).await;
    let interrupted = session.is_interrupted();
    (sent, drained.map(|drained| Summary { interrupted, ..drained }))
}

fn backlog_topic(run: &Run) -> String {
    format!("{}_backlog", run.topic)
}

fn fill(args: &Mixed) -> Option<Mode> {
    let size = u64::try_from(args.send.size).expect("a small number");
    let count = args.backlog / size;
    let run = Run {
        topic: backlog_topic(&args.send.run),
        count: Some(count),
        duration: None,
        warmup: std::time::Duration::ZERO,
        ..args.send.run.clone()
    };
    let in_flight = args.fill_in_flight;
    let fill = Produce {
        run,
        in_flight,
        blocking: false,
        rate: None,
        topics: 1,
        audit: false,
        ..args.send.clone()
    };
    (count > 0).then_some(Mode::Produce(fill))
}

fn drain(args: &Mixed) -> Mode {
    let run = Run {
        topic: backlog_topic(&args.send.run),
        // A group of its own, so that the first window begins at the first message.
        group: format!("{}-{:08x}", args.send.run.group, runtime::random_below(1 << 32)),
        count: None,
        duration: Some(crate::limits::DURATION_MAX),
        pid: None,
        ..args.send.run.clone()
    };
    let (from, batch) = (Begin::Committed, args.batch);
    Mode::Consume(Consume { run, from, batch, in_flight: PULLS, size: None, again: true })
}
