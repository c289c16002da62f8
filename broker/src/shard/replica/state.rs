//! GET_RAFT_GROUP_STATE (29001): the group as this member sees it. Any member answers, also one that does not belong to the
//! group yet.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use model::LogIndex;
use raft::net::{PeerStatus, Peers, Standing};
use raft::{Ballot, Group, MOST_BEHIND, MemberId, Progress, Role, Seat, View};
use remoting::body::{Body, RaftGroupState, RaftMember};
use remoting::{CommandRef, ResponseCode};
use transport::Connection;

use super::super::Shard;
use super::super::reply::{Caller, Refusal};
use super::Replica;

/// A member that has not answered its leader for so long counts as one that does not answer, or for as long as two elections
/// may take if that is longer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Answers the state.
pub fn answer(shard: &Rc<Shard>, connection: &Connection, request: &CommandRef<'_>, _: Bytes) {
    let caller = Caller::of(connection, request);
    match member_of(shard) {
        Ok(member) => caller.body(&(), &state(shard, &member).encode()),
        Err(refusal) => refusal.send(&caller),
    }
}

/// A shard's member, once it runs.
pub struct Running<'a> {
    /// What the shard knows of its group.
    pub replica: &'a Replica,
    /// The group.
    pub group: &'a Group,
    /// The other members.
    pub peers: &'a Peers,
}

/// The member that this shard is.
///
/// # Errors
/// It has no group, or has not read its log yet.
pub fn member_of(shard: &Shard) -> Result<Running<'_>, Refusal> {
    let name = &shard.identity.name;
    let Some(replica) = &shard.replica else {
        let remark = format!(
            "broker {name} has no Raft group: enableDLegerCommitLog = true in its configuration makes it a member of one"
        );
        return Err(Refusal::new(ResponseCode::InvalidParameter, remark));
    };
    let (Some(group), Some(peers)) = (replica.group(), replica.peers()) else {
        let remark = format!("service not available now. broker {name} still reads its log");
        return Err(Refusal::new(ResponseCode::ServiceNotAvailable, remark));
    };
    Ok(Running { replica, group, peers })
}

/// How long a member may be silent that counts as one that answers.
pub fn patience(shard: &Shard) -> Duration {
    let timing = shard.config.raft_group.as_ref().map(|group| group.timing);
    PATIENCE.max(2 * timing.expect("it has groups").election_max)
}

/// The group as this member sees it.
pub fn state(shard: &Shard, member: &Running<'_>) -> RaftGroupState {
    let Running { replica, group, peers } = member;
    let (view, status, log) = (group.view(), peers.status(), shard.store.stats());
    let (identity, config) = (&shard.identity, &shard.config);
    let timing = config.raft_group.as_ref().map(|group| group.timing);
    let timing = timing.expect("it has groups");
    let own = view.seats.get(&view.own);
    let label = own.map_or(&replica.layout.own().label, |own| &own.member.label);
    let members = view.seats.iter().map(|(id, seat)| row(*id, seat, view.own, &status));
    RaftGroupState {
        applied_index: index_before(view.applied),
        broker_addr: identity.address.to_string(),
        broker_name: identity.name.clone(),
        catch_up_rate: number(peers.catch_up_rate()),
        changing: view.is_changing(),
        cluster: identity.cluster.clone(),
        committed_index: index_before(view.committed),
        cut_off: replica.is_cut_off(shard),
        disk: shard.disk.too_full(shard),
        election_max_millis: millis(timing.election_max),
        election_min_millis: millis(timing.election_min),
        group: replica.layout.name.clone(),
        held_millis: held(replica),
        label: label.clone(),
        last_index: index_before(view.next),
        leader: view.leader.map(|leader| leader.to_string()),
        log_begin: number(log.min.0),
        log_end: number(shard.store.written().0),
        members: members.collect(),
        namesrv_addr: config.namesrv_addrs.join(";"),
        raft_addr: replica.layout.own_addr().to_string(),
        recoveries: view.lineage.recoveries.into(),
        role: role(group.role(), own.map(|own| own.ballot)).to_owned(),
        shard: i32::try_from(identity.number).expect("a small number"),
        shard_port_stride: config.shard_port_stride.into(),
        shards: i32::try_from(identity.shards).expect("a small number"),
        spare: spare(&view, patience(shard), &status),
        standing: standing(view.standing).to_owned(),
        store: view.own.to_string(),
        term: number(view.term.0),
    }
}

