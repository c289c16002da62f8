//! Requests of clients that are handed on, against a stand-in for the one who acts on them. On both backends.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use model::Term;
use openraft::network::RaftNetworkV2;
use raft::Member;
use raft::net::{Forwarded, HandedOn, Limits, NoAnswer, NotSent, Peers};
use runtime::channel::Flag;

use crate::lanes::{
    LARGEST_BODY, Served, clients, everywhere, option, peers, request, serve, status, until, vote,
};
use crate::member::member_id;

const LEFT: Duration = Duration::from_secs(20);

/// Acts on what comes: notes it, and answers with it when it may.
#[derive(Clone, Default)]
struct Office {
    came: Rc<RefCell<Vec<Forwarded>>>,
    go: Flag,
    refuses: Rc<Cell<bool>>,
}

impl Office {
    fn of(served: &Served) -> Self {
        let office = Self::default();
        let serving = office.clone();
        served.peers.serve(Rc::new(move |forwarded: Forwarded| {
            if serving.refuses.get() {
                return Box::pin(async { Err("it does not lead".to_owned()) });
            }
            let (answer, go) = (forwarded.request.to_vec(), serving.go.clone());
            serving.came.borrow_mut().push(forwarded);
            Box::pin(async move {
                go.raised().await;
                Ok(answer)
            })
        }));
        office
    }

    fn came(&self) -> usize {
        self.came.borrow().len()
    }
}

fn forwarded(number: u32, len: usize) -> Forwarded {
    let mut body = number.to_be_bytes().to_vec();
    body.resize(len.max(4), 7);
    let origin = SocketAddr::from(([192, 0, 2, 7], 4000));
    Forwarded { term: Term(3), origin, left: LEFT, request: Bytes::from(body) }
}

/// Member 1, who knows member 2.
fn asker(limits: Limits, addr: SocketAddr) -> Peers {
    let peers = peers(limits);
    peers.know([(&member_id(2), &Member { label: "n1".into(), addr })]);
    peers
}

async fn hand_on(peers: &Peers, request: &Forwarded) -> HandedOn {
    peers.hand_on(member_id(2), request).await.expect("it can be reached")
}

#[test]
fn requests_are_acted_on_in_their_order_and_keep_nobody_waiting() {
    everywhere(|| async {
        let limits = Limits::new(LARGEST_BODY);
        let served = serve(limits.clone()).await;
        let office = Office::of(&served);
        let peers = asker(limits, served.addr);
        let mut sent = Vec::new();
        for number in 0..600 {
            let len = if number % 100 == 3 { 300_000 } else { 50 };
            sent.push(hand_on(&peers, &forwarded(number, len)).await);
        }
        until(|| office.came() == sent.len()).await;
        for (number, came) in (0..).zip(&*office.came.borrow()) {
            assert_eq!(came.request[..4], u32::to_be_bytes(number));
            assert_eq!((came.term, came.origin.port()), (Term(3), 4000));
            assert!(came.left <= LEFT && came.left > LEFT / 2, "{:?}", came.left);
        }
        // More are under way than entries may be, and entries on the same lane pass.
        served.handler.go.raise();
        let (mut client, _) = clients(&peers, served.addr).await;
        assert!(client.append_entries(request(1, 100), option()).await.unwrap().is_success());
        assert!(client.vote(vote(), option()).await.unwrap().vote_granted);
        office.go.raise();
        for (number, mut sent) in (0..).zip(sent) {
            let answer = sent.answer().await.expect("an answer");
            assert_eq!(answer[..4], u32::to_be_bytes(number), "each gets its own");
        }
        served.end().await;
    });
}

#[test]
fn more_than_may_wait_are_not_taken_and_a_refusal_says_why() {
    everywhere(|| async {
        let served = serve(Limits::test_min(LARGEST_BODY)).await;
        let office = Office::of(&served);
        let peers = asker(Limits::new(LARGEST_BODY), served.addr);
        let mut sent = Vec::new();
        for number in 0..5 {
            sent.push(hand_on(&peers, &forwarded(number, 10)).await);
        }
        for late in [4, 3] {
            let refused = sent.remove(late).answer().await.expect_err("it is one too many");
            let NoAnswer::NotTaken(why) = refused else { panic!("{refused}") };
            assert!(why.contains("3 requests"), "{why}");
        }
        assert_eq!(office.came(), 3);
        office.go.raise();
        for mut sent in sent {
            assert_eq!(sent.answer().await.expect("an answer").len(), 10);
        }
        // Bytes are limited as well, but for a request that is alone.
        let alone = hand_on(&peers, &forwarded(9, 100_000)).await.answer().await;
        assert_eq!(alone.expect("an answer").len(), 100_000);
        office.refuses.set(true);
        let refused = hand_on(&peers, &forwarded(9, 10)).await.answer().await;
        let Err(NoAnswer::NotTaken(why)) = refused else { panic!("{refused:?}") };
        assert_eq!(why, "it does not lead");
        served.peers.stop();
        let refused = hand_on(&peers, &forwarded(9, 10)).await.answer().await;
        assert!(matches!(refused, Err(NoAnswer::NotTaken(_))), "{refused:?}");
        assert_eq!(status(&peers).connections, 1, "no connection was lost");
        served.end().await;
    });
}

#[test]
fn what_has_no_answer_was_sent_once_and_what_was_not_sent_is_known() {
    everywhere(|| async {
        let limits = Limits::new(LARGEST_BODY);
        let served = serve(limits.clone()).await;
        let office = Office::of(&served);
        let peers = asker(limits.clone(), served.addr);
        let short = Forwarded { left: Duration::from_millis(100), ..forwarded(1, 10) };
        let answer = hand_on(&peers, &short).await.answer().await;
        assert!(answer.expect("a word that there is none").is_empty());
        let too_long = forwarded(2, limits.max_body);
        let refused = peers.hand_on(member_id(2), &too_long).await.err().expect("it is too long");
        assert!(matches!(refused, NotSent::TooLong { .. }), "{refused}");
        let refused = peers.hand_on(member_id(9), &short).await.err().expect("nobody");
        assert!(matches!(refused, NotSent::Unknown(_)), "{refused}");

        let mut sent = hand_on(&peers, &forwarded(3, 10)).await;
        until(|| office.came() == 2).await;
        served.end().await;
        let lost = sent.answer().await.expect_err("nobody is there");
        assert!(matches!(lost, NoAnswer::Lost(_)), "{lost}");
        let refused = loop {
            // The first dial may still meet the end of the other side.
            match peers.hand_on(member_id(2), &forwarded(4, 10)).await {
                Ok(mut sent) => drop(sent.answer().await),
                Err(refused) => break refused,
            }
        };
        assert!(matches!(refused, NotSent::Unreachable(_)), "{refused}");
        assert_eq!(office.came(), 2, "nothing was sent again");
    });
}
