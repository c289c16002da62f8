//! All peers of one member, for openraft, which asks for a way to each, and for those who want to know how they are.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use futures::future::LocalBoxFuture;
use openraft::raft::{VoteRequest, VoteResponse};
use openraft::type_config::alias::{EntryOf, LogIdOf, VoteOf};
use runtime::channel::{WatchReceiver, WatchSender, watch};
use runtime::{Instant, now, sleep, timeout};

use super::dial;
use super::error::DialError;
use super::facts::{Facts, Lane, Standing};
use super::fence::Fence;
use super::forward::{Forwarded, HandedOn, NotSent, Office};
use super::handler::Handled;
use super::limits::Limits;
use super::pace::Pace;
use super::peer::{Peer, PeerStatus};
use super::wire::frame::Kind;
use super::wire::hello::{Refusal, RefusalCode};
use super::wire::repair::{self, Wanted};
use super::wire::{gone, vote};
use crate::lineage::Lineage;
use crate::log::weight;
use crate::types::{Member, MemberId, Types};

/// A peer whose process is gone: a connection to it was lost, and where it was nobody listens.
#[derive(Clone, Debug)]
pub struct Gone {
    /// Where it was.
    pub addr: SocketAddr,
    /// When that was learned.
    pub since: Instant,
    /// What the last dial came to.
    pub why: DialError,
}

/// The peers that are gone, until they are connected again.
pub type AllGone = BTreeMap<MemberId, Gone>;

/// What a member answers who is asked whether the process of a leader is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Testimony {
    /// It does not see that, or follows somebody else by now.
    NotSeen,
    /// It does, and this is the last entry of its log.
    Seen(Option<LogIdOf<Types>>),
}

/// Says what this member's log ends with, if it follows that leader.
pub(crate) type Witness = dyn Fn(VoteOf<Types>) -> LocalBoxFuture<'static, Handled<Testimony>>;

/// Lends another member, whose log is damaged, committed entries of this one's.
pub(crate) type Lender = dyn Fn(Wanted) -> LocalBoxFuture<'static, Handled<Vec<EntryOf<Types>>>>;

/// What all peers share.
pub(super) struct Net {
    pub(super) facts: Facts,
    pub(super) limits: Limits,
    /// Of those who catch up.
    pub(super) pace: Pace,
    gone: WatchSender<AllGone>,
    standing: Cell<Standing>,
    /// Who alone may found a group with this store.
    founder: Cell<Option<MemberId>>,
    witness: RefCell<Option<Rc<Witness>>>,
    /// Who acts on requests that others hand on.
    office: RefCell<Option<Rc<Office>>>,
    lender: RefCell<Option<Rc<Lender>>>,
    /// Whose log this member's is, while that one alone has a vote.
    copy_of: Cell<Option<MemberId>>,
    /// Who is kept out since the group was recovered by force.
    pub(super) fence: Fence,
}

impl Net {
    pub(super) fn gone(&self, id: MemberId, addr: SocketAddr, why: &DialError) {
        self.gone.modify(|gone| {
            let is_news = !gone.contains_key(&id);
            let since = now();
            gone.entry(id).or_insert_with(|| Gone { addr, since, why: why.clone() });
            is_news
        });
    }

    pub(super) fn is_gone(&self, id: MemberId) -> bool {
        self.gone.borrow().contains_key(&id)
    }

    pub(super) fn returned(&self, id: MemberId) {
        self.gone.modify(|gone| gone.remove(&id).is_some());
    }
}

/// The peers of one member. Clones are the same; the connections end with the last one, and with the last client that
/// openraft has. It belongs to the executor of its shard.
#[derive(Clone)]
pub struct Peers {
    net: Rc<Net>,
    known: Rc<RefCell<BTreeMap<MemberId, Rc<Peer>>>>,
}

impl Peers {
    /// Nobody yet: openraft names them, with their addresses, as the group's log does.
    ///
    /// # Panics
    /// When the limits contradict each other, or a name in `facts` is too long.
    #[must_use]
    pub fn new(facts: Facts, limits: Limits) -> Self {
        facts.assert_sound();
        limits.assert_sound();
        let (gone, _) = watch(AllGone::new());
        let (pace, fence) = (Pace::new(limits.catch_up), Fence::default());
        let (standing, founder, copy_of) = Default::default();
        let (witness, office, lender) = Default::default();
        let net = Net {
            facts,
            limits,
            pace,
            gone,
            standing,
            founder,
            witness,
            office,
            lender,
            copy_of,
            fence,
        };
        Self { net: Rc::new(net), known: Rc::default() }
    }

