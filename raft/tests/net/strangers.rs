//! Who is not let in, and what becomes of those who break the protocol. The bytes here are written by hand, after
//! `docs/format/peer.md`.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use openraft::impls::leader_id_std::LeaderId;
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::VoteRequest;
use openraft::type_config::alias::VoteOf;
use openraft::vote::RaftVote;
use raft::net::{
    DialError, Dialler, Facts, Limits, Peers, RefusalCode, Standing, ask_to_found, who_is,
};
use raft::{Member, Types};
use runtime::{ReadHalf, TcpListener, TcpStream, WriteHalf};

use crate::lanes::{LARGEST_BODY, everywhere, peers, serve};
use crate::lines::Lines;
use crate::member::{facts, member_id};

/// A connection whose every byte the test writes.
struct Raw {
    receive: ReadHalf,
    send: WriteHalf,
    buffer: BytesMut,
}

impl Raw {
    async fn connect(addr: SocketAddr) -> Raw {
        let (receive, send) = TcpStream::connect(addr).await.unwrap().into_split();
        Raw { receive, send, buffer: BytesMut::new() }
    }

    /// One that was let in, for this lane.
    async fn accepted(addr: SocketAddr, lane: u8) -> Raw {
        Self::accepted_with(addr, &hello(VERSION, lane, 0)).await
    }

    async fn accepted_with(addr: SocketAddr, hello: &[u8]) -> Raw {
        let mut raw = Raw::connect(addr).await;
        raw.write(hello).await;
        let (code, text) = raw.reply().await;
        assert_eq!((code, text.as_str()), (0, ""));
        raw
    }

    async fn write(&mut self, bytes: &[u8]) {
        self.send.write_all(bytes).await.unwrap();
    }

    async fn take(&mut self, len: usize) -> BytesMut {
        while self.buffer.len() < len {
            let read = self.receive.read(&mut self.buffer, 64 * 1024).await.unwrap();
            assert!(read > 0, "it was closed");
        }
        self.buffer.split_to(len)
    }

    /// Code and text of a reply to the handshake.
    async fn reply(&mut self) -> (u8, String) {
        let prefix = self.take(16).await;
        assert_eq!((&prefix[..8], prefix[8], prefix[9]), (&b"TPPEER\0\0"[..], VERSION, 2));
        let body = self.take(usize::from(u16::from_le_bytes([prefix[10], prefix[11]]))).await;
        let crc = crc32c::crc32c_append(crc32c::crc32c(&prefix[8..12]), &body);
        assert_eq!(prefix[12..], crc.to_le_bytes());
        assert_eq!(body[..16], 2_u128.to_le_bytes(), "it says who it is");
        (body[16], String::from_utf8(body[32..].to_vec()).unwrap())
    }

    /// Kind, part and body of the next frame.
    async fn frame(&mut self) -> (u8, u8, Vec<u8>) {
        let head = self.take(24).await;
        let len = u32::from_le_bytes(head[4..8].try_into().unwrap());
        let body = self.take(len as usize).await;
        (head[16], head[17], body.to_vec())
    }

    /// Waits until the other side has closed it, and returns what came before.
    async fn closed(mut self) -> BytesMut {
        while self.receive.read(&mut self.buffer, 64 * 1024).await.is_ok_and(|read| read > 0) {}
        self.buffer
    }
}

/// The version of the protocol.
const VERSION: u8 = 4;

fn hello(version: u8, lane: u8, expected: u128) -> Vec<u8> {
    hello_with(version, lane, expected, [0; 27])
}

/// The same, of one whose log names it in a group that was recovered by force so many times.
fn hello_of(lane: u8, recoveries: u32) -> Vec<u8> {
    let mut rest = [0; 27];
    rest[0] = 1;
    rest[3..11].copy_from_slice(&(7 * u64::from(recoveries)).to_le_bytes());
    rest[11..15].copy_from_slice(&recoveries.to_le_bytes());
    hello_with(VERSION, lane, 0, rest)
}

