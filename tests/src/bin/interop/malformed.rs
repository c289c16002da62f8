//! Suite `malformed`: thousands of frames that no client sends, and a client beside them that must not notice.

use std::env;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tests::harness::check::Check;
use tests::harness::cluster::Spec;
use tests::harness::failure::{Failure, Verdict, expect};
use tests::harness::lab::Lab;
use tests::harness::peer::{Peer, SUCCESS};
use tests::harness::resident::resident_kib;
use tests::harness::servers::Maker;
use tests::malformed::strike::{Striker, Tally};
use tests::malformed::{self, Malformed};

/// Frames for each of the two servers.
const FRAMES: u64 = 10_000;
const STRIKERS: u64 = 4;
const LIMIT: u64 = 300;
const SEED: u64 = 20_260_923;

/// A server may grow by this much while it is under fire. Unfinished frames announce 1 GiB in all.
const GROWTH_MAX_KIB: u64 = 128 * 1024;
/// The client beside them gets every answer within this time.
const STEADY_MAX: Duration = Duration::from_secs(3);

/// The suite.
pub fn checks() -> Vec<Check> {
    vec![Check::new("malformed/10000-frames", Maker::Ours, &[], LIMIT, body)]
}

/// A server under fire.
#[derive(Clone)]
struct Target {
    name: &'static str,
    port: u16,
    pid: u32,
    /// Code and fields of a request that it answers.
    probe: (i32, &'static [(&'static str, &'static str)]),
}

fn body(lab: &mut Lab) -> Verdict {
    let seed = env::var("INTEROP_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(SEED);
    println!("seed {seed}");
    // Servers of its own: what they hold resident comes from this check alone.
    lab.end_cluster()?;
    let cluster = lab.cluster(Spec::of(Maker::Ours))?;
    let targets = [
        Target {
            name: "NameServer",
            port: cluster.namesrv_port(),
            pid: cluster.namesrv_pid(),
            probe: (105, &[("topic", "TBW102")]),
        },
        Target {
            name: "broker",
            port: cluster.broker_port(),
            pid: cluster.broker_pid(),
            probe: (30, &[("topic", "TBW102"), ("queueId", "0")]),
        },
    ];
    let mut steady = Steady::begin(&targets)?;
    for _ in 0..50 {
        steady.round()?;
    }
    let before = [resident_kib(targets[0].pid)?, resident_kib(targets[1].pid)?];
    let seen = under_fire(&targets, steady, seed)?;
    report(&targets, &before, &seen);
    for (target, (peak, before)) in targets.iter().zip(seen.peaks.iter().zip(before)) {
        let growth = peak.saturating_sub(before);
        expect(growth <= GROWTH_MAX_KIB, || {
            format!("{} has grown by {growth} KiB, from {before}: seed {seed}", target.name)
        })?;
    }
    expect(seen.slowest <= STEADY_MAX, || {
        format!("the client beside them waited {:?} for an answer: seed {seed}", seen.slowest)
    })?;
    Steady::begin(&targets)?.round()?;
    expect(lab.cluster(Spec::of(Maker::Ours))?.is_alive(), || "both servers run".to_owned())
}

/// What was seen of the servers meanwhile.
struct Seen {
    tallies: [Tally; 2],
    /// Largest resident size of each server, KiB.
    peaks: [u64; 2],
    slowest: Duration,
    rounds: u64,
}

fn under_fire(targets: &[Target; 2], mut steady: Steady, seed: u64) -> Verdict<Seen> {
    let (next, over) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let strikers: Vec<_> =
            (0..STRIKERS).map(|_| scope.spawn(|| strike(targets, seed, &next))).collect();
        let watcher = scope.spawn(|| watch(targets, &over));
        let steady = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                steady.round()?;
                thread::sleep(Duration::from_millis(5));
            }
            Ok((steady.slowest, steady.rounds))
        });
        let mut tallies = [Tally::new(), Tally::new()];
        let mut first = Ok(());
        for striker in strikers {
            match striker.join().expect("strikers do not panic") {
                Ok(some) => merge(&mut tallies, some),
                Err(failure) => first = first.and(Err(failure)),
            }
        }
        over.store(true, Ordering::Relaxed);
        let peaks = watcher.join().expect("the watcher does not panic");
        let steady: Verdict<(Duration, u64)> = steady.join().expect("the client does not panic");
        first?;
        let (slowest, rounds) = steady?;
        Ok(Seen { tallies, peaks: peaks?, slowest, rounds })
    })
}

