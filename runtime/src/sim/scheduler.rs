//! Which task runs next.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use rand::Rng;
use rand::rngs::SmallRng;

use super::seat::Seat;
use super::trace::Mark;
use super::world::{NodeState, Process, World};
use crate::channel::promise;
use crate::context::{self, Backend};
use crate::executor::Executor;

pub(super) type TaskId = u64;
pub(super) type ExecutorId = u64;
pub(super) type TaskFuture = Pin<Box<dyn Future<Output = ()>>>;

/// Polls at one point of virtual time: more mean that some task spins without waiting for anything.
const POLLS_PER_INSTANT_MAX: u64 = 5_000_000;

/// Tasks that were woken, in the order of their waking.
type Ready = Arc<Mutex<Vec<TaskId>>>;

struct TaskWaker {
    id: TaskId,
    queued: AtomicBool,
    ready: Ready,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            self.ready.lock().unwrap_or_else(PoisonError::into_inner).push(self.id);
        }
    }
}

struct Slot {
    seat: Rc<Seat>,
    /// Taken out while it is polled.
    future: Option<TaskFuture>,
    waker: Arc<TaskWaker>,
}

struct RunningExecutor {
    main: TaskId,
    process: Rc<Process>,
    /// Hands out the result, or says that there is none.
    report: Box<dyn FnOnce()>,
}

pub(super) struct Scheduler {
    ready: Ready,
    /// Some process has stood still: before, nobody looks.
    pauses: Cell<bool>,
    /// Tasks that were woken, and whose process stands still.
    held: RefCell<Vec<TaskId>>,
    tasks: RefCell<BTreeMap<TaskId, Slot>>,
    executors: RefCell<BTreeMap<ExecutorId, RunningExecutor>>,
    next_id: Cell<u64>,
    polls: Cell<u64>,
    rng: RefCell<SmallRng>,
}

impl Scheduler {
    pub(super) fn new(rng: SmallRng) -> Scheduler {
        Scheduler {
            ready: Ready::default(),
            pauses: Cell::new(false),
            held: RefCell::default(),
            tasks: RefCell::default(),
            executors: RefCell::default(),
            next_id: Cell::new(0),
            polls: Cell::new(0),
            rng: RefCell::new(rng),
        }
    }

    fn new_id(&self) -> u64 {
        let id = self.next_id.get();
        self.next_id.set(id + 1);
        id
    }

    /// Adds a ready task. On an executor that has ended, the future is dropped at once.
    pub(super) fn spawn(
        &self,
        world: &World,
        seat: &Rc<Seat>,
        future: impl Future<Output = ()> + 'static,
    ) -> TaskId {
        let id = self.new_id();
        if self.executors.borrow().contains_key(&seat.executor) {
            self.add(world, id, seat, Box::pin(future));
        }
        id
    }

    fn add(&self, world: &World, id: TaskId, seat: &Rc<Seat>, future: TaskFuture) {
        world.mark(Mark::Spawn, id);
        let ready = self.ready.clone();
        let waker = Arc::new(TaskWaker { id, queued: AtomicBool::new(false), ready });
        waker.wake_by_ref();
        let slot = Slot { seat: seat.clone(), future: Some(future), waker };
        let before = self.tasks.borrow_mut().insert(id, slot);
        assert!(before.is_none(), "task ids are used once");
    }

    /// Drops the task's future, now or, if it is being polled, right after.
    pub(super) fn cancel(&self, id: TaskId) {
        let slot = self.tasks.borrow_mut().remove(&id);
        if let Some(slot) = slot {
            drop_slot(slot);
        }
    }

    pub(super) fn time_moved(&self) {
        self.polls.set(0);
    }

