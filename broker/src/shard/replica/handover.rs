//! Handing leadership over: before a stop, to the member that should lead, away from one that is worse off, and as an operator asks.
//!
//! Each time what is under way is committed first, and nothing new is taken meanwhile: whoever waits gets an answer, and no one has to be told
//! that nobody knows. That somebody was asked to lead cannot be taken back, so only one is asked that answers and has all of the log, and from
//! the look at that on nothing is appended: consumer offsets that come then wait, and go to whoever leads. If he does not take over, the
//! others are asked in turn, who have all of the log still.

use std::rc::Rc;
use std::time::Duration;

use raft::net::Peers;
use raft::{Group, MemberId, Role};
use runtime::channel::oneshot;

use super::super::completions::Afterwards;
use super::super::{Phase, Shard, offsets};
use super::Replica;
use super::candidates::{self, Wishes, could_lead, is_near};
use super::since::Since;
use super::tenure::Tenure;

/// How long it is waited for what is under way.
const UNDER_WAY: Duration = Duration::from_secs(2);
/// And then for somebody else to lead.
const TAKE_OVER: Duration = Duration::from_secs(3);
/// How long the one that was asked has for that before the next one is asked as well, at most: a take-over is two rounds and two flushes.
const TURN: Duration = Duration::from_millis(500);
const _: () = assert!(TURN.as_millis() * 4 < TAKE_OVER.as_millis(), "each of five has a turn");
/// Time between two looks at whether another member should lead.
pub(super) const LOOK: Duration = Duration::from_secs(1);
/// The member that should lead has been well for so long before it is given the lead.
const SETTLED: Duration = Duration::from_secs(5);
/// How long it is waited then for another member to have it all, time in which nothing is taken.
const LEVEL: Duration = Duration::from_millis(500);
/// So much of it the one that is wanted most has before another one is taken.
const GRACE: Duration = Duration::from_millis(20);
/// Time between two looks at whether it has.
const LEVEL_LOOK: Duration = Duration::from_millis(2);
/// So many attempts in a row are worth a warning.
const TOO_OFTEN: u32 = 3;

/// What came of handing over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// This one leads.
    Led(MemberId),
    /// Nobody did in time. It may come yet.
    Nobody,
    /// Nobody was asked: nobody that is wanted had all of the log in time, and answers. This one leads on.
    Behind,
    /// The group's core has ended.
    Ended,
}

/// Makes place for the member that should lead, once it could for five seconds. Never ends.
pub async fn prefer(shard: Rc<Shard>, group: Group, peers: Peers) {
    let replica = shard.replica.as_ref().expect("it is a member of a group");
    let wanted = &replica.layout.preferred().label;
    if replica.layout.preferred == replica.layout.own {
        return;
    }
    let (mut tenure, mut able) = (Tenure::default(), Since::default());
    loop {
        runtime::sleep(LOOK).await;
        let now = runtime::now();
        tenure.look(replica.tenure(), now);
        let (members, followers) = (group.members(), group.followers());
        let preferred = members.iter().find(|(_, member)| member.label == *wanted);
        let Some((id, _)) = preferred else { continue };
        let preferred = followers.iter().find(|one| one.id == *id);
        let could = preferred.is_some_and(|one| is_near(one, patience(&shard)))
            && could_lead(*id, &followers, &peers.status());
        // One that is just back may reach us, and not yet all others, nor the NameServers.
        let is_settled = able.look(could, now).is_some_and(|able| able >= SETTLED);
        if replica.is_held() {
            // An operator says who leads: that says nothing of the member that should lead otherwise.
            tenure.forget(now);
            continue;
        }
        if !is_settled || !tenure.may_try(now) {
            continue;
        }
        let attempts = tenure.tries(now);
        tell_attempt(&shard, &replica.name_of(*id), (attempts, tenure.pause()));
        if hand_over(&shard, (&group, &peers), &[*id]).await == Outcome::Ended {
            return;
        }
    }
}

