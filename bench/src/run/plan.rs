//! Which connection does what.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::args::{Mode, Produce};
use crate::audit::Origin;
use crate::cluster::{Cluster, Place, Target, TopicQueue, by_broker};
use crate::error::BenchError;
use crate::schedule::share;

/// One connection and its part of the work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// The broker's address.
    pub addr: SocketAddr,
    /// The broker's name.
    pub broker: String,
    /// Number of the lane, from 0.
    pub index: usize,
    /// What it does there.
    pub work: Work,
}

/// What a lane does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Sends to these queues in turn, at most so many messages.
    Send {
        /// The queues of the broker.
        queues: Arc<[TopicQueue]>,
        /// Messages; `u64::MAX` when the time says when to stop.
        count: u64,
    },
    /// Pulls these queues.
    Pull {
        /// Queue numbers, each with the offset to begin at.
        queues: Vec<(i32, i64)>,
    },
}

/// The lanes of a run and what they meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// All connections.
    pub lanes: Vec<Lane>,
    /// Names of the brokers that they go to.
    pub brokers: Vec<String>,
    /// Queues in use.
    pub queues: usize,
    /// Where each queue ended before the run, if it is audited.
    pub origins: Vec<Origin>,
    /// What the operator should know.
    pub notes: Vec<String>,
}

/// Asks the cluster and spreads the work.
///
/// # Errors
/// [`BenchError`].
pub async fn lay_out(mode: &Mode) -> Result<Layout, BenchError> {
    let run = mode.run();
    let cluster = Cluster::new(&run.namesrv);
    match mode {
        Mode::Produce(produce) => {
            let places = by_broker(&create(&cluster, produce).await?);
            let mut layout = producers(&places, run.connections, run.count);
            if produce.audit {
                for place in &places {
                    let ends = cluster.ends(place, &produce.topic_names()).await?;
                    layout.origins.extend(Origin::of(place, &ends));
                }
            }
            Ok(layout)
        }
        Mode::Consume(consume) => {
            let targets = cluster.for_consuming(&run.topic).await?;
            let mut offsets = Vec::new();
            for target in &targets {
                let (topic, group) = (&run.topic, &run.group);
                offsets.push(cluster.start_offsets(target, topic, group, consume.from).await?);
            }
            Ok(consumers(&targets, &offsets, run.connections))
        }
    }
}

/// Finds the topics of a run that sends, or creates them; what each has at each broker.
///
/// # Errors
/// [`BenchError`].
pub async fn create(cluster: &Cluster, produce: &Produce) -> Result<Vec<Vec<Target>>, BenchError> {
    cluster.for_producing(&produce.topic_names(), produce.queues).await
}

fn wanted(connections: Option<u32>, brokers: usize) -> usize {
    connections.map_or(brokers, |n| usize::try_from(n).expect("a small number"))
}

/// Lanes go to the brokers in turn; each sends to all queues of its broker.
fn producers(places: &[Place], connections: Option<u32>, count: Option<u64>) -> Layout {
    let wanted = wanted(connections, places.len());
    let shared: Vec<Arc<[TopicQueue]>> =
        places.iter().map(|place| place.queues.as_slice().into()).collect();
    let lanes = (0..wanted).map(|index| {
        let at = index % places.len();
        let (number, of) = (u64::try_from(index), u64::try_from(wanted));
        let (number, of) = (number.expect("small"), of.expect("small"));
        let count = count.map_or(u64::MAX, |count| share(count, of, number));
        let work = Work::Send { queues: shared[at].clone(), count };
        Lane { addr: places[at].addr, broker: places[at].broker.clone(), index, work }
    });
    let used = &places[..places.len().min(wanted)];
    let mut notes = Vec::new();
    for unused in &places[used.len()..] {
        let broker = &unused.broker;
        notes
            .push(format!("broker {broker} gets nothing: there are more brokers than connections"));
    }
    Layout {
        lanes: lanes.collect(),
        brokers: used.iter().map(|place| place.broker.clone()).collect(),
        queues: used.iter().map(|place| place.queues.len()).sum(),
        origins: Vec::new(),
        notes,
    }
}