fn hello_with(version: u8, lane: u8, expected: u128, rest: [u8; 27]) -> Vec<u8> {
    let mut body = 1_u128.to_le_bytes().to_vec();
    body.extend(expected.to_le_bytes());
    body.extend((1_u64 << 30).to_le_bytes());
    body.extend(1_u32.to_le_bytes());
    body.extend(0_u32.to_le_bytes());
    body.extend([lane, 14, 13, 0, 1]);
    body.extend(rest);
    body.extend(b"DefaultClusterRaftNode00-s0b");
    let mut out = b"TPPEER\0\0".to_vec();
    out.extend([version, 1]);
    out.extend(u16::try_from(body.len()).unwrap().to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&out[8..12]), &body);
    out.extend(crc.to_le_bytes());
    out.extend(body);
    out
}

fn frame(kind: u8, part: u8, body: &[u8]) -> Vec<u8> {
    let mut rest = u32::try_from(body.len()).unwrap().to_le_bytes().to_vec();
    rest.extend(1_u64.to_le_bytes());
    rest.extend([kind, part, 0, 0, 0, 0, 0, 0]);
    rest.extend(body);
    [&crc32c::crc32c(&rest).to_le_bytes()[..], &rest].concat()
}

/// Member 1 asks for a vote: somebody wants to send.
fn vote_request() -> VoteRequest<Types> {
    let leader = LeaderId { term: 2, voted_for: member_id(1) };
    VoteRequest::new(VoteOf::<Types>::from_leader_id(leader, false), None)
}

fn option() -> RPCOption {
    RPCOption::new(Duration::from_secs(4))
}

type Change = fn(&mut Facts);

const BULK: u8 = 1;
const URGENT: u8 = 2;

#[test]
fn whoever_is_of_another_group_is_refused_and_both_sides_know_why() {
    everywhere(|| async {
        let limits = Limits::new(LARGEST_BODY);
        let served = serve(limits.clone()).await;
        let ours = facts(member_id(1));
        assert_eq!(who_is(served.addr, &ours, &limits).await.unwrap(), member_id(2));
        let changes: [(RefusalCode, Change); 6] = [
            (RefusalCode::Cluster, |facts| facts.cluster = "other".into()),
            (RefusalCode::Group, |facts| facts.group = "RaftNode01-s0".into()),
            (RefusalCode::KnownAs, |facts| facts.known_as = "other".into()),
            (RefusalCode::Shard, |facts| facts.shard = 1),
            (RefusalCode::Constants, |facts| facts.constants.segment_size = 4096),
            (RefusalCode::Store, |facts| facts.store = member_id(2)),
        ];
        for (nth, (code, change)) in changes.into_iter().enumerate() {
            let mut theirs = ours.clone();
            change(&mut theirs);
            let refused = who_is(served.addr, &theirs, &limits).await;
            let Err(DialError::Refused { refusal, .. }) = refused else { panic!("{refused:?}") };
            assert_eq!(refusal.code, code);
            let seen = served.server.refused();
            assert_eq!((seen.len(), &seen[nth].refusal), (nth + 1, &refusal), "both know");
        }
        served.end().await;
    });
}

#[test]
fn a_warning_names_the_group_and_whom_it_is_about() {
    everywhere(|| async {
        let lines = Lines::keep();
        let limits = Limits::new(LARGEST_BODY);
        let served = serve(limits.clone()).await;
        let mut other = facts(member_id(1));
        other.cluster = "other".into();
        assert!(who_is(served.addr, &other, &limits).await.is_err());
        let refused = lines.with("a peer was refused");
        assert!(refused[0].contains("group=RaftNode00-s0 "), "{refused:?}");
        // The same from the side of the one who dials, who knows the other one's label.
        let peers = Peers::new(other, limits);
        let member = Member::new("n7", served.addr);
        let mut client =
            Dialler::<Vec<u8>>::new(peers.clone()).new_client(member_id(2), &member).await;
        assert!(client.vote(vote_request(), option()).await.is_err(), "it is not let in");
        let told = &lines.with("label=n7 ")[0];
        assert!(told.contains("group=RaftNode00-s0 ") && told.contains("cluster"), "{told}");
        peers.stop();
        served.end().await;
    });
}