fn tell_attempt(shard: &Shard, to: &str, (attempts, next_in): (u32, Duration)) {
    let (name, group) = (&shard.identity.name, shard.replica.as_ref().map(|one| &one.layout.name));
    let group = group.expect("it is a member of a group");
    tracing::info!(
        shard = %name, %group, %to,
        "leadership is handed over to the member that should lead (preferredLeaderId)"
    );
    if attempts >= TOO_OFTEN {
        tracing::warn!(
            shard = %name, %group, %to, attempts, ?next_in,
            "the member that should lead was given the lead again and again, and has lost it each time soon after: look at its disk, \
             its network and its log. `mqadmin transferLeader --hold` lets another one lead meanwhile"
        );
    }
}

/// Makes place for the first of `wanted` that has all of the log, and waits until somebody else leads.
pub(super) async fn hand_over(
    shard: &Rc<Shard>,
    (group, peers): (&Group, &Peers),
    wanted: &[MemberId],
) -> Outcome {
    let replica = replica_of(shard);
    let _narrow = replica.intake.narrows();
    finish_what_is_under_way(shard).await;
    if becomes_level(shard, group, wanted).await.is_none() {
        return unasked(group);
    }
    // What has come meanwhile is finished as well, and now nothing comes any more.
    let _closed = replica.intake.closes();
    finish_what_is_under_way(shard).await;
    // Nothing is awaited between this look and the asking.
    let level = becomes_level(shard, group, wanted).await;
    match level.filter(|_| is_at_rest(shard, group)) {
        Some(to) => ask_in_turn(shard, (group, peers), to).await,
        None => unasked(group),
    }
}

/// Whether this member leads, and has nothing that is to be appended or committed. What its log does not take, such as consumer offsets
/// on a disk that is full, hinders nobody.
fn is_at_rest(shard: &Shard, group: &Group) -> bool {
    matches!(group.role(), Role::Leading(_)) && shard.completions.borrow().is_empty()
}

/// What it came to if nobody was asked.
fn unasked(group: &Group) -> Outcome {
    match group.role() {
        Role::Leading(_) => Outcome::Behind,
        Role::Following(Some(leader)) => Outcome::Led(leader),
        Role::Following(None) => Outcome::Nobody,
    }
}

/// Asks this member to lead, and those in turn that could as well if it does not. From the first one on nothing is appended here, whoever
/// leads: who had all of the log has it still.
async fn ask_in_turn(shard: &Shard, (group, peers): (&Group, &Peers), first: MemberId) -> Outcome {
    let wishes = wishes(replica_of(shard), group);
    let (turn, end) = (patience(shard).min(TURN), runtime::now() + TAKE_OVER);
    let (mut asked, mut next) = (Vec::new(), Some(first));
    let Role::Leading(term) = group.role() else { return unasked(group) };
    while runtime::now() < end {
        // Elected anew: that is another office, which only one that is being stopped hands over as well.
        let is_anew = matches!(group.role(), Role::Leading(now) if now > term);
        if is_anew && shard.phase.get() != Phase::Stopping {
            return Outcome::Nobody;
        }
        if let Some(to) = next {
            tell_asked(shard, to, asked.last());
            if group.hand_over(to).await.is_err() {
                return Outcome::Ended;
            }
            asked.push(to);
        }
        let left = end.saturating_since(runtime::now());
        if let Ok(leader) = runtime::timeout(turn.min(left), somebody_leads(group)).await {
            return Outcome::Led(leader);
        }
        next = candidates::next_after(&asked, &group.followers(), &peers.status(), wishes);
    }
    Outcome::Nobody
}

fn tell_asked(shard: &Shard, to: MemberId, before: Option<&MemberId>) {
    let (name, replica) = (&shard.identity.name, replica_of(shard));
    let (group, to) = (&replica.layout.name, replica.name_of(to));
    match before {
        None => tracing::debug!(shard = %name, %group, %to, "asked to lead"),
        Some(before) => tracing::warn!(
            shard = %name, %group, %to, before = %replica.name_of(*before),
            "the member that was asked to lead has not taken over yet: another one is asked as well"
        ),
    }
}

/// Waits until somebody else leads.
async fn somebody_leads(group: &Group) -> MemberId {
    let mut role = group.role();
    loop {
        if let Role::Following(Some(leader)) = role {
            return leader;
        }
        role = group.role_changed(role).await;
    }
}

