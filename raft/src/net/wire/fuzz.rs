//! For the fuzzers: every message as a function of any bytes, and some messages to begin with.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use model::{Term, UnixMillis};
use openraft::impls::leader_id_std::LeaderId;
use openraft::raft::{
    AppendEntriesRequest, SnapshotResponse, StreamAppendError, TransferLeaderError,
    TransferLeaderRequest, VoteRequest, VoteResponse,
};
use openraft::type_config::alias::{EntryOf, LogIdOf, SnapshotMetaOf, StoredMembershipOf, VoteOf};
use openraft::vote::RaftVote;
use openraft::{EntryPayload, Membership};
use runtime::{Buffer, Slice};
use storage::{EntryKind, StoreId};

use super::error::WireError;
use super::forward::Forward;
use super::frame::{HEAD_LEN, Head, Part, encode};
use super::hello::{Answer, Hello, PREFIX_LEN, Refusal, RefusalCode, Start};
use super::snapshot::{Answer as SnapshotAnswer, Piece};
use super::{append, gone, snapshot, transfer, vote};
use crate::entry::Laid;
use crate::net::facts::{Constants, Facts, Lane, Standing};
use crate::net::peers::Testimony;
use crate::types::{Content, Member, MemberId, Proposal, Types};

/// The longest body of a frame that is tried.
const MAX_BODY: usize = 1 << 20;

/// Reads a byte that says which message, and the message; with its checksum made right.
///
/// # Errors
/// It cannot be read.
///
/// # Panics
/// When it can, and is written in another form.
pub fn check(input: &[u8]) -> Result<(), WireError> {
    let (which, bytes) = input.split_first().ok_or(WireError::Short)?;
    match which {
        0 => whole_frame(bytes),
        1 => handshake(bytes, Hello::decode, Hello::encode),
        2 => handshake(bytes, Answer::decode, Answer::encode),
        3 => same(bytes, |bytes| append::take(&slice(bytes)), append::put),
        4 => same(bytes, append::take_result, append::put_result),
        5 => same(bytes, vote::take, vote::put),
        6 => same(bytes, vote::take_answer, vote::put_answer),
        7 => same(bytes, transfer::take, transfer::put),
        8 => same(bytes, transfer::take_answer, transfer::put_answer),
        9 => same(bytes, Piece::take, |out, piece| piece.put(out)),
        10 => same(bytes, snapshot::take_answer, snapshot::put_answer),
        11 => same(bytes, gone::take, gone::put),
        12 => same(bytes, gone::take_answer, gone::put_answer),
        13 => same(bytes, Forward::take, |out, forward| forward.put(out)),
        found => Err(WireError::Case { what: "a message", found: *found }),
    }
}

fn same<'a, T>(
    bytes: &'a [u8],
    take: impl FnOnce(&'a [u8]) -> Result<T, WireError>,
    put: impl FnOnce(&mut Vec<u8>, &T),
) -> Result<(), WireError> {
    let (value, mut out) = (take(bytes)?, Vec::new());
    put(&mut out, &value);
    assert_eq!(out, bytes, "two forms of one message");
    Ok(())
}

fn slice(bytes: &[u8]) -> Slice {
    if bytes.is_empty() {
        return Slice::empty();
    }
    let mut buffer = Buffer::with_capacity(bytes.len());
    buffer.append(bytes);
    Slice::new(Rc::new(buffer), 0..bytes.len())
}

fn whole_frame(bytes: &[u8]) -> Result<(), WireError> {
    let mut bytes = bytes.to_vec();
    if let Some(crc) = bytes.get(4..).map(crc32c::crc32c) {
        bytes[..4].copy_from_slice(&crc.to_le_bytes());
    }
    let (bytes, body) = bytes.split_first_chunk::<HEAD_LEN>().ok_or(WireError::Short)?;
    let head = Head::decode(bytes, MAX_BODY)?;
    if body.len() != head.body_len {
        return Err(WireError::Short);
    }
    head.check(bytes, body)?;
    let again = encode(head.kind, head.part, head.id, |out| out.extend_from_slice(body));
    assert_eq!(again, [bytes, body].concat(), "two forms of one frame");
    Ok(())
}

fn handshake<T>(
    bytes: &[u8],
    decode: impl FnOnce(&Start, &[u8]) -> Result<T, WireError>,
    encode: impl FnOnce(&T) -> Vec<u8>,
) -> Result<(), WireError> {
    let mut bytes = bytes.to_vec();
    if let Some((prefix, body)) = bytes.split_at_checked(PREFIX_LEN) {
        let crc = crc32c::crc32c_append(crc32c::crc32c(&prefix[8..12]), body);
        bytes[12..PREFIX_LEN].copy_from_slice(&crc.to_le_bytes());
    }
    let (prefix, body) = bytes.split_first_chunk::<PREFIX_LEN>().ok_or(WireError::Short)?;
    let start = Start::decode(prefix)?;
    if start.version != super::hello::VERSION || start.body_len != body.len() {
        return Err(WireError::Short);
    }
    let value = decode(&start, body)?;
    assert_eq!(encode(&value), bytes, "two forms of one handshake");
    Ok(())
}

fn id(number: u128) -> MemberId {
    MemberId(StoreId(number))
}

