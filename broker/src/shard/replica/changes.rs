//! What operators ask of a group's leader: 29002 to 29006. Each is answered when it is committed, says so if there was nothing
//! to do, and is refused with what is in the way.

use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use raft::net::Standing;
use raft::{Change, ChangeError, Changed, MOST_BEHIND, Member, MemberId, Role};
use remoting::header::DecodeExt;
use remoting::header::raft::{
    AddLearnerHeader, ChangedHeader, MemberHeader, ReplaceMemberHeader, TransferLeaderHeader,
};
use remoting::{CommandRef, ResponseCode};
use runtime::channel::oneshot;
use storage::StoreId;
use transport::Connection;

use super::super::Shard;
use super::super::refusals::{check_phase, code_of};
use super::super::reply::{Caller, Refusal};
use super::Lasts;
use super::candidates::could_lead;
use super::handover::{self, Outcome};
use super::state::{Running, member_of, patience};
use crate::config::is_label;
use crate::limits::{LEAST_CATCH_UP, MAX_LABEL, MOST_CATCH_UP};

/// A change that is not committed within this time is answered as one of which nobody knows.
const LIMIT: Duration = Duration::from_secs(10);
/// The longest time for which a leader stays that should not lead.
const MAX_HOLD: Duration = Duration::from_secs(24 * 3600);

/// ADD_RAFT_LEARNER (29002).
pub fn add_learner(shard: &Rc<Shard>, connection: &Connection, request: &CommandRef<'_>, _: Bytes) {
    let newcomer = newcomer(shard, request);
    carry_out(shard, connection, request, newcomer, |shard, newcomer| async move {
        let Newcomer { id, member, instead_of, rate } = newcomer;
        let (addr, known) = (member.addr, seat_of(&shard, id)?);
        let change = match &known {
            Some(known) if known.label == member.label => Change::Move { id, addr },
            _ => Change::AddLearner { id, member, instead_of },
        };
        match known {
            None => visit(&shard, (id, addr), Standing::Empty).await?,
            Some(known) if known.addr != addr => {
                visit(&shard, (id, addr), Standing::Member).await?
            }
            Some(_) => {}
        }
        let changed = make(&shard, change).await?;
        if let (Some(rate), Ok(running)) = (rate, member_of(&shard)) {
            running.peers.catch_up_at(rate);
        }
        Ok(changed)
    });
}

/// PROMOTE_RAFT_LEARNER (29003).
pub fn promote(shard: &Rc<Shard>, connection: &Connection, request: &CommandRef<'_>, _: Bytes) {
    let id = named(shard, request);
    carry_out(shard, connection, request, id, |shard, id| async move {
        make(&shard, Change::Promote(id)).await
    });
}

/// REMOVE_RAFT_MEMBER (29004).
pub fn remove(shard: &Rc<Shard>, connection: &Connection, request: &CommandRef<'_>, _: Bytes) {
    let id = named(shard, request);
    carry_out(shard, connection, request, id, |shard, id| async move {
        make(&shard, Change::Remove(id)).await
    });
}

/// REPLACE_RAFT_MEMBER (29005).
pub fn replace(shard: &Rc<Shard>, connection: &Connection, request: &CommandRef<'_>, _: Bytes) {
    let change = replacement(shard, request);
    carry_out(shard, connection, request, change, |shard, change| async move {
        make(&shard, change).await
    });
}

/// TRANSFER_RAFT_LEADER (29006). The part about holding is for any member, that about the leader for the leader.
pub fn transfer(shard: &Rc<Shard>, connection: &Connection, request: &CommandRef<'_>, _: Bytes) {
    let to = transferee(shard, request);
    carry_out(shard, connection, request, to, |shard, to| async move {
        match to {
            Some(to) => hand_over(&shard, to).await,
            None => Ok(Changed::Done),
        }
    });
}