/// How long no place is made here yet for the member that should lead, if an operator wants that.
fn held(replica: &Replica) -> Option<i64> {
    replica.held_for().map(millis)
}

/// Voters that the group can do without now, as its leader knows: one that is not connected does not count, even if it has
/// answered a moment ago, nor does one that takes no entries.
pub fn spare(view: &View, patience: Duration, status: &[PeerStatus]) -> Option<i64> {
    (view.leader == Some(view.own)).then(|| {
        let is_well = |progress: Progress| {
            progress.behind <= MOST_BEHIND && progress.heard.is_some_and(|heard| heard <= patience)
        };
        let progress = |id: MemberId| view.seats.get(&id).and_then(|seat| seat.progress);
        let is_there =
            |id| id == view.own || (is_connected(id, status) && takes_entries(id, status));
        view.spare(|id| is_there(id) && progress(id).is_some_and(is_well))
    })
}

fn is_connected(id: MemberId, status: &[PeerStatus]) -> bool {
    status.iter().any(|peer| peer.id == id && (peer.bulk || peer.urgent))
}

/// Whether a member takes what it is sent, as far as is known: one whose disk is full answers heartbeats, and takes nothing.
fn takes_entries(id: MemberId, status: &[PeerStatus]) -> bool {
    !status.iter().any(|peer| peer.id == id && peer.refuses.is_some())
}

fn row(id: MemberId, seat: &Seat, own: MemberId, status: &[PeerStatus]) -> RaftMember {
    let peer = status.iter().find(|peer| peer.id == id);
    let progress = seat.progress;
    RaftMember {
        addr: seat.member.addr.to_string(),
        behind: progress.map(|progress| number(progress.behind)),
        connected: (id != own).then(|| is_connected(id, status)),
        durable_index: progress.map(|progress| index_before(progress.next)),
        heard_millis_ago: progress.and_then(|progress| progress.heard).map(millis),
        label: seat.member.label.clone(),
        store: id.to_string(),
        trouble: peer.and_then(trouble),
        vote: vote(seat.ballot).to_owned(),
    }
}

/// What is wrong with a peer: no connection, unless it has said something since; or it takes no entries.
fn trouble(peer: &PeerStatus) -> Option<String> {
    let is_over = |since| peer.bulk && peer.last_contact.is_some_and(|contact| contact > since);
    let trouble = peer.trouble.as_ref().filter(|(since, _)| !is_over(*since));
    let refusal = || peer.refuses.as_ref().map(|why| format!("it takes no entries: {why}"));
    trouble.map(|(_, trouble)| trouble.to_string()).or_else(refusal)
}

fn role(role: Role, ballot: Option<Ballot>) -> &'static str {
    match (role, ballot) {
        (_, None) => "NONE",
        (Role::Leading(_), Some(_)) => "LEADER",
        (Role::Following(_), Some(Ballot::Learner)) => "LEARNER",
        (Role::Following(_), Some(_)) => "FOLLOWER",
    }
}

pub(super) fn vote(ballot: Ballot) -> &'static str {
    match ballot {
        Ballot::Voter => "VOTER",
        Ballot::Learner => "LEARNER",
        Ballot::Joining => "JOINING",
        Ballot::Leaving => "LEAVING",
    }
}

fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Unknown => "UNKNOWN",
        Standing::Empty => "EMPTY",
        Standing::Member => "MEMBER",
        Standing::Alone => "ALONE",
    }
}

/// The last of the entries before `next`; −1 if there is none.
pub(super) fn index_before(next: LogIndex) -> i64 {
    number(next.0) - 1
}

pub(super) fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
