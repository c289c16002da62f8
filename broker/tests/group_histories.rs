//! Random histories of a Raft group of three brokers: clients of all of them send, pull and commit over the simulated network,
//! while processes die, stop and come back, the power goes, the network is cut and disks are slow or fail. Checked against what
//! was answered, by whomever.
//!
//! `SEED=s` runs one seed, `SEEDS=n` so many fresh ones: see [`runtime::sim::run_seeds`], and `cargo xtask sim`.

mod support;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use broker::shard::Start;
use broker::shard::siblings::mailboxes;
use runtime::Executor;
use runtime::channel::{Promise, promise};
use runtime::sim::{Disk, DiskOp, Node, Simulation, When, run_seeds};
use support::answers::{Shared, check_all, client, with};
use support::{LIMIT, Place, config};

const FIXED: std::ops::Range<u64> = 0..2;
const NODES: usize = 3;
/// Clients of all nodes together.
const CLIENTS: u64 = 6;
const PORT: u16 = 10_911;
/// So much is acknowledged between two things that happen, if that is possible.
const PROGRESS: u64 = 10;
/// Time in which a majority that is well takes messages again.
const SOON: Duration = Duration::from_secs(5);

/// Random numbers of the history itself (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// The process on a node.
struct Life {
    /// Tells it to stop.
    stop: Promise<()>,
    shard: Executor<()>,
}

struct History {
    simulation: Simulation,
    dice: Dice,
    nodes: Vec<Node>,
    lives: [Option<Life>; NODES],
    /// Operations of their disks fail, or have.
    spoilt: [bool; NODES],
    cut_off: Option<usize>,
    shared: Shared,
    /// It makes no difference to what the group promises.
    flush: &'static str,
}

fn ip(at: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, 1 + u8::try_from(at).expect("few"))
}

fn addr(at: usize) -> SocketAddr {
    (ip(at), PORT).into()
}

impl History {
    fn new(seed: u64) -> Self {
        let simulation = Simulation::new(seed);
        let node = |at: usize| simulation.node(["n0", "n1", "n2"][at], ip(at));
        let nodes = (0..NODES).map(node).collect();
        let (lives, spoilt, cut_off, shared) = Default::default();
        let flush = ["SYNC_FLUSH", "ASYNC_FLUSH"][usize::from(seed % 2 == 1)];
        Self { simulation, dice: Dice(seed), nodes, lives, spoilt, cut_off, shared, flush }
    }

    fn note(&self, what: &str) {
        let when = self.simulation.now();
        with(&self.shared, |answers| answers.diary.push(format!("{when:?}: {what}")));
    }

    fn diary(&self) -> String {
        with(&self.shared, |answers| answers.diary.join("\n"))
    }

    fn start(&mut self, at: usize) {
        if self.lives[at].is_some() {
            return;
        }
        self.note(&format!("n{at} starts"));
        let place = Place { ip: ip(at), port: PORT, dir: "/store".into() };
        let own = format!("n{at}");
        let keys = [
            ("enableDLegerCommitLog", "true"),
            ("dLegerPeers", "n0-10.0.0.1:40911;n1-10.0.0.2:40911;n2-10.0.0.3:40911"),
            ("dLegerSelfId", own.as_str()),
            ("flushDiskType", self.flush),
        ];
        let config = config(&place, &keys);
        let group = config.raft_group.as_ref().expect("there is a group");
        let ips: Vec<Option<IpAddr>> = (0..NODES).map(|at| Some(ip(at).into())).collect();
        let layout = group.layouts(&config, &ips).expect("they fit").remove(0);
        let ((stop, stopped), (ready, _)) = (promise(), promise());
        let start = Start {
            config,
            number: 0,
            advertised: ip(at).into(),
            group: Some(layout),
            mailbox: mailboxes(1).remove(0),
            ready,
            stop: stopped,
        };
        let diary = Arc::clone(&self.shared);
        let run = move || async move {
            if let Err(error) = broker::shard::run(start).await {
                with(&diary, |answers| answers.diary.push(format!("n{at}: {error}")));
            }
        };
        let shard = self.nodes[at].start("shard-0", run);
        self.lives[at] = Some(Life { stop, shard });
    }

    /// Its process has ended, as it does when its disk fails, or goes on with a disk that has failed and will not be tried again.
    fn has_failed(&self, at: usize) -> bool {
        let ended = self.lives[at].as_ref().is_some_and(|life| life.shard.is_finished());
        assert!(self.spoilt[at] || !ended, "n{at} has ended on a good disk:\n{}", self.diary());
        ended || self.spoilt[at]
    }

    fn die(&mut self, at: usize, with_power: bool) {
        self.note(&format!("n{at} dies, its power off: {with_power}"));
        match with_power {
            true => self.nodes[at].power_cut(),
            false => self.nodes[at].crash(),
        }
        (self.lives[at], self.spoilt[at]) = (None, false);
    }