/// Has something done, and answers what it came to. It goes on when the one who asked is gone, and when he was told that it takes too
/// long: a change of those who vote is two entries, and whoever gave it up between them would leave the group in the middle.
fn carry_out<T, F, Fut>(
    shard: &Rc<Shard>,
    connection: &Connection,
    request: &CommandRef<'_>,
    asked: Result<T, Refusal>,
    deed: F,
) where
    T: 'static,
    F: FnOnce(Rc<Shard>, T) -> Fut + 'static,
    Fut: Future<Output = Result<Changed, Refusal>> + 'static,
{
    let caller = Caller::of(connection, request);
    let asked = match asked {
        Ok(asked) => asked,
        Err(refusal) => return refusal.send(&caller),
    };
    let doing = deed(Rc::clone(shard), asked);
    runtime::spawn(async move {
        match to_its_end(doing, LIMIT).await {
            Some(Ok(changed)) => caller.ok(&ChangedHeader { changed: changed == Changed::Done }),
            Some(Err(refusal)) => refusal.send(&caller),
            None => late().send(&caller),
        }
    })
    .detach();
}

/// What it comes to; `None` if that is not known within `limit`. It goes on all the same.
async fn to_its_end<T: 'static>(
    doing: impl Future<Output = T> + 'static,
    limit: Duration,
) -> Option<T> {
    let (tell, told) = oneshot();
    runtime::spawn(async move { drop(tell.send(doing.await)) }).detach();
    let told = runtime::timeout(limit, told).await.ok()?;
    Some(told.expect("it is never dropped before it has told"))
}

fn late() -> Refusal {
    let remark = format!(
        "service not available now. The change is not committed within {LIMIT:?}; whether it will be is unknown: look with \
         `mqadmin groupState`, and make it again: what is done is not done twice"
    );
    Refusal::new(ResponseCode::ServiceNotAvailable, remark)
}

/// Makes a change of the members.
async fn make(shard: &Shard, change: Change) -> Result<Changed, Refusal> {
    check_phase(shard)?;
    let Running { replica, group, .. } = member_of(shard)?;
    let (name, layout) = (&shard.identity.name, &replica.layout);
    let before = |id: MemberId| replica.name_of(id);
    let what = match &change {
        Change::AddLearner { id, member, .. } => {
            format!("{} ({}, store {id}) is added as a learner", member.label, member.addr)
        }
        Change::Move { id, addr } => format!("{} is at {addr} from now on", before(*id)),
        Change::Promote(id) => format!("{} votes from now on", before(*id)),
        Change::Replace { old, new } => {
            format!("{} is replaced by {}", before(*old), before(*new))
        }
        Change::Remove(id) => format!("{} is removed", before(*id)),
    };
    let changed = group.change(&change, patience(shard)).await.map_err(refusal)?;
    if changed == Changed::Done {
        tracing::info!(shard = %name, group = %layout.name, "{what}");
    }
    Ok(changed)
}

fn refusal(error: ChangeError) -> Refusal {
    let code = match &error {
        ChangeError::NotLeading
        | ChangeError::UnderWay
        | ChangeError::Lost
        | ChangeError::Unsure
        | ChangeError::Ended => {
            let remark = format!("service not available now. {error}");
            return Refusal::new(ResponseCode::ServiceNotAvailable, remark);
        }
        ChangeError::Unknown(_)
        | ChangeError::Label { .. }
        | ChangeError::SameLabel { .. }
        | ChangeError::SameAddress { .. }
        | ChangeError::OtherMember { .. } => ResponseCode::InvalidParameter,
        ChangeError::Behind { .. }
        | ChangeError::Silent { .. }
        | ChangeError::Leads { .. }
        | ChangeError::Last { .. }
        | ChangeError::NoMajority { .. } => ResponseCode::IllegalOperation,
    };
    Refusal::new(code, error.to_string())
}

