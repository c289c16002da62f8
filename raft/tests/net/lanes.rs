//! Single lanes, against a stand-in for openraft: order, back-pressure, losses, snapshots. On both backends.

use std::future::{Future, pending};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use futures::StreamExt;
use model::UnixMillis;
use openraft::EntryPayload;
use openraft::errors::{RPCError, StreamingError};
use openraft::impls::leader_id_std::LeaderId;
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{AppendEntriesRequest, StreamAppendError, TransferLeaderRequest, VoteRequest};
use openraft::storage::Snapshot;
use openraft::type_config::alias::{EntryOf, LogIdOf, SnapshotMetaOf, SnapshotOf, VoteOf};
use openraft::vote::RaftVote;
use raft::net::{Dialler, Limits, PeerClient, PeerStatus, Peers, Server};
use raft::{Content, Member, Proposal, Types};
use runtime::channel::Flag;
use runtime::sim::Simulation;
use runtime::{Slice, Task, TcpListener, timeout};
use storage::EntryKind;

use crate::member::{facts, member_id};
use crate::stand_in::StandIn;

pub const LARGEST_BODY: usize = 1024 * 1024;
const LIMIT: Duration = Duration::from_secs(60);
const KIB: usize = 1024;

/// Runs a test in the simulation, and on this machine.
pub fn everywhere<F, Fut>(test: F)
where
    F: FnOnce() -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let sim = Simulation::new(0x5EED);
    let node = sim.node("node", Ipv4Addr::new(10, 0, 0, 1));
    let executor = node.start("test", test.clone());
    sim.join(executor, LIMIT).expect("the simulated run ends");
    let run = async { timeout(LIMIT, test()).await };
    runtime::block_on("test", run).expect("an executor").expect("it does not hang");
}

/// Somebody who answers: member 2.
pub struct Served {
    pub peers: Peers,
    pub handler: StandIn,
    pub server: Server,
    pub addr: SocketAddr,
    pub stop: Flag,
    serving: Task<()>,
}

pub async fn serve(limits: Limits) -> Served {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
    let (addr, stop, handler) = (listener.local_addr(), Flag::new(), StandIn::default());
    let peers = Peers::new(facts(member_id(2)), limits);
    let server = Server::new(peers.clone(), Rc::new(handler.clone()), stop.clone());
    let serving = {
        let server = server.clone();
        runtime::spawn(async move { server.serve(listener).await })
    };
    Served { handler, peers, server, addr, stop, serving }
}

impl Served {
    /// Ends it, as the end of its process does.
    pub async fn end(self) {
        self.stop.raise();
        self.serving.await;
    }
}

/// Member 1's ways to member 2: for all, and for heartbeats.
pub async fn clients(
    peers: &Peers,
    addr: SocketAddr,
) -> (PeerClient<Vec<u8>>, PeerClient<Vec<u8>>) {
    let mut dialler = Dialler::new(peers.clone());
    let member = Member::new("n1", addr);
    let usual = dialler.new_client(member_id(2), &member).await;
    (usual, dialler.new_heartbeat_client(member_id(2), &member).await)
}

pub fn peers(limits: Limits) -> Peers {
    Peers::new(facts(member_id(1)), limits)
}

pub fn status(peers: &Peers) -> PeerStatus {
    peers.status().into_iter().next().expect("one peer")
}

fn leader() -> VoteOf<Types> {
    VoteOf::<Types>::from_leader_id(LeaderId { term: 1, voted_for: member_id(1) }, true)
}

fn log_id(index: u64) -> LogIdOf<Types> {
    LogIdOf::<Types>::new_term_index(1, index)
}

/// A request with one entry of so many bytes.
pub fn request(index: u64, len: usize) -> AppendEntriesRequest<Types> {
    let body = Slice::new(Rc::new(runtime::buffer(len)), 0..len);
    let (kind, timestamp) = (EntryKind::Command, UnixMillis(0));
    let payload =
        EntryPayload::Normal(Proposal::Entry(Content { kind, timestamp, records: 0, body }));
    let entries = vec![EntryOf::<Types> { log_id: log_id(index), payload, laid: None }];
    let prev_log_id = index.checked_sub(1).map(log_id);
    AppendEntriesRequest { vote: leader(), prev_log_id, entries, leader_commit: None }
}

