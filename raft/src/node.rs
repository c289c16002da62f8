//! One member of a group, alive: openraft over its log and its store, and the role it plays.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use model::{LogIndex, PhysicalOffset};
use openraft::async_runtime::WatchReceiver;
use openraft::errors::Fatal;
use openraft::network::{NetSnapshot, RaftNetworkFactory};
use openraft::{Config, RaftMetrics, SnapshotPolicy};
use runtime::Task;
use runtime::channel::Flag;
use storage::{Applier, EntryLog, InTerm, Store};
use thiserror::Error;

use crate::changing::{Busy, unfinished};
use crate::founding::{self, FoundError};
use crate::gate::Gate;
use crate::given_up::{self, GivenUp};
use crate::group::{self, Group};
use crate::growing;
use crate::heard::Heard;
use crate::installing::Installing;
use crate::leading::{Burden, Leading, Role, Watched};
use crate::lineage::Lineage;
use crate::log::{Helm, LogError, Mender, RaftLog};
use crate::machine::Machine;
use crate::net::{Peers, Wanted};
use crate::purging::Purging;
use crate::repairing::Repairing;
use crate::succession::Successor;
use crate::types::{Member, MemberId, Types};

/// openraft's core, of our types.
pub type Raft = openraft::Raft<Types, Machine>;

/// The times of a group. All members have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Between two heartbeats of a leader.
    pub heartbeat: Duration,
    /// A follower that hears nothing of a leader for the shorter of these, and a random part of what the longer has
    /// more, asks to be elected.
    pub election: (Duration, Duration),
}

impl Times {
    /// A leader that has not heard of a majority for so long may have been followed by another one: the others elect at the
    /// latest when a lease, which is as long as the longer election time, and that time are over.
    #[must_use]
    pub fn patience(&self) -> Duration {
        2 * self.election.1
    }
}

/// Why a member could not be started.
#[derive(Debug, Error)]
pub enum StartError {
    /// The times do not go together.
    #[error(
        "the times of the group do not go together: {0}. Heartbeats must be several times as frequent as elections"
    )]
    Times(String),
    /// Whoever appends an entry has promised its term before.
    #[error(
        "the vote of this member is of term {known}, and its log has entries of term {newest}: the vote's newest block was lost, or an \
         older file put in its place, and what this member has promised since is forgotten. It must not vote: start it with an empty \
         directory, and have the group take it in instead of this one (`mqadmin replaceMember`)"
    )]
    OlderVote {
        /// The vote's term.
        known: u64,
        /// The term of the last entry.
        newest: u64,
    },
    /// Its group goes on without it.
    #[error(
        "the group of this store was recovered by force, for the {recovery}. time, and this store was given up: the group goes on without \
         what only this one has. `mqstore dump` reads that; with an empty directory the node joins the group again (`mqadmin addLearner` \
         and `promote`, or `replaceMember`)"
    )]
    GivenUp {
        /// How often the group was recovered by force by then.
        recovery: u32,
    },
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The core has ended while it was started.
    #[error("the member cannot be started: {0}")]
    Core(#[from] Fatal<Types>),
}

impl StartError {
    /// The core has ended. What of the log is damaged is told: others may have it.
    fn of(error: Fatal<Types>, mender: &Mender) -> Self {
        mender.damaged().map_or_else(|| error.into(), Self::Log)
    }

    /// Where the log is damaged, if that is why.
    #[must_use]
    pub fn damaged_at(&self) -> Option<PhysicalOffset> {
        let Self::Log(error) = self else { return None };
        error.damaged_at()
    }
}

/// A member of a group. It belongs to the executor that started it.
pub struct Node {
    raft: Raft,
    helm: Helm,
    store: Store,
    role: Watched,
    staged: Flag,
    times: Times,
    busy: Busy,
    /// Once this member has been introduced to them.
    peers: Rc<OnceCell<Peers>>,
    leading: Task<()>,
    given_up: GivenUp,
    heard: Heard,
    installing: Installing,
    /// Once this member has been introduced to its peers.
    introduced: RefCell<Vec<Task<()>>>,
    tasks: [Task<()>; 4],
    mender: Mender,
    writer: Task<Result<(), LogError>>,
}