    /// A ready task whose process does not stand still.
    fn draw_ready(&self) -> Option<TaskId> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        while !ready.is_empty() {
            let index = self.rng.borrow_mut().random_range(0..ready.len());
            let id = ready.swap_remove(index);
            if !self.is_paused(id) {
                return Some(id);
            }
            self.held.borrow_mut().push(id);
        }
        None
    }

    fn is_paused(&self, id: TaskId) -> bool {
        let is_paused = |slot: &Slot| slot.seat.process.paused.get();
        self.pauses.get() && self.tasks.borrow().get(&id).is_some_and(is_paused)
    }

    /// Some process stands still from now on.
    pub(super) fn pauses(&self) {
        self.pauses.set(true);
    }

    /// Some process does not stand still any more: its tasks run that were woken meanwhile.
    pub(super) fn go_on(&self) {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        ready.append(&mut self.held.borrow_mut());
    }

    /// Polls one ready task, drawn at random; false if none is ready.
    pub(super) fn poll_one(&self, world: &World) -> bool {
        let Some(id) = self.draw_ready() else {
            return false;
        };
        self.polls.set(self.polls.get() + 1);
        assert!(
            self.polls.get() < POLLS_PER_INSTANT_MAX,
            "a task spins without waiting for anything (seed {})",
            world.seed()
        );
        let taken = self.tasks.borrow_mut().get_mut(&id).map(|slot| {
            slot.waker.queued.store(false, Ordering::Relaxed);
            let future = slot.future.take().expect("tasks are not polled within tasks");
            (future, slot.seat.clone(), Waker::from(slot.waker.clone()))
        });
        if let Some((future, seat, waker)) = taken {
            world.mark(Mark::Poll, id);
            self.poll(world, id, future, &seat, &waker);
        }
        true
    }

    fn poll(
        &self,
        world: &World,
        id: TaskId,
        mut future: TaskFuture,
        seat: &Rc<Seat>,
        waker: &Waker,
    ) {
        let entered = context::enter(Backend::Sim(seat.clone()));
        let polled = poll_told(world, seat, future.as_mut(), waker);
        if polled.is_pending() {
            let mut tasks = self.tasks.borrow_mut();
            if let Some(slot) = tasks.get_mut(&id) {
                assert!(slot.future.is_none());
                slot.future = Some(future);
                return;
            }
            // Cancelled while it was polled: its future goes now.
        }
        drop(future);
        let finished = self.tasks.borrow_mut().remove(&id);
        drop(entered);
        let is_main = self.executors.borrow().get(&seat.executor).is_some_and(|e| e.main == id);
        if finished.is_some() && polled.is_ready() && is_main {
            self.end_executor(world, seat.executor);
        }
    }

    pub(super) fn end_process(&self, world: &World, process: &Rc<Process>) {
        let ids: Vec<ExecutorId> = {
            let executors = self.executors.borrow();
            let of_process = executors.iter().filter(|(_, e)| Rc::ptr_eq(&e.process, process));
            of_process.map(|(id, _)| *id).collect()
        };
        for id in ids {
            self.end_executor(world, id);
        }
    }

    pub(super) fn end_executor(&self, world: &World, id: ExecutorId) {
        world.mark(Mark::ExecutorEnd, id);
        // First, so that what destructors spawn is refused.
        let executor = self.executors.borrow_mut().remove(&id);
        let slots: Vec<Slot> = {
            let mut tasks = self.tasks.borrow_mut();
            tasks.extract_if(.., |_, slot| slot.seat.executor == id).map(|(_, slot)| slot).collect()
        };
        for slot in slots {
            drop_slot(slot);
        }
        if let Some(executor) = executor {
            (executor.report)();
        }
    }
}

impl World {
    /// Starts an executor in the current process of `node`.
    pub(super) fn start<T, F, Fut>(
        self: &Rc<World>,
        node: &Rc<NodeState>,
        name: &str,
        f: F,
    ) -> Executor<T>
    where
        T: Send + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = T> + 'static,
    {
        let output = Rc::new(Cell::new(None));
        let (done, result) = promise();
        let report = {
            let output = output.clone();
            Box::new(move || {
                if let Some(output) = output.take() {
                    drop(done.fulfil(output)); // nobody may be waiting for it
                }
            })
        };
        let future = async move { output.set(Some(f().await)) };
        self.add_executor(node, Box::pin(future), report);
        Executor::simulated(name.to_owned(), result)
    }

    /// Adds an executor that ends with its task `main`, and tells so by `report`.
    pub(super) fn add_executor(
        self: &Rc<World>,
        node: &Rc<NodeState>,
        main: TaskFuture,
        report: Box<dyn FnOnce()>,
    ) -> Rc<Seat> {
        let scheduler = &self.scheduler;
        let seat = self.new_seat(node);
        let id = scheduler.new_id();
        let running = RunningExecutor { main: id, process: seat.process.clone(), report };
        scheduler.executors.borrow_mut().insert(seat.executor, running);
        scheduler.add(self, id, &seat, main);
        seat
    }

    /// A seat in the current process of `node`.
    pub(super) fn new_seat(self: &Rc<World>, node: &Rc<NodeState>) -> Rc<Seat> {
        Rc::new(Seat {
            world: self.clone(),
            node: node.clone(),
            process: node.process(),
            executor: self.scheduler.new_id(),
        })
    }
}

/// Drops a task's future where it would have run.
fn drop_slot(slot: Slot) {
    let _entered = context::enter(Backend::Sim(slot.seat.clone()));
    drop(slot.future);
}

/// Polls a future of an executor; if it panics, the seed is told.
pub(super) fn poll_told<F: Future + ?Sized>(
    world: &World,
    seat: &Seat,
    future: Pin<&mut F>,
    waker: &Waker,
) -> Poll<F::Output> {
    let _told = TellSeed { world, seat };
    future.poll(&mut Context::from_waker(waker))
}

/// Says, when a task panics, how to see it again.
struct TellSeed<'a> {
    world: &'a World,
    seat: &'a Seat,
}

impl Drop for TellSeed<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (seed, node) = (self.world.seed(), &self.seat.node.name);
            let at = self.world.now().as_nanos();
            eprintln!("simulation: seed {seed}, node {node}, virtual time {at} ns");
        }
    }
}
