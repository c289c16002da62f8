//! A machine of a history, and the member that lives on it, or does not.

use std::net::{Ipv4Addr, SocketAddr};

use raft::{Member, MemberId};
use runtime::Executor;
use runtime::sim::{Node, Simulation};
use storage::Flush;

use crate::board::{Board, Disk};
use crate::node::{self, Home};
use crate::witness::Witness;

const PORT: u16 = 40911;

pub struct Machine {
    pub node: Node,
    pub board: Board,
    label: String,
    life: Option<Executor<()>>,
    stopping: bool,
    /// Disks that it has had.
    disks: u32,
    flush: Flush,
}

impl Machine {
    pub fn new(sim: &Simulation, at: u8, flush: Flush) -> Self {
        let label = format!("n{at}");
        let node = sim.node(&label, Ipv4Addr::new(10, 0, 0, at + 1));
        let (board, life, stopping) = (Board::default(), None, false);
        Self { node, board, label, life, stopping, disks: 1, flush }
    }

    pub fn id(&self) -> Option<MemberId> {
        self.board.notes().id
    }

    pub fn member(&self) -> Member {
        Member::new(self.label.clone(), self.home().listen)
    }

    pub fn home(&self) -> Home {
        let listen = SocketAddr::from((self.node.ip(), PORT));
        let (dir, flush) = (format!("/store{}", self.disks).into(), self.flush);
        Home { dir, listen, flush }
    }

    /// Whether there is a process.
    pub fn lives(&self) -> bool {
        self.life.is_some()
    }

    /// Whether it is a process that nothing is wrong with.
    pub fn works(&self) -> bool {
        self.lives() && !self.stopping && self.board.notes().failed.is_none()
    }

    pub fn leads(&self) -> Option<u64> {
        self.works().then(|| self.board.notes().leads).flatten()
    }

    pub fn start(&mut self, witness: &Witness) {
        assert!(!self.lives(), "it runs already");
        let (home, board, witness) = (self.home(), self.board.clone(), witness.clone());
        let life = self.node.start("member", move || node::live(home, board, witness));
        (self.life, self.stopping) = (Some(life), false);
    }

    /// Its process is killed, or its power cut.
    pub fn die(&mut self, with_power: bool) {
        if !self.lives() {
            return;
        }
        match with_power {
            true => self.node.power_cut(),
            false => self.node.crash(),
        }
        self.board.forget_life();
        self.life = None;
    }

    /// It is to end in order.
    pub fn stop(&mut self) {
        if self.works() {
            self.board.notes().stop = true;
            self.stopping = true;
        }
    }

    /// Notices that it has ended in order, or that it has failed, for which there must be a reason.
    pub fn look(&mut self) {
        let (failed, disk, runs) = {
            let notes = self.board.notes();
            (notes.failed.clone(), notes.disk, notes.runs)
        };
        if let Some(why) = failed {
            let may_fail = disk == Disk::Failing || (disk == Disk::Full && !runs);
            assert!(may_fail, "{} has failed on a disk that is {disk:?}: {why}", self.label);
        }
        if self.life.as_ref().is_some_and(Executor::is_finished) {
            assert!(self.stopping, "{} has ended, and nobody has stopped it", self.label);
            self.board.forget_life();
            self.life = None;
        }
    }

    /// Its disk is empty: another one lives there from now on.
    pub fn new_disk(&mut self) {
        assert!(!self.lives(), "disks are changed while nothing runs");
        self.disks += 1;
        self.node.disk().heal();
        self.board.forget_disk();
        self.board.notes().disk = Disk::Well;
    }
}