/// Whether a member may go on with this log: it knows of each term that it has entries of, and is not given up.
fn check(log: &EntryLog) -> Result<(), StartError> {
    let (known, newest) = (log.promise().term, log.state().last_term);
    if known < newest {
        return Err(StartError::OlderVote { known: known.0, newest: newest.0 });
    }
    match log.given_up() {
        0 => Ok(()),
        recovery => Err(StartError::GivenUp { recovery }),
    }
}

impl Node {
    /// Starts the member whose log and store were opened. It follows, or waits to be founded.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start<N>(
        store: Store,
        log: EntryLog,
        applier: Applier,
        network: N,
        times: Times,
    ) -> Result<Self, StartError>
    where
        N: RaftNetworkFactory<Types>,
        N::Network: NetSnapshot<Types, SnapshotData = Vec<u8>>,
    {
        let id = MemberId(store.id());
        let config = config(times).map_err(StartError::Times)?;
        check(&log)?;
        let (log, writer) = RaftLog::new(log, last_applied(&applier)).await?;
        let (helm, mender) = (log.helm(), log.mender());
        let staged = Flag::new();
        let machine = Machine::new(store.clone(), helm.clone(), applier, staged.clone());
        let raft = Raft::new(id, config, network, log, machine).await;
        let raft = raft.map_err(|error| StartError::of(error, &mender))?;
        // What its metrics say comes from the log from here on.
        raft.is_initialized().await.map_err(|error| StartError::of(error, &mender))?;
        let role = Watched::new();
        let leading = Leading {
            raft: raft.clone(),
            store: store.clone(),
            helm: helm.clone(),
            role: role.clone(),
            patience: times.patience(),
            burden: Burden::default(),
        };
        let leading = runtime::spawn(leading.run());
        let failing = runtime::spawn(end_with(store.clone(), raft.clone()));
        let purging = Purging { raft: raft.clone(), store: store.clone(), peers: Rc::default() };
        let peers = Rc::clone(&purging.peers);
        let purging = runtime::spawn(purging.run());
        let repairing = Repairing {
            mender: mender.clone(),
            spots: store.spots(),
            peers: Rc::clone(&peers),
            refused: RefCell::default(),
        };
        let repairing = runtime::spawn(repairing.run());
        let (introduced, busy, given_up) = Default::default();
        let group = Group::new(raft.clone(), &role, &staged, &busy, &given_up);
        let ending = runtime::spawn(unfinished::run(group, helm.clone()));
        let tasks = [purging, failing, ending, repairing];
        Ok(Self {
            raft,
            helm,
            store,
            role,
            staged,
            times,
            busy,
            peers,
            leading,
            given_up,
            heard: Heard::default(),
            installing: Installing::default(),
            introduced,
            tasks,
            mender,
            writer,
        })
    }

    /// Founds the group of these members, this one among them. Every member may do so, with the same members; nothing
    /// happens where there is a group already.
    ///
    /// A store that was a group of its own is one already, and has messages that no other member has: it is given its label
    /// and its address, once it leads, and nobody else of `members`. The others join one by one.
    ///
    /// # Errors
    /// [`FoundError`]; nothing is founded then.
    pub async fn found(&self, members: BTreeMap<MemberId, Member>) -> Result<(), FoundError> {
        founding::found(&self.raft, members).await
    }

    /// Lets `peers` know the members of the group, as its log names them, from now on, and nobody who is none any more. What
    /// they see of a leader whose process is gone is news for this member from now on.
    pub fn introduce(&self, peers: Peers) {
        self.helm.name_group(&peers.facts().group);
        self.peers.get_or_init(|| peers.clone());
        let mender = self.mender.clone();
        peers.lend_by(Rc::new(move |Wanted { range, max_bytes }| {
            let mender = mender.clone();
            Box::pin(async move { mender.lend(range, max_bytes as usize).await })
        }));
        let successor = Successor::new(self.raft.clone(), peers.clone(), self.times);
        let (raft, helm, given_up) = (self.raft.clone(), self.helm.clone(), self.given_up.clone());
        let giving_up = given_up::run(raft, helm, peers.clone(), given_up);
        let tasks = vec![runtime::spawn(successor.run()), runtime::spawn(giving_up)];
        self.introduced.replace(tasks);
        let mut metrics = self.raft.metrics();
        // Nobody is let in before this is said.
        peers.belong(lineage_of(&metrics.borrow_watched()));
        let introducing = async move {
            loop {
                let (members, voters): (BTreeMap<_, _>, BTreeSet<_>) = {
                    let known = metrics.borrow_watched();
                    peers.stand(group::standing(&known));
                    peers.copy(growing::copy_of(&known));
                    peers.belong(lineage_of(&known));
                    let nodes = known.membership_config.nodes();
                    let members = nodes.map(|(id, member)| (*id, member.clone())).collect();
                    (members, known.membership_config.voter_ids().collect())
                };
                peers.know(&members);
                peers.catch_up(|id| !voters.contains(&id));
                // Before there is a group everybody is a stranger.
                if !members.is_empty() {
                    peers.retain(|id| members.contains_key(&id));
                }
                if metrics.changed().await.is_err() {
                    return;
                }
            }
        };
        runtime::spawn(introducing).detach();
    }

    /// The group as this member sees it. It may be kept longer than the member.
    #[must_use]
    pub fn group(&self) -> Group {
        let Self { raft, role, staged, busy, given_up, .. } = self;
        Group::new(raft.clone(), role, staged, busy, given_up)
    }

    /// What answers the other members.
    #[must_use]
    pub fn handler(&self) -> Gate {
        let Self { raft, store, helm, heard, installing, staged, .. } = self;
        let log = (store.clone(), helm.clone());
        Gate::new(raft.clone(), log, heard.clone(), (installing.clone(), staged.clone()))
    }

    /// What this member has heard of how far the group had come.
    #[must_use]
    pub fn heard(&self) -> Heard {
        self.heard.clone()
    }

    /// openraft's core.
    pub fn raft(&self) -> &Raft {
        &self.raft
    }

    /// Who leads, as far as this member knows.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role.role()
    }

    /// Waits until the role is another one than `last`. Cancel safe.
    pub async fn role_changed(&self, last: Role) -> Role {
        self.role.changed(last).await
    }

    /// Whether a snapshot has come that takes the place of this member's log: it is to be stopped then, and its store opened
    /// again. Until then it follows nobody.
    #[must_use]
    pub fn wants_restart(&self) -> bool {
        self.staged.is_raised()
    }

    /// Ends the member in order: nothing is proposed and accepted any more, and the log is closed. The store is to be
    /// stopped after that.
    ///
    /// # Errors
    /// The log could not be closed in order.
    pub async fn stop(self) -> Result<(), io::Error> {
        drop((self.leading, self.introduced, self.tasks));
        self.store.lose_patience();
        self.store.refuse_appends();
        let Ok(()) = self.raft.shutdown().await;
        drop(self.raft);
        Ok(self.writer.await?)
    }
}

