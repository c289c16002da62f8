//! One member of the group, in an executor of its own: its store, its network, and the owner of the store.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use model::{LogIndex, Term};
use openraft::ServerState;
use openraft::async_runtime::WatchReceiver;
use raft::net::{Dialler, Limits, Peers, Server};
use raft::{MemberId, Node, Raft, Role};
use runtime::channel::Flag;
use runtime::{TcpListener, sleep};
use storage::{AppendError, EntryLog, Flush, Store};

use crate::board::{Board, Group};
use crate::content::{QUEUES, TOPIC, body, draft};
use crate::door::Door;
use crate::invariants::flushed::{self, Found};
use crate::invariants::leaders;
use crate::owner::{Pending, own};
use crate::report::report;
use crate::settings::{TIMES, facts, options};
use crate::witness::{Me, Witness};
use crate::{changes, reader};

const TURN: Duration = Duration::from_millis(1);

/// Where a member lives.
#[derive(Clone)]
pub struct Home {
    pub dir: PathBuf,
    pub listen: SocketAddr,
    pub flush: Flush,
}

/// A member's life, to its ordered end. It starts again by itself when a snapshot takes the place of its log; one that has
/// failed goes on until it is killed.
pub async fn live(home: Home, board: Board, witness: Witness) {
    loop {
        match live_once(&home, &board, &witness).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(why) => {
                board.notes().failed.get_or_insert(why);
                return std::future::pending().await;
            }
        }
    }
}

/// True when the store is to be opened again.
async fn live_once(home: &Home, board: &Board, witness: &Witness) -> Result<bool, String> {
    let options = options(&home.dir, home.flush);
    let segment_size = options.segment_size;
    let opened = Store::open_member(options).await;
    let (store, events, opening) = opened.map_err(|error| error.to_string())?;
    let id = MemberId(store.id());
    let me = witness.life(id, board.clone());
    let pending = Pending::default();
    let owner = own(events, store.clone(), Rc::clone(&pending), me.clone());
    let owner = runtime::spawn(owner);
    let Some((log, applier)) = opening.ready().await else {
        owner.await; // it is told why
        return Err("the log cannot be read".to_owned());
    };
    remembers(&log, &me).await;
    let limits = Limits::new(log.largest_payload());
    let peers = Peers::new(facts(id, segment_size), limits);
    let dialler = Dialler::<Vec<u8>>::new(peers.clone());
    let started = Node::start(store.clone(), log, applier, dialler, TIMES).await;
    let node = started.map_err(|error| error.to_string())?;
    node.introduce(peers.clone());
    let stop = Flag::new();
    let listener = TcpListener::bind(home.listen).await.unwrap();
    let door = Door { handler: node.handler(), me: me.clone() };
    let server = Server::new(peers.clone(), Rc::new(door), stop.clone());
    let serving = runtime::spawn(async move { server.serve(listener).await });
    let watching = runtime::spawn(watch(node.raft().clone(), me.clone()));
    let reading = runtime::spawn(reader::read_on(store.clone(), me.clone()));
    {
        let mut notes = board.notes();
        (notes.id, notes.runs) = (Some(id), true);
    }
    let life = Life { me, store, node, pending, stint: Cell::default(), segment_size };
    life.found().await;
    while life.turn().await {
        sleep(TURN).await;
    }
    // From here on it waits for no space on its disk: what it could not apply is for the next start.
    life.me.board.notes().runs = false;
    stop.raise();
    serving.await;
    peers.stop();
    drop((watching, reading));
    let again = life.node.wants_restart();
    life.give_up();
    life.node.stop().await.map_err(|error| error.to_string())?;
    life.store.stop().await;
    owner.await;
    Ok(again)
}

/// Whether the member knows what it knew, and has what it had.
async fn remembers(log: &EntryLog, me: &Me) {
    let (promise, state) = (log.promise(), log.state());
    me.seen().votes.remembers(me.member, promise);
    let Some(told) = me.seen().flushed.newest(me.member) else { return };
    let index = LogIndex(told.index);
    // Where the disk is not well the member is about to fail.
    let Ok(read) = log.reader().read(index..index.next(), 1).await else { return };
    let term = read.first().map(|entry| entry.head.term.0);
    let (promised, log) = (promise.term.0, (state.first.0, state.next.0));
    flushed::is_there(me.member, told, Found { promised, log, term });
}

