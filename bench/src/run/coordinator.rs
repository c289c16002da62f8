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
use runtime::process::{StopSignals, cpu_time};
use runtime::{Executor, Instant, Placement, Spec};

use super::plan::{Lane, Layout, lay_out};
use super::worker::{Share, work};
use super::{Event, Order};
use crate::args::Mode;
use crate::error::BenchError;
use crate::limits::EVENTS;
use crate::recorder::{Tally, Window};
use crate::schedule::Schedule;

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
    /// CPU time of this process in that time, all threads.
    pub cpu: Duration,
    /// Whether somebody ended it early.
    pub interrupted: bool,
}

/// Told about each second of each executor: what happened, and how many executors there are.
pub type OnSecond<'a> = &'a mut dyn FnMut(&Window, usize);

/// Carries out a run from within an executor, which it leaves nearly idle; the load runs on executors of its own. A first
/// signal ends the run in good order, a second one without waiting for what is in flight.
///
/// # Errors
/// [`BenchError`] when it cannot begin, or an executor dies.
pub async fn run(
    mode: Mode,
    signals: Option<StopSignals>,
    on_second: OnSecond<'_>,
) -> Result<Outcome, BenchError> {
    let layout = lay_out(&mode).await?;
    let mode = Arc::new(mode);
    let (sender, mut events) = mailbox(EVENTS);
    if let Some(signals) = signals {
        runtime::spawn(forward(signals, sender.clone())).detach();
    }
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
    let course = crew.follow(schedule, &mut events, on_second).await?;
    let end =
        course.stopped.unwrap_or_else(|| course.tally.last.unwrap_or(schedule.measure_from()));
    Ok(Outcome {
        layout,
        executors: count,
        measured: schedule.measured(end),
        tally: course.tally,
        cpu: course.cpu,
        interrupted: course.interrupted,
    })
}

async fn forward(mut signals: StopSignals, events: MailboxSender<Event>) {
    while signals.next().await.is_some() {
        if events.send(Event::Interrupted).await.is_err() {
            return;
        }
    }
}

/// Starts the executors, and deals the lanes out to them.
fn start(
    mode: &Arc<Mode>,
    lanes: &[Lane],
    events: &MailboxSender<Event>,
) -> Result<(Vec<Executor<Tally>>, Crew), BenchError> {
    let run = mode.run();
    let places: Vec<Placement> = match &run.cores {
        Some(cores) => cores.0.iter().map(|core| Placement::Core(*core)).collect(),
        None => vec![Placement::Any],
    };
    let used = places.len().min(lanes.len());
    let wanted = match (&**mode, run.count) {
        (Mode::Consume(_), Some(count)) => Some(Arc::new(AtomicU64::new(count))),
        _ => None,
    };
    let mut executors = Vec::new();
    let mut orders = Vec::new();
    for (index, placement) in places.into_iter().take(used).enumerate() {
        let (order, taken) = mailbox(8);
        let share = Share {
            mode: mode.clone(),
            lanes: lanes.iter().skip(index).step_by(used).cloned().collect(),
            wanted: wanted.clone(),
            orders: taken,
            events: events.clone(),
        };
        let spec = Spec { name: format!("load-{index}"), placement };
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
        events: &mut MailboxReceiver<Event>,
        on_second: OnSecond<'_>,
    ) -> Result<Course, BenchError> {
        let mut cpu = CpuClock::default();
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
                    on_second(&window, self.orders.borrow().len());
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
        Ok(Course { tally, cpu: cpu.used(), interrupted, stopped })
    }
}

async fn sleep_until(mark: Option<Instant>) {
    match mark {
        Some(mark) => runtime::sleep_until(mark).await,
        None => std::future::pending().await,
    }
}

/// CPU time of the process when the measurement began and when it ended.
#[derive(Default)]
struct CpuClock {
    looks: Vec<Duration>,
}

impl CpuClock {
    fn next_mark(&self, schedule: &Schedule) -> Option<Instant> {
        match self.looks.len() {
            0 => Some(schedule.measure_from()),
            1 => schedule.end(),
            _ => None,
        }
    }

    fn look(&mut self) {
        self.looks.push(cpu_time());
    }

    /// The time in between; up to now if the end was not seen, nothing if the beginning was not.
    fn used(&self) -> Duration {
        match *self.looks.as_slice() {
            [] => Duration::ZERO,
            [from] => cpu_time().saturating_sub(from),
            [from, to, ..] => to.saturating_sub(from),
        }
    }
}