/// Hands leadership over, and waits until that member leads.
async fn hand_over(shard: &Rc<Shard>, to: MemberId) -> Result<Changed, Refusal> {
    let Running { replica, group, peers } = member_of(shard)?;
    if replica.role() == Role::Following(Some(to)) || group.view().leader == Some(to) {
        return Ok(Changed::Already);
    }
    check_phase(shard)?;
    if !group.members().contains_key(&to) {
        return Err(refusal(ChangeError::Unknown(to)));
    }
    let name = replica.name_of(to);
    if !could_lead(to, &group.followers(), &peers.status()) {
        let remark = format!(
            "{name} cannot lead: it does not vote, is not connected, takes no entries, or lacks more than {MOST_BEHIND} of them. `mqadmin \
             groupState` says which: promote it, start it, free space on its disk, or wait, or name another one"
        );
        return Err(Refusal::new(ResponseCode::IllegalOperation, remark));
    }
    tracing::info!(
        shard = %shard.identity.name, group = %replica.layout.name, to = %name, "leadership is handed over, as asked for"
    );
    let remark = match handover::hand_over(shard, (group, peers), &[to]).await {
        Outcome::Led(leader) if leader == to => return Ok(Changed::Done),
        Outcome::Led(leader) => format!("{} leads now, and not {name}", replica.name_of(leader)),
        Outcome::Nobody => format!("{name} has not taken over in time, and still may"),
        // It is as far behind a moment later, and each attempt is a silence.
        Outcome::Behind => {
            return Err(Refusal::new(
                ResponseCode::IllegalOperation,
                format!(
                    "{name} lacks a part of the log, or does not answer, and was not asked to lead: wait until `mqadmin groupState` \
                     shows it at 0 entries behind, or name another one with --to"
                ),
            ));
        }
        Outcome::Ended => return Err(refusal(ChangeError::Ended)),
    };
    let remark = format!(
        "service not available now. {remark}: look with `mqadmin groupState`, and ask again if another one leads than should"
    );
    Err(Refusal::new(ResponseCode::ServiceNotAvailable, remark))
}

/// What this store is called, and where it is, if it is in the group already.
fn seat_of(shard: &Shard, id: MemberId) -> Result<Option<Member>, Refusal> {
    Ok(member_of(shard)?.group.members().remove(&id))
}

/// Looks whether the store that is to join, or has moved, is where it is said to be, and what it should be.
async fn visit(
    shard: &Shard,
    (id, addr): (MemberId, SocketAddr),
    expected: Standing,
) -> Result<(), Refusal> {
    check_phase(shard)?;
    let Running { replica, peers, .. } = member_of(shard)?;
    if id == peers.facts().store && addr == replica.layout.own_addr() {
        return Ok(()); // nobody dials himself
    }
    let found = peers.visit(addr).await;
    let refuse = |remark| Err(Refusal::new(ResponseCode::IllegalOperation, remark));
    match found {
        Err(error) => refuse(format!("the leader cannot reach the member at {addr}: {error}")),
        Ok((found, _)) if found != id => refuse(format!(
            "at {addr} is the store {found}, and {id} was expected there: correct the address"
        )),
        Ok((_, found)) if found == expected => Ok(()),
        Ok((_, Standing::Empty)) => refuse(format!(
            "the node at {addr} has the store {id} of a member, and that is empty: one of two is a copy of the other, or it was \
             emptied. Replace the member (`mqadmin replaceMember`), with another empty store"
        )),
        Ok((_, Standing::Unknown)) => {
            let remark =
                format!("service not available now. the node at {addr} still reads its log");
            Err(Refusal::new(ResponseCode::ServiceNotAvailable, remark))
        }
        Ok((_, Standing::Alone)) => refuse(format!(
            "the node at {addr} has the store of a broker without replicas, whose messages are not this group's: give it an \
             empty storePathRootDir"
        )),
        Ok((_, Standing::Member)) => refuse(format!(
            "the store {id} at {addr} belongs to a group already and is no member of this one: it was removed from it, or \
             another group was founded under the same name. Give the node an empty storePathRootDir"
        )),
    }
}

/// Who is to join.
struct Newcomer {
    id: MemberId,
    member: Member,
    instead_of: Option<MemberId>,
    /// Bytes a second that learners get from then on.
    rate: Option<u64>,
}

fn newcomer(shard: &Shard, request: &CommandRef<'_>) -> Result<Newcomer, Refusal> {
    let header = AddLearnerHeader::decode(code_of(request), &request.ext)?;
    let running = member_of(shard)?;
    check_group(&running, header.group)?;
    let label = header.label.to_owned();
    // One that is in the log already is not judged again: it may be older than the rule.
    let is_known = seat_of(shard, store(header.store)?)?.is_some_and(|seat| seat.label == label);
    if !is_known && !is_label(&label) {
        return Err(Refusal::parameter(format!(
            "{label:?} is no label of a member: it has {} bytes, and a label is 1 to {MAX_LABEL} letters from a to z and digits, as \
             dLegerPeers takes them, such as n3",
            label.len()
        )));
    }
    let addr: SocketAddr = header.addr.parse().map_err(|_| {
        Refusal::parameter(format!("{:?} is no address: give it as ip:port", header.addr))
    })?;
    if addr.ip().is_unspecified() || addr.port() == 0 {
        let remark = format!("nobody can be reached at {addr}: give the address of the new member");
        return Err(Refusal::parameter(remark));
    }
    Ok(Newcomer {
        id: store(header.store)?,
        member: Member::new(label, addr),
        instead_of: header.instead_of.map(store).transpose()?,
        rate: header.catch_up_rate.map(rate).transpose()?,
    })
}

