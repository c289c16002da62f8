//! A leader whose process dies is followed at once, and one that lives is not: three members, each on its machine, whose
//! elections take seconds.
#![allow(clippy::unwrap_used, reason = "a test: it panics on errors")]

use std::collections::BTreeMap;
use std::time::Duration;

use model::Term;
use raft::{Member, MemberId};
use runtime::sim::{Node, Simulation};

mod member;

use member::{Board, TIMES, ip, live, named};

const COUNT: u8 = 3;
const SEEDS: u64 = 5;
const LIMIT: Duration = Duration::from_secs(60);
/// Time in which a leader whose process has died is followed: far less than a lease, which is at least as long as the
/// longest election timeout.
const AT_ONCE: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(10);

struct Three {
    sim: Simulation,
    machines: Vec<Node>,
    boards: Vec<Board>,
}

impl Three {
    /// A group with a leader, and messages under way.
    fn new(seed: u64) -> Self {
        let sim = Simulation::new(seed);
        let machines: Vec<Node> =
            (0..COUNT).map(|at| sim.node(&format!("n{at}"), ip(at))).collect();
        let boards = (0..COUNT).map(|_| Board::default()).collect();
        let three = Self { sim, machines, boards };
        (0..3).for_each(|at| three.start(at));
        three.until("all are open", |boards| boards.iter().all(|board| board.notes().id.is_some()));
        let members: BTreeMap<MemberId, Member> =
            (0..COUNT).map(|at| (three.id(at.into()), named(at))).collect();
        three.boards[0].notes().found = Some(members);
        three.boards.iter().for_each(|board| board.notes().sends = true);
        three.until("all have messages", |boards| {
            boards.iter().all(|board| board.notes().messages > 20)
        });
        three
    }

    fn start(&self, at: usize) {
        let board = self.boards[at].clone();
        let number = u8::try_from(at).unwrap();
        drop(self.machines[at].start("member", move || live(number, board)));
    }

    fn id(&self, at: usize) -> MemberId {
        self.boards[at].notes().id.unwrap()
    }

    fn until(&self, what: &str, holds: impl Fn(&[Board]) -> bool) {
        assert!(self.sim.run_until(LIMIT, || holds(&self.boards)), "not within {LIMIT:?}: {what}");
    }

    /// Who leads, and in which term.
    fn leader(&self) -> (usize, Term) {
        let lead = |(at, board): (usize, &Board)| Some((at, board.notes().leads?));
        let mut leaders: Vec<_> = self.boards.iter().enumerate().filter_map(lead).collect();
        assert_eq!(leaders.len(), 1, "one leads");
        leaders.pop().unwrap()
    }

    fn messages(&self, at: usize) -> u64 {
        self.boards[at].notes().messages
    }

    /// Waits until another one leads; how long that took.
    fn until_followed(&self, leader: usize) -> Duration {
        let began = self.sim.now();
        self.until("another one leads", |boards| {
            let mut others = boards.iter().enumerate().filter(|(at, _)| *at != leader);
            others.any(|(_, board)| board.notes().leads.is_some())
        });
        self.sim.now() - began
    }

    fn dies(&self, at: usize) {
        self.machines[at].crash();
        self.boards[at].notes().leads = None;
    }

    /// Which others there are.
    fn others(at: usize) -> [usize; 2] {
        [(at + 1) % 3, (at + 2) % 3]
    }
}

#[test]
fn a_leader_whose_process_dies_is_followed_at_once() {
    for seed in 0..SEEDS {
        let three = Three::new(seed);
        let mut slowest = Duration::ZERO;
        for _ in 0..3 {
            let (leader, term) = three.leader();
            three.dies(leader);
            slowest = slowest.max(three.until_followed(leader));
            let (next, newer) = three.leader();
            assert!(next != leader && newer > term);
            let before = three.messages(next);
            three.until("messages are committed", |_| three.messages(next) > before + 10);
            three.start(leader);
            three.until("it is back", |boards| {
                boards[leader].notes().follows == Some(three.id(next))
                    && three.messages(leader) > before
            });
            // Everybody hears of everybody again.
            three.sim.run_for(Duration::from_secs(1));
        }
        assert!(slowest < AT_ONCE, "seed {seed}: {slowest:?}");
        assert!(AT_ONCE < TIMES.election.0);
    }
}

#[test]
fn a_leader_that_one_member_cannot_reach_stays() {
    for seed in 0..SEEDS {
        let three = Three::new(seed);
        let (leader, term) = three.leader();
        let [one, other] = Three::others(leader);
        // All that the one says to the leader is answered: nobody is there.
        three.sim.reject(&three.machines[one], &three.machines[leader]);
        three.until("it takes the leader for gone", |boards| boards[one].notes().gone == 1);
        let before = three.messages(leader);
        three.sim.run_for(LONG);
        assert_eq!(three.leader(), (leader, term), "seed {seed}: it lives, and leads");
        let terms: Vec<Term> = three.boards.iter().map(|board| board.notes().term).collect();
        assert_eq!(terms, [term; 3], "seed {seed}: nobody has stood");
        assert!(three.messages(other) > before + 100, "seed {seed}: messages are committed");
        three.sim.admit(&three.machines[one], &three.machines[leader]);
        let due = three.messages(leader);
        three.until("it catches up", |boards| boards[one].notes().messages > due);
        assert_eq!(three.leader(), (leader, term));
        // And its death is news as ever.
        three.until("all is well", |boards| boards.iter().all(|board| board.notes().gone == 0));
        three.dies(leader);
        let took = three.until_followed(leader);
        assert!(took < AT_ONCE, "seed {seed}: {took:?}");
    }
}

