//! Three members, and the one who drives the test: simulated, or on this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use raft::{Member, MemberId};

use crate::member::{Board, Order, member_id};

/// A bound on the time of anything that must happen, so that a test that hangs ends.
pub const LIMIT: Duration = Duration::from_secs(60);
/// How often members are asked whether they have all applied the same; each look takes some milliseconds.
const LOOKS_MAX: u32 = 1000;

/// Lets time pass until something holds.
pub trait World {
    /// Whether it held within [`LIMIT`].
    fn until(&self, holds: &mut dyn FnMut() -> bool) -> bool;
}

pub struct Group<'a, W> {
    pub world: &'a W,
    pub boards: [Board; 3],
}

impl<W: World> Group<'_, W> {
    pub fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        if !self.world.until(&mut holds) {
            let notes = self.boards.iter().map(|board| format!("{:?}", board.notes()));
            panic!("not within {LIMIT:?}: {what}\n{}", notes.collect::<Vec<_>>().join("\n"));
        }
    }

    /// Has the first member found the group of all three.
    pub fn found(&self) {
        let listening = || self.boards.iter().all(|board| board.notes().addr.is_some());
        self.until("all listen", listening);
        let member = |(at, board): (usize, &Board)| {
            let addr = board.notes().addr.unwrap();
            (id(at), Member::new(format!("n{at}"), addr))
        };
        let members: BTreeMap<_, _> = self.boards.iter().enumerate().map(member).collect();
        self.boards[0].order(Order::Found(members));
    }

    /// The one that leads, in the highest term, among these.
    pub fn leader(&self, among: &[usize]) -> usize {
        let find = || {
            let leads = |at: &usize| self.boards[*at].notes().leads;
            let terms = among.iter().copied().filter(leads);
            terms.max_by_key(|at| self.boards[*at].notes().term)
        };
        self.until("a leader", || find().is_some());
        find().unwrap()
    }

    /// Has the numbers proposed to whoever leads among these, until all are acknowledged.
    pub fn commit(&self, numbers: Range<u32>, among: &[usize]) {
        let mut waiting: Vec<u32> = numbers.clone().collect();
        self.until("all are acknowledged", || {
            let mut done = BTreeSet::new();
            for board in &self.boards {
                let mut notes = board.notes();
                done.extend(notes.acknowledged.iter().copied());
                waiting.append(&mut notes.returned);
            }
            // One that came back may have been committed all the same, and is then there twice.
            waiting.retain(|number| !done.contains(number));
            let leader = among.iter().find(|at| self.boards[**at].notes().leads);
            if let (Some(leader), false) = (leader, waiting.is_empty()) {
                self.boards[*leader].order(Order::Propose(std::mem::take(&mut waiting)));
            }
            numbers.clone().all(|number| done.contains(&number))
        });
    }

    /// Waits until these have all applied the same, which is what was proposed and nothing else. Meanwhile none of them
    /// has anything that another one has not in its place.
    pub fn settle(&self, among: &[usize], proposed: Range<u32>) {
        let proposed: BTreeSet<u32> = proposed.collect();
        for _ in 0..LOOKS_MAX {
            // Cheap to see, and not enough: what they say of themselves may be a little old.
            self.until("all are as far", || {
                let far = |at: &usize| self.boards[*at].notes().applied_to;
                among.iter().all(|at| far(at) == far(&among[0]))
            });
            let reports: Vec<Vec<u32>> = among.iter().map(|at| self.report(*at)).collect();
            for report in &reports {
                let shorter = reports[0].len().min(report.len());
                assert_eq!(reports[0][..shorter], report[..shorter], "the members differ");
                assert!(report.iter().all(|number| proposed.contains(number)), "never proposed");
            }
            let is_same = reports.iter().all(|report| report.len() == reports[0].len());
            if is_same && reports[0].iter().copied().collect::<BTreeSet<_>>() == proposed {
                return;
            }
        }
        panic!("not within {LOOKS_MAX} looks: all have applied the same");
    }

    /// What a member has applied.
    pub fn report(&self, at: usize) -> Vec<u32> {
        let board = &self.boards[at];
        board.notes().report = None;
        board.order(Order::Report);
        self.until("a report", || board.notes().report.is_some());
        board.notes().report.take().unwrap()
    }
}

pub fn id(at: usize) -> MemberId {
    member_id(u8::try_from(at).unwrap() + 1)
}

/// All but one of the three.
pub fn others(but: usize) -> [usize; 2] {
    [(but + 1) % 3, (but + 2) % 3]
}
