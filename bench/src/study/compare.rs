//! Two clusters in turn.

use super::{Metric, Session, Side, Study, Window, of_pairs};
use crate::args::{Begin, Compare, Consume, Mode, Pids, Produce};
use crate::error::BenchError;

/// Pulls in flight on each connection.
const PULLS: u32 = 1024;

/// Runs windows of A and B in turn, at each depth.
///
/// # Errors
/// [`BenchError`] if the first run cannot take place.
pub async fn compare(session: &Session, args: &Compare) -> Result<Study, BenchError> {
    let mut study = Study::new("compare", args);
    let depths = match args.depths.as_slice() {
        [] => vec![args.send.in_flight],
        depths => depths.to_vec(),
    };
    for depth in depths {
        let what = if args.consume { "consume".to_owned() } else { format!("{depth} in flight") };
        let name = |label: &str| format!("{label}, {what}");
        let (mut a, mut b) = (Side::new(&name(&args.label_a)), Side::new(&name(&args.label_b)));
        let runs = in_turn(session, args, depth, [&mut a, &mut b]).await;
        study.stop(runs, &[&a, &b])?;
        for (metric, name) in [
            (Metric::Rate, "throughput"),
            (Metric::P50, "p50"),
            (Metric::P99, "p99"),
            (Metric::P999, "p99.9"),
            (Metric::ServerCpu, "server CPU per message"),
            (Metric::Resident, "resident memory"),
        ] {
            // The ages of a backlog say nothing about who reads it.
            if !args.consume || !matches!(metric, Metric::P50 | Metric::P99 | Metric::P999) {
                let name = format!("{name}, {} / {}, {what}", args.label_a, args.label_b);
                study.spreads.extend(of_pairs(&name, a.values(metric), b.values(metric)));
            }
        }
        study.add(a);
        study.add(b);
        if study.stopped.is_some() {
            break;
        }
    }
    study.interrupted = session.is_interrupted();
    Ok(study)
}

/// The windows of A and B at one depth.
async fn in_turn(
    session: &Session,
    args: &Compare,
    depth: u32,
    [a, b]: [&mut Side; 2],
) -> Result<(), BenchError> {
    let run = &args.send.run;
    for turn in 0..args.turns.windows {
        for (side, namesrv, pid) in
            [(&mut *a, &run.namesrv, &run.pid), (&mut *b, &args.b, &args.pid_b)]
        {
            if session.is_interrupted() {
                return Ok(());
            }
            let label = format!("{} #{}", side.label, turn + 1);
            let mode = mode(args, namesrv, pid.clone(), depth);
            side.push(Window::Load(Box::new(session.load(&label, &mode).await?)));
        }
    }
    Ok(())
}

fn mode(args: &Compare, namesrv: &str, pid: Option<Pids>, depth: u32) -> Mode {
    let mut run = args.send.run.clone();
    namesrv.clone_into(&mut run.namesrv);
    run.pid = pid;
    if args.consume {
        let (from, batch) = (Begin::First, args.batch);
        return Mode::Consume(Consume {
            run,
            from,
            batch,
            in_flight: PULLS,
            size: None,
            again: false,
        });
    }
    let blocking = args.send.blocking && depth == 1;
    Mode::Produce(Produce { run, in_flight: depth, blocking, ..args.send.clone() })
}