/// The queues of a broker are dealt out to its lanes. Every queue is read, so a broker has one lane at least.
fn consumers(targets: &[Target], offsets: &[Vec<i64>], connections: Option<u32>) -> Layout {
    let wanted = wanted(connections, targets.len());
    let mut lanes = Vec::new();
    for (number, (target, offsets)) in targets.iter().zip(offsets).enumerate() {
        assert_eq!(target.queues.len(), offsets.len(), "every queue has its offset");
        let spread = wanted / targets.len() + usize::from(number < wanted % targets.len());
        let spread = spread.clamp(1, target.queues.len());
        let queues: Vec<_> = target.queues.iter().copied().zip(offsets.iter().copied()).collect();
        for part in 0..spread {
            let queues = queues.iter().copied().skip(part).step_by(spread).collect();
            let (addr, broker) = (target.addr, target.broker.clone());
            lanes.push(Lane { addr, broker, index: lanes.len(), work: Work::Pull { queues } });
        }
    }
    let mut notes = Vec::new();
    if lanes.len() != wanted {
        let (used, asked) = (lanes.len(), wanted);
        notes.push(format!(
            "{used} connections instead of {asked}: one to each broker, at most one for each queue"
        ));
    }
    Layout {
        lanes,
        brokers: targets.iter().map(|target| target.broker.clone()).collect(),
        queues: targets.iter().map(|target| target.queues.len()).sum(),
        origins: Vec::new(),
        notes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(port: u16, queues: i32) -> Target {
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        Target { broker: format!("b{port}"), addr, queues: (0..queues).collect() }
    }

    fn counts(layout: &Layout) -> Vec<(u16, u64)> {
        let of = |lane: &Lane| match lane.work {
            Work::Send { count, .. } => (lane.addr.port(), count),
            Work::Pull { .. } => panic!("a sending lane"),
        };
        layout.lanes.iter().map(of).collect()
    }

    #[test]
    fn senders_take_the_brokers_in_turn_and_share_the_count() {
        let targets = by_broker(&[vec![target(1, 4), target(2, 2)]]);
        let layout = producers(&targets, Some(3), Some(10));
        assert_eq!(counts(&layout), [(1, 4), (2, 3), (1, 3)]);
        assert_eq!((layout.queues, layout.notes.len()), (6, 0));
        let layout = producers(&targets, None, None);
        assert_eq!(counts(&layout), [(1, u64::MAX), (2, u64::MAX)]);
        let layout = producers(&targets, Some(1), None);
        assert_eq!((counts(&layout).len(), layout.queues, layout.notes.len()), (1, 4, 1));
        assert!(layout.notes[0].contains("b2"));
    }

    fn pulled(layout: &Layout) -> Vec<(u16, Vec<(i32, i64)>)> {
        let of = |lane: &Lane| match &lane.work {
            Work::Pull { queues } => (lane.addr.port(), queues.clone()),
            Work::Send { .. } => panic!("a pulling lane"),
        };
        layout.lanes.iter().map(of).collect()
    }

    #[test]
    fn every_queue_is_pulled_once_however_many_connections_there_are() {
        let targets = [target(1, 3), target(2, 1)];
        let offsets = [vec![7, 8, 9], vec![0]];
        for connections in [None, Some(1), Some(2), Some(3), Some(4), Some(100)] {
            let layout = consumers(&targets, &offsets, connections);
            let mut all: Vec<_> = pulled(&layout)
                .into_iter()
                .flat_map(|(port, queues)| queues.into_iter().map(move |(q, o)| (port, q, o)))
                .collect();
            all.sort_unstable();
            assert_eq!(all, [(1, 0, 7), (1, 1, 8), (1, 2, 9), (2, 0, 0)], "{connections:?}");
            assert!(pulled(&layout).iter().all(|(_, queues)| !queues.is_empty()));
        }
        assert_eq!(consumers(&targets, &offsets, Some(3)).lanes.len(), 3);
        assert_eq!(consumers(&targets, &offsets, Some(1)).notes.len(), 1);
        assert_eq!(consumers(&targets, &offsets, None).notes.len(), 0);
    }
}