fn heartbeat() -> AppendEntriesRequest<Types> {
    AppendEntriesRequest { entries: Vec::new(), prev_log_id: None, ..request(0, 1) }
}

pub fn option() -> RPCOption {
    RPCOption::new(Duration::from_secs(4))
}

pub fn vote() -> VoteRequest<Types> {
    let leader = LeaderId { term: 2, voted_for: member_id(1) };
    VoteRequest::new(VoteOf::<Types>::from_leader_id(leader, false), Some(log_id(7)))
}

/// Lets others run until something holds; the test's own limit ends it.
pub async fn until(mut holds: impl FnMut() -> bool) {
    while !holds() {
        runtime::sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn what_is_urgent_is_answered_while_entries_fill_every_buffer_on_their_way() {
    everywhere(|| async {
        const COUNT: u64 = 40;
        let limits = Limits::new(LARGEST_BODY);
        // It reads two of them, and no more before those are answered.
        let served = serve(Limits { in_flight_bytes: 2 * LARGEST_BODY, ..limits.clone() }).await;
        let peers = peers(limits.clone());
        let (mut bulk, mut urgent) = clients(&peers, served.addr).await;
        let (mut asking, _) = clients(&peers, served.addr).await;
        let appending = runtime::spawn(async move {
            let requests = futures::stream::iter((0..COUNT).map(|at| request(at, LARGEST_BODY)));
            let answers = bulk.stream_append(requests, option()).await.unwrap();
            answers.map(|answer| answer.unwrap().unwrap().unwrap().index).collect::<Vec<_>>().await
        });
        // It sends until the stream has as much under way as it may.
        until(|| served.handler.received.get() > 0 && status(&peers).waiting >= 8).await;
        let answer = asking.vote(vote(), option()).await.unwrap();
        assert!(answer.vote_granted && answer.last_log_id == Some(log_id(7)));
        assert!(asking.pre_vote(vote(), option()).await.unwrap().vote_granted);
        let transfer = TransferLeaderRequest::new(leader(), member_id(2), None);
        assert_eq!(asking.transfer_leader(transfer, option()).await.unwrap(), Ok(()));
        let beat = futures::stream::iter([heartbeat()]);
        let mut beats = urgent.stream_append(beat, option()).await.unwrap();
        assert_eq!(beats.next().await.unwrap().unwrap(), Ok(None));
        assert!(beats.next().await.is_none());
        let held = status(&peers);
        assert!(held.waiting as u64 <= COUNT / 2, "{} are under way", held.waiting);
        assert!(held.queued <= limits.outbox + 2 * LARGEST_BODY, "{} bytes wait", held.queued);
        served.handler.go.raise();
        assert_eq!(appending.await, (0..COUNT).collect::<Vec<_>>());
        assert_eq!(served.handler.received.get(), COUNT as usize * LARGEST_BODY);
        served.end().await;
    });
}

#[test]
fn answers_come_in_order_and_a_conflict_ends_its_stream_and_no_other() {
    everywhere(|| async {
        for limits in [Limits::new(LARGEST_BODY), Limits::test_min(LARGEST_BODY)] {
            let served = serve(limits.clone()).await;
            let peers = peers(limits);
            let (mut client, _) = clients(&peers, served.addr).await;
            served.handler.go.raise();
            for round in 0..5 {
                served.handler.conflict.set(Some(20));
                let requests = (0..60).map(|at| request(at, 1 + at as usize * 700));
                let requests = futures::stream::iter(requests);
                let answers: Vec<_> =
                    client.stream_append(requests, option()).await.unwrap().collect().await;
                let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
                let (last, before) = answers.split_last().unwrap();
                assert_eq!(last, &Err(StreamAppendError::Conflict(log_id(19))), "round {round}");
                assert_eq!(before, (0..20).map(|at| Ok(Some(log_id(at)))).collect::<Vec<_>>());
            }
            let one = client.append_entries(request(3, 10), option()).await.unwrap();
            assert!(one.is_success());
            served.handler.conflict.set(Some(3));
            let one = client.append_entries(request(3, 10), option()).await.unwrap();
            assert!(one.is_conflict());
            let status = status(&peers);
            assert_eq!((status.connections, status.waiting), (1, 0), "nothing is left over");
            served.end().await;
        }
    });
}

#[test]
fn a_lost_connection_fails_all_that_waits_at_once_and_a_process_that_is_gone_is_news() {
    everywhere(|| async {
        let limits = Limits::new(LARGEST_BODY);
        let served = serve(limits.clone()).await;
        let addr = served.addr;
        let peers = peers(limits.clone());
        let mut gone = peers.gone();
        let (mut client, _) = clients(&peers, addr).await;
        let stuck = runtime::spawn(async move {
            let requests = futures::stream::iter((0..5).map(|at| request(at, KIB)));
            let requests = requests.chain(futures::stream::pending());
            let mut answers = client.stream_append(requests, option()).await.unwrap();
            let answer = answers.next().await.expect("an answer");
            drop(answers);
            (answer, client)
        });
        until(|| served.handler.received.get() == KIB && status(&peers).waiting >= 5).await;
        assert!(gone.borrow().is_empty());
        served.end().await;
        // Long before any time limit of the call.
        let ended = timeout(limits.answer / 2, stuck).await;
        let (answer, mut client) = ended.expect("it waits for its time limit");
        assert!(matches!(answer, Err(RPCError::Unreachable(_))), "{answer:?}");
        gone.changed().await.unwrap();
        assert!(gone.borrow_and_see().contains_key(&member_id(2)));
        let refused = client.vote(vote(), option()).await.unwrap_err();
        assert!(matches!(refused, RPCError::Unreachable(_)), "{refused:?}");
        let told = status(&peers);
        assert!(!told.bulk && !told.urgent && told.last_contact.is_some());
        assert!(told.trouble.unwrap().1.to_string().contains("is the process there running"));
        // It is found again where it was.
        let listener = TcpListener::bind(addr).await.unwrap();
        let handler = StandIn::default();
        let server =
            Server::new(Peers::new(facts(member_id(2)), limits), Rc::new(handler), Flag::new());
        let serving = runtime::spawn(async move { server.serve(listener).await });
        while client.vote(vote(), option()).await.is_err() {
            runtime::sleep(Duration::from_millis(20)).await;
        }
        gone.changed().await.unwrap();
        assert!(gone.borrow_and_see().is_empty());
        drop(serving);
    });
}

#[test]
fn a_snapshot_arrives_whole_and_one_that_cannot_be_sent_is_not_tried_at_once_again() {
    everywhere(|| async {
        let limits = Limits::test_min(LARGEST_BODY);
        let served = serve(limits.clone()).await;
        let peers = peers(limits.clone());
        let (mut client, _) = clients(&peers, served.addr).await;
        for len in [1, limits.piece, limits.piece + 1, limits.max_snapshot] {
            let bytes: Vec<u8> = (0..len).map(|at| at as u8).collect();
            let meta = SnapshotMetaOf::<Types> {
                last_log_id: Some(log_id(len as u64)),
                last_membership: Default::default(),
            };
            let snapshot = Snapshot { meta: meta.clone(), snapshot: bytes.clone() };
            let sent = client.full_snapshot(leader(), snapshot, pending(), option()).await;
            assert_eq!(sent.unwrap().vote, leader());
            assert_eq!(served.handler.snapshot.take(), Some((meta, bytes)), "{len} bytes");
        }
        // It would be made again at once, and would be no smaller.
        for (len, why) in [
            (limits.max_snapshot + 1, "4097 bytes, where 4096 are the limit"),
            (0, "cannot be read here"),
        ] {
            let snapshot =
                Snapshot { meta: SnapshotMetaOf::<Types>::default(), snapshot: vec![0; len] };
            let (began, before) = (runtime::now(), status(&peers).sent);
            let sent = client.full_snapshot(leader(), snapshot, pending(), option()).await;
            let Err(StreamingError::Unreachable(error)) = sent else { panic!("{sent:?}") };
            assert!(error.to_string().contains(why), "{error}");
            assert!(began.elapsed() >= limits.hopeless, "and is left alone for a while");
            assert!(status(&peers).sent - before < 1000, "nothing of it is sent");
        }
        assert!(served.handler.snapshot.take().is_none());
        served.end().await;
    });
}

fn a_snapshot() -> SnapshotOf<Types, Vec<u8>> {
    Snapshot { meta: SnapshotMetaOf::<Types>::default(), snapshot: vec![7; 1000] }
}

#[test]
fn a_snapshot_that_is_refused_is_tried_ever_more_seldom_and_who_refuses_it_is_known() {
    everywhere(|| async {
        let limits = Limits::test_min(LARGEST_BODY);
        let served = serve(limits.clone()).await;
        let peers = peers(limits.clone());
        let (mut client, _) = clients(&peers, served.addr).await;
        served.handler.no_snapshot.replace(Some("no room".into()));
        let mut pauses = Vec::new();
        for _ in 0..5 {
            let began = runtime::now();
            let sent = client.full_snapshot(leader(), a_snapshot(), pending(), option()).await;
            assert!(matches!(sent, Err(StreamingError::Unreachable(_))), "{sent:?}");
            pauses.push(began.elapsed());
            assert_eq!(status(&peers).refuses.is_some(), pauses.len() > 3, "{pauses:?}");
        }
        assert!(pauses[1] > limits.redial_max && pauses[4] >= limits.hopeless, "{pauses:?}");
        assert!(status(&peers).refuses.unwrap().contains("no room"));
        served.handler.no_snapshot.take();
        client.full_snapshot(leader(), a_snapshot(), pending(), option()).await.unwrap();
        assert_eq!(status(&peers).refuses, None);
        served.end().await;
    });
}

#[test]
fn a_snapshot_is_not_made_anew_for_a_peer_that_is_not_there() {
    everywhere(|| async {
        let limits = Limits::test_min(LARGEST_BODY);
        let served = serve(limits.clone()).await;
        let addr = served.addr;
        let peers = peers(limits.clone());
        let (mut client, _) = clients(&peers, addr).await;
        client.full_snapshot(leader(), a_snapshot(), pending(), option()).await.unwrap();
        served.end().await;
        let mut sending = runtime::spawn(async move {
            client.full_snapshot(leader(), a_snapshot(), pending(), option()).await
        });
        let early = timeout(limits.redial_max * 10, &mut sending).await;
        assert!(early.is_err(), "openraft makes it anew once this ends: {early:?}");
        let listener = TcpListener::bind(addr).await.unwrap();
        let back = Peers::new(facts(member_id(2)), limits.clone());
        let server = Server::new(back, Rc::new(StandIn::default()), Flag::new());
        let serving = runtime::spawn(async move { server.serve(listener).await });
        let sent = timeout(limits.redial_max * 10, sending).await.expect("the peer is back");
        assert!(matches!(sent, Err(StreamingError::Unreachable(_))), "{sent:?}");
        drop(serving);
    });
}

#[test]
fn a_peer_that_cannot_answer_says_why_and_a_late_answer_harms_nobody() {
    everywhere(|| async {
        let limits = Limits::new(LARGEST_BODY);
        let served = serve(limits.clone()).await;
        let peers = peers(limits);
        let (mut client, _) = clients(&peers, served.addr).await;
        served.handler.failure.replace(Some("the disk is gone".into()));
        let failed = client.vote(vote(), option()).await.unwrap_err();
        assert!(failed.to_string().contains("the disk is gone"), "{failed}");
        served.handler.failure.take();
        let short = RPCOption::new(Duration::from_millis(200));
        let late = client.append_entries(request(0, KIB), short).await.unwrap_err();
        assert!(matches!(late, RPCError::Timeout(_)), "{late:?}");
        served.handler.go.raise();
        assert!(client.vote(vote(), option()).await.unwrap().vote_granted);
        assert!(client.append_entries(request(1, KIB), option()).await.unwrap().is_success());
        assert_eq!(status(&peers).connections, 2, "no connection was lost");
        served.end().await;
    });
}

#[test]
fn an_append_that_is_never_answered_ends_its_stream_though_pings_are() {
    everywhere(|| async {
        let answer = Duration::from_secs(1);
        let served = serve(Limits::test_min(LARGEST_BODY)).await;
        let peers = peers(Limits { answer, ..Limits::test_min(LARGEST_BODY) });
        let (mut client, _) = clients(&peers, served.addr).await;
        let short = RPCOption::new(Duration::from_millis(200));
        let began = runtime::now();
        let requests = futures::stream::iter([request(0, KIB)]);
        let mut answers = client.stream_append(requests, short).await.unwrap();
        let late = timeout(10 * answer, answers.next()).await.expect("it ends").unwrap();
        assert!(matches!(late, Err(RPCError::Timeout(_))), "{late:?}");
        assert!(began.elapsed() >= answer, "an answer may take its time");
        assert_eq!(status(&peers).connections, 1, "the other side lives, and says so");
        drop(answers);
        served.end().await;
    });
}

#[test]
fn who_takes_no_entries_is_known_to_refuse_them_until_it_takes_some() {
    everywhere(|| async {
        let limits = Limits::new(LARGEST_BODY);
        let served = serve(limits.clone()).await;
        let peers = peers(limits);
        let (mut client, mut urgent) = clients(&peers, served.addr).await;
        served.handler.go.raise();
        let sent = async |client: &mut PeerClient<Vec<u8>>, request| {
            let requests = futures::stream::iter([request]);
            let mut answers = client.stream_append(requests, option()).await.unwrap();
            answers.next().await.expect("an answer")
        };
        served.handler.refusal.replace(Some("its disk is full".into()));
        let failed = sent(&mut client, request(0, KIB)).await.unwrap_err();
        assert!(failed.to_string().contains("its disk is full"), "{failed}");
        assert_eq!(status(&peers).refuses.as_deref(), Some("its disk is full"));
        served.handler.refusal.take();
        // It answers heartbeats, which says nothing of entries.
        assert!(urgent.append_entries(heartbeat(), option()).await.unwrap().is_success());
        assert!(sent(&mut client, heartbeat()).await.is_ok());
        assert!(status(&peers).refuses.is_some());
        assert!(sent(&mut client, request(0, KIB)).await.is_ok());
        assert_eq!(status(&peers).refuses, None);
        served.end().await;
    });
}

#[test]
fn an_idle_connection_is_kept_and_peers_that_leave_are_left() {
    everywhere(|| async {
        let limits = Limits::test_min(LARGEST_BODY);
        let served = serve(limits.clone()).await;
        let peers = peers(limits.clone());
        let (mut client, _) = clients(&peers, served.addr).await;
        assert!(client.vote(vote(), option()).await.unwrap().vote_granted);
        runtime::sleep(limits.silence * 3).await;
        assert!(client.vote(vote(), option()).await.unwrap().vote_granted);
        let kept = status(&peers);
        assert_eq!((kept.connections, kept.troubles, kept.urgent), (1, 0, true));
        peers.retain(|id| id != member_id(2));
        drop(client);
        assert!(peers.status().is_empty());
        until(|| served.server.connections() == 0).await;
        served.end().await;
    });
}

#[test]
fn a_peer_that_openraft_has_a_way_to_is_not_stopped_by_what_was_known_before() {
    everywhere(|| async {
        let limits = Limits::new(LARGEST_BODY);
        let served = serve(limits.clone()).await;
        let peers = peers(limits);
        // openraft has been given a member that those who ask it who belongs to the group do not hear of yet.
        let (usual, mut urgent) = clients(&peers, served.addr).await;
        peers.retain(|_| false);
        urgent.vote(vote(), option()).await.expect("it is reached");
        drop(usual);
        urgent.vote(vote(), option()).await.expect("there is another way to it");
        // Now that it is known it stays without one; and one that is none goes with the last.
        peers.retain(|_| true);
        drop(urgent);
        assert!(status(&peers).urgent, "it belongs to the group");
        let (mut usual, urgent) = clients(&peers, served.addr).await;
        peers.retain(|_| false);
        drop(urgent);
        usual.vote(vote(), option()).await.expect("it is reached");
        drop(usual);
        assert!(peers.status().is_empty(), "nobody is known any more");
        served.end().await;
    });
}