/// The last entry that was applied, if one was.
fn last_applied(applier: &Applier) -> Option<InTerm> {
    let state = applier.state();
    state.next.0.checked_sub(1).map(|last| (LogIndex(last), state.term))
}

/// Ends the core when the store has failed: nobody may count on this member any more.
async fn end_with(store: Store, raft: Raft) {
    store.failed().await;
    let Ok(()) = raft.shutdown().await;
}

/// That of the group that names this member in its log; `None` where none does.
fn lineage_of(metrics: &RaftMetrics<Types>) -> Option<Lineage> {
    let group = metrics.membership_config.membership();
    group.get_node(&metrics.id).map(|_| Lineage::of(group))
}

fn config(times: Times) -> Result<Arc<Config>, String> {
    let millis =
        |time: Duration| u64::try_from(time.as_millis()).map_err(|error| error.to_string());
    let config = Config {
        heartbeat_interval: millis(times.heartbeat)?,
        election_timeout_min: millis(times.election.0)?,
        election_timeout_max: millis(times.election.1)?,
        snapshot_policy: SnapshotPolicy::Never,
        enable_pre_vote: Some(true),
        // Entries go to followers while they are flushed here. A leader that is killed may have lost what it has sent, and
        // must never give the same index of the same term to something else.
        enable_leader_restore: Some(false),
        backoff: "20ms".to_owned(),
        ..Config::default()
    };
    Ok(Arc::new(config.validate().map_err(|error| error.to_string())?))
}
