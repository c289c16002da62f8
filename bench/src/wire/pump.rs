//! Moves frames between a connection and its load.

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use futures::{FutureExt, select_biased};
use remoting::{CommandRef, MAX_FRAME, frame};
use runtime::channel::{Flag, Notify};
use runtime::{Instant, ReadHalf, TcpStream, WriteHalf};

use crate::limits::{PACE_STEP, READ_CHUNK, TICK};
use crate::wire::Load;

/// Why the service of a load ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// The load is done.
    Done,
    /// The flag `abandon` was raised.
    Abandoned,
    /// The connection is of no use any more; why.
    Lost(String),
}

pub(super) const CLOSED: &str = "the broker closed the connection";
pub(super) const LATE: &str = "no answer in time";

/// Hands every whole frame in `bytes` to the load, as received at `at`; how many bytes they are.
pub(super) fn take(load: &mut dyn Load, bytes: &[u8], at: Instant) -> Result<usize, End> {
    let mut taken = 0;
    loop {
        let rest = &bytes[taken..];
        let range = match frame::split(rest, MAX_FRAME) {
            Ok(Some(range)) => range,
            Ok(None) => return Ok(taken),
            Err(error) => return Err(End::Lost(error.to_string())),
        };
        let head = CommandRef::decode(range.serialize, &rest[range.header.clone()])
            .map_err(|error| End::Lost(error.to_string()))?;
        // A broker also asks its clients; what it asks of consumer groups is nothing to us.
        if head.flag.is_response() {
            load.answer(at, &head, &rest[range.body.clone()]);
        }
        taken += range.end();
    }
}

struct Pump<'a> {
    load: RefCell<&'a mut dyn Load>,
    outbox: RefCell<Vec<u8>>,
    work: Notify,
    /// When [`Pump::tick`] looks next because a request is due then.
    alarm: Cell<Option<Instant>>,
    /// That time has come nearer.
    nearer: Notify,
}

/// Serves `load` over `stream` until it is done, the connection breaks, or `abandon` is raised; raising `wake` makes it look
/// at the load once more. Reading never waits for writing, so that an answer's time is not that of a full send buffer.
///
/// Closes the connection when it returns or is dropped.
pub async fn pump(stream: TcpStream, load: &mut dyn Load, wake: &Flag, abandon: &Flag) -> End {
    let (receive, send) = stream.into_split();
    let pump = Pump {
        load: RefCell::new(load),
        outbox: RefCell::default(),
        work: Notify::new(),
        alarm: Cell::new(None),
        nearer: Notify::new(),
    };
    pump.fill();
    if pump.load.borrow().is_done() {
        return End::Done;
    }
    let mut read = pin!(pump.read(receive).fuse());
    let mut write = pin!(pump.write(send).fuse());
    let mut tick = pin!(pump.tick(wake).fuse());
    let mut abandoned = pin!(abandon.raised().fuse());
    select_biased! {
        end = read => end,
        end = write => end,
        end = tick => end,
        () = abandoned => End::Abandoned,
    }
}

impl Pump<'_> {
    fn fill(&self) {
        let mut outbox = self.outbox.borrow_mut();
        let mut load = self.load.borrow_mut();
        load.fill(&mut outbox);
        if !outbox.is_empty() {
            self.work.notify_one();
        }
        if let Some(due) = load.next_due()
            && self.alarm.get().is_none_or(|alarm| due < alarm)
        {
            self.nearer.notify_one();
        }
    }

    async fn read(&self, mut receive: ReadHalf) -> End {
        let mut buffer = BytesMut::new();
        loop {
            match receive.read(&mut buffer, READ_CHUNK).await {
                Ok(0) => return End::Lost(CLOSED.into()),
                Ok(_) => {}
                Err(error) => return End::Lost(error.to_string()),
            }
            // All that a read returns was there when it returned: one look at the clock for all of it.
            let at = runtime::now();
            match take(&mut **self.load.borrow_mut(), &buffer, at) {
                Ok(taken) => buffer.advance(taken),
                Err(end) => return end,
            }
            self.fill();
            if self.load.borrow().is_done() {
                return End::Done;
            }
        }
    }

    async fn write(&self, mut send: WriteHalf) -> End {
        let mut batch = Vec::new();
        loop {
            while self.outbox.borrow().is_empty() {
                self.work.notified().await;
            }
            assert!(batch.is_empty(), "what was taken has been sent");
            std::mem::swap(&mut batch, &mut *self.outbox.borrow_mut());
            if let Err(error) = send.write_all(&batch).await {
                return End::Lost(error.to_string());
            }
            batch.clear();
            self.fill();
        }
    }

    async fn tick(&self, wake: &Flag) -> End {
        loop {
            let due = self.load.borrow().next_due();
            self.alarm.set(due);
            let wait = due.map_or(TICK, |due| (due - runtime::now()).clamp(PACE_STEP, TICK));
            self.wait(wake, wait).await;
            self.fill();
            let load = self.load.borrow();
            if load.is_done() {
                return End::Done;
            }
            if load.is_overdue(runtime::now()) {
                return End::Lost(LATE.into());
            }
        }
    }

    /// Until the time is up, or there is a reason to look earlier.
    async fn wait(&self, wake: &Flag, time: Duration) {
        let woken = async {
            if wake.is_raised() {
                // It has been heeded; from now on only time counts.
                std::future::pending::<()>().await;
            }
            wake.raised().await;
        };
        let early = async {
            let mut woken = pin!(woken.fuse());
            let mut nearer = pin!(self.nearer.notified().fuse());
            select_biased! {
                () = woken => {}
                () = nearer => {}
            }
        };
        let (Ok(()) | Err(_)) = runtime::timeout(time, early).await;
    }
}
