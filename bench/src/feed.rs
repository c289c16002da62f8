//! A store that is fed by the thread it lives on: what the log itself can do, without a broker, a protocol, or sockets.

use std::collections::VecDeque;
use std::fmt::Display;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{Draft, QueueId, UnixMillis};
use runtime::{Instant, now};
use storage::{AppendError, Event, Events, Flush, FlushMethod, Options, Scale, Stats, Store, What};

use crate::args::Method;
use crate::error::BenchError;
use crate::limit::Measured;
use crate::recorder::{latencies, nanos};

/// Bytes of a segment: so small that the store soon writes into files that were segments before, as it does all its life
/// once retention has begun.
const SEGMENT: u64 = 256 << 20;
/// Segments that are kept; older ones are trimmed.
const KEPT: usize = 2;
/// Segments that are filled before a window counts.
const FILLED_BEFORE: u64 = 4;
/// Messages that one look at the clocks serves, which costs as much as a good part of an append.
const BURST: usize = 16;
/// Time between two attempts while the next segment's file is not ready, and nothing is under way.
const AGAIN: Duration = Duration::from_millis(1);
/// The one topic, and its queues.
const TOPIC: &str = "feed";
const QUEUES: u32 = 8;

/// A window of a fed store.
#[derive(Clone, Debug)]
pub struct Fed {
    /// From append to the event that it is durable, for each message.
    pub measured: Measured,
    /// Bytes of entries that were written: headers and records, without what fills the last block of a write.
    pub bytes: u64,
    /// Writes, each with its flush.
    pub writes: u64,
    /// What the process used meanwhile.
    pub cpu: Duration,
}

/// Messages that were appended one right behind the other.
struct Burst {
    /// Right before the first of them.
    begun: Instant,
    /// Those of them that are not durable.
    messages: usize,
}

/// A store in a directory of its own, which goes with [`Fountain::end`].
pub struct Fountain {
    store: Store,
    events: Events,
    dir: PathBuf,
    /// Where messages say they come from.
    host: SocketAddr,
    body: Vec<u8>,
    in_flight: usize,
    /// The messages under way, in the order of the log.
    under_way: VecDeque<Burst>,
    /// As many as these are.
    waiting: usize,
    next_queue: u32,
}

impl Fountain {
    /// Makes the store below `dir`, and fills it until it writes into used files.
    ///
    /// # Errors
    /// [`BenchError::Store`].
    pub async fn open(
        dir: &Path,
        method: Method,
        size: usize,
        in_flight: usize,
    ) -> Result<Fountain, BenchError> {
        let name = format!("mqbench-feed-{}-{:08x}", std::process::id(), runtime::random_u64());
        let dir = dir.join(name);
        let opened = Store::open(options(&dir, method)).await;
        let (store, events) = opened.map_err(|error| failed(&dir, &error))?;
        let mut body = vec![0; size];
        runtime::fill(&mut body);
        let (under_way, waiting) = (VecDeque::with_capacity(in_flight), 0);
        let host = SocketAddr::from((Ipv4Addr::LOCALHOST, 10911));
        let mut fountain = Fountain {
            store,
            events,
            dir,
            host,
            body,
            in_flight,
            under_way,
            waiting,
            next_queue: 0,
        };
        while !matches!(fountain.event().await?, Seen::Recovered) {}
        let topic = fountain.store.append_create_topic(TOPIC, QUEUES, b"");
        topic.map_err(|error| failed(&fountain.dir, &error))?;
        let mut before = latencies();
        while fountain.store.stats().bytes < FILLED_BEFORE * SEGMENT {
            fountain.step(&mut before).await?;
        }
        Ok(fountain)
    }

    /// One window.
    ///
    /// # Errors
    /// [`BenchError::Store`].
    pub async fn window(&mut self, duration: Duration) -> Result<Fed, BenchError> {
        let (begin, cpu, before) = (now(), runtime::process::cpu_time(), self.store.stats());
        let mut all = latencies();
        while begin.elapsed() < duration {
            self.step(&mut all).await?;
        }
        let (time, after) = (begin.elapsed(), self.store.stats());
        let cpu = runtime::process::cpu_time().saturating_sub(cpu);
        let Stats { bytes, batches, .. } = before;
        let measured = Measured { latencies: all, time };
        Ok(Fed { measured, bytes: after.bytes - bytes, writes: after.batches - batches, cpu })
    }

    /// Stops the store and removes its directory.
    ///
    /// # Errors
    /// [`BenchError::Store`].
    pub async fn end(mut self) -> Result<(), BenchError> {
        let store = self.store.clone();
        let stopping = runtime::spawn(async move { store.stop().await });
        while !matches!(self.event().await?, Seen::Stopped) {}
        stopping.await;
        let Fountain { store, events, dir, .. } = self;
        drop((store, events));
        crate::files::remove_scratch(&dir)
    }