    /// Who this member is.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.net.facts
    }

    /// Whether this member's store belongs to a group, as those who dial it are told.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.net.standing.get()
    }

    /// Says whether it does.
    pub fn stand(&self, standing: Standing) {
        self.net.standing.set(standing);
    }

    /// That of the group that names this member, as its log has it; `None` where none does.
    pub(super) fn lineage(&self) -> Option<Lineage> {
        self.net.fence.lineage()
    }

    /// Says which it is. Whoever belongs to another one is refused from then on, and the connections with them end.
    pub(crate) fn belong(&self, lineage: Option<Lineage>) {
        self.net.fence.belong(lineage);
    }

    /// Whether one of this lineage may talk to this member.
    ///
    /// # Errors
    /// The group was recovered by force, without one of the two.
    pub(super) fn admit_kin(&self, lineage: Option<Lineage>) -> Result<(), Refusal> {
        self.net.fence.admit(lineage, &self.net.facts.group)
    }

    /// Whether one of this lineage is told nothing of votes and terms.
    pub(super) fn is_wary_of(&self, lineage: Option<Lineage>) -> bool {
        self.net.fence.is_wary_of(lineage)
    }

    /// Waits until one of this lineage, whom it let in before, would be let in no more. Cancel safe.
    pub(super) async fn kept_out(&self, lineage: Option<Lineage>) {
        self.net.fence.kept_out(lineage).await;
    }

    /// Waits until this member has learned that its group was recovered by force without it, and which the group is now. Cancel
    /// safe.
    pub(crate) async fn given_up(&self) -> Lineage {
        self.net.fence.given_up().await
    }

    /// Says whose log this member has, if that one alone has a vote.
    pub(crate) fn copy(&self, of: Option<MemberId>) {
        self.net.copy_of.set(of);
    }

    /// What one is told who is about to found a group with this store. If it has nothing but what that one has sent, it is as good as
    /// empty: the other one began, and has died before it knew that it had.
    pub(super) fn standing_for(&self, founder: MemberId) -> Standing {
        match self.net.copy_of.get() {
            Some(of) if of == founder => Standing::Empty,
            Some(_) | None => self.standing(),
        }
    }

    /// Promises that nobody but `founder` founds a group with this store, while this process lives. One that belongs to a
    /// group promises nothing: it says so.
    ///
    /// # Errors
    /// Somebody else has the promise: two who would each found a group with this store.
    pub fn promise(&self, founder: MemberId) -> Result<(), Refusal> {
        if self.standing() == Standing::Member {
            return Ok(());
        }
        let first = self.net.founder.get().unwrap_or(founder);
        self.net.founder.set(Some(first));
        if first == founder {
            return Ok(());
        }
        let text = format!(
            "the store {first} is about to found the group with this node, and so are you, {founder}: the first member's store was \
             emptied or moved since, or two nodes have one dLegerSelfId, or their dLegerPeers differ. Give all nodes the same \
             dLegerPeers, and each its own dLegerSelfId, and start all others again"
        );
        Err(Refusal { code: RefusalCode::Founder, text })
    }

    /// Knows this peer from now on. One that has moved is dialled where it is now; a connection that it still has stays,
    /// because it leads to the same store.
    pub(super) fn peer(&self, id: MemberId, member: &Member) -> Rc<Peer> {
        let mut known = self.known.borrow_mut();
        let new = || Rc::new(Peer::new(id, member, Rc::clone(&self.net)));
        let peer = known.entry(id).or_insert_with(new);
        peer.known_as(member);
        Rc::clone(peer)
    }

    /// What operators call this one; its store where it is nobody who is known.
    pub(crate) fn name_of(&self, id: MemberId) -> String {
        let known = self.known.borrow().get(&id).map(|peer| peer.label());
        known.unwrap_or_else(|| format!("the store {id}"))
    }

    /// The limits that hold for all of them.
    pub(super) fn limits(&self) -> &Limits {
        &self.net.limits
    }

    /// Knows these from now on, as the group's log names them. A member that does not lead learns of the others in no other
    /// way, and must know the leader to notice when it is gone.
    pub fn know<'a>(&self, members: impl IntoIterator<Item = (&'a MemberId, &'a Member)>) {
        let own = self.net.facts.store;
        let others = members.into_iter().filter(|(id, member)| **id != own && !member.is_unnamed());
        for (id, member) in others {
            self.peer(*id, member);
        }
    }

    /// Says who catches up: what these get is limited ([`Limits::catch_up`]).
    pub fn catch_up(&self, does: impl Fn(MemberId) -> bool) {
        self.known.borrow().iter().for_each(|(id, peer)| peer.catches_up(does(*id)));
    }

    /// Bytes a second for those who catch up, together.
    #[must_use]
    pub fn catch_up_rate(&self) -> u64 {
        self.net.pace.rate()
    }

    /// Gives those who catch up so many bytes a second from now on, until this process ends.
    ///
    /// # Panics
    /// When it is 0.
    pub fn catch_up_at(&self, rate: u64) {
        self.net.pace.set_rate(rate);
    }

    /// Asks who is at `addr`, and whether his store belongs to a group.
    ///
    /// # Errors
    /// Nobody can be reached there, or it is no member of this group. Cancel-safe.
    pub async fn visit(&self, addr: SocketAddr) -> Result<(MemberId, Standing), DialError> {
        dial::visit(addr, self.facts(), self.limits()).await
    }

    /// A peer has closed a connection that it had made: is it gone?
    pub(super) fn left_us(&self, id: MemberId) {
        let peer = self.known.borrow().get(&id).cloned();
        if let Some(peer) = peer {
            peer.look();
        }
    }

    /// Forgets those who do not belong to the group any more; their connections end. One that openraft still has a way to is
    /// forgotten when openraft gives up the last: it makes its ways to a new member a little before it says who belongs to the group.
    pub fn retain(&self, belongs: impl Fn(MemberId) -> bool) {
        self.known.borrow_mut().retain(|id, peer| {
            let stays = peer.stays(belongs(*id));
            if !stays {
                peer.stop();
                self.net.returned(*id);
            }
            stays
        });
    }

    /// Ends what is being sent to this peer, requests that were handed on to it among it: its connection for entries is made anew when there
    /// is something to send. Whether there was one.
    pub fn interrupt(&self, id: MemberId) -> bool {
        let peer = self.known.borrow().get(&id).cloned();
        peer.is_some_and(|peer| peer.interrupt(Lane::Bulk))
    }

    /// openraft has given up a way to this peer.
    pub(super) fn let_go(&self, peer: &Rc<Peer>) {
        if !peer.release() {
            return;
        }
        let id = peer.id();
        let mut known = self.known.borrow_mut();
        if known.get(&id).is_some_and(|known| Rc::ptr_eq(known, peer)) {
            known.remove(&id);
        }
        drop(known);
        peer.stop();
        self.net.returned(id);
    }

    /// How each peer is, by its id.
    #[must_use]
    pub fn status(&self) -> Vec<PeerStatus> {
        self.known.borrow().values().map(|peer| peer.status()).collect()
    }

    /// The peers whose process is gone, and whenever that changes: at most a dial after it died, because a lost connection
    /// is dialled again at once.
    #[must_use]
    pub fn gone(&self) -> WatchReceiver<AllGone> {
        self.net.gone.subscribe()
    }

    /// Who answers for this member when others ask whether a leader is gone. Before that it sees nothing.
    pub(crate) fn attest(&self, witness: Rc<Witness>) {
        self.net.witness.replace(Some(witness));
    }

    /// What this member says to whether the process of that leader is gone.
    pub(super) fn testify(
        &self,
        leader: VoteOf<Types>,
    ) -> LocalBoxFuture<'static, Handled<Testimony>> {
        let witness = self.net.witness.borrow().clone();
        let witness = witness.filter(|_| self.net.is_gone(leader.leader_id.voted_for));
        match witness {
            Some(witness) => witness(leader),
            None => Box::pin(std::future::ready(Ok(Testimony::NotSeen))),
        }
    }

    /// Asks a member whether the process of that leader is gone as it sees it; `None` if there is no answer within `limit`.
    /// Cancel safe.
    pub(crate) async fn ask_whether_gone(
        &self,
        member: MemberId,
        leader: &VoteOf<Types>,
        limit: Duration,
    ) -> Option<Testimony> {
        let peer = self.known.borrow().get(&member).cloned()?;
        let fill = |out: &mut Vec<u8>| gone::put(out, leader);
        let answer = peer.ask(Lane::Urgent, Kind::Gone, limit, fill).await.ok()?;
        gone::take_answer(&answer).ok()
    }

    /// Asks a member how its log ends, and whether it keeps faith with a leader: how it would vote. `None` if there is no answer within
    /// `limit`. Cancel safe.
    pub(crate) async fn ask_for_its_end(
        &self,
        member: MemberId,
        question: &VoteRequest<Types>,
        limit: Duration,
    ) -> Option<VoteResponse<Types>> {
        let peer = self.known.borrow().get(&member).cloned()?;
        let asked = async {
            loop {
                let fill = |out: &mut Vec<u8>| vote::put(out, question);
                if let Ok(answer) = peer.ask(Lane::Urgent, Kind::PreVote, limit, fill).await {
                    return vote::take_answer(&answer).ok();
                }
                // It may have come up a moment ago, and is not dialled again at once.
                sleep(self.net.limits.redial_max).await;
            }
        };
        timeout(limit, asked).await.ok().flatten()
    }

    /// Who lends entries to members whose logs are damaged. Before that nobody does.
    pub(crate) fn lend_by(&self, lender: Rc<Lender>) {
        self.net.lender.replace(Some(lender));
    }

    /// Lends entries, at the pace of those who catch up.
    pub(super) fn lend(
        &self,
        wanted: Wanted,
    ) -> LocalBoxFuture<'static, Handled<Vec<EntryOf<Types>>>> {
        let (net, lender) = (Rc::clone(&self.net), self.net.lender.borrow().clone());
        Box::pin(async move {
            let lender = lender.ok_or_else(|| "its log is not open yet".to_owned())?;
            while net.pace.is_spent() {
                net.pace.wait().await;
            }
            let entries = lender(wanted).await?;
            net.pace.spend(entries.iter().map(weight).sum());
            Ok(entries)
        })
    }

    /// Asks a member for entries that are damaged here: some from the first one on.
    ///
    /// # Errors
    /// It has no such entry, or does not answer in time; the text says why. Cancel safe.
    pub(crate) async fn borrow(
        &self,
        from: MemberId,
        wanted: &Wanted,
    ) -> Result<Vec<EntryOf<Types>>, String> {
        let peer = self.known.borrow().get(&from).cloned();
        let peer = peer.ok_or_else(|| "it is no member any more".to_owned())?;
        let fill = |out: &mut Vec<u8>| repair::put(out, wanted);
        let answer = peer.ask(Lane::Bulk, Kind::Repair, self.limits().answer, fill).await;
        let answer = answer.map_err(|error| error.to_string())?.into_slice();
        match repair::take_answer(&answer) {
            Ok(entries) if entries.is_empty() => Err("it answers with no entry".to_owned()),
            Ok(entries) => Ok(entries),
            Err(error) => Err(format!("its answer cannot be read: {error}")),
        }
    }

    /// The other members that are known.
    pub(crate) fn others(&self) -> Vec<MemberId> {
        self.known.borrow().keys().copied().collect()
    }

    /// Who acts on requests that other members hand on. Before that, and after [`Peers::stop`], nobody does.
    pub fn serve(&self, office: Rc<Office>) {
        self.net.office.replace(Some(office));
    }

    /// Acts on a request that another member hands on.
    pub(super) fn act_on(&self, request: Forwarded) -> LocalBoxFuture<'static, Handled<Vec<u8>>> {
        let office = self.net.office.borrow().clone();
        match office {
            Some(office) => office(request),
            None => Box::pin(std::future::ready(Err("it takes no requests now".to_owned()))),
        }
    }

    /// Hands a request on to a member; done when it is queued on a connection, in the order of the calls, if each is awaited before
    /// the next one. Cancel-safe: dropped early, nothing was sent.
    ///
    /// # Errors
    /// [`NotSent`].
    pub async fn hand_on(&self, to: MemberId, request: &Forwarded) -> Result<HandedOn, NotSent> {
        let peer = self.known.borrow().get(&to).cloned().ok_or(NotSent::Unknown(to))?;
        peer.hand_on(request).await.map(HandedOn)
    }

    /// Ends all connections, and makes none any more for those who are known.
    pub fn stop(&self) {
        self.net.witness.take();
        self.net.office.take();
        self.net.lender.take();
        self.known.borrow().values().for_each(|peer| peer.stop());
    }
}
