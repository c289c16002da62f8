//! Sends the probes, each at its time, whatever becomes of those before it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use client::{Client, ClientError, Form, Message, Options, SendStatus, Sent};
use remoting::ResponseCode;
use runtime::{Instant, Task};
use transport::{Limits, RequestError};

use super::leaders::Leaders;
use super::probe::{Probe, Track};
use crate::args::Failover;
use crate::audit::{Ledger, Place};
use crate::limits::{LOOK_EVERY, PROBE_BYTES, PROBES_MAX, PROBES_ON_THE_WAY};
use crate::pace::Pace;
use crate::wire::body;

/// A group of brokers to be probed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The broker name.
    pub name: String,
    /// Its queues that may be written, ascending; not empty.
    pub queues: Vec<i32>,
}

/// Probes all groups from its start until it is stopped. A clone is the same; owned by its executor.
#[derive(Clone)]
pub struct Prober {
    inner: Rc<Inner>,
}

struct Inner {
    topic: String,
    producer_group: String,
    timeout: Duration,
    begin: Instant,
    groups: Vec<Group>,
    /// First halves of the unique keys, by group.
    keys: Vec<u64>,
    leaders: Leaders,
    /// One connection each to whatever address.
    lanes: Vec<Client>,
    book: RefCell<Book>,
    on_the_way: Cell<usize>,
    tasks: RefCell<Vec<Task<()>>>,
}

/// What came of the probes.
pub struct Book {
    /// By group, in the order of the groups.
    pub tracks: Vec<Track>,
    /// What an audit looks for, by group.
    pub ledgers: Vec<Ledger>,
    /// Probes in all tracks.
    pub count: usize,
    /// Acknowledgements that name another queue than the one asked for.
    pub wrong_queue: u64,
    /// How late the latest probe was sent.
    pub latest: Duration,
}

/// Why a probe has failed.
struct Failed {
    code: Option<i32>,
    remark: String,
}

impl Failed {
    fn new(remark: &str) -> Failed {
        Failed { code: None, remark: remark.to_owned() }
    }
}

impl Prober {
    /// Begins now, with the pace that `args` says.
    #[must_use]
    pub fn start(args: &Failover, groups: Vec<Group>, leaders: Leaders) -> Prober {
        assert!(!groups.is_empty() && groups.iter().all(|group| !group.queues.is_empty()));
        let lane = || {
            let limits = Limits { connect: args.timeout, ..Limits::default() };
            Client::new(Options { timeout: args.timeout, limits, ..Options::new("") })
        };
        let base = runtime::random_u64() & !0xFFFF;
        let keys: Vec<u64> = (base..).take(groups.len()).collect();
        let book = Book {
            tracks: groups.iter().map(|group| Track::new(&group.name)).collect(),
            ledgers: keys.iter().map(|key| Ledger::new(*key, PROBE_BYTES)).collect(),
            count: 0,
            wrong_queue: 0,
            latest: Duration::ZERO,
        };
        let prober = Prober {
            inner: Rc::new(Inner {
                topic: args.topic.clone(),
                producer_group: args.group.clone(),
                timeout: args.timeout,
                begin: runtime::now(),
                keys,
                leaders,
                lanes: (0..args.connections).map(|_| lane()).collect(),
                book: RefCell::new(book),
                on_the_way: Cell::new(0),
                tasks: RefCell::default(),
                groups,
            }),
        };
        let count = prober.inner.groups.len();
        let all = args.rate * u64::try_from(count).expect("a small number");
        let tasks = (0..count).map(|group| {
            let pace = Pace::new(prober.inner.begin, all, count, group);
            runtime::spawn(prober.clone().keep_pace(group, pace))
        });
        *prober.inner.tasks.borrow_mut() = tasks.collect();
        prober
    }

    /// Time since the beginning.
    #[must_use]
    pub fn now(&self) -> Duration {
        runtime::now() - self.inner.begin
    }

    /// What came of the probes so far.
    pub fn book<T>(&self, read: impl FnOnce(&mut Book) -> T) -> T {
        read(&mut self.inner.book.borrow_mut())
    }