#[test]
fn a_leader_that_nobody_hears_of_is_followed_when_its_lease_is_over() {
    let three = Three::new(7);
    let (leader, _) = three.leader();
    for other in Three::others(leader) {
        three.sim.cut(&three.machines[leader], &three.machines[other]);
    }
    let took = three.until_followed(leader);
    assert!(took > TIMES.election.1, "silence is no news: {took:?}");
    assert!(took < 3 * TIMES.election.1, "{took:?}");
}

#[test]
fn one_that_hears_of_nobody_asks_and_does_not_stand() {
    let three = Three::new(8);
    let (leader, term) = three.leader();
    let [one, other] = Three::others(leader);
    three.sim.cut(&three.machines[one], &three.machines[other]);
    three.sim.reject(&three.machines[one], &three.machines[leader]);
    three.until("it takes the leader for gone", |boards| boards[one].notes().gone == 1);
    three.sim.run_for(LONG);
    assert_eq!(three.leader(), (leader, term), "nobody says the same");
    assert_eq!(three.boards[one].notes().term, term);
}

#[test]
fn a_leader_that_is_heard_again_and_whose_disk_stands_still_is_followed() {
    for seed in 0..SEEDS {
        let three = Three::new(seed);
        let (leader, term) = three.leader();
        let [one, other] = Three::others(leader);
        let ways = [(leader, one), (leader, other), (one, other)];
        let way = |(from, to): (usize, usize)| (&three.machines[from], &three.machines[to]);
        // Nobody reaches anybody, and entries wait for the disk.
        ways.map(way).into_iter().for_each(|(from, to)| three.sim.cut(from, to));
        three.machines[leader].disk().stall(6 * LONG);
        three.until("its office ends", |boards| boards[leader].notes().leads.is_none());
        // It is heard by both before they hear each other, and nobody stands.
        ways[..2].iter().map(|ends| way(*ends)).for_each(|(from, to)| three.sim.mend(from, to));
        three.sim.run_for(Duration::from_millis(500));
        three.sim.mend(&three.machines[one], &three.machines[other]);
        let took = three.until_followed(leader);
        assert!(took < LONG, "seed {seed}: {took:?}");
        assert!(three.leader().1 > term);
    }
}

#[test]
fn who_has_asked_another_one_to_lead_leads_no_more_in_its_term() {
    for seed in 0..SEEDS {
        let three = Three::new(seed);
        let (leader, term) = three.leader();
        let patience = TIMES.patience();
        // It looks four times within its patience.
        three.machines[leader].disk().stall(patience + patience / 3);
        three.until("it makes place", |boards| boards[leader].notes().leads.is_none());
        // Its word is lost, its disk writes again, and it has heard of the others a moment ago.
        for other in Three::others(leader) {
            three.sim.cut(&three.machines[leader], &three.machines[other]);
        }
        let end = three.sim.now() + patience;
        while three.sim.now() < end {
            three.sim.run_for(Duration::from_millis(1));
            assert_ne!(three.boards[leader].notes().leads, Some(term), "seed {seed}");
        }
        three.until("another one leads", |boards| {
            Three::others(leader).iter().any(|at| boards[*at].notes().leads.is_some())
        });
    }
}

#[test]
fn who_has_asked_another_one_to_lead_leaves_office_though_nobody_takes_over() {
    // Less than what makes it give its office up because it hears of nobody.
    const SOON: Duration = Duration::from_millis(2_600);
    assert!(SOON < TIMES.patience());
    for seed in 0..SEEDS {
        let three = Three::new(seed);
        let (leader, term) = three.leader();
        for other in Three::others(leader) {
            three.sim.cut(&three.machines[leader], &three.machines[other]);
        }
        three.boards[leader].notes().asks = Some(three.id(Three::others(leader)[0]));
        let began = three.sim.now();
        three.until("it leaves", |boards| boards[leader].notes().leads.is_none());
        let took = three.sim.now() - began;
        assert!(took < SOON, "seed {seed}: {took:?}");
        // Heard again, before anybody else leads or not: it has given this term away.
        three.sim.mend(&three.machines[leader], &three.machines[Three::others(leader)[0]]);
        let end = three.sim.now() + LONG;
        while three.sim.now() < end {
            three.sim.run_for(Duration::from_millis(10));
            assert_ne!(three.boards[leader].notes().leads, Some(term), "seed {seed}");
        }
    }
}
