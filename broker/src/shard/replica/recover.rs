//! RECOVER_RAFT_GROUP (29007): this member becomes the group by force, whose majority is lost for good.
//!
//! It is told what that comes to, and done only if that is asked for with the names of the lost. Then the shard stops as ever and opens
//! its store again; before the member of the next life starts, its log is made that of the new group.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use model::{LogIndex, Term};
use raft::net::PeerStatus;
use raft::{
    Judged, MemberId, Prospect, Recovery, RecoveryError, RefusedRecovery, Said, Seat, StartError,
};
use remoting::body::{Body, RaftRecovery, RaftRecoveryMember};
use remoting::header::DecodeExt;
use remoting::header::raft::RecoverGroupHeader;
use remoting::{CommandRef, ResponseCode};
use runtime::channel::Notify;
use storage::EntryLog;
use transport::Connection;

use super::super::refusals::code_of;
use super::super::reply::{Caller, Refusal};
use super::super::{Phase, Shard};
use super::changes::{check_group, store};
use super::state::{Running, index_before, member_of, millis, number, vote};

/// Whoever has said nothing by then does not answer.
const ANSWER: Duration = Duration::from_secs(3);
/// Stores that may be named as lost.
const MOST_LOST: usize = 64;
/// Bytes that the log must have room for.
const ROOM: u64 = 64 * 1024;

/// What an operator has decided, until the shard stops for it.
#[derive(Default)]
pub struct Forced {
    recovery: RefCell<Option<Recovery>>,
    decided: Notify,
}

impl Forced {
    /// Waits until it is decided. Cancel safe.
    pub async fn wanted(&self) -> Recovery {
        loop {
            let decided = self.decided.notified();
            if let Some(recovery) = self.recovery.take() {
                return recovery;
            }
            decided.await;
        }
    }

    fn decide(&self, recovery: Recovery) {
        self.recovery.replace(Some(recovery));
        self.decided.notify_all();
    }
}

/// What is asked for.
struct Asked {
    lost: BTreeSet<MemberId>,
    go_on: bool,
}

/// Tells what it would come to, and begins it if that is asked for.
pub fn recover(shard: &Rc<Shard>, connection: &Connection, request: &CommandRef<'_>, _: Bytes) {
    let caller = Caller::of(connection, request);
    let asked = match asked(shard, request) {
        Ok(asked) => asked,
        Err(refusal) => return refusal.send(&caller),
    };
    let shard = Rc::clone(shard);
    runtime::spawn(async move {
        match tell(&shard, &asked).await {
            Ok((report, recovery)) => {
                caller.body(&(), &report.encode());
                if let (Some(recovery), Some(replica)) = (recovery, &shard.replica) {
                    replica.forced.decide(recovery);
                }
            }
            Err(refusal) => refusal.send(&caller),
        }
    })
    .detach();
}

fn asked(shard: &Shard, request: &CommandRef<'_>) -> Result<Asked, Refusal> {
    let header = RecoverGroupHeader::decode(code_of(request), &request.ext)?;
    check_group(&member_of(shard)?, header.group)?;
    let named = header.lost.unwrap_or_default().split(';').filter(|text| !text.is_empty());
    let lost = named.map(store).collect::<Result<BTreeSet<_>, _>>()?;
    if lost.len() > MOST_LOST {
        let remark =
            format!("{} stores are named as lost, and {MOST_LOST} are the most", lost.len());
        return Err(Refusal::parameter(remark));
    }
    Ok(Asked { lost, go_on: header.go_on.unwrap_or_default() })
}

/// What it comes to, and what is to be done if it begins.
async fn tell(
    shard: &Shard,
    Asked { lost, go_on }: &Asked,
) -> Result<(RaftRecovery, Option<Recovery>), Refusal> {
    let Running { replica, group, peers } = member_of(shard)?;
    let Some(prospect) = group.prospect(peers, ANSWER).await else {
        let remark = "the member has ended: its log, or the store, says why";
        return Err(Refusal::new(ResponseCode::ServiceNotAvailable, remark));
    };
    let judged = prospect.judge(lost);
    let mut report = report(&replica.layout.name, &prospect, &peers.status(), &judged);
    if !go_on || judged == Ok(Judged::Already) {
        return Ok((report, None));
    }
    judged.map_err(|error| refusal(&error))?;
    // It need not be in office: nobody is.
    if shard.phase.get() != Phase::Serving {
        let remark = "service not available now. The shard is being stopped, or its log has failed: its own log says which";
        return Err(Refusal::new(ResponseCode::ServiceNotAvailable, remark));
    }
    if !shard.store.has_room(ROOM) {
        let remark = "this node's disk has no room for the log: free some space there first";
        return Err(Refusal::new(ResponseCode::IllegalOperation, remark));
    }
    let recovery = prospect.recovery(lost).expect("it was just found that it may be");
    let names: Vec<String> = lost.iter().map(|id| replica.name_of(*id)).collect();
    tracing::warn!(
        shard = %shard.identity.name, group = %replica.layout.name, lost = %names.join(", "),
        uncommitted = prospect.uncommitted(),
        "an operator has this member become the group by force: the shard stops, and opens its log again"
    );
    report.begins = true;
    Ok((report, Some(recovery)))
}

