//! One executor with its lanes.

use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use futures::{FutureExt, select_biased};
use runtime::channel::{MailboxReceiver, MailboxSender};
use runtime::{Task, TcpStream};

use super::plan::{Lane, Work};
use super::{Event, Order, Stage};
use crate::args::Mode;
use crate::consume::Consuming;
use crate::error::BenchError;
use crate::limits::{CONNECT, DRAIN, RECONNECT};
use crate::produce::{Producing, Route};
use crate::recorder::Tally;
use crate::schedule::Schedule;
use crate::wire::{End, Load, block, dial_blocking, pump};

/// What one executor has to do.
pub(super) struct Share {
    pub(super) mode: Arc<Mode>,
    pub(super) lanes: Vec<Lane>,
    /// Lanes of all executors.
    pub(super) lanes_in_all: usize,
    /// Messages that all consumers together still want.
    pub(super) wanted: Option<Arc<AtomicU64>>,
    pub(super) orders: MailboxReceiver<Order>,
    pub(super) events: MailboxSender<Event>,
}

const SECOND: Duration = Duration::from_secs(1);

/// Connects, waits for [`Order::Go`], runs the lanes to their end; what they counted.
pub(super) async fn work(share: Share) -> Tally {
    let Share { mode, lanes, lanes_in_all, wanted, mut orders, events } = share;
    if mode.run().gives_way
        && let Err(error) = runtime::process::give_way()
    {
        drop(events.send(Event::Failed(BenchError::Priority(error))).await);
        return Tally::default();
    }
    let mut connected = Vec::with_capacity(lanes.len());
    for lane in lanes {
        match Line::dial(lane.addr, mode.is_blocking()).await {
            Ok(stream) => connected.push((lane, stream)),
            Err(reason) => {
                let failed = BenchError::Lane { addr: lane.addr, reason };
                // A coordinator that has gone wants no report.
                drop(events.send(Event::Failed(failed)).await);
                return Tally::default();
            }
        }
    }
    drop(events.send(Event::Connected).await);
    let Some(Order::Go(schedule)) = orders.recv().await else { return Tally::default() };
    let stage = Rc::new(Stage::new(schedule, wanted));
    let conductor = runtime::spawn(conduct(stage.clone(), schedule, orders, events.clone()));
    let seconds = runtime::spawn(seconds(stage.clone(), events));
    let lanes: Vec<Task<()>> = connected
        .into_iter()
        .map(|(lane, stream)| {
            let load = load(&mode, &lane, lanes_in_all, &stage);
            runtime::spawn(run_lane(lane, load, stream, stage.clone()))
        })
        .collect();
    for lane in lanes {
        lane.await;
    }
    drop((conductor, seconds));
    stage.take_recorder().into_tally()
}

fn load(mode: &Mode, lane: &Lane, lanes: usize, stage: &Rc<Stage>) -> Box<dyn Load> {
    match (mode, &lane.work) {
        (Mode::Produce(args), Work::Send { queues, count }) => {
            let (broker, queues) = (lane.broker.clone(), queues.clone());
            let route = Route { broker, queues, lane: lane.index, lanes, count: *count };
            Box::new(Producing::new(stage.clone(), args, &route))
        }
        (Mode::Consume(args), Work::Pull { queues }) => {
            Box::new(Consuming::new(stage.clone(), args, queues))
        }
        (mode, work) => unreachable!("the plan of {} holds {work:?}", mode.name()),
    }
}

/// A lane's connection.
enum Line {
    Ring(TcpStream),
    /// With blocking system calls. Then the executor has one lane.
    Blocking(std::net::TcpStream),
}

impl Line {
    async fn dial(addr: SocketAddr, blocking: bool) -> Result<Line, String> {
        if blocking {
            return dial_blocking(addr).map(Line::Blocking);
        }
        match runtime::timeout(CONNECT, TcpStream::connect(addr)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true).map_err(|error| error.to_string())?;
                Ok(Line::Ring(stream))
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no connection within {CONNECT:?}")),
        }
    }

    fn is_blocking(&self) -> bool {
        matches!(self, Line::Blocking(_))
    }

    async fn serve(self, load: &mut dyn Load, stage: &Stage) -> End {
        match self {
            Line::Ring(stream) => pump(stream, load, &stage.stop, &stage.abandon).await,
            Line::Blocking(stream) => block(stream, load, &stage.abandon).await,
        }
    }
}

/// Keeps one load going over as many connections as it takes.
async fn run_lane(lane: Lane, mut load: Box<dyn Load>, first: Line, stage: Rc<Stage>) {
    let blocking = first.is_blocking();
    let mut line = Some(first);
    while !stage.abandon.is_raised() {
        let connected = match line.take() {
            Some(line) => Ok(line),
            None => Line::dial(lane.addr, blocking).await,
        };
        let why = match connected {
            Ok(line) => match line.serve(&mut *load, &stage).await {
                End::Done => return,
                End::Abandoned => {
                    load.lost("no answer before the end of the run");
                    return;
                }
                End::Lost(why) => why,
            },
            Err(why) => why,
        };
        load.lost(&why);
        if stage.is_over(runtime::now()) {
            return;
        }
        // Either the pause is over, or the run.
        let (Ok(()) | Err(_)) = runtime::timeout(RECONNECT, stage.stop.raised()).await;
    }
}

/// Ends the run on the executor when its time is up, its count is reached, or the coordinator says so.
async fn conduct(
    stage: Rc<Stage>,
    schedule: Schedule,
    mut orders: MailboxReceiver<Order>,
    events: MailboxSender<Event>,
) {
    let time_is_up = async {
        match schedule.end() {
            Some(end) => runtime::sleep_until(end).await,
            None => std::future::pending().await,
        }
    };
    let order = select_biased! {
        order = orders.recv().fuse() => order,
        () = stage.enough.raised().fuse() => {
            drop(events.send(Event::Enough).await);
            Some(Order::Stop)
        }
        () = pin!(time_is_up.fuse()) => Some(Order::Stop),
    };
    stage.stop_at(runtime::now());
    if matches!(order, Some(Order::Stop)) {
        let more = async {
            // Another order than this one says nothing new.
            while !matches!(orders.recv().await, Some(Order::Abandon) | None) {}
        };
        let (Ok(()) | Err(_)) = runtime::timeout(DRAIN, more).await;
    }
    stage.abandon.raise();
}

/// Tells the coordinator each second what happened.
async fn seconds(stage: Rc<Stage>, events: MailboxSender<Event>) {
    let mut next = runtime::now();
    loop {
        next += SECOND;
        runtime::sleep_until(next).await;
        let window = stage.recorder().window(&stage.schedule(), runtime::now());
        // A coordinator that is behind misses a second of progress and nothing else.
        drop(events.try_send(Event::Second(Box::new(window))));
    }
}