    /// Whether no more probes can be remembered.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.inner.book.borrow().count >= PROBES_MAX
    }

    /// Sends no more, and waits for those that are on their way.
    pub async fn stop(&self) {
        self.inner.tasks.borrow_mut().clear();
        while self.inner.on_the_way.get() > 0 {
            runtime::sleep(LOOK_EVERY).await;
        }
    }

    async fn keep_pace(self, group: usize, pace: Pace) {
        for number in 0.. {
            let due = pace.due(number);
            runtime::sleep_until(due).await;
            if self.is_full() {
                return;
            }
            self.inner.on_the_way.set(self.inner.on_the_way.get() + 1);
            // It has a time of its own to end in, so nobody has to hold it.
            runtime::spawn(self.clone().probe(group, number, due)).detach();
        }
    }

    async fn probe(self, group: usize, number: u64, due: Instant) {
        let Inner { begin, timeout, on_the_way, groups, leaders, .. } = &*self.inner;
        let queues = &groups[group].queues;
        let count = u64::try_from(queues.len()).expect("a small number");
        let queue = queues[usize::try_from(number % count).expect("an index")];
        let sent = runtime::now();
        let outcome = if on_the_way.get() > PROBES_ON_THE_WAY {
            Err(Failed::new("too many probes are on their way"))
        } else {
            let asked = self.ask(group, number, number / count, queue);
            runtime::timeout(*timeout, asked).await.unwrap_or_else(|_| Err(late()))
        };
        let done = runtime::now();
        let offset = outcome.as_ref().ok().map(|sent| sent.queue_offset);
        let probe =
            Probe { due: due - *begin, sent: sent - *begin, done: done - *begin, queue, offset };
        if outcome.is_err() {
            leaders.look();
        }
        self.note(group, number, probe, outcome);
        on_the_way.set(on_the_way.get() - 1);
    }

    async fn ask(&self, group: usize, number: u64, turn: u64, queue: i32) -> Result<Sent, Failed> {
        let Inner { topic, producer_group, groups, keys, leaders, lanes, .. } = &*self.inner;
        let Some(leader) = leaders.leader(&groups[group].name) else {
            return Err(Failed::new("the route names no leader"));
        };
        let count = u64::try_from(lanes.len()).expect("a small number");
        let lane = &lanes[usize::try_from(turn % count).expect("an index")];
        let key = format!("{:016X}{number:016X}", keys[group]);
        let properties = [("UNIQ_KEY", key.as_str()), ("WAIT", "true")];
        let mut body = [b'p'; PROBE_BYTES];
        body::number(&mut body, number);
        let message = Message {
            topic,
            queue: Some(queue),
            properties: &properties,
            body: &body,
            flag: 0,
            sys_flag: 0,
        };
        match lane.send(&leader, producer_group, &message, Form::Short).await {
            Ok(sent) => safe(sent),
            Err(error) => Err(why(&error)),
        }
    }

    fn note(&self, group: usize, number: u64, probe: Probe, outcome: Result<Sent, Failed>) {
        let book = &mut *self.inner.book.borrow_mut();
        book.count += 1;
        book.latest = book.latest.max(probe.sent - probe.due);
        match outcome {
            Ok(sent) => {
                book.wrong_queue += u64::from(sent.queue_id != probe.queue);
                let place = Place { topic: 0, queue: probe.queue, offset: sent.queue_offset };
                book.ledgers[group].acknowledged(number, place);
                book.tracks[group].acknowledged(probe);
            }
            Err(Failed { code, remark }) => book.tracks[group].failed(probe, code, &remark),
        }
    }
}

fn late() -> Failed {
    Failed::new("no answer in time")
}

/// "Stored, but not as safely as asked" is no acknowledgement.
fn safe(sent: Sent) -> Result<Sent, Failed> {
    let code = match sent.status {
        SendStatus::Ok => return Ok(sent),
        SendStatus::FlushDiskTimeout => ResponseCode::FlushDiskTimeout,
        SendStatus::SlaveNotAvailable => ResponseCode::SlaveNotAvailable,
        SendStatus::FlushSlaveTimeout => ResponseCode::FlushSlaveTimeout,
    };
    Err(Failed { code: Some(code.code()), ..Failed::new("stored, but not as safely as asked") })
}

fn why(error: &ClientError) -> Failed {
    match error {
        ClientError::Refused { code, remark, .. } => {
            Failed { code: Some(*code), ..Failed::new(remark) }
        }
        ClientError::Request(RequestError::Timeout { .. }) => late(),
        ClientError::Request(RequestError::Closed { .. }) => {
            Failed::new("the connection closed before the answer")
        }
        ClientError::Connect(_) => Failed::new("no connection to the leader that the route names"),
        error => Failed::new(&error.to_string()),
    }
}
