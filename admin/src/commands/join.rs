//! `addLearner`.

use std::net::SocketAddr;

use client::ClientError;
use remoting::RequestCode;
use remoting::body::RaftGroupState;
use remoting::header::raft::AddLearnerHeader;

use super::Outcomes;
use super::catch_up::watch;
use super::meant::groups_of;
use super::on_leader::on_leader;
use crate::args::{AddLearner, Newcomer};
use crate::error::{AdminError, told};
use crate::group::{Finder, Survey, Target, at_shard};
use crate::screen::Screen;

/// Who joins a group, as its own broker says.
pub(super) struct Joining {
    /// Its broker.
    pub broker: String,
    /// Its store.
    pub store: String,
    /// What it is called.
    pub label: String,
    /// Where the other members reach it.
    pub addr: String,
}

/// Adds a learner to each group that is meant, and watches it catch up.
pub(super) async fn run(command: &AddLearner, screen: &dyn Screen) -> Result<(), AdminError> {
    let (finder, groups) = groups_of(&command.at, &command.newcomer.new).await?;
    let mut outcomes = Outcomes::new(screen);
    for (target, survey) in groups {
        outcomes.add(one(&finder, &target, &survey, command, screen).await);
    }
    outcomes.end()
}

async fn one(
    finder: &Finder,
    target: &Target,
    survey: &Survey,
    command: &AddLearner,
    screen: &dyn Screen,
) -> Result<(), AdminError> {
    let joining = ask(finder, survey, &command.newcomer).await?;
    let target = &target.with(&joining.broker);
    add(finder, target, survey, &joining, None, command.newcomer.rate, screen).await?;
    if command.no_wait {
        return Ok(());
    }
    watch(finder, target, &joining, screen).await
}

/// Asks the new node's broker who it is in this group.
pub(super) async fn ask(
    finder: &Finder,
    survey: &Survey,
    newcomer: &Newcomer,
) -> Result<Joining, AdminError> {
    let (group, best) = (survey.group(), survey.best());
    let refuse = |why: String| Err(AdminError::Newcomer(format!("group {group}: {why}")));
    let shard = u32::try_from(best.shard).unwrap_or_default();
    // Shards of one cluster are the same distance apart, on all nodes.
    let first = RaftGroupState { shard: 0, ..best.clone() };
    let Some(broker) = at_shard(&newcomer.new, &first, shard) else {
        return refuse(format!(
            "{} is no address of a first shard: that of shard {shard} would be {shard} × {} on",
            newcomer.new, best.shard_port_stride
        ));
    };
    let state = match finder.state_of(&broker).await {
        Ok(state) => state,
        Err(error) => return refuse(not_running(&error)),
    };
    if (state.group.as_str(), &state.cluster) != (group, &best.cluster) {
        return refuse(format!(
            "{broker} is a node of group {} in cluster {}, and that is another group than {group} in cluster {}: correct \
             --new, or its dLegerGroup, brokerName and brokerClusterName",
            state.group, state.cluster, best.cluster
        ));
    }
    if state.broker_name != best.broker_name {
        return refuse(format!(
            "{broker} is called {}, and the members of the group {}: give it their brokerName, and start it again",
            state.broker_name, best.broker_name
        ));
    }
    let Ok(mut addr) = state.raft_addr.parse::<SocketAddr>() else {
        return refuse(format!(
            "{broker} says that it is at {:?}, which is no address",
            state.raft_addr
        ));
    };
    if let Some(host) = newcomer.raft_host {
        addr.set_ip(host);
    }
    let label = newcomer.label.clone().unwrap_or(state.label);
    Ok(Joining { broker, store: state.store, label, addr: addr.to_string() })
}

/// What is wrong where nobody says who the new node is.
pub(super) fn not_running(error: &ClientError) -> String {
    format!(
        "the new node's broker does not answer: {}. Start it first, with the brokerName, dLegerGroup, shards and \
         mappedFileSizeCommitLog of the others; one that is to join with an empty storePathRootDir",
        told(error)
    )
}

/// Has the leader add it.
pub(super) async fn add(
    finder: &Finder,
    target: &Target,
    survey: &Survey,
    joining: &Joining,
    instead_of: Option<&str>,
    rate: Option<u64>,
    screen: &dyn Screen,
) -> Result<(), AdminError> {
    let Joining { store, label, addr, .. } = joining;
    let group = survey.group();
    let header = AddLearnerHeader {
        group,
        store,
        // One that is a member already stays what it is called.
        label: survey.member(store).map_or(label, |row| &row.member.label),
        addr: survey.member(store).map_or(addr, |row| &row.member.addr),
        instead_of,
        catch_up_rate: rate.and_then(|rate| i64::try_from(rate).ok()),
    };
    let changed = on_leader(finder, target, RequestCode::AddRaftLearner, &header).await?;
    let is = match changed {
        true => "is a learner now: it gets the log, and does not vote",
        false => "is a member already, nothing to add",
    };
    screen.line(&format!("group {group}: {label} ({addr}, store {store}) {is}"));
    Ok(())
}
