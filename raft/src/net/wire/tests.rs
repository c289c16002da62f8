//! Everything that is encoded is decoded to the same, and nothing else is: whatever is cut or flipped.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use model::{Term, UnixMillis};
use openraft::impls::leader_id_std::LeaderId;
use openraft::raft::{
    AppendEntriesRequest, SnapshotResponse, StreamAppendError, StreamAppendResult,
    TransferLeaderError, TransferLeaderRequest, VoteRequest, VoteResponse,
};
use openraft::type_config::alias::{EntryOf, LogIdOf, SnapshotMetaOf, StoredMembershipOf, VoteOf};
use openraft::vote::RaftVote;
use openraft::{EntryPayload, Membership};
use runtime::Slice;
use storage::{EntryKind, StoreId};

use super::forward::Forward;
use super::frame::{HEAD_LEN, Head, Kind, Part, REASON_MAX};
use super::hello::{Answer, Hello, PREFIX_LEN, Refusal, RefusalCode, Start};
use super::snapshot::{Answer as SnapshotAnswer, Piece};
use super::{WireError, append, forward, frame, gone, snapshot, transfer, vote};
use crate::entry::Laid;
use crate::net::facts::tests::facts;
use crate::net::facts::{Lane, Standing};
use crate::net::peers::Testimony;
use crate::types::{Content, Member, MemberId, Proposal, Types};

fn id(number: u128) -> MemberId {
    MemberId(StoreId(number))
}

fn vote_of(term: u64, voted_for: u128, elected: bool) -> VoteOf<Types> {
    let leader = LeaderId { term, voted_for: id(voted_for) };
    VoteOf::<Types>::from_leader_id(leader, elected)
}

fn log_id(term: u64, index: u64) -> LogIdOf<Types> {
    LogIdOf::<Types>::new_term_index(term, index)
}

fn slice(bytes: &[u8]) -> Slice {
    if bytes.is_empty() {
        return Slice::empty();
    }
    let mut buffer = runtime::Buffer::with_capacity(bytes.len());
    buffer.append(bytes);
    Slice::new(Rc::new(buffer), 0..bytes.len())
}

fn group() -> Membership<MemberId, Member> {
    let member = |number: u16| Member {
        label: format!("n{number}"),
        addr: SocketAddr::from(([10, 0, 0, 1], number)),
    };
    let nodes = BTreeMap::from([(id(1), member(1)), (id(2), member(2))]);
    Membership::new(vec![[id(1), id(2)].into()], nodes).expect("valid")
}

fn proposal(kind: EntryKind, body: &[u8]) -> EntryPayload<Proposal, MemberId, Member> {
    let (timestamp, records) = (UnixMillis(1_700_000_000_000), 3);
    EntryPayload::Normal(Proposal::Entry(Content { kind, timestamp, records, body: slice(body) }))
}

/// Entries of every kind, behind the first of term 4.
fn request() -> AppendEntriesRequest<Types> {
    let payloads = [
        EntryPayload::Blank,
        EntryPayload::Membership(group()),
        proposal(EntryKind::Messages, b"a message"),
        proposal(EntryKind::Command, b""),
        proposal(EntryKind::Topic, b"a topic"),
        proposal(EntryKind::Trim, b"trim"),
    ];
    let entry = |(at, payload): (usize, _)| EntryOf::<Types> {
        log_id: log_id(5 + at as u64 / 3, 1 + at as u64),
        payload,
        laid: (at > 0).then_some(Laid {
            chain: u32::MAX - u32::try_from(at).expect("a few"),
            timestamp: UnixMillis(1_700_000_000_000),
        }),
    };
    AppendEntriesRequest {
        vote: vote_of(7, 1, true),
        prev_log_id: Some(log_id(4, 0)),
        entries: payloads.into_iter().enumerate().map(entry).collect(),
        leader_commit: Some(log_id(4, 0)),
    }
}

fn encoded(put: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out);
    out
}