#[test]
fn one_alone_gets_the_promise_to_found_a_group() {
    everywhere(|| async {
        let limits = Limits::new(LARGEST_BODY);
        let served = serve(limits.clone()).await;
        let (first, second) = (facts(member_id(1)), facts(member_id(3)));
        let ask = |facts| ask_to_found(served.addr, facts, &limits);
        assert_eq!(who_is(served.addr, &second, &limits).await.unwrap(), member_id(2));
        assert_eq!(ask(&first).await.unwrap(), (member_id(2), Standing::Unknown));
        served.peers.stand(Standing::Empty);
        assert_eq!(ask(&first).await.unwrap(), (member_id(2), Standing::Empty), "once more");
        let Err(DialError::Refused { refusal, .. }) = ask(&second).await else {
            panic!("it was promised to another one")
        };
        assert_eq!(refusal.code, RefusalCode::Founder);
        assert!(refusal.text.contains("dLegerSelfId"), "it says what to do: {refusal}");
        assert!(!refusal.text.contains("  "), "an operator reads it: {refusal}");
        assert!(served.peers.promise(member_id(2)).is_err(), "nor does it found one itself");
        // One that belongs to a group says so, to everybody.
        served.peers.stand(Standing::Member);
        assert_eq!(ask(&second).await.unwrap(), (member_id(2), Standing::Member));
        served.end().await;
    });
}

#[test]
fn a_wiped_peer_is_refused_and_an_operator_can_see_why() {
    everywhere(|| async {
        let limits = Limits::test_min(LARGEST_BODY);
        let served = serve(limits.clone()).await;
        let peers = peers(limits);
        let member = Member::new("n2", served.addr);
        // The group knows member 3 there, and finds member 2.
        let mut dialler = Dialler::<Vec<u8>>::new(peers.clone());
        let mut client = dialler.new_client(member_id(3), &member).await;
        let dials = 3;
        while peers.status().first().is_none_or(|status| status.troubles < dials) {
            let failed = client.vote(vote_request(), option()).await;
            let text = failed.unwrap_err().to_string();
            assert!(text.contains("was wiped or is another one"), "{text}");
            runtime::sleep(Duration::from_millis(50)).await;
        }
        let status = peers.status().remove(0);
        let (_, trouble) = status.trouble.unwrap();
        assert!(trouble.to_string().contains(&member_id(3).to_string()), "{trouble}");
        assert!(!status.urgent && status.last_contact.is_none());
        assert!(peers.gone().borrow().is_empty(), "a refusal is no dead process");
        assert!(
            served
                .server
                .refused()
                .iter()
                .all(|visitor| { visitor.refusal.code == RefusalCode::Store })
        );
        served.end().await;
    });
}

#[test]
fn another_version_is_refused_in_words_and_another_protocol_without() {
    everywhere(|| async {
        let limits = Limits::new(LARGEST_BODY);
        let served = serve(limits.clone()).await;
        let mut raw = Raw::connect(served.addr).await;
        raw.write(&hello(VERSION + 1, BULK, 0)).await;
        let (code, text) = raw.reply().await;
        assert_eq!(code, 1);
        let (theirs, ours) = (format!("version {}", VERSION + 1), format!("speaks {VERSION}"));
        assert!(text.contains(&theirs) && text.contains(&ours), "{text}");
        drop(raw);
        let mut raw = Raw::connect(served.addr).await;
        raw.write(&hello(VERSION, 3, 0)).await;
        let (code, text) = raw.reply().await;
        assert_eq!((code, text.contains("lane 3")), (8, true), "{text}");
        drop(raw);
        let mut raw = Raw::connect(served.addr).await;
        raw.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        assert!(raw.closed().await.is_empty(), "it was answered");
        // And the other way round.
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let addr = listener.local_addr();
        let web = runtime::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let (_receive, mut send) = stream.into_split();
            send.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
            runtime::sleep(Duration::from_secs(1)).await;
        });
        let foreign = who_is(addr, &facts(member_id(1)), &limits).await;
        assert!(matches!(foreign, Err(DialError::Foreign { .. })), "{foreign:?}");
        drop(web);
        served.end().await;
    });
}