fn vote_of(term: u64, elected: bool) -> VoteOf<Types> {
    VoteOf::<Types>::from_leader_id(LeaderId { term, voted_for: id(1) }, elected)
}

fn log_id(term: u64, index: u64) -> LogIdOf<Types> {
    LogIdOf::<Types>::new_term_index(term, index)
}

fn group() -> Membership<MemberId, Member> {
    let member = |label: &str| Member {
        label: label.to_owned(),
        addr: SocketAddr::from(([10, 0, 0, 1], 40911)),
    };
    let nodes = BTreeMap::from([(id(1), member("n0")), (id(2), member("n1"))]);
    Membership::new(vec![[id(1), id(2)].into()], nodes).expect("voters are members")
}

/// One message of each kind and more, each with its name, as [`check`] reads it.
#[must_use]
pub fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let mut out = Vec::new();
    let mut add = |name, which: u8, fill: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = vec![which];
        fill(&mut bytes);
        out.push((name, bytes));
    };
    let facts = Facts {
        store: id(1),
        cluster: "DefaultCluster".into(),
        known_as: "b".into(),
        group: "RaftNode00-s0".into(),
        shard: 0,
        constants: Constants::new(1 << 30),
    };
    let hello = Hello { facts, expected: Some(id(2)), lane: Lane::Urgent, founds: true };
    let refusal = Refusal { code: RefusalCode::Store, text: "another one".into() };
    add("frame", 0, &|out| out.extend(encode(2, Part::Request, 9, |out| out.extend(b"body"))));
    add("question", 1, &|out| out.extend(hello.encode()));
    let accepted = Answer { store: id(2), standing: Standing::Empty, verdict: Ok(()) };
    add("accepted", 2, &|out| out.extend(accepted.encode()));
    let refused = Answer { store: id(2), standing: Standing::Member, verdict: Err(refusal) };
    add("refused", 2, &|out| out.extend(refused.encode()));
    add("append", 3, &|out| append::put(out, &entries()));
    let heartbeat = AppendEntriesRequest { entries: Vec::new(), ..entries() };
    add("heartbeat", 3, &|out| append::put(out, &heartbeat));
    add("matched", 4, &|out| append::put_result(out, &Ok(Some(log_id(3, 9)))));
    let conflict = Err(StreamAppendError::Conflict(log_id(3, 9)));
    add("conflict", 4, &|out| append::put_result(out, &conflict));
    let higher = Err(StreamAppendError::HigherVote(vote_of(9, false)));
    add("higher", 4, &|out| append::put_result(out, &higher));
    let request = VoteRequest::new(vote_of(3, false), Some(log_id(2, 7)));
    add("vote", 5, &|out| vote::put(out, &request));
    let answer = VoteResponse::new(vote_of(3, false), None, true);
    add("granted", 6, &|out| vote::put_answer(out, &answer));
    let request = TransferLeaderRequest::new(vote_of(3, true), id(2), Some(log_id(3, 7)));
    add("transfer", 7, &|out| transfer::put(out, &request));
    let (expected, actual) = (vote_of(3, true), vote_of(4, false));
    let changed = Err(TransferLeaderError::VoteChanged { expected, actual });
    add("changed", 8, &|out| transfer::put_answer(out, &changed));
    let last_membership = StoredMembershipOf::<Types>::new(Some(log_id(1, 1)), group());
    let meta = SnapshotMetaOf::<Types> { last_log_id: Some(log_id(3, 9)), last_membership };
    let piece = Piece { vote: vote_of(3, true), meta, offset: 10, total: 15, bytes: b"piece" };
    add("piece", 9, &|out| piece.put(out));
    let installed = SnapshotAnswer::Installed(SnapshotResponse::new(vote_of(3, true)));
    add("installed", 10, &|out| snapshot::put_answer(out, &installed));
    add("gone", 11, &|out| gone::put(out, &vote_of(3, true)));
    add("not seen", 12, &|out| gone::put_answer(out, &Testimony::NotSeen));
    add("seen", 12, &|out| gone::put_answer(out, &Testimony::Seen(Some(log_id(3, 7)))));
    for (name, origin) in [("forward", "10.0.0.9:40000"), ("forward-v6", "[fd00::9]:40000")] {
        let (term, left) = (Term(3), Duration::from_millis(1500));
        let origin = origin.parse().expect("an address");
        let forward = Forward { term, origin, left, request: b"a request" };
        add(name, 13, &|out| forward.put(out));
    }
    out
}

/// Entries of three kinds.
fn entries() -> AppendEntriesRequest<Types> {
    let (kind, timestamp) = (EntryKind::Messages, UnixMillis(1_700_000_000_000));
    let proposal =
        Proposal::Entry(Content { kind, timestamp, records: 1, body: slice(b"a message") });
    let payloads =
        [EntryPayload::Blank, EntryPayload::Membership(group()), EntryPayload::Normal(proposal)];
    let entry = |(index, payload)| {
        let laid = Laid { chain: 0x0C4A_1100, timestamp };
        let laid = (index > 5).then_some(laid);
        EntryOf::<Types> { log_id: log_id(2, index), payload, laid }
    };
    AppendEntriesRequest {
        vote: vote_of(3, true),
        prev_log_id: Some(log_id(1, 4)),
        entries: (5..).zip(payloads).map(entry).collect(),
        leader_commit: Some(log_id(1, 4)),
    }
}
