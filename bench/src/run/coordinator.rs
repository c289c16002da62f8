//! Starts the executors of a run, ends it, and puts the parts together.

use std::cell::RefCell;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use futures::future::join_all;
use futures::{FutureExt, select_biased};
use runtime::channel::{MailboxReceiver, MailboxSender, mailbox};
use runtime::executor::JoinError;
use runtime::process::cpu_time;
use runtime::{Executor, Instant, Placement, Spec, Task};

use super::plan::{Lane, Layout, lay_out};
use super::worker::{Share, work};
use super::{Event, Order};
use crate::args::{Mode, Pids};
use crate::audit::{Findings, read_back};
use crate::cluster::Cluster;
use crate::error::BenchError;
use crate::interrupts::Interrupts;
use crate::limits::EVENTS;
use crate::recorder::Tally;
use crate::schedule::Schedule;
use crate::seconds::{Point, Second, Seconds, Series};
use crate::server;

/// What became of a run.
pub struct Outcome {
    /// What it met.
    pub layout: Layout,
    /// Number of executors.
    pub executors: usize,
    /// What it counted.
    pub tally: Tally,
    /// How long it measured.
    pub measured: Duration,
    /// How much of that time had passed when the last message was done; nothing without one.
    pub until_last: Duration,
    /// CPU time of this process in that time, all threads.
    pub cpu: Duration,
    /// What the server used in that time, if its processes were named and could be read.
    pub server: Option<server::Use>,
    /// Its course.
    pub points: Vec<Point>,
    /// What reading back has shown, if it was asked for; or why it could not be done.
    pub audit: Option<Result<Findings, BenchError>>,
    /// Whether somebody ended it early.
    pub interrupted: bool,
}

/// Told about each second of the run.
pub type OnSecond<'a> = &'a mut dyn FnMut(&Second);

/// Carries out a run from within an executor, which it leaves nearly idle; the load runs on executors of its own. A first
/// interrupt ends the run in good order, a second one without waiting for what is in flight.
///
/// # Errors
/// [`BenchError`] when it cannot begin, or an executor dies.
pub async fn run(
    mode: Mode,
    interrupts: &Interrupts,
    on_second: OnSecond<'_>,
) -> Result<Outcome, BenchError> {
    let layout = lay_out(&mode).await?;
    let mode = Arc::new(mode);
    let (sender, mut events) = mailbox(EVENTS);
    let forward = forward(interrupts.clone(), sender.clone());
    let (executors, crew) = start(&mode, &layout.lanes, &sender)?;
    let count = executors.len();
    let ended = sender.clone();
    runtime::spawn(async move {
        let tallies = join_all(executors.into_iter().map(Executor::finished)).await;
        drop(ended.send(Event::Ended(tallies)).await);
    })
    .detach();
    crew.all_connected(&mut events).await?;
    let run = mode.run();
    let schedule = Schedule::new(runtime::now(), run.warmup, run.time_limit());
    crew.tell(Order::Go(schedule));
    let clock = CpuClock::new(run.pid.clone());
    let mut course = crew.follow(schedule, clock, &mut events, on_second).await?;
    drop(forward);
    let audit = audit(&mode, &layout, &mut course.tally).await;
    let end =
        course.stopped.unwrap_or_else(|| course.tally.last.unwrap_or(schedule.measure_from()));
    let measured = schedule.measured(end);
    let last = course.tally.last.map(|last| schedule.measured(last.min(end)));
    Ok(Outcome {
        layout,
        executors: count,
        measured,
        until_last: last.unwrap_or_default(),
        tally: course.tally,
        cpu: course.cpu,
        server: course.server,
        points: course.points,
        audit,
        interrupted: course.interrupted,
    })
}

/// Tells the run of interrupts from now on, until it is dropped.
fn forward(interrupts: Interrupts, events: MailboxSender<Event>) -> Task<()> {
    runtime::spawn(async move {
        let mut seen = interrupts.count();
        loop {
            interrupts.more_than(seen).await;
            seen += 1;
            if events.send(Event::Interrupted).await.is_err() {
                return;
            }
        }
    })
}

/// Reads back what was sent, if that was asked for, and counts what is wrong. Whatever was measured stands also if this
/// cannot be done, as when the broker is away by then.
async fn audit(
    mode: &Mode,
    layout: &Layout,
    tally: &mut Tally,
) -> Option<Result<Findings, BenchError>> {
    let Mode::Produce(args) = mode else { return None };
    if !args.audit {
        return None;
    }
    let cluster = Cluster::new(&args.run.namesrv);
    let ledgers = std::mem::take(&mut tally.ledgers);
    let (topics, group) = (args.topic_names(), &args.run.group);
    let read = read_back(&cluster, &topics, group, &layout.origins, ledgers).await;
    if let Ok(findings) = &read {
        findings.blame(&mut tally.broken);
    }
    Some(read)
}