#[test]
fn an_old_member_that_was_let_in_gets_no_answer_once_a_recovered_one_has_dialled() {
    everywhere(|| async {
        let lines = Lines::keep();
        let served = serve(Limits::new(LARGEST_BODY)).await;
        let mut old = Raw::accepted_with(served.addr, &hello_of(URGENT, 0)).await;
        let question = {
            let mut body = 1_u128.to_le_bytes().to_vec();
            body.extend(2_u64.to_le_bytes());
            body.extend([0; 32]);
            frame(2, 0, &body)
        };
        old.write(&question).await;
        let (kind, part, _) = old.frame().await;
        assert_eq!((kind, part), (2, 1), "nothing is known of another group yet");
        let mut new = Raw::accepted_with(served.addr, &hello_of(URGENT, 1)).await;
        // An error says that it is closed already.
        drop(old.send.write_all(&question).await);
        assert!(old.closed().await.is_empty(), "it was answered, and the answer tells a term");
        let told = lines.with("recovered by force");
        assert!(told[0].contains("without one of the two"), "{told:?}");
        new.write(&question).await;
        assert_eq!(new.frame().await.1, 1, "the recovered one is answered");
        // And it is not let in again.
        let mut again = Raw::connect(served.addr).await;
        again.write(&hello_of(URGENT, 0)).await;
        let (code, text) = again.reply().await;
        assert_eq!((code, text.contains("given up")), (11, true), "{text}");
        drop(again);
        served.end().await;
    });
}

#[test]
fn whoever_breaks_the_protocol_is_dropped_and_others_are_served() {
    everywhere(|| async {
        let limits = Limits::new(LARGEST_BODY);
        let served = serve(limits.clone()).await;
        let mut good = Raw::accepted(served.addr, URGENT).await;
        let too_long = {
            let mut bytes = frame(1, 0, b"");
            bytes[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
            bytes
        };
        let flipped = {
            let mut bytes = frame(2, 0, &[0; 56]);
            *bytes.last_mut().unwrap() ^= 1;
            bytes
        };
        let reserved = {
            let mut bytes = frame(6, 0, b"");
            bytes[20] = 1;
            bytes
        };
        let answer = frame(6, 1, b"");
        let no_append = frame(1, 0, &[7; 200]);
        let vote_that_is_none = frame(2, 0, &[2; 56]);
        for (lane, bad) in [
            (BULK, too_long),
            (URGENT, flipped),
            (URGENT, reserved),
            (BULK, answer),
            (BULK, no_append),
            (URGENT, vote_that_is_none),
        ] {
            let mut raw = Raw::accepted(served.addr, lane).await;
            raw.write(&bad).await;
            raw.closed().await;
        }
        // A kind of a later version is answered, and the connection stays.
        good.write(&frame(200, 0, b"for the leader")).await;
        let (kind, part, text) = good.frame().await;
        assert_eq!((kind, part), (200, 2));
        assert!(String::from_utf8(text).unwrap().contains("kind 200 are not known"));
        good.write(&frame(6, 0, b"")).await;
        assert_eq!(good.frame().await, (6, 1, Vec::new()));
        served.end().await;
        good.closed().await;
    });
}

#[test]
fn those_who_come_too_many_or_say_nothing_do_not_stay() {
    everywhere(|| async {
        let limits = Limits::test_min(LARGEST_BODY);
        let served = serve(limits.clone()).await;
        let mut open = Vec::new();
        for _ in 0..limits.connections {
            open.push(Raw::accepted(served.addr, BULK).await);
        }
        let mut late = Raw::connect(served.addr).await;
        late.write(&hello(VERSION, BULK, 0)).await;
        let (code, text) = late.reply().await;
        assert_eq!((code, text.contains("as many connections")), (7, true), "{text}");
        drop(late);
        // Nobody says anything any more: each is closed, and there is room again.
        for raw in open {
            raw.closed().await;
        }
        drop(Raw::accepted(served.addr, BULK).await);
        // One that does not even say who it is.
        Raw::connect(served.addr).await.closed().await;
        served.end().await;
    });
}
