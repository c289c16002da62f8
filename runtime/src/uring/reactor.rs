//! One ring: operations go into it in batches, what is done comes out, and the thread sleeps in between.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, opcode, squeue};
use slab::Slab;

use super::held::{HELD_MAX, NO_FILE, Places};
use super::inbox::Inbox;
use super::keep::Keep;
use super::local;
use crate::clock::{Instant, real_now};

/// Entries of the submission queue. A full one is handed to the kernel early, so this bounds nothing.
const SUBMISSIONS: u32 = 256;
/// Entries of the completion queue: 16 bytes each. The kernel keeps what does not fit.
const COMPLETIONS: u32 = 4096;

/// Turns that what merely waits may stay here, so that it goes with something else, or with the next sleep.
const TURNS_MAX: u32 = 8;

/// The user data of operations whose end interests nobody.
const NOBODY: u64 = u64::MAX;
/// The user data of the look at the inbox's event.
const INBOX: u64 = u64::MAX - 1;
/// In the user data of the first of two linked operations, beside the key that both have.
const FIRST: u64 = 1 << 62;

/// Who carries an operation out, and what becomes of it when its future is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It waits for something that may never come: it is cancelled.
    Waits,
    /// It goes to the device and comes back by itself.
    Device,
    /// A thread of the kernel makes it, or a part of it, perhaps on this executor's core.
    Worker,
    /// The same, and its result is a descriptor: one that nobody waits for any more is closed.
    Opens,
}

impl Kind {
    fn is_in_worker(self) -> bool {
        matches!(self, Kind::Worker | Kind::Opens)
    }

    /// It ends by itself, and soon.
    fn is_work(self) -> bool {
        self != Kind::Waits
    }
}

#[derive(Debug)]
enum State {
    Pending(Option<Waker>),
    Done(End),
    /// Its future was dropped.
    Abandoned,
}

/// How an operation ended.
#[derive(Clone, Copy, Debug)]
struct End {
    result: i32,
    /// The first of two failed or fell short, and the second was not begun.
    early: bool,
}

#[derive(Debug)]
struct Slot {
    kind: Kind,
    /// Lives until the kernel is done with it.
    keep: Keep,
    state: State,
}

/// The ring of an executor. Its methods never run code of others while something is borrowed.
pub(super) struct Reactor {
    ring: RefCell<IoUring>,
    slots: RefCell<Slab<Slot>>,
    /// What came out of the ring and was not dealt with: user data and result.
    ended: RefCell<Vec<(u64, i32)>>,
    /// Operations under way that do not merely wait, and those of them that are with a thread of the kernel.
    at_work: Cell<usize>,
    in_workers: Cell<usize>,
    /// Operations under way that have no slot.
    unwatched: Cell<usize>,
    /// Something was started that the kernel should begin with at once.
    urgent: Cell<bool>,
    /// Turns since operations were last handed over.
    turns: Cell<u32>,
    /// The kernel can keep the success of the first of two linked operations to itself.
    links: bool,
    /// Linked operations may be among those that are not handed over.
    has_linked: Cell<bool>,
    held: RefCell<Places>,
    busy_poll: Duration,
    inbox: Arc<Inbox>,
    /// Nothing is started any more.
    closed: Cell<bool>,
}

impl Reactor {
    /// A ring for the calling thread, which alone may use it.
    pub(super) fn new(inbox: Arc<Inbox>, busy_poll: Duration) -> io::Result<Reactor> {
        let ring = new_ring()?;
        let params = ring.params();
        let reactor = Reactor {
            // In a ring of the older kind (`new_ring`) an entry that is no good leaves those behind it in the queue,
            // perhaps half a pair.
            links: params.is_feature_skip_cqe_on_success() && params.is_setup_single_issuer(),
            has_linked: Cell::new(false),
            ring: RefCell::new(ring),
            slots: RefCell::default(),
            ended: RefCell::default(),
            at_work: Cell::new(0),
            in_workers: Cell::new(0),
            unwatched: Cell::new(0),
            urgent: Cell::new(false),
            turns: Cell::new(0),
            held: RefCell::default(),
            busy_poll,
            inbox,
            closed: Cell::new(false),
        };
        reactor.watch_inbox();
        Ok(reactor)
    }