/// Cut anywhere, it is an error; with a bit flipped it is one, or means something else in its only form.
fn check<T: Debug>(
    bytes: &[u8],
    take: impl Fn(&[u8]) -> Result<T, WireError>,
    put: impl Fn(&mut Vec<u8>, &T),
) {
    let value = take(bytes).expect("what was encoded is decoded");
    assert_eq!(encoded(|out| put(out, &value)), bytes, "{value:?} has another form");
    for at in 0..bytes.len() {
        assert!(take(&bytes[..at]).is_err(), "cut at {at}");
        for bit in 0..8 {
            let mut bad = bytes.to_vec();
            bad[at] ^= 1 << bit;
            if let Ok(other) = take(&bad) {
                assert_eq!(encoded(|out| put(out, &other)), bad, "byte {at}, bit {bit}");
            }
        }
    }
    assert!(take(&[bytes, &[0]].concat()).is_err(), "something follows");
}

#[test]
fn appends_are_read_back_and_nothing_else_is() {
    let take = |bytes: &[u8]| append::take(&slice(bytes));
    for request in [request(), AppendEntriesRequest { entries: Vec::new(), ..request() }] {
        let bytes = encoded(|out| append::put(out, &request));
        check(&bytes, take, append::put);
        let read = take(&bytes).expect("what was encoded");
        assert_eq!(format!("{read:?}"), format!("{request:?}"));
    }
    let none = AppendEntriesRequest {
        vote: vote_of(1, 2, true),
        prev_log_id: None,
        entries: Vec::new(),
        leader_commit: None,
    };
    check(&encoded(|out| append::put(out, &none)), take, append::put);
}

#[test]
fn a_body_is_a_view_of_the_memory_that_was_received() {
    let memory = slice(&encoded(|out| append::put(out, &request())));
    let read = append::take(&memory).expect("what was encoded");
    let EntryPayload::Normal(message) = &read.entries[2].payload else { panic!("a proposal") };
    assert_eq!(&*message.content().expect("an entry").body, b"a message");
    let within = memory.as_ptr_range();
    assert!(within.contains(&message.content().expect("an entry").body.as_ptr()), "it was copied");
}

#[test]
fn entries_that_do_not_follow_each_other_are_refused() {
    let refused = |change: fn(&mut AppendEntriesRequest<Types>)| {
        let mut request = request();
        change(&mut request);
        append::take(&slice(&encoded(|out| append::put(out, &request)))).expect_err("it is wrong")
    };
    let gap = WireError::Gap { expected: 2, found: 3 };
    assert_eq!(refused(|request| drop(request.entries.remove(1))), gap);
    let gap = WireError::Gap { expected: 0, found: 1 };
    assert_eq!(refused(|request| request.prev_log_id = None), gap);
    let falls = WireError::TermFalls { index: 2, found: 4, before: 5 };
    assert_eq!(refused(|request| request.entries[1].log_id = log_id(4, 2)), falls);
    let falls = WireError::TermFalls { index: 6, found: 6, before: 5 };
    assert_eq!(refused(|request| request.vote = vote_of(5, 1, true)), falls);
    assert_eq!(refused(|request| request.vote = vote_of(7, 1, false)), WireError::NoLeader);
    let last = WireError::Gap { expected: u64::MAX, found: u64::MAX };
    let at_the_end = |request: &mut AppendEntriesRequest<Types>| {
        request.prev_log_id = Some(log_id(4, u64::MAX - 1));
        request.entries.truncate(1);
        request.entries[0].log_id = log_id(5, u64::MAX);
    };
    assert_eq!(refused(at_the_end), last);
}

#[test]
fn answers_to_appends_are_read_back_and_nothing_else_is() {
    let results: [StreamAppendResult<Types>; 4] = [
        Ok(None),
        Ok(Some(log_id(3, 9))),
        Err(StreamAppendError::Conflict(log_id(2, 8))),
        Err(StreamAppendError::HigherVote(vote_of(9, 3, false))),
    ];
    for result in results {
        let bytes = encoded(|out| append::put_result(out, &result));
        assert_eq!(append::take_result(&bytes), Ok(result));
        check(&bytes, append::take_result, append::put_result);
    }
}

