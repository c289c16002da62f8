//! A machine of a history, and the broker on it: an executor for each shard, as in a process.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use broker::config::Config;
use broker::shard::siblings::mailboxes;
use broker::shard::{Start, StartError};
use runtime::Executor;
use runtime::channel::{Promise, promise};
use runtime::sim::{Node, Simulation};

use crate::content::PORT;
use crate::plan::Plan;
use crate::spectator::Spectator;
use crate::support::{Place, config};
use crate::witness::Witness;

const RAFT_PORT: u16 = 40_911;
/// Bytes that may wait for the disk in a broker: little, so that it does not take much until too much does.
pub const MOST_WAITING: usize = 1 << 20;

const MAX_BATCH: usize = 64 << 10;

/// Where the store is once the disk is another one.
const NEW_DISK: &str = "/new-disk";

/// What can be wrong with the disk of a node, so that its broker may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    Well,
    /// It is full, or operations fail.
    Bad,
    /// Bytes of it are not what was written, or cannot be read. That stays.
    Rotten,
    /// It is another one, and was empty: the node has no vote any more. That stays.
    Wiped,
}

pub struct Machine {
    pub node: Node,
    pub disk: Disk,
    pub stands_still: bool,
    witness: Witness,
    config: Arc<Config>,
    ips: Vec<Option<IpAddr>>,
    life: Option<Life>,
    /// It does not start on what is on its disk.
    pub refuses: Option<String>,
}

struct Life {
    stops: Vec<Option<Promise<()>>>,
    shards: Vec<Option<Executor<Result<(), StartError>>>>,
    stopping: bool,
}

pub fn ip(at: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, 1 + at as u8)
}

/// The node with this address.
pub fn node_at(ip: Ipv4Addr) -> usize {
    usize::from(ip.octets()[3]) - 1
}

/// Little is much: a log of a few seconds has several segments, of four MiB, and a checkpoint where each begins.
fn shrink(config: &mut Config) {
    config.max_queued = MOST_WAITING;
    config.io.max_batch = MAX_BATCH;
    let options = config.store_options(PathBuf::new(), PathBuf::new(), 0);
    config.segment_size = options.smallest_segment();
}

impl Machine {
    pub fn new(sim: &Simulation, at: usize, plan: &Plan, names: &str, witness: &Witness) -> Self {
        let (label, nodes) = (format!("n{at}"), plan.nodes);
        let node = sim.node(&label, ip(at));
        let peers: Vec<String> =
            (0..nodes).map(|at| format!("n{at}-{}:{RAFT_PORT}", ip(at))).collect();
        let keys = [
            ("enableDLegerCommitLog", "true"),
            ("dLegerPeers", &peers.join(";")),
            ("dLegerSelfId", &label),
            ("shards", &plan.shards.to_string()),
            ("namesrvAddr", names),
            ("flushDiskType", plan.flush),
            ("maxMessageSize", "256KiB"),
            // Messages that are deleted on a disk that is full would count as lost.
            ("cleanFileForciblyEnable", "false"),
        ];
        let place = Place { ip: ip(at), port: PORT, dir: "/store".into() };
        let mut config = config(&place, &keys);
        shrink(Arc::get_mut(&mut config).expect("nobody has it yet"));
        let witness = witness.clone();
        let ips = (0..nodes).map(|at| Some(ip(at).into())).collect();
        let (disk, stands_still, life, refuses) = (Disk::Well, false, None, None);
        Self { node, disk, stands_still, witness, config, ips, life, refuses }
    }

    pub fn lives(&self) -> bool {
        self.life.is_some()
    }

    /// Whether there is a process that nothing is wrong with.
    pub fn works(&self) -> bool {
        let runs = self.life.as_ref().is_some_and(|life| !life.stopping);
        runs && !self.stands_still && self.disk == Disk::Well
    }

    pub fn start(&mut self) {
        if self.lives() || self.refuses.is_some() {
            return;
        }
        let group = self.config.raft_group.as_ref().expect("there is one");
        let layouts = group.layouts(&self.config, &self.ips).expect("they fit");
        let (mut stops, mut shards) = (Vec::new(), Vec::new());
        let ends = mailboxes(self.config.shards);
        for ((number, layout), mailbox) in (0..).zip(layouts).zip(ends) {
            let ((stop, stopped), (ready, _)) = (promise(), promise());
            let start = Start {
                config: Arc::clone(&self.config),
                number,
                advertised: self.node.ip().into(),
                group: Some(layout),
                mailbox,
                ready,
                stop: stopped,
            };
            let (witness, node) = (self.witness.clone(), node_at(self.node.ip()));
            let run = move || async move {
                let spectator = Spectator { witness, node, shard: number };
                broker::shard::run_seen(start, |shard| spectator.watch(shard)).await
            };
            shards.push(Some(self.node.start(&format!("shard-{number}"), run)));
            stops.push(Some(stop));
        }
        self.life = Some(Life { stops, shards, stopping: false });
    }

    /// Its process is killed, or its power cut.
    pub fn die(&mut self, with_power: bool) {
        match with_power {
            true => self.node.power_cut(),
            false => self.node.crash(),
        }
        (self.life, self.stands_still) = (None, false);
    }

    /// It is killed, and its disk is an empty one from now on.
    pub fn new_disk(&mut self) {
        self.die(false);
        let config = Arc::make_mut(&mut self.config);
        config.store_dir = NEW_DISK.into();
        self.disk = Disk::Wiped;
    }

    /// It is to end in order.
    pub fn stop(&mut self) {
        let Some(life) = &mut self.life else { return };
        life.stopping = true;
        for stop in life.stops.iter_mut().filter_map(Option::take) {
            if stop.fulfil(()).is_err() {
                continue; // it has ended by itself
            }
        }
    }

    pub fn stand_still(&mut self) {
        if self.lives() {
            self.node.pause();
            self.stands_still = true;
        }
    }

    pub fn go_on(&mut self) {
        if std::mem::take(&mut self.stands_still) {
            self.node.resume();
        }
    }

    /// Notices that shards have ended. One that fails ends the process; there must be a reason.
    pub fn look(&mut self) -> Option<String> {
        let life = self.life.as_mut()?;
        let mut why = None;
        for (number, slot) in life.shards.iter_mut().enumerate() {
            let Some(shard) = slot.take_if(|shard| shard.is_finished()) else { continue };
            match shard.join().expect("it has a result") {
                Ok(()) | Err(StartError::ToldToStop) => {
                    assert!(life.stopping, "a shard of {} ends by itself", self.node.name());
                }
                Err(error) => why = Some(format!("shard {number}: {error}")),
            }
        }
        if let Some(why) = &why {
            assert!(
                matches!(self.disk, Disk::Bad | Disk::Rotten),
                "{} has failed on a good disk: {why}",
                self.node.name()
            );
            if self.disk == Disk::Rotten {
                self.refuses = Some(why.clone());
            }
        }
        let all_ended = life.shards.iter().all(Option::is_none);
        if why.is_some() || all_ended {
            self.die(false);
        }
        why
    }
}
