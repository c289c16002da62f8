//! Random histories of one store in the simulator: appends, deaths of the process at any moment, and
//! starts again. Whatever was told to be committed must be there, at the place that was told.
//!
//! `SEEDS=n` runs so many fresh seeds beside the fixed ones (from `SEEDS_FROM`, else wherever the process
//! id leads), `SEED=s` one seed alone. A failure names its seed.

#![allow(clippy::cast_possible_truncation, reason = "test data is small")]

mod support;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::{PhysicalOffset, QueueId, QueueOffset, Record};
use runtime::sim::Simulation;
use storage::{AppendError, Event, Flush, Options, Store, What};
use support::{STATE, all_units, body, draft, open, options};

const FIXED: std::ops::Range<u64> = 0..6;
const FRESH: u64 = 2;
const LIVES: u64 = 5;
const QUEUES: u32 = 3;

/// A message that the store has told to be committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    number: u64,
    queue: QueueId,
    offset: QueueOffset,
    physical: PhysicalOffset,
}

/// What outlives the process: the messages that were told, and how many were ever appended.
#[derive(Debug, Default)]
struct Witness {
    told: Vec<Told>,
    appended: u64,
}

type Shared = Arc<Mutex<Witness>>;

fn witness<T>(shared: &Shared, change: impl FnOnce(&mut Witness) -> T) -> T {
    change(&mut shared.lock().expect("no test thread has panicked"))
}

fn random_options(dir: &Path) -> Options {
    let mut options = options(dir);
    if runtime::random_below(2) == 0 {
        options.flush = Flush::Async { interval: Duration::from_millis(5) };
    }
    options.tail_budget = [8 * 1024, 64 * 1024, 1024 * 1024][runtime::random_below(3) as usize];
    options
}

/// One life: recovers, checks everything told before, then appends until it is killed.
async fn live(dir: PathBuf, shared: Shared, may_end: bool) {
    let opened = open(random_options(&dir)).await;
    check(&opened.store, &shared).await;
    let (store, mut events) = (opened.store, opened.events);
    if !store.has_topic("T") {
        store.append_create_topic("T", QUEUES, b"").expect("room");
    }
    let reader = Arc::clone(&shared);
    // Numbers of appended messages, in the order in which they come back.
    let (sender, mut appended) = runtime::channel::mpsc::<(u64, QueueId)>(100_000);
    let apply = runtime::spawn(async move {
        loop {
            match events.next().await {
                Event::Committed(applied) => {
                    let What::Messages(records) = applied.what else { continue };
                    for record in records {
                        let (number, queue) = appended.recv().await.expect("it was appended");
                        assert_eq!(queue, record.queue);
                        let (offset, physical) = (record.queue_offset, record.physical);
                        let told = Told { number, queue, offset, physical };
                        witness(&reader, |witness| witness.told.push(told));
                    }
                }
                Event::StateWanted(wanted) => wanted.give(STATE.to_vec()),
                other => panic!("the store stopped working: {other:?}"),
            }
        }
    });
    loop {
        for _ in 0..runtime::random_below(8) {
            append(&store, &shared, &sender);
        }
        runtime::sleep(Duration::from_micros(runtime::random_below(2_000))).await;
        if may_end && runtime::random_below(200) == 0 {
            drop(apply);
            return; // ends without a stop, which is a death too
        }
    }
}

fn append(store: &Store, shared: &Shared, sender: &runtime::channel::Sender<(u64, QueueId)>) {
    let number = witness(shared, |witness| witness.appended);
    let queue = QueueId(runtime::random_below(u64::from(QUEUES)) as u32);
    let large = runtime::random_below(40) == 0;
    let text = if large { vec![number as u8; 700_000] } else { body(number) };
    match store.append_message(&draft("T", queue, &text)) {
        Ok(()) => {
            witness(shared, |witness| witness.appended += 1);
            assert!(
                sender.try_send((number, queue)).is_ok(),
                "the test's own queue is long enough"
            );
        }
        Err(AppendError::Busy { .. } | AppendError::NoSegment) => {}
        Err(error) => panic!("{error}"),
    }
}