#[test]
fn votes_and_transfers_are_read_back_and_nothing_else_is() {
    let mut request = VoteRequest::new(vote_of(3, 1, false), Some(log_id(2, 7)));
    for leadership_transfer in [false, true] {
        request.leadership_transfer = leadership_transfer;
        let bytes = encoded(|out| vote::put(out, &request));
        assert_eq!((bytes.len(), vote::take(&bytes)), (vote::LEN, Ok(request.clone())));
        check(&bytes, vote::take, vote::put);
    }
    // A vote is durable before openraft looks for the term behind it, at each start.
    for term in [1 << 62, (1 << 62) + 1, u64::MAX] {
        let request = VoteRequest::new(vote_of(term, 1, false), None);
        let read = vote::take(&encoded(|out| vote::put(out, &request))).map(drop);
        assert_eq!(read, if term > 1 << 62 { Err(WireError::Term(term)) } else { Ok(()) });
    }
    for granted in [false, true] {
        let answer = VoteResponse::new(vote_of(3, 2, true), None, granted);
        let bytes = encoded(|out| vote::put_answer(out, &answer));
        assert_eq!((bytes.len(), vote::take_answer(&bytes)), (vote::LEN, Ok(answer)));
        check(&bytes, vote::take_answer, vote::put_answer);
    }
    let request = TransferLeaderRequest::new(vote_of(3, 1, true), id(2), Some(log_id(3, 7)));
    let bytes = encoded(|out| transfer::put(out, &request));
    assert_eq!((bytes.len(), transfer::take(&bytes)), (transfer::LEN, Ok(request)));
    check(&bytes, transfer::take, transfer::put);
    let (expected, actual) = (vote_of(3, 1, true), vote_of(4, 2, false));
    let answers = [
        Ok(()),
        Err(TransferLeaderError::VoteChanged { expected, actual }),
        Err(TransferLeaderError::LogNotFlushed { expected: Some(log_id(1, 1)), actual: None }),
    ];
    for answer in answers {
        let bytes = encoded(|out| transfer::put_answer(out, &answer));
        assert_eq!(transfer::take_answer(&bytes), Ok(answer));
        check(&bytes, transfer::take_answer, transfer::put_answer);
    }
}

#[test]
fn questions_about_a_leader_are_read_back_and_only_a_leader_is_asked_about() {
    let leader = vote_of(3, 1, true);
    let bytes = encoded(|out| gone::put(out, &leader));
    assert_eq!((bytes.len(), gone::take(&bytes)), (32, Ok(leader)));
    check(&bytes, gone::take, gone::put);
    let candidate = encoded(|out| gone::put(out, &vote_of(3, 1, false)));
    assert_eq!(gone::take(&candidate), Err(WireError::NoLeader));
    for answer in [Testimony::NotSeen, Testimony::Seen(None), Testimony::Seen(Some(log_id(3, 7)))] {
        let bytes = encoded(|out| gone::put_answer(out, &answer));
        assert_eq!(gone::take_answer(&bytes), Ok(answer));
        check(&bytes, gone::take_answer, gone::put_answer);
    }
}

