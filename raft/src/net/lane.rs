//! One of the two connections to a peer: dialled when somebody wants to send, kept, and dialled again after a loss.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures::future::select;
use runtime::channel::{Flag, Notify};
use runtime::{Instant, now, sleep_until};

use super::dial::{Dialled, dial};
use super::error::{CloseReason, DialError, Trouble};
use super::facts::Lane;
use super::limits::DIALS_AFTER_LOSS;
use super::link::Link;
use super::peer::PeerState;
use super::wire::hello::Hello;

enum State {
    /// Nobody has wanted it yet.
    Idle,
    /// It is being dialled.
    Dialling,
    /// It is there.
    Up(Rc<Link>),
    /// It is not dialled before `until`.
    Down { until: Instant, trouble: Trouble },
}

/// A lane to one peer. A task dials, for as long as the flag is down.
pub(super) struct LaneTo {
    lane: Lane,
    peer: Rc<PeerState>,
    state: RefCell<State>,
    changed: Notify,
    wanted: Notify,
    /// Dials in a row that came to nothing.
    failures: Cell<u32>,
    /// Dials to come that nobody has asked for.
    unasked: Cell<u32>,
    stop: Flag,
}

impl LaneTo {
    /// Starts its task.
    pub(super) fn start(lane: Lane, peer: Rc<PeerState>, stop: Flag) -> Rc<LaneTo> {
        let lane = Rc::new(LaneTo {
            lane,
            peer,
            state: RefCell::new(State::Idle),
            changed: Notify::new(),
            wanted: Notify::new(),
            failures: Cell::new(0),
            unasked: Cell::new(0),
            stop,
        });
        runtime::spawn(Rc::clone(&lane).run()).detach();
        lane
    }

    /// The connection, if it is there.
    pub(super) fn up(&self) -> Option<Rc<Link>> {
        match &*self.state.borrow() {
            State::Up(link) => Some(Rc::clone(link)),
            State::Idle | State::Dialling | State::Down { .. } => None,
        }
    }

    /// The connection, which is dialled if need be. Cancel-safe.
    ///
    /// # Errors
    /// It was just tried, or the dial failed: the next one is made by whoever asks after the pause.
    pub(super) async fn link(&self) -> Result<Rc<Link>, Trouble> {
        loop {
            if let Some(found) = self.look() {
                return found;
            }
            self.changed.notified().await;
        }
    }

    /// What is known now; `None` while it is being dialled.
    fn look(&self) -> Option<Result<Rc<Link>, Trouble>> {
        let mut state = self.state.borrow_mut();
        match &*state {
            State::Up(link) => return Some(Ok(Rc::clone(link))),
            State::Down { until, trouble } if self.stop.is_raised() || now() < *until => {
                return Some(Err(trouble.clone()));
            }
            State::Dialling => return None,
            State::Idle | State::Down { .. } => {}
        }
        if self.stop.is_raised() {
            return Some(Err(Trouble::Stopped));
        }
        *state = State::Dialling;
        self.wanted.notify_one();
        None
    }

    /// The peer has closed a connection: where there is none, one is dialled at once, to learn whether anybody is left.
    pub(super) fn look_after_loss(&self) {
        self.unasked.set(DIALS_AFTER_LOSS);
        let is_down = matches!(&*self.state.borrow(), State::Idle | State::Down { .. });
        if is_down && !self.stop.is_raised() {
            self.change(State::Dialling);
            self.wanted.notify_one();
        }
    }

    fn change(&self, state: State) {
        *self.state.borrow_mut() = state;
        self.changed.notify_all();
    }

    async fn run(self: Rc<Self>) {
        let stopped = pin!(self.stop.raised());
        select(stopped, pin!(self.keep())).await;
        if let Some(link) = self.up() {
            link.end(&Trouble::Stopped);
            self.peer.left(self.lane, link.received());
        }
        self.change(State::Down { until: now(), trouble: Trouble::Stopped });
    }

    /// Dials when it is wanted, and after a loss to learn whether anybody is left there. Never ends.
    async fn keep(&self) {
        loop {
            let unasked = self.unasked.get();
            if unasked == 0 {
                self.wanted.notified().await;
            } else {
                self.unasked.set(unasked - 1);
                sleep_until(self.until()).await;
            }
            self.change(State::Dialling);
            match self.dial().await {
                Ok(dialled) => {
                    let reason = self.talk(dialled).await;
                    self.unasked.set(if reason.is_by_peer() { DIALS_AFTER_LOSS } else { 0 });
                    self.lost(reason);
                }
                Err(error) => {
                    // One that came and went may be to a process that is just ending.
                    if !error.is_loss() {
                        self.unasked.set(0);
                    }
                    self.failed(error);
                    // Who is gone is awaited: nobody else may have a reason to dial.
                    if self.peer.is_gone() {
                        self.unasked.set(self.unasked.get().max(1));
                    }
                }
            }
        }
    }

    /// When the pause before the next dial ends.
    fn until(&self) -> Instant {
        match &*self.state.borrow() {
            State::Down { until, .. } => *until,
            State::Idle | State::Dialling | State::Up(_) => now(),
        }
    }

    fn dial(&self) -> impl Future<Output = Result<Dialled, DialError>> {
        let (facts, expected) = (self.peer.net.facts.clone(), Some(self.peer.id));
        let lineage = self.peer.net.fence.lineage();
        let hello = Hello { facts, expected, lane: self.lane, founds: false, lineage };
        let (addr, net) = (self.peer.addr.get(), Rc::clone(&self.peer.net));
        async move { dial(addr, &hello, &net.limits).await }
    }

    async fn talk(&self, Dialled { store, frames, send, .. }: Dialled) -> CloseReason {
        assert_eq!(store, self.peer.id, "a dial checks whom it has reached");
        self.failures.set(0);
        let link = Rc::new(Link::new(&frames));
        self.peer.came(self.lane);
        self.change(State::Up(Rc::clone(&link)));
        link.drive(frames, send, &self.peer.net.limits).await
    }

    fn lost(&self, reason: CloseReason) {
        let link = self.up().expect("it was talked on");
        let by_peer = reason.is_by_peer();
        let trouble = Trouble::Lost { lane: self.lane, addr: self.peer.addr.get(), reason };
        link.end(&trouble);
        self.peer.left(self.lane, link.received());
        self.peer.troubled(&trouble);
        // To one that has gone the first dial is made at once: if it is refused, that is news.
        let pause = if by_peer { Duration::ZERO } else { self.peer.net.limits.redial_min };
        self.change(State::Down { until: now() + pause, trouble });
    }

    fn failed(&self, error: DialError) {
        let limits = &self.peer.net.limits;
        let failures = self.failures.get();
        self.failures.set(failures.saturating_add(1));
        let doubled = limits.redial_min.saturating_mul(1 << failures.min(16));
        let pause =
            if error.is_refusal() { limits.refused } else { doubled.min(limits.redial_max) };
        if error.is_nobody() {
            self.peer.nobody(&error);
        }
        if let Some(theirs) = error.other_lineage() {
            self.peer.net.fence.learn(theirs);
        }
        let trouble = Trouble::from(error);
        self.peer.troubled(&trouble);
        self.change(State::Down { until: now() + pause, trouble });
    }
}