fn refusal(error: &RefusedRecovery) -> Refusal {
    let code = match error {
        RefusedRecovery::NoMember | RefusedRecovery::Unknown(_) => ResponseCode::InvalidParameter,
        RefusedRecovery::Led { .. }
        | RefusedRecovery::Longer { .. }
        | RefusedRecovery::Answers { .. }
        | RefusedRecovery::Majority { .. }
        | RefusedRecovery::Silent { .. }
        | RefusedRecovery::Exhausted => ResponseCode::IllegalOperation,
    };
    Refusal::new(code, error.to_string())
}

fn report(
    group: &str,
    prospect: &Prospect,
    status: &[PeerStatus],
    judged: &Result<Judged, RefusedRecovery>,
) -> RaftRecovery {
    let view = &prospect.view;
    let label = view.seats.get(&view.own).map(|own| own.member.label.clone());
    let (last_index, last_term) = last(&prospect.own);
    let member = |(id, seat): (&MemberId, &Seat)| {
        let said = if *id == view.own { Some(&prospect.own) } else { prospect.said.get(id) };
        row(*id, seat, said, status.iter().find(|peer| peer.id == *id))
    };
    RaftRecovery {
        already: *judged == Ok(Judged::Already),
        begins: false,
        committed_index: index_before(view.committed),
        group: group.to_owned(),
        label: label.unwrap_or_default(),
        last_index: last_index.unwrap_or(-1),
        last_term: last_term.unwrap_or_default(),
        members: view.seats.iter().map(member).collect(),
        recoveries: view.lineage.recoveries.into(),
        refusal: judged.as_ref().err().map(ToString::to_string),
        store: view.own.to_string(),
        term: number(view.term.0),
    }
}

fn row(
    id: MemberId,
    seat: &Seat,
    said: Option<&Said>,
    peer: Option<&PeerStatus>,
) -> RaftRecoveryMember {
    let (last_index, last_term) = said.map_or((None, None), last);
    RaftRecoveryMember {
        addr: seat.member.addr.to_string(),
        answers: said.is_some(),
        durable_index: seat.progress.map(|progress| index_before(progress.next)),
        heard_millis_ago: peer
            .and_then(|peer| peer.last_contact)
            .map(|contact| millis(contact.elapsed())),
        label: seat.member.label.clone(),
        last_index,
        last_term,
        store: id.to_string(),
        vote: vote(seat.ballot).to_owned(),
    }
}

/// Index and term of the last entry.
fn last(said: &Said) -> (Option<i64>, Option<i64>) {
    let entry = |(Term(term), LogIndex(index))| (Some(number(index)), Some(number(term)));
    said.last.map_or((None, None), entry)
}

/// Makes the log that of the group which this member becomes. If it is not the log any more for which that was decided, nothing
/// is done: the member starts as it was.
///
/// # Errors
/// The log failed.
pub(super) async fn carry_out(
    shard: &Shard,
    log: &mut EntryLog,
    recovery: &Recovery,
) -> Result<(), StartError> {
    let replica = shard.replica.as_ref().expect("it is a member of a group");
    let (name, group) = (&shard.identity.name, &replica.layout.name);
    match recovery.carry_out(log).await {
        Ok(term) => {
            tracing::warn!(
                shard = %name, %group, %term,
                "the group was {}: this member alone is the group, with all that its log has. The others were given up; new ones come \
                 by `mqadmin addLearner` and `promote`", recovery.lineage()
            );
            Ok(())
        }
        Err(error @ RecoveryError::Changed { .. }) => {
            tracing::error!(shard = %name, %group, "the group is not recovered by force: {error}");
            Ok(())
        }
        Err(RecoveryError::Log(error)) => Err(error.into()),
    }
}
