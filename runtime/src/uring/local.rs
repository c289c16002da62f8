//! What an executor has on its thread.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::blocking::FilesThread;
use super::inbox::Inbox;
use super::reactor::Reactor;
use super::signal::Signal;
use super::tasks::Tasks;
use super::timers::Timers;

/// The parts of an executor, all of its own thread but the inbox.
pub(super) struct Local {
    pub(super) reactor: Rc<Reactor>,
    pub(super) timers: Rc<Timers>,
    pub(super) tasks: Tasks,
    pub(super) files: FilesThread,
    pub(super) inbox: Arc<Inbox>,
    /// Tasks that run in the next round, in this order.
    ready: RefCell<VecDeque<Arc<Signal>>>,
    /// The number that the next task gets.
    next_task: Cell<u64>,
}

thread_local! {
    static LOCAL: RefCell<Option<Rc<Local>>> = const { RefCell::new(None) };
}

impl Local {
    /// Makes the parts, for the calling thread. The helper thread is named after the executor.
    pub(super) fn new(name: &str, busy_poll: Duration) -> io::Result<Rc<Local>> {
        let inbox = Arc::new(Inbox::new()?);
        Ok(Rc::new(Local {
            reactor: Rc::new(Reactor::new(inbox.clone(), busy_poll)?),
            timers: Rc::default(),
            tasks: Tasks::default(),
            files: FilesThread::start(name)?,
            inbox,
            ready: RefCell::default(),
            next_task: Cell::new(super::signal::MAIN + 1),
        }))
    }

    /// Makes these the parts of the calling thread.
    pub(super) fn install(self: &Rc<Self>) {
        let before = LOCAL.replace(Some(self.clone()));
        assert!(before.is_none(), "a thread is one executor at a time");
    }

    /// The calling thread is no executor any more.
    pub(super) fn remove(&self) {
        let local = LOCAL.take().expect("it was installed");
        assert!(std::ptr::eq(&raw const *local, self), "it is this executor's thread");
    }

    pub(super) fn number_task(&self) -> u64 {
        let number = self.next_task.get();
        self.next_task.set(number + 1);
        number
    }

    /// How many tasks are ready.
    pub(super) fn ready_len(&self) -> usize {
        self.ready.borrow().len()
    }

    /// The task whose turn it is.
    pub(super) fn next_ready(&self) -> Option<Arc<Signal>> {
        self.ready.borrow_mut().pop_front()
    }

    /// Takes over what other threads have woken.
    pub(super) fn take_inbox(&self) {
        if self.inbox.has_some() {
            self.ready.borrow_mut().extend(self.inbox.take());
        }
    }
}

/// The executor of the calling thread. Panics where there is none: such a call is a bug of the caller.
pub(super) fn local() -> Rc<Local> {
    LOCAL.with_borrow(|local| local.clone().expect("this call works only within an executor"))
}

/// Whether a task of the calling thread's executor is ready.
pub(super) fn has_ready() -> bool {
    LOCAL.with_borrow(|local| local.as_ref().is_some_and(|local| local.ready_len() > 0))
}

/// Puts a task among those that are ready. Gives it back on any other thread than that of its executor.
pub(super) fn make_ready(inbox: &Arc<Inbox>, signal: Arc<Signal>) -> Result<(), Arc<Signal>> {
    let mut waiting = Some(signal);
    // A thread that is about to end has no executor any more.
    let _ended = LOCAL.try_with(|local| {
        if let Some(local) = &*local.borrow()
            && Arc::ptr_eq(&local.inbox, inbox)
        {
            local.ready.borrow_mut().extend(waiting.take());
        }
    });
    waiting.map_or(Ok(()), Err)
}