    /// Starts an operation, with the next batch. The memory and the descriptors that `entry` names must live in `keep`.
    pub(super) fn start(
        self: &Rc<Self>,
        entry: squeue::Entry,
        kind: Kind,
        keep: Keep,
    ) -> Operation {
        let key = self.note_start(kind, keep);
        self.push(&[entry.user_data(key as u64)]);
        Operation { reactor: Some(self.clone()), key }
    }

    /// Whether [`Reactor::start_linked`] works here.
    pub(super) fn links(&self) -> bool {
        self.links
    }

    /// As [`Reactor::start`], two operations of which the kernel begins the second, which a thread of its own makes, when
    /// the first has succeeded in full. The end of the second is that of both; so is that of the first when it fails or
    /// falls short ([`Ended::early`]).
    pub(super) fn start_linked(
        self: &Rc<Self>,
        first: squeue::Entry,
        second: squeue::Entry,
        keep: Keep,
    ) -> Operation {
        assert!(self.links, "this kernel would tell of the first as well");
        let key = self.note_start(Kind::Worker, keep);
        let data = key as u64;
        assert!(data < FIRST, "a key is small");
        let first = first.flags(squeue::Flags::IO_LINK | squeue::Flags::SKIP_SUCCESS);
        self.push(&[first.user_data(data | FIRST), second.user_data(data)]);
        self.has_linked.set(true);
        Operation { reactor: Some(self.clone()), key }
    }

    /// A slot for an operation that is about to be pushed.
    fn note_start(&self, kind: Kind, keep: Keep) -> usize {
        assert!(!self.closed.get(), "an executor that has ended starts nothing");
        if kind.is_in_worker() {
            self.in_workers.set(self.in_workers.get() + 1);
        }
        if kind.is_work() {
            self.at_work.set(self.at_work.get() + 1);
            self.urgent.set(true);
        }
        let slot = Slot { kind, keep, state: State::Pending(None) };
        self.slots.borrow_mut().insert(slot)
    }

    /// Whether there is nothing to do, and nothing under way, but to wait for others.
    pub(super) fn is_idle(&self) -> bool {
        if self.at_work.get() > 0 || !self.ended.borrow().is_empty() || self.inbox.has_some() {
            return false;
        }
        let mut ring = self.ring.borrow_mut();
        let news = ring.submission().taskrun() || !ring.completion().is_empty();
        drop(ring);
        !news && !local::has_ready()
    }

    /// Closes a descriptor without waiting for it: the last close of a removed file may take its time.
    pub(super) fn close(&self, fd: OwnedFd) {
        if self.closed.get() {
            return drop(fd);
        }
        self.push_unwatched(opcode::Close::new(Fd(fd.into_raw_fd())).build(), NOBODY);
    }

    /// Holds a file open; its place, for [`Reactor::let_go`].
    pub(super) fn hold(&self, fd: RawFd) -> io::Result<usize> {
        let (ring, mut places) = (self.ring.borrow(), self.held.borrow_mut());
        if !places.are_made() {
            ring.submitter().register_files(&[NO_FILE; HELD_MAX])?;
            places.make();
        }
        let Some(place) = places.take() else {
            return Err(io::Error::other(format!("an executor holds {HELD_MAX} files at most")));
        };
        let at = u32::try_from(place).expect("a small number");
        match ring.submitter().register_files_update(at, &[fd]) {
            Ok(_) => Ok(place),
            Err(error) => {
                places.free(place);
                Err(error)
            }
        }
    }

    pub(super) fn let_go(&self, place: usize) {
        let at = u32::try_from(place).expect("a small number");
        // A refusal leaves the file open until the ring goes.
        drop(self.ring.borrow().submitter().register_files_update(at, &[NO_FILE]));
        self.held.borrow_mut().free(place);
    }

    /// Hands over what was started, unless it can stay for a few turns, and takes what has ended. Returns at once.
    pub(super) fn turn(&self) {
        self.turns.set(self.turns.get() + 1);
        let hand_over = self.urgent.get() || self.turns.get() >= TURNS_MAX;
        {
            let mut ring = self.ring.borrow_mut();
            let submission = ring.submission();
            let has_some = hand_over && !submission.is_empty();
            let wanted = has_some || submission.taskrun() || submission.cq_overflow();
            drop(submission);
            if wanted {
                self.enter(&mut ring, 0, None);
            }
            self.collect(&mut ring);
        }
        self.settle();
    }

