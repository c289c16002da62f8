//! A member of a group, put together: the log, the network between the members, and what runs beside them.

use std::rc::Rc;

use futures::FutureExt;
use raft::net::{Constants, Dialler, Facts, Limits, Peers, Server, Standing};
use raft::{Group, Lineage, MemberId, Node, Recovery, Times};
use runtime::channel::Flag;
use runtime::{Task, TcpListener};
use storage::{Applier, EntryLog};

use super::super::identity::Identity;
use super::super::start::{Life, StartError};
use super::super::{Shard, apply};
use super::{
    Replica, ends, forward, founding, handover, office, recover, relief, roles, seats, vote,
};
use crate::config::{Config, GroupLayout};

/// A member that runs.
pub struct Member {
    node: Node,
    group: Group,
    peers: Peers,
    stop: Flag,
    serving: Task<()>,
    tasks: Vec<Task<()>>,
}

impl Member {
    /// Starts the member whose log was read. It follows, or waits for the group to be founded; or is the group, if its log is made
    /// so before.
    ///
    /// # Errors
    /// The store is not a member's, the port cannot be had, or openraft refuses.
    pub async fn start(
        shard: &Rc<Shard>,
        life: Life,
        (mut log, applier): (EntryLog, Applier),
        recovery: Option<&Recovery>,
    ) -> Result<Self, StartError> {
        let replica = shard.replica.as_ref().expect("it is a member of a group");
        if let Some(recovery) = recovery {
            recover::carry_out(shard, &mut log, recovery).await?;
        }
        let raft_group = shard.config.raft_group.as_ref().expect("it has groups");
        let limits = Limits { catch_up: raft_group.catch_up, ..Limits::new(log.largest_payload()) };
        let peers = Peers::new(facts(shard, replica), limits.clone());
        let bind = async || TcpListener::bind(replica.layout.listen).await;
        let listener = life.bind(shard, bind).await;
        let listener = listener
            .map_err(|source| StartError::Peers { group: replica.layout.name.clone(), source })?;
        let dialler = Dialler::<Vec<u8>>::new(peers.clone());
        let node = Node::start(shard.store.clone(), log, applier, dialler, times(shard)).await?;
        let group = node.group();
        if group.standing() == Standing::Alone && replica.layout.own != 0 {
            let first = replica.layout.members[0].label.clone();
            return Err(StartError::Alone { dir: shard.identity.dir.clone(), first });
        }
        peers.stand(group.standing());
        node.introduce(peers.clone());
        peers.serve(forward::office(shard));
        assert!(replica.group.set(group.clone()).is_ok(), "a shard's member starts once");
        assert!(replica.heard.set(node.heard()).is_ok(), "a shard's member starts once");
        assert!(replica.peers.set(peers.clone()).is_ok(), "a shard's member starts once");
        let stop = Flag::new();
        let server = Server::new(peers.clone(), Rc::new(node.handler()), stop.clone());
        let serving = runtime::spawn(async move { server.serve(listener).await });
        let tasks = vec![
            runtime::spawn(ends::run(Rc::clone(shard))),
            runtime::spawn(roles::run(Rc::clone(shard), group.clone())),
            runtime::spawn(forward::run(Rc::clone(shard), group.clone(), peers.clone())),
            runtime::spawn(vote::run(Rc::clone(shard), group.clone())),
            runtime::spawn(handover::prefer(Rc::clone(shard), group.clone(), peers.clone())),
            runtime::spawn(relief::run(Rc::clone(shard), group.clone(), peers.clone())),
            runtime::spawn(watch_core(
                Rc::clone(shard),
                group.clone(),
                (peers.clone(), stop.clone()),
            )),
            runtime::spawn(found(Rc::clone(shard), group.clone(), peers.clone(), limits)),
        ];
        Ok(Self { node, group, peers, stop, serving, tasks })
    }

    /// Waits until the member is to be started again, because a snapshot takes the place of its log. Cancel safe.
    pub async fn restart_wanted(&self) {
        self.group.restart_wanted().await;
    }

    /// Waits until this member has learned that its group goes on without it: it is to be stopped for good. Cancel safe.
    pub async fn given_up(&self) -> Lineage {
        self.group.given_up().await
    }

    /// Hands leadership over, and leaves office.
    pub async fn retire(&self, shard: &Rc<Shard>) {
        handover::before_a_stop(shard, &self.group, &self.peers).await;
        office::retire(shard);
    }

    /// Ends the member in order. The store is to be stopped after that.
    pub async fn stop(self, shard: &Rc<Shard>) {
        let Self { node, group, peers, stop, serving, tasks } = self;
        stop.raise();
        serving.await;
        drop((tasks, group));
        peers.stop();
        if let Err(error) = node.stop().await {
            tracing::warn!(shard = %shard.identity.name, %error, "the log was not closed in order");
        }
    }
}

/// Founds the group if that is to be done, and then looks whether it is the one that the configuration means.
async fn found(shard: Rc<Shard>, group: Group, peers: Peers, limits: Limits) {
    founding::run(Rc::clone(&shard), group.clone(), peers, limits).await;
    seats::compare(&shard, &group).await;
}

/// Fails the shard when openraft's core ends by itself. It ends as well when the store has failed, which the store tells; and when
/// a snapshot takes the place of the log, or this member was given up: it is stopped then.
async fn watch_core(shard: Rc<Shard>, group: Group, (peers, stop): (Peers, Flag)) {
    let why = group.ended().await;
    let has_failed = shard.store.failed().now_or_never().is_some();
    let is_stopped =
        group.restart_wanted().now_or_never().is_some() || group.given_up_by().is_some();
    if is_stopped && !has_failed {
        return;
    }
    if !has_failed {
        apply::member_failed(&shard, &why);
    }
    // The others see at once that nobody is here to count on, as if the process were gone: their connections end, and new ones
    // are refused. Clients have another port, and go on reading.
    stop.raise();
    peers.stop();
}

fn facts(shard: &Shard, replica: &Replica) -> Facts {
    facts_of(&shard.config, &shard.identity, &replica.layout, MemberId(shard.store.id()))
}

/// Which member of which group a store is.
pub(super) fn facts_of(
    config: &Config,
    identity: &Identity,
    layout: &GroupLayout,
    store: MemberId,
) -> Facts {
    let constants =
        Constants { segment_size: config.segment_size, log_version: storage::ENTRY_VERSION.into() };
    Facts {
        store,
        cluster: identity.cluster.clone(),
        group: layout.name.clone(),
        known_as: identity.name.clone(),
        shard: layout.shard,
        constants,
    }
}

fn times(shard: &Shard) -> Times {
    let group = shard.config.raft_group.as_ref().expect("it has groups");
    let timing = &group.timing;
    Times { heartbeat: timing.heartbeat, election: (timing.election_min, timing.election_max) }
}