/// Sees every change of the role, and of the group.
async fn watch(raft: Raft, me: Me) {
    let mut metrics = raft.metrics();
    loop {
        let now = metrics.borrow_watched().clone();
        if now.state == ServerState::Leader {
            let (term, mut seen) = (now.current_term, me.seen());
            seen.leaders.leads(term, me.member, me.life);
            seen.votes.given(me.member, term, me.member);
            leaders::has_all(&seen.entries, term, now.last_log_index);
        }
        let group = &now.membership_config;
        let voters: BTreeSet<MemberId> = group.voter_ids().collect();
        let settled = group.get_joint_config().len() == 1;
        if let (Some(at), true) = (group.log_id(), settled) {
            me.seen().groups.seen((at.leader_id.term, at.index), voters.clone());
        }
        let learners = group.nodes().map(|(id, _)| *id).filter(|id| !voters.contains(id)).collect();
        me.board.notes().group = Group { voters, learners, settled };
        if metrics.changed().await.is_err() {
            return;
        }
    }
}

struct Life {
    me: Me,
    store: Store,
    node: Node,
    pending: Pending,
    /// Which of the times this is that the member leads.
    stint: Cell<u64>,
    segment_size: u64,
}

impl Life {
    /// Founds the group, at every start anew: nothing happens where there is one.
    async fn found(&self) {
        let found = self.me.board.notes().found.clone();
        if let Some(members) = found
            && let Err(error) = self.node.found(members).await
        {
            self.me.failed(&error.to_string());
        }
    }

    /// False at the end.
    async fn turn(&self) -> bool {
        if std::mem::take(&mut self.me.board.notes().trim) {
            self.trim().await;
        }
        changes::make(self.node.raft(), &self.me.board);
        let (stint, from) = self.node.group().begun();
        // What it sent before, when it led in the same term, is taken in first: it comes as what was sent here.
        let leads = match self.node.role() {
            Role::Leading(term) if self.me.board.notes().applied >= from.0 => Some(term),
            Role::Leading(_) | Role::Following(_) => None,
        };
        if stint != self.stint.replace(stint) {
            self.give_up(); // it has led before, perhaps in the same term, and did not in between
        }
        match leads {
            Some(term) => self.send_all(term),
            None => self.give_up(),
        }
        let wanted = self.me.board.notes().report_wanted;
        let report = if wanted { Some(report(&self.store, self.segment_size).await) } else { None };
        let running = self.node.raft().metrics().borrow_watched().running_state.clone();
        let mut notes = self.me.board.notes();
        notes.leads = leads.map(|term| term.0);
        if report.is_some() {
            (notes.report, notes.report_wanted) = (report, false);
        }
        if self.node.wants_restart() {
            notes.snapshots += 1;
            return false;
        }
        if let Err(why) = running {
            notes.failed.get_or_insert_with(|| why.to_string());
        }
        !notes.stop
    }

    /// Gives up all segments but the newest, if messages are taken here.
    async fn trim(&self) {
        let segments = self.store.segments();
        if let [.., (to, _)] = segments[..]
            && to > self.store.stats().min
        {
            drop(self.store.append_trim(to).await); // elsewhere, or a little later
        }
    }

    /// Whoever sent something here is told that nobody knows what became of it.
    fn give_up(&self) {
        let taken: Vec<_> = self.pending.borrow_mut().drain(..).map(|(_, number)| number).collect();
        let mut notes = self.me.board.notes();
        let not_taken: Vec<_> = notes.to_send.drain(..).collect();
        notes.unknown.extend(taken.into_iter().chain(not_taken));
    }

    fn send_all(&self, term: Term) {
        if !self.store.has_topic(TOPIC) {
            drop(self.store.append_create_topic(TOPIC, QUEUES, b""));
            return;
        }
        loop {
            let Some(number) = self.me.board.notes().to_send.pop_front() else { return };
            match self.store.append_message(&draft(number, &body(number))) {
                Ok(()) => self.pending.borrow_mut().push_back((term, number)),
                Err(AppendError::NoSegment | AppendError::Busy { .. }) => {
                    return self.me.board.notes().to_send.push_front(number);
                }
                Err(
                    AppendError::Elsewhere
                    | AppendError::NoTopic
                    | AppendError::Full
                    | AppendError::NoFile { .. }
                    | AppendError::Failed,
                ) => {
                    self.me.board.notes().unknown.insert(number);
                    return;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}