#[test]
fn pieces_of_a_snapshot_are_read_back_and_lie_within_it() {
    let last_membership = StoredMembershipOf::<Types>::new(Some(log_id(1, 1)), group());
    let meta = SnapshotMetaOf::<Types> { last_log_id: Some(log_id(5, 9)), last_membership };
    let vote = vote_of(6, 1, true);
    let piece = Piece { vote, meta, offset: 10, total: 14, bytes: b"abcd" };
    let bytes = encoded(|out| piece.put(out));
    assert_eq!(Piece::take(&bytes).as_ref(), Ok(&piece));
    // The last bytes are the piece itself: without some of them it is another, shorter one.
    for at in 0..bytes.len() - piece.bytes.len() + 1 {
        assert!(Piece::take(&bytes[..at]).is_err(), "cut at {at}");
    }
    for at in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[at / 8] ^= 1 << (at % 8);
        if let Ok(other) = Piece::take(&bad) {
            assert_eq!(encoded(|out| other.put(out)), bad, "bit {at}");
        }
    }
    for (offset, total) in [(11, 14), (10, 13), (u64::MAX, 14)] {
        let wrong = Piece { offset, total, ..piece.clone() };
        let read = encoded(|out| wrong.put(out));
        assert_eq!(Piece::take(&read), Err(WireError::Piece { offset, len: 4, total }));
    }
    // openraft takes a snapshot that is newer than its leader, or a group that is, for the end of the process.
    let of = |last, group_id| {
        let last_membership = StoredMembershipOf::<Types>::new(group_id, group());
        let meta = SnapshotMetaOf::<Types> { last_log_id: last, last_membership };
        let read = encoded(|out| Piece { meta, ..piece.clone() }.put(out));
        Piece::take(&read).map(drop)
    };
    assert_eq!(of(Some(log_id(6, 9)), Some(log_id(6, 9))), Ok(()));
    let falls = |index, found, before| Err(WireError::TermFalls { index, found, before });
    assert_eq!(of(Some(log_id(7, 9)), Some(log_id(1, 1))), falls(9, 7, 6));
    assert_eq!(of(Some(log_id(5, 9)), Some(log_id(5, 10))), falls(10, 5, 5));
    assert_eq!(of(None, Some(log_id(1, 1))), falls(1, 1, 0));
    let empty = Piece { offset: 0, bytes: b"", ..piece };
    let read = encoded(|out| empty.put(out));
    assert!(Piece::take(&read).is_err(), "a piece of nothing of a snapshot with bytes");
    for answer in [SnapshotAnswer::GoOn, SnapshotAnswer::Installed(SnapshotResponse::new(vote))] {
        let bytes = encoded(|out| snapshot::put_answer(out, &answer));
        assert_eq!(snapshot::take_answer(&bytes), Ok(answer));
        check(&bytes, snapshot::take_answer, snapshot::put_answer);
    }
}

/// Reads a whole frame.
fn read_frame(bytes: &[u8], max: usize) -> Result<(Head, Vec<u8>), WireError> {
    let (head, body) = bytes.split_first_chunk::<HEAD_LEN>().ok_or(WireError::Short)?;
    let decoded = Head::decode(head, max)?;
    if body.len() < decoded.body_len {
        return Err(WireError::Short);
    }
    let body = &body[..decoded.body_len];
    decoded.check(head, body)?;
    Ok((decoded, body.to_vec()))
}

#[test]
fn a_frame_is_read_back_and_every_flipped_bit_is_noticed() {
    let bytes = frame::encode(Kind::Vote as u8, Part::Request, 77, |out| out.extend(b"body"));
    let (head, body) = read_frame(&bytes, 4).expect("what was encoded");
    assert_eq!((head.id, head.kind, head.part), (77, Kind::Vote as u8, Part::Request));
    assert_eq!(body, b"body");
    for at in 0..bytes.len() {
        assert!(read_frame(&bytes[..at], 4).is_err(), "cut at {at}");
        for bit in 0..8 {
            let mut bad = bytes.clone();
            bad[at] ^= 1 << bit;
            assert!(read_frame(&bad, 4).is_err(), "byte {at}, bit {bit}");
        }
    }
    assert_eq!(read_frame(&bytes, 3), Err(WireError::TooLong { len: 4, max: 3 }));
    let unknown = frame::encode(200, Part::Answer, 1, |_| ());
    let (head, _) = read_frame(&unknown, 0).expect("a later version may have more kinds");
    assert_eq!(Kind::from_byte(head.kind), None);
}