async fn check(store: &Store, shared: &Shared) {
    let told = witness(shared, |witness| witness.told.clone());
    for told in &told {
        let range = store.queue("T", told.queue).expect("the queue is there");
        assert!(told.offset < range.max, "{told:?} is lost, the queue ends at {}", range.max);
        let bytes = store.record_at(told.physical).await.expect("what was told can be read");
        let record = Record::parse(&bytes).expect("a record");
        assert_eq!((record.queue_id(), record.queue_offset()), (told.queue, told.offset));
        let large = record.body().len() == 700_000;
        let expected = if large { vec![told.number as u8; 700_000] } else { body(told.number) };
        assert!(record.body() == expected, "{told:?} has another body");
    }
    for queue in (0..QUEUES).map(QueueId) {
        let Some(range) = store.queue("T", queue) else { continue };
        let units = all_units(store, "T", queue).await;
        assert_eq!(units.len() as u64, range.max.0 - range.min.0);
    }
}

/// When the process of a history dies.
#[derive(Clone, Copy, Debug)]
enum Death {
    /// At any time.
    Anywhere,
    /// About when a segment is full and its successor is made.
    AtRolls,
    /// While the store is made, and then while it recovers and begins to write.
    AtStarts,
}

impl Death {
    fn lives(self) -> u64 {
        if let Death::AtStarts = self { 2 * LIVES } else { LIVES }
    }

    /// Lets the life go on until it is time to die; `chance` is any number.
    fn wait(self, simulation: &Simulation, shared: &Shared, chance: u64) {
        let micros = match self {
            Death::Anywhere => 50_000 + chance % 400_000,
            Death::AtStarts => chance % 14_000,
            Death::AtRolls => {
                let size = options(Path::new("/")).segment_size;
                let told = witness(shared, |witness| witness.told.len());
                // Whatever is large does not fit any more.
                let near = |told: &Told| told.physical.0 % size > size - 700_000;
                let full = || {
                    witness(shared, |witness| {
                        witness.told.len() > told && witness.told.last().is_some_and(near)
                    })
                };
                assert!(simulation.run_until(Duration::from_secs(10), full), "no segment fills");
                chance % 12_000
            }
        };
        simulation.run_for(Duration::from_micros(micros));
    }
}

fn history(seed: u64, death: Death) -> u64 {
    let simulation = Simulation::new(seed);
    let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let shared = Shared::default();
    let mut lengths = seed;
    for life in 0..=death.lives() {
        let mine = Arc::clone(&shared);
        let may_end = !matches!(death, Death::AtRolls);
        let executor = node.start("store", move || live(PathBuf::from("/store"), mine, may_end));
        lengths = lengths.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(life);
        // The last life is long enough for something to be told.
        let death = if life == death.lives() { Death::Anywhere } else { death };
        death.wait(&simulation, &shared, lengths >> 40);
        let died = executor.is_finished();
        node.crash();
        assert!(!died || executor.join().is_ok(), "a life ended in a panic");
    }
    let mine = Arc::clone(&shared);
    let last = node.start("last", move || async move {
        let opened = open(options(Path::new("/store"))).await;
        check(&opened.store, &mine).await;
        opened.stop().await;
    });
    simulation.join(last, Duration::from_secs(600)).expect("the last life ends");
    let told = witness(&shared, |witness| witness.told.clone());
    let end = told.last().expect("a history in which nothing was committed shows nothing").physical;
    let rolls = end.0 / options(Path::new("/")).segment_size;
    assert!(!matches!(death, Death::AtRolls) || rolls >= 1, "no segment was filled");
    simulation.trace_hash()
}

fn run(seed: u64, death: Death) -> u64 {
    let ran = std::panic::catch_unwind(|| history(seed, death));
    ran.unwrap_or_else(|_| panic!("seed {seed} fails with {death:?}; run it with SEED={seed}"))
}

fn run_seeds(fixed: std::ops::Range<u64>, death: Death) {
    if let Some(seed) = number("SEED") {
        run(seed, death);
        return;
    }
    let fresh = number("SEEDS").unwrap_or(FRESH);
    let start = number("SEEDS_FROM").unwrap_or_else(|| u64::from(std::process::id()) << 20);
    let end = fixed.end;
    for seed in fixed.chain(start..start + fresh) {
        run(seed, death);
    }
    println!("{death:?}: {end} fixed seeds, fresh seeds {start}..{}", start + fresh);
}

#[test]
fn committed_messages_survive_any_death() {
    run_seeds(FIXED, Death::Anywhere);
}

#[test]
fn committed_messages_survive_deaths_between_segments() {
    run_seeds(FIXED, Death::AtRolls);
}

#[test]
fn committed_messages_survive_deaths_at_starts() {
    run_seeds(FIXED, Death::AtStarts);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    assert_eq!(run(7, Death::Anywhere), run(7, Death::Anywhere));
    assert_ne!(run(7, Death::Anywhere), run(8, Death::Anywhere));
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}