/// Waits until one of these has all of the log, and answers: the first one of them, or any after [`GRACE`], but the one that leadership is
/// held away from, which is the last, only after [`LEVEL`] if there is another. `None` after [`LEVEL`], or if this one leads no more.
async fn becomes_level(shard: &Shard, group: &Group, wanted: &[MemberId]) -> Option<MemberId> {
    let (patience, began) = (patience(shard), runtime::now());
    let wishes = wishes(replica_of(shard), group);
    let welcome = wanted.iter().filter(|id| !wishes.is_away(**id)).count();
    let welcome = &wanted[..welcome.max(1).min(wanted.len())];
    loop {
        let (followers, now) = (group.followers(), runtime::now());
        let by_now = match now.saturating_since(began) {
            waited if waited < GRACE => &wanted[..wanted.len().min(1)],
            waited if waited < LEVEL => welcome,
            _ => wanted,
        };
        let level = candidates::first_level(by_now, &followers, patience);
        let is_hopeless = !followers.iter().any(|one| wanted.contains(&one.id));
        if level.is_some() || is_hopeless || now >= began + LEVEL {
            return level;
        }
        runtime::sleep(LEVEL_LOOK).await;
    }
}

/// What operators have said of who leads.
pub(super) fn wishes(replica: &Replica, group: &Group) -> Wishes {
    let (should, members) = (&replica.layout.preferred().label, group.members());
    let preferred = members.iter().find(|(_, member)| member.label == *should);
    let preferred = preferred.map(|(id, _)| *id).filter(|_| !replica.is_held());
    Wishes { preferred, away: replica.held_away() }
}

/// How long a member may be silent that is asked to lead: in that time a leader that is gone is missed.
pub(super) fn patience(shard: &Shard) -> Duration {
    let timing = shard.config.raft_group.as_ref().map(|group| group.timing);
    timing.expect("it has groups").election_max
}

fn replica_of(shard: &Shard) -> &Replica {
    shard.replica.as_ref().expect("it is a member of a group")
}

/// Waits until what was appended is committed, the consumer offsets that wait among it; or until it has taken too long.
async fn finish_what_is_under_way(shard: &Rc<Shard>) {
    let committed = async {
        offsets::propose_all(shard).await;
        let (done, committed) = oneshot();
        shard.afterwards(Afterwards::Wake(done));
        committed.await
    };
    // What is not committed by then is told to its senders when the office ends.
    let (Ok(_) | Err(runtime::Elapsed)) = runtime::timeout(UNDER_WAY, committed).await;
}

/// Before a stop: what is under way is committed, and then somebody else leads. Gives up after a few seconds; the others
/// then elect somebody when this member is gone.
pub async fn before_a_stop(shard: &Rc<Shard>, group: &Group, peers: &Peers) {
    let replica = replica_of(shard);
    if replica.office.get().is_none() {
        return;
    }
    let could = candidates::in_order(&group.followers(), &peers.status(), wishes(replica, group));
    let outcome = match could.is_empty() {
        true => Outcome::Behind,
        false => hand_over(shard, (group, peers), &could).await,
    };
    if outcome == Outcome::Behind {
        // Consumer offsets that have come since: it is the last moment for them.
        finish_what_is_under_way(shard).await;
    }
    tell_before_a_stop(shard, &could, outcome);
}

fn tell_before_a_stop(shard: &Shard, could: &[MemberId], outcome: Outcome) {
    let (name, replica) = (&shard.identity.name, replica_of(shard));
    let group = &replica.layout.name;
    let names = || could.iter().map(|id| replica.name_of(*id)).collect::<Vec<_>>().join(", ");
    match outcome {
        Outcome::Led(leader) => tracing::info!(
            shard = %name, %group, to = %replica.name_of(leader), "leadership is handed over"
        ),
        Outcome::Nobody => tracing::warn!(
            shard = %name, %group, members = %names(),
            "leadership was not taken over within {TAKE_OVER:?}. The others elect somebody when they can"
        ),
        Outcome::Behind if could.is_empty() && replica.layout.members.len() > 1 => tracing::warn!(
            shard = %name, %group,
            "leadership is not handed over: no other member is connected and has the log. The others elect somebody when \
             they can"
        ),
        Outcome::Behind if could.is_empty() => {}
        Outcome::Behind => tracing::warn!(
            shard = %name, %group, members = %names(),
            "leadership is not handed over: no other member had all of the log within {LEVEL:?}. The others elect somebody when \
             they can"
        ),
        Outcome::Ended => {}
    }
}