/// A rate at which learners may catch up, as the key of the configuration takes it.
fn rate(rate: i64) -> Result<u64, Refusal> {
    let fits = |rate: &u64| (LEAST_CATCH_UP..=MOST_CATCH_UP).contains(rate);
    u64::try_from(rate).ok().filter(fits).ok_or_else(|| {
        Refusal::parameter(format!(
            "learners cannot catch up at {rate} bytes a second: {LEAST_CATCH_UP} to {MOST_CATCH_UP} are possible"
        ))
    })
}

fn named(shard: &Shard, request: &CommandRef<'_>) -> Result<MemberId, Refusal> {
    let header = MemberHeader::decode(code_of(request), &request.ext)?;
    check_group(&member_of(shard)?, header.group)?;
    store(header.store)
}

fn replacement(shard: &Shard, request: &CommandRef<'_>) -> Result<Change, Refusal> {
    let header = ReplaceMemberHeader::decode(code_of(request), &request.ext)?;
    check_group(&member_of(shard)?, header.group)?;
    let (old, new) = (store(header.old)?, store(header.new)?);
    if old == new {
        return Err(Refusal::parameter(format!("the store {old} cannot take its own place")));
    }
    Ok(Change::Replace { old, new })
}

fn transferee(shard: &Shard, request: &CommandRef<'_>) -> Result<Option<MemberId>, Refusal> {
    let header = TransferLeaderHeader::decode(code_of(request), &request.ext)?;
    let running = member_of(shard)?;
    check_group(&running, header.group)?;
    let to = header.store.map(store).transpose()?;
    if let Some(millis) = header.hold_millis {
        let hold = u64::try_from(millis).map(Duration::from_millis);
        let hold = hold.ok().filter(|hold| *hold <= MAX_HOLD).ok_or_else(|| {
            Refusal::parameter(format!(
                "holdMillis is {millis}, and 0 to {} are possible",
                MAX_HOLD.as_millis()
            ))
        })?;
        let lasts = match header.at_least {
            Some(true) => Lasts::AtLeast(hold),
            Some(false) | None => Lasts::Exactly(hold),
        };
        running.replica.hold(lasts, header.away.map(store).transpose()?);
    }
    Ok(to)
}

/// Whoever means another group has the wrong address.
///
/// # Errors
/// That is so.
pub(super) fn check_group(running: &Running<'_>, group: &str) -> Result<(), Refusal> {
    let own = &running.replica.layout.name;
    if own == group {
        return Ok(());
    }
    Err(Refusal::parameter(format!("this is a member of the group {own}, not of {group}")))
}

/// The store with this id.
///
/// # Errors
/// It is none.
pub(super) fn store(text: &str) -> Result<MemberId, Refusal> {
    let wrong = || Refusal::parameter(format!("{text:?} is no id of a store: it has 32 digits"));
    let is_one = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let id = u128::from_str_radix(text, 16).ok().filter(|id| is_one && *id > 0);
    id.map(|id| MemberId(StoreId(id))).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::net::Ipv4Addr;

    use runtime::sim::Simulation;

    use super::*;

    #[test]
    fn a_change_that_takes_longer_than_its_answer_is_made_all_the_same() {
        let simulation = Simulation::new(1);
        let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
        let life = node.start("leader", || async {
            let steps = Rc::new(Cell::new(0));
            let made = Rc::clone(&steps);
            let change = async move {
                for _ in 0..2 {
                    runtime::sleep(Duration::from_secs(8)).await;
                    made.set(made.get() + 1);
                }
            };
            assert_eq!(to_its_end(change, LIMIT).await, None);
            assert_eq!(steps.get(), 1, "it is in the middle when the answer goes out");
            runtime::sleep(LIMIT).await;
            assert_eq!(steps.get(), 2, "and comes to its end");
            assert_eq!(to_its_end(async { 7 }, LIMIT).await, Some(7));
        });
        simulation.join(life, Duration::from_secs(60)).expect("it ends");
    }
}