    /// Like [`Reactor::turn`], but sleeps until something has ended, something comes into the inbox, or `deadline` has
    /// passed. To be called when no task is ready.
    pub(super) fn wait(&self, deadline: Option<Instant>) {
        if !self.busy_poll.is_zero() && self.poll(deadline) {
            return;
        }
        let left = deadline.map(|deadline| deadline.saturating_since(real_now()));
        let due = left.is_some_and(|left| left.is_zero()) || !self.ended.borrow().is_empty();
        let asleep = self.inbox.fall_asleep();
        if asleep.is_none() || due {
            return self.turn();
        }
        {
            let mut ring = self.ring.borrow_mut();
            // What has ended already, or ends at once, keeps it from sleeping.
            self.enter(&mut ring, 1, left);
            self.collect(&mut ring);
        }
        drop(asleep);
        self.settle();
    }

    /// Looks for work until the time for that is up. True when there is some.
    fn poll(&self, deadline: Option<Instant>) -> bool {
        let began = real_now();
        self.urgent.set(true); // what was started goes before the wait for it
        loop {
            // A worker thread of the kernel needs the core that this loop has.
            if self.in_workers.get() > 0 {
                return false;
            }
            std::hint::spin_loop();
            self.turn();
            let now = real_now();
            let due = deadline.is_some_and(|deadline| now >= deadline);
            if due || self.inbox.has_some() || local::has_ready() {
                return true;
            }
            if now - began > self.busy_poll {
                return false;
            }
        }
    }

    /// Waits until the kernel is done with everything, and starts nothing any more. The futures are gone by now, so what
    /// could wait for ever was cancelled.
    pub(super) fn close_down(&self) {
        self.push_unwatched(opcode::AsyncCancel::new(INBOX).build(), NOBODY);
        self.closed.set(true);
        loop {
            self.turn();
            if self.slots.borrow().is_empty() && self.unwatched.get() == 0 {
                return;
            }
            let mut ring = self.ring.borrow_mut();
            self.enter(&mut ring, 1, Some(Duration::from_millis(100)));
            self.collect(&mut ring);
        }
    }

    /// Puts entries into the queue, so that they are handed over together.
    fn push(&self, entries: &[squeue::Entry]) {
        let mut ring = self.ring.borrow_mut();
        // SAFETY: what the entries refer to lives in their slot's `keep` until its completion was seen, and the ring is
        // emptied before it goes (`close_down`).
        while unsafe { ring.submission().push_multiple(entries) }.is_err() {
            self.enter(&mut ring, 0, None);
            self.collect(&mut ring);
        }
    }

    fn push_unwatched(&self, entry: squeue::Entry, data: u64) {
        self.unwatched.set(self.unwatched.get() + 1);
        self.push(&[entry.user_data(data)]);
    }

    fn end_unwatched(&self) {
        let before = self.unwatched.get();
        assert!(before > 0, "an operation ends once");
        self.unwatched.set(before - 1);
    }

    /// One io_uring_enter.
    fn enter(&self, ring: &mut IoUring, want: usize, limit: Option<Duration>) {
        self.urgent.set(false);
        self.turns.set(0);
        let entered = match limit {
            Some(limit) => {
                let limit = Timespec::from(limit);
                ring.submitter().submit_with_args(want, &SubmitArgs::new().timespec(&limit))
            }
            None => ring.submitter().submit_and_wait(want),
        };
        let error = match entered {
            Ok(_) => {
                // A write whose flush is left behind would end without a word, and the flush cover who knows what.
                let left = ring.submission().len();
                assert!(left == 0 || !self.has_linked.get(), "the kernel took a part: {left} left");
                return self.has_linked.set(false);
            }
            Err(error) => error,
        };
        match error.raw_os_error() {
            // Time is up, or a signal came, or the kernel wants completions to be taken first, or is short of memory for
            // a moment. What was not handed over still stands in the queue.
            Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => {}
            _ => panic!("io_uring_enter: {error}"),
        }
    }

    fn collect(&self, ring: &mut IoUring) {
        let mut ended = self.ended.borrow_mut();
        ended.extend(ring.completion().map(|entry| (entry.user_data(), entry.result())));
    }

    /// Deals with what has ended, and with what that brings about.
    fn settle(&self) {
        loop {
            let mut ended = self.ended.take();
            let none = ended.is_empty();
            for (data, result) in ended.drain(..) {
                self.settle_one(data, result);
            }
            let mut place = self.ended.borrow_mut();
            if place.is_empty() {
                *place = ended; // its memory serves again
            }
            if none {
                return;
            }
        }
    }

