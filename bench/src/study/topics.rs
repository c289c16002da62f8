//! Many topics and queues beside a few.

use std::time::Duration;

use super::{Metric, Session, Side, Spread, Study, Window};
use crate::args::{Mode, Produce, Run, Topics};
use crate::cluster::Cluster;
use crate::error::BenchError;
use crate::report::curve::float;
use crate::run::create;
use crate::server;

/// How long a broker has to come to rest after the topics were created.
const SETTLE: Duration = Duration::from_secs(1);

/// Creates the topics, and sends to the few and to the many in turn.
///
/// # Errors
/// [`BenchError`] if the topics cannot be created, or the first run not take place.
pub async fn topics(session: &Session, args: &Topics) -> Result<Study, BenchError> {
    let mut study = Study::new("topics", args);
    let few = Produce {
        run: Run { topic: format!("{}-few", args.send.run.topic), ..args.send.run.clone() },
        queues: args.few,
        topics: 1,
        ..args.send.clone()
    };
    let many = u64::from(args.send.topics) * u64::from(args.send.queues);
    if many <= u64::from(args.few) {
        study.notes.push(format!(
            "{many} queues are not many beside {}: give --topics and --queues",
            args.few
        ));
    }
    let cluster = Cluster::new(&few.run.namesrv);
    create(&cluster, &few).await?;
    session.screen.say(&format!("creating {many} queues"));
    create_many(&cluster, &args.send, &mut study).await?;
    let (few, many_sends) = (Mode::Produce(few), Mode::Produce(args.send.clone()));
    let few_label = format!("{} queues", args.few);
    let (mut side_few, mut side_many) =
        (Side::new(&few_label), Side::new(&format!("{many} queues")));
    let runs = async {
        for turn in 1..=args.turns.windows {
            for (side, mode) in [(&mut side_few, &few), (&mut side_many, &many_sends)] {
                if !session.is_interrupted() {
                    let label = format!("{} #{turn}", side.label);
                    side.push(Window::Load(Box::new(session.load(&label, mode).await?)));
                }
            }
        }
        Ok(())
    };
    let runs = runs.await;
    study.stop(runs, &[&side_few, &side_many])?;
    for (metric, name) in [
        (Metric::Rate, "throughput"),
        (Metric::P50, "p50"),
        (Metric::P99, "p99"),
        (Metric::ServerCpu, "server CPU per message"),
    ] {
        study.ratio(&side_many, &side_few, metric, name);
    }
    study.add(side_few);
    study.add(side_many);
    study.interrupted = session.is_interrupted();
    Ok(study)
}

/// Creates the many, and tells what memory each idle queue takes of the server if its process is known.
async fn create_many(
    cluster: &Cluster,
    many: &Produce,
    study: &mut Study,
) -> Result<(), BenchError> {
    let mut missing = 0;
    for topic in many.topic_names() {
        missing += u64::from(!cluster.has(&topic).await?) * u64::from(many.queues);
    }
    let look = || many.run.pid.as_ref().and_then(server::look);
    let before = look();
    let begin = runtime::now();
    create(cluster, many).await?;
    let took = begin.elapsed();
    if missing > 0 {
        study.notes.push(format!(
            "{missing} queues of each broker were created in {:.1} s",
            took.as_secs_f64()
        ));
        runtime::sleep(SETTLE).await;
        if let Some((before, after)) = before.zip(look()) {
            let grown = float(after.resident.saturating_sub(before.resident));
            let each = vec![grown / float(missing)];
            study.spreads.extend(Spread::new("resident memory per idle queue", "bytes", each));
        }
    }
    Ok(())
}