#[test]
fn a_reason_is_cut_where_a_letter_ends() {
    let long = "ü".repeat(REASON_MAX);
    let bytes = frame::failed(1, 1, &long);
    let (head, body) = read_frame(&bytes, REASON_MAX).expect("it is short enough");
    assert_eq!((head.part, frame::reason(&body)), (Part::Failed, "ü".repeat(REASON_MAX / 2)));
    assert!(!frame::reason(&[0xFF; 9]).is_empty(), "it need not be UTF-8");
    assert_eq!(frame::reason(b"two\nlines"), "two lines");
}

fn read_hello(bytes: &[u8]) -> Result<Hello, WireError> {
    let (prefix, body) = bytes.split_first_chunk::<PREFIX_LEN>().ok_or(WireError::Short)?;
    let start = Start::decode(prefix)?;
    Hello::decode(&start, body.get(..start.body_len).ok_or(WireError::Short)?)
}

fn read_answer(bytes: &[u8]) -> Result<Answer, WireError> {
    let (prefix, body) = bytes.split_first_chunk::<PREFIX_LEN>().ok_or(WireError::Short)?;
    let start = Start::decode(prefix)?;
    Answer::decode(&start, body.get(..start.body_len).ok_or(WireError::Short)?)
}

/// Every bit counts, but those of the version: whoever reads it looks at that one first.
fn check_shake<T>(bytes: &[u8], read: impl Fn(&[u8]) -> Result<T, WireError>) {
    for at in 0..bytes.len() {
        assert!(read(&bytes[..at]).is_err(), "cut at {at}");
        for bit in 0..8 {
            let mut bad = bytes.to_vec();
            bad[at] ^= 1 << bit;
            assert!(read(&bad).is_err(), "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn a_handshake_is_read_back_and_every_flipped_bit_is_noticed() {
    for (expected, lane) in [(None, Lane::Bulk), (Some(id(9)), Lane::Urgent)] {
        let hello = Hello { facts: facts(7), expected, lane, founds: expected.is_none() };
        let bytes = hello.encode();
        assert_eq!(read_hello(&bytes), Ok(hello));
        check_shake(&bytes, read_hello);
        assert!(read_answer(&bytes).is_err(), "a question is no answer");
    }
    let refusal = Refusal { code: RefusalCode::Store, text: "another one".into() };
    for verdict in [Ok(()), Err(refusal)] {
        let answer = Answer { store: id(7), standing: Standing::Member, verdict };
        let bytes = answer.encode();
        assert_eq!(read_answer(&bytes), Ok(answer));
        check_shake(&bytes, read_answer);
    }
    let long = Refusal { code: RefusalCode::Version, text: "ü".repeat(5000) };
    let (standing, verdict) = (Standing::Empty, Err(long));
    let read = read_answer(&Answer { store: id(7), standing, verdict }.encode());
    assert!(read.expect("it was cut").verdict.expect_err("a refusal").text.len() > 1000);
}

#[test]
fn requests_that_are_handed_on_are_read_back_and_nothing_else_is() {
    for origin in ["10.0.0.9:40000", "[fd00::9]:1", "[::ffff:10.0.0.9]:0"] {
        let forward = Forward {
            term: Term(7),
            origin: origin.parse().expect("an address"),
            left: Duration::from_millis(1500),
            request: b"a frame",
        };
        let bytes = encoded(|out| forward.put(out));
        assert_eq!((bytes.len(), Forward::take(&bytes)), (forward::HEAD_LEN + 7, Ok(forward)));
        // The last bytes are the request itself: without some of them it is another, shorter one.
        for at in 0..=forward::HEAD_LEN {
            assert!(Forward::take(&bytes[..at]).is_err(), "cut at {at}");
        }
        for at in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[at / 8] ^= 1 << (at % 8);
            if let Ok(other) = Forward::take(&bad) {
                assert_eq!(encoded(|out| other.put(out)), bad, "bit {at}");
            }
        }
        let mut none = bytes.clone();
        none[28..32].fill(0);
        assert_eq!(Forward::take(&none), Err(WireError::NoTime));
    }
}