    /// In good order, and then its process ends in any case.
    fn stop(&mut self, at: usize) {
        let Some(life) = self.lives[at].take() else { return };
        self.note(&format!("n{at} is told to stop"));
        if life.stop.fulfil(()).is_ok() {
            let time = 500 + self.dice.below(2_500);
            self.run_for(Duration::from_millis(time));
        }
        self.nodes[at].crash();
    }

    fn cut(&mut self, at: usize) {
        self.mend();
        self.note(&format!("n{at} is cut off"));
        for other in (0..NODES).filter(|other| *other != at) {
            self.simulation.cut(&self.nodes[at], &self.nodes[other]);
        }
        self.cut_off = Some(at);
    }

    fn mend(&mut self) {
        let Some(at) = self.cut_off.take() else { return };
        for other in (0..NODES).filter(|other| *other != at) {
            self.simulation.mend(&self.nodes[at], &self.nodes[other]);
        }
    }

    fn spoil(&mut self, at: usize) {
        self.note(&format!("the disk of n{at} goes wrong"));
        let disk: Disk = self.nodes[at].disk();
        let how = self.dice.below(4);
        self.spoilt[at] |= how < 2;
        match how {
            0 => disk.fail(DiskOp::Write, When::Nth(1 + self.dice.below(100))),
            1 => disk.fail(DiskOp::Flush, When::Nth(1 + self.dice.below(100))),
            2 => disk.slow(1 + u32::try_from(self.dice.below(30)).expect("small")),
            _ => disk.stall(Duration::from_millis(self.dice.below(2_000))),
        }
    }

    fn run_for(&self, time: Duration) {
        self.simulation.run_for(time);
    }

    fn acknowledged(&self) -> u64 {
        with(&self.shared, |answers| answers.acknowledged)
    }

    /// Runs until some more is acknowledged; whether it was in time.
    fn progress(&self, limit: Duration) -> bool {
        let due = self.acknowledged() + PROGRESS;
        self.simulation
            .run_until(limit, || with(&self.shared, |answers| answers.acknowledged) >= due)
    }

    fn something_happens(&mut self) {
        let at = usize::try_from(self.dice.below(3)).expect("small");
        match self.dice.below(8) {
            0 | 1 => self.die(at, false),
            2 => self.die(at, true),
            3 => self.stop(at),
            4 | 5 => self.cut(at),
            6 => self.spoil(at),
            _ => (0..NODES).for_each(|at| self.die(at, true)),
        }
        self.progress(Duration::from_secs(1));
        let pause = Duration::from_micros(self.dice.below(400_000));
        self.run_for(pause);
        for at in 0..NODES {
            if self.dice.below(3) > 0 {
                if self.has_failed(at) {
                    self.die(at, false);
                }
                self.nodes[at].disk().heal();
                self.start(at);
            }
        }
    }

    /// Nothing happens any more. Whoever works goes on in the life that it is in; half of the time one of the three is dead, which is no
    /// reason to wait. Then that one is there, too.
    fn all_is_well(&mut self) {
        self.mend();
        let dead = usize::try_from(self.dice.below(6)).expect("small");
        for at in 0..NODES {
            self.nodes[at].disk().heal();
            if at == dead || self.has_failed(at) {
                self.die(at, false);
            }
            if at != dead {
                self.start(at);
            }
        }
        self.takes_messages("a group of which a majority is there", SOON);
        (0..NODES).for_each(|at| self.start(at));
        self.takes_messages("a group whose members are all there", SOON);
    }

    fn takes_messages(&self, who: &str, limit: Duration) {
        let works = self.progress(limit);
        assert!(works, "{who} takes no messages within {limit:?}:\n{}", self.diary());
    }
}

fn history(seed: u64) -> u64 {
    let mut history = History::new(seed);
    let clients = history.simulation.node("clients", Ipv4Addr::new(10, 0, 0, 9));
    for number in 0..CLIENTS {
        let (mine, at) =
            (Arc::clone(&history.shared), usize::try_from(number).expect("few") % NODES);
        drop(clients.start("client", move || client(mine, number, addr(at))));
    }
    (0..NODES).for_each(|at| history.start(at));
    assert!(history.progress(LIMIT), "the group is founded");
    for _ in 0..2 + history.dice.below(4) {
        history.something_happens();
    }
    history.all_is_well();
    clients.crash();
    history.run_for(Duration::from_secs(5)); // whoever is behind catches up
    let unanswered = (0..NODES).map(|at| {
        let mine = Arc::clone(&history.shared);
        let checked = clients.start("check", move || check_all(mine, addr(at)));
        history.simulation.join(checked, LIMIT).expect("the check ends")
    });
    assert_eq!(unanswered.min(), Some(0), "somebody leads, and tells all offsets");
    history.simulation.trace_hash()
}

#[test]
fn whatever_happens_to_a_group_what_was_answered_stays_true() {
    run_seeds("group", FIXED, |seed| {
        history(seed);
    });
}

#[test]
fn the_same_seed_is_the_same_history() {
    assert_eq!(history(50), history(50));
    assert_ne!(history(50), history(51));
}