/// Takes the next frame number until all are taken; each frame goes to both servers.
fn strike(targets: &[Target; 2], seed: u64, next: &AtomicU64) -> Verdict<[Tally; 2]> {
    let mut strikers =
        [0, 1].map(|at| Striker::new(targets[at].port, targets[at].probe.0, targets[at].probe.1));
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= FRAMES {
            return Ok(strikers.map(|striker| striker.tally));
        }
        let malformed = malformed::frame(seed, number);
        for (striker, target) in strikers.iter_mut().zip(targets) {
            striker
                .strike(&malformed)
                .map_err(|error| blame(target, seed, number, &malformed, &error))?;
        }
    }
}

fn blame(
    target: &Target,
    seed: u64,
    number: u64,
    frame: &Malformed,
    error: &std::io::Error,
) -> Failure {
    let start = &frame.bytes[..frame.bytes.len().min(300)];
    Failure::Wrong(format!(
        "{} neither answered nor closed: {error}\nseed {seed}, frame {number} ({}, {} bytes): {}",
        target.name,
        frame.kind,
        frame.bytes.len(),
        start.escape_ascii()
    ))
}

fn merge(all: &mut [Tally; 2], some: [Tally; 2]) {
    for (all, some) in all.iter_mut().zip(some) {
        for (kind, (answered, closed)) in some {
            let counts = all.entry(kind).or_default();
            counts.0 += answered;
            counts.1 += closed;
        }
    }
}

fn watch(targets: &[Target; 2], over: &AtomicBool) -> Verdict<[u64; 2]> {
    let mut peaks = [0, 0];
    while !over.load(Ordering::Relaxed) {
        for (peak, target) in peaks.iter_mut().zip(targets) {
            *peak = resident_kib(target.pid)?.max(*peak);
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(peaks)
}

/// A well-behaved client: it sends, reads back what it has sent, and asks for the route.
struct Steady {
    namesrv: Peer,
    broker: Peer,
    rounds: u64,
    slowest: Duration,
}

const STEADY_TOPIC: &str = "steady";

impl Steady {
    fn begin(targets: &[Target; 2]) -> Verdict<Self> {
        let namesrv = Peer::connect(targets[0].port)?;
        let mut broker = Peer::connect(targets[1].port)?;
        broker.create_topic(STEADY_TOPIC, 1)?;
        Ok(Self { namesrv, broker, rounds: 0, slowest: Duration::ZERO })
    }

    fn round(&mut self) -> Verdict {
        let body = format!("round {} of a client that does nothing wrong", self.rounds);
        let accepted = self.timed(|it| it.broker.send(STEADY_TOPIC, 0, &[], body.as_bytes()))?;
        let seen = self.timed(|it| it.broker.body_at(STEADY_TOPIC, 0, accepted.queue_offset))?;
        expect(seen == body.as_bytes(), || {
            format!("sent {body:?}, read {:?}", String::from_utf8_lossy(&seen))
        })?;
        let route = self.timed(|it| it.namesrv.ask(105, &[("topic", STEADY_TOPIC)], b""))?;
        expect(route.code == SUCCESS, || format!("the route is gone: {route:?}"))?;
        self.rounds += 1;
        Ok(())
    }

    fn timed<T>(&mut self, work: impl FnOnce(&mut Self) -> Verdict<T>) -> Verdict<T> {
        let begun = Instant::now();
        let result = work(self);
        self.slowest = self.slowest.max(begun.elapsed());
        result
    }
}

fn report(targets: &[Target; 2], before: &[u64; 2], seen: &Seen) {
    for (at, target) in targets.iter().enumerate() {
        let sum = |pick: fn(&(u64, u64)) -> u64| seen.tallies[at].values().map(pick).sum::<u64>();
        println!(
            "  {}: {} answered, {} closed; resident {} KiB before, {} KiB at most",
            target.name,
            sum(|counts| counts.0),
            sum(|counts| counts.1),
            before[at],
            seen.peaks[at]
        );
    }
    println!("  the client beside them: {} rounds, slowest answer {:?}", seen.rounds, seen.slowest);
}