    fn settle_one(&self, data: u64, result: i32) {
        match data {
            NOBODY => self.end_unwatched(),
            INBOX => {
                self.end_unwatched();
                self.inbox.rest();
                if !self.closed.get() {
                    self.watch_inbox();
                }
            }
            key => {
                let end = End { result, early: key & FIRST != 0 };
                self.end(usize::try_from(key & !FIRST).expect("made of a usize"), end);
            }
        }
    }

    fn end(&self, key: usize, end: End) {
        let mut slots = self.slots.borrow_mut();
        let slot = slots.get_mut(key).expect("an operation ends once");
        if slot.kind.is_work() {
            let before = self.at_work.get();
            assert!(before > 0, "an operation ends once");
            self.at_work.set(before - 1);
        }
        if slot.kind.is_in_worker() {
            let before = self.in_workers.get();
            assert!(before > 0, "a worker's operation ends once");
            self.in_workers.set(before - 1);
        }
        match std::mem::replace(&mut slot.state, State::Done(end)) {
            State::Pending(waker) => {
                drop(slots);
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            State::Abandoned => {
                let slot = slots.remove(key);
                drop(slots);
                self.give_up(slot, end.result);
            }
            State::Done(_) => unreachable!("an operation ends once"),
        }
    }

    /// Nobody wants the result of an operation that has ended.
    fn give_up(&self, slot: Slot, result: i32) {
        if slot.kind == Kind::Opens && result >= 0 {
            // SAFETY: the kernel has just made the descriptor, and nobody else has heard of it.
            self.close(unsafe { OwnedFd::from_raw_fd(result) });
        }
        drop(slot); // may close a file, which comes back here
    }

    fn watch_inbox(&self) {
        let events = u32::try_from(libc::POLLIN).expect("a small constant");
        let entry = opcode::PollAdd::new(Fd(self.inbox.event().as_raw_fd()), events).build();
        self.push_unwatched(entry, INBOX);
    }
}

/// The newest way of running completions that the kernel has: only when this thread asks for them.
fn new_ring() -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder
        .setup_cqsize(COMPLETIONS)
        .setup_submit_all()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_taskrun_flag();
    match builder.build(SUBMISSIONS) {
        // Before Linux 6.1.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            IoUring::builder().setup_cqsize(COMPLETIONS).build(SUBMISSIONS)
        }
        built => built,
    }
}

/// What an operation came to.
pub(super) struct Ended {
    /// The kernel's result.
    pub(super) result: io::Result<u32>,
    /// The result is that of the first of two, and the second was not begun.
    pub(super) early: bool,
    /// What was kept for it.
    pub(super) keep: Keep,
}

/// An operation under way. Dropped early, it is cancelled or runs on for nobody, by its [`Kind`].
pub(super) struct Operation {
    /// `None` once it is over.
    reactor: Option<Rc<Reactor>>,
    key: usize,
}

impl Future for Operation {
    type Output = Ended;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ended> {
        let reactor = self.reactor.as_ref().expect("not polled after its end");
        let mut slots = reactor.slots.borrow_mut();
        let slot = slots.get_mut(self.key).expect("an operation has a slot until its end was seen");
        match &mut slot.state {
            State::Done(End { result, early }) => {
                let early = *early;
                let result = u32::try_from(*result)
                    .map_err(|_| io::Error::from_raw_os_error(result.wrapping_neg()));
                let slot = slots.remove(self.key);
                drop(slots);
                self.reactor = None;
                Poll::Ready(Ended { result, early, keep: slot.keep })
            }
            State::Pending(waker) => {
                match waker {
                    Some(waker) => waker.clone_from(cx.waker()),
                    None => *waker = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
            State::Abandoned => unreachable!("only a dropped operation is abandoned"),
        }
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        let Some(reactor) = self.reactor.take() else { return };
        let mut slots = reactor.slots.borrow_mut();
        let slot = slots.get_mut(self.key).expect("an operation has a slot until its end was seen");
        if let State::Done(end) = slot.state {
            let slot = slots.remove(self.key);
            drop(slots);
            return reactor.give_up(slot, end.result);
        }
        let waker = std::mem::replace(&mut slot.state, State::Abandoned);
        let kind = slot.kind;
        drop(slots);
        drop(waker);
        if kind == Kind::Waits {
            reactor.push_unwatched(opcode::AsyncCancel::new(self.key as u64).build(), NOBODY);
        }
    }
}