/// Starts the executors, and deals the lanes out to them.
fn start(
    mode: &Arc<Mode>,
    lanes: &[Lane],
    events: &MailboxSender<Event>,
) -> Result<(Vec<Executor<Tally>>, Crew), BenchError> {
    let run = mode.run();
    let mut places: Vec<Placement> = match &run.cores {
        Some(cores) => cores.0.iter().map(|core| Placement::Core(*core)).collect(),
        None => vec![Placement::Any],
    };
    if mode.is_blocking() {
        // A lane that blocks has a thread of its own.
        places = places.into_iter().cycle().take(lanes.len()).collect();
    }
    let used = places.len().min(lanes.len());
    let wanted = match (&**mode, run.count) {
        (Mode::Consume(_), Some(count)) => Some(Arc::new(AtomicU64::new(count))),
        _ => None,
    };
    let micros = Some(run.busy_poll).filter(|micros| *micros > 0);
    let busy_poll = micros.map(|micros| Duration::from_micros(u64::from(micros)));
    let mut executors = Vec::new();
    let mut orders = Vec::new();
    for (index, placement) in places.into_iter().take(used).enumerate() {
        let (order, taken) = mailbox(8);
        let share = Share {
            mode: mode.clone(),
            lanes: lanes.iter().skip(index).step_by(used).cloned().collect(),
            lanes_in_all: lanes.len(),
            wanted: wanted.clone(),
            orders: taken,
            events: events.clone(),
        };
        let spec = Spec { name: format!("load-{index}"), placement, busy_poll };
        executors.push(runtime::start(spec, move || work(share))?);
        orders.push(order);
    }
    assert!(!executors.is_empty(), "a plan has lanes");
    Ok((executors, Crew { orders: RefCell::new(orders) }))
}

/// The executors of a run, as the coordinator reaches them. Dropped, they end.
struct Crew {
    orders: RefCell<Vec<MailboxSender<Order>>>,
}

struct Course {
    tally: Tally,
    cpu: Duration,
    server: Option<server::Use>,
    points: Vec<Point>,
    interrupted: bool,
    /// When it was over, if a signal or the time ended it and not the last message.
    stopped: Option<Instant>,
}

impl Crew {
    fn tell(&self, order: Order) {
        for executor in self.orders.borrow().iter() {
            // Full: it has been told the same before. Gone: it has ended.
            let (Ok(()) | Err(_)) = executor.try_send(order);
        }
    }

    async fn all_connected(&self, events: &mut MailboxReceiver<Event>) -> Result<(), BenchError> {
        let mut missing = self.orders.borrow().len();
        while missing > 0 {
            match events.recv().await.expect("the coordinator holds a sender") {
                Event::Connected => missing -= 1,
                Event::Failed(error) => return Err(error),
                Event::Interrupted => self.tell(Order::Abandon),
                Event::Second(_) | Event::Enough => unreachable!("no executor has begun"),
                Event::Ended(tallies) => {
                    // One that died says more than the interruption does.
                    let _all: Vec<Tally> = tallies.into_iter().collect::<Result<_, JoinError>>()?;
                    return Err(BenchError::Interrupted);
                }
            }
        }
        Ok(())
    }

    /// Follows the run to its end.
    async fn follow(
        &self,
        schedule: Schedule,
        mut cpu: CpuClock,
        events: &mut MailboxReceiver<Event>,
        on_second: OnSecond<'_>,
    ) -> Result<Course, BenchError> {
        let mut seconds = Seconds::new(self.orders.borrow().len());
        let mut series = Series::default();
        let mut interrupted = false;
        let mut stopped = None;
        let tallies = loop {
            let mark = cpu.next_mark(&schedule);
            let event = select_biased! {
                event = events.recv().fuse() => event.expect("the coordinator holds a sender"),
                () = pin!(sleep_until(mark).fuse()) => {
                    cpu.look();
                    continue;
                }
            };
            match event {
                Event::Second(window) => {
                    if let Some(second) = seconds.add(*window) {
                        series.add(&second);
                        on_second(&second);
                    }
                }
                Event::Enough => self.tell(Order::Stop),
                Event::Interrupted if interrupted => self.tell(Order::Abandon),
                Event::Interrupted => {
                    interrupted = true;
                    stopped = Some(runtime::now());
                    self.tell(Order::Stop);
                }
                Event::Ended(tallies) => break tallies,
                Event::Failed(error) => return Err(error),
                Event::Connected => {}
            }
        };
        if stopped.is_none() && schedule.is_over(runtime::now()) {
            stopped = schedule.end();
        }
        let mut tally = Tally::default();
        for part in tallies {
            tally.merge(part?);
        }
        let (cpu, server) = cpu.used();
        let points = series.into_points();
        Ok(Course { tally, cpu, server, points, interrupted, stopped })
    }
}

async fn sleep_until(mark: Option<Instant>) {
    match mark {
        Some(mark) => runtime::sleep_until(mark).await,
        None => std::future::pending().await,
    }
}

/// CPU time of this process and of the server when the measurement began and when it ended.
struct CpuClock {
    server: Option<Pids>,
    looks: Vec<(Duration, Option<server::Use>)>,
}

impl CpuClock {
    fn new(server: Option<Pids>) -> CpuClock {
        CpuClock { server, looks: Vec::new() }
    }

    fn next_mark(&self, schedule: &Schedule) -> Option<Instant> {
        match self.looks.len() {
            0 => Some(schedule.measure_from()),
            1 => schedule.end(),
            _ => None,
        }
    }

    fn look(&mut self) {
        self.looks.push((cpu_time(), self.server.as_ref().and_then(server::look)));
    }

    /// The times in between; up to now if the end was not seen, nothing if the beginning was not.
    fn used(mut self) -> (Duration, Option<server::Use>) {
        if self.looks.len() == 1 {
            self.look();
        }
        let [(own_from, from), (own_to, to), ..] = *self.looks.as_slice() else {
            return (Duration::ZERO, None);
        };
        let server = from.zip(to).map(|(from, to)| server::Use {
            cpu: to.cpu.saturating_sub(from.cpu),
            resident: to.resident,
        });
        (own_to.saturating_sub(own_from), server)
    }
}