    /// Appends what there is room for, and takes what comes back.
    async fn step(&mut self, all: &mut crate::recorder::Latencies) -> Result<(), BenchError> {
        // As if two senders came one after the other: the store begins with what is there.
        let half = (self.in_flight / 2).next_multiple_of(BURST);
        while self.waiting < self.in_flight {
            match self.append_burst() {
                Ok(()) => {}
                // There is more to come out of the store before more goes in.
                Err(AppendError::Busy { .. } | AppendError::NoSegment) if self.waiting > 0 => break,
                // Nothing comes out that could tell of the file that is missing.
                Err(AppendError::NoSegment) => runtime::sleep(AGAIN).await,
                Err(error) => return Err(failed(&self.dir, &error)),
            }
            if self.waiting == half {
                runtime::yield_now().await;
            }
        }
        match self.event().await? {
            Seen::Durable(messages) => {
                self.took(messages, all);
                self.trim().await;
            }
            Seen::Nothing => {}
            Seen::Recovered | Seen::Stopped => unreachable!("neither begins nor ends here"),
        }
        Ok(())
    }

    /// Notes that the oldest `messages` are durable.
    fn took(&mut self, mut messages: usize, all: &mut crate::recorder::Latencies) {
        let at = now();
        self.waiting = self.waiting.checked_sub(messages).expect("each was appended");
        while messages > 0 {
            let oldest = self.under_way.front_mut().expect("each was appended");
            let of_these = messages.min(oldest.messages);
            let count = u64::try_from(of_these).expect("a small number");
            all.saturating_record_n(nanos(at - oldest.begun), count);
            oldest.messages -= of_these;
            messages -= of_these;
            if oldest.messages == 0 {
                self.under_way.pop_front();
            }
        }
    }

    /// Appends as many as one look at the clocks serves.
    fn append_burst(&mut self) -> Result<(), AppendError> {
        let room = (self.in_flight - self.waiting).min(BURST);
        let (begun, born) = (now(), UnixMillis(runtime::unix_millis()));
        let (mut messages, mut outcome) = (0, Ok(()));
        while messages < room && outcome.is_ok() {
            outcome = self.append(born);
            messages += usize::from(outcome.is_ok());
        }
        if messages > 0 {
            self.under_way.push_back(Burst { begun, messages });
            self.waiting += messages;
        }
        outcome
    }

    fn append(&mut self, born_time: UnixMillis) -> Result<(), AppendError> {
        let queue = QueueId(self.next_queue);
        let draft = Draft {
            topic: TOPIC,
            queue_id: queue,
            flag: 0,
            sys_flag: 0,
            born_time,
            born_host: self.host,
            store_host: self.host,
            reconsume_times: 0,
            prepared_offset: 0,
            body: &self.body,
            properties: b"",
            more_properties: b"",
        };
        self.store.append_message(&draft)?;
        self.next_queue = (self.next_queue + 1) % QUEUES;
        Ok(())
    }

    /// Gives up old segments, so that their files are written again.
    async fn trim(&self) {
        let segments = self.store.segments();
        if segments.len() > KEPT {
            let (to, _) = segments[segments.len() - KEPT];
            // It is under way already, or comes too early: the next one does it.
            drop(self.store.append_trim(to).await);
        }
    }

    async fn event(&mut self) -> Result<Seen, BenchError> {
        Ok(match self.events.next().await {
            Event::Committed(applied) => match applied.what {
                What::Messages(messages) => Seen::Durable(messages.len()),
                _ => Seen::Nothing,
            },
            Event::StateWanted(wanted) => {
                wanted.give(Vec::new());
                Seen::Nothing
            }
            Event::Warned(_) | Event::Restored(_) => Seen::Nothing,
            Event::Recovered(_) => Seen::Recovered,
            Event::Stopped => Seen::Stopped,
            Event::Failed(error) => return Err(failed(&self.dir, &error)),
        })
    }
}

/// What an event means here.
enum Seen {
    /// So many messages are durable.
    Durable(usize),
    Recovered,
    Stopped,
    Nothing,
}

/// As a broker opens its store by default, but for the segment.
fn options(dir: &Path, method: Method) -> Options {
    const MIB: usize = 1 << 20;
    Options {
        dir: dir.to_owned(),
        log_dir: dir.join("commitlog"),
        segment_size: SEGMENT,
        flush: Flush::Sync,
        method: match method {
            Method::Fdatasync => FlushMethod::Fdatasync,
            Method::Dsync => FlushMethod::Dsync,
        },
        max_batch: MIB,
        tail_budget: 32 * MIB,
        cache_size: 64 * MIB,
        max_queued: 64 * MIB,
        max_request: 8 * MIB,
        shard: 0,
        shards: 1,
        scale: Scale::default(),
    }
}

fn failed(dir: &Path, error: &impl Display) -> BenchError {
    BenchError::Store { dir: dir.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_of_a_window_is_counted_and_the_store_goes_away() {
        let under = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let (fed, left) = runtime::block_on("feed", async move {
            let opened = Fountain::open(&under, Method::Fdatasync, 1024, 32).await;
            let mut fountain = opened.expect("a store");
            let fed = fountain.window(Duration::from_millis(200)).await.expect("a window");
            let dir = fountain.dir.clone();
            assert!(runtime::fs::exists(&dir).await.expect("the parent is there"));
            fountain.end().await.expect("it stops");
            (fed, runtime::fs::exists(&dir).await.expect("the parent is there"))
        })
        .expect("an executor");
        let messages = fed.measured.latencies.len();
        assert!(messages > 0 && fed.writes > 0 && fed.writes <= messages + 64, "{fed:?}");
        assert!(fed.bytes > messages * 1024 * 9 / 10, "{fed:?}");
        assert!(!left, "its directory goes with it");
    }
}
