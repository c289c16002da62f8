//! The process dies at any moment: what was acknowledged is there, at the offset the reply named.

mod support;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use model::Record;
use remoting::RequestCode;
use remoting::header::pull::ViewMessageHeader;
use runtime::channel::{MailboxSender, mailbox};
use runtime::sim::Simulation;
use support::{Client, IP, LIMIT, Running, Sent, config, send_header, simulated};

const LIVES: u64 = 5;
const SENDERS: u64 = 8;
const QUEUES: u64 = 4;

/// A message that was acknowledged, by its number. This is what outlives the process.
type Acknowledged = (u64, Sent);

/// Acknowledgements of one life that may wait for the test to look at them.
const MAX_ACKNOWLEDGED: usize = 100_000;

fn body(number: u64) -> Vec<u8> {
    let mut body = number.to_be_bytes().to_vec();
    body.resize(8 + usize::try_from(number * 37 % 3000).expect("small"), 0xAB);
    body
}

async fn check(client: &Client, acknowledged: &[Acknowledged]) {
    for (number, sent) in acknowledged {
        let offset = i64::from_str_radix(&sent.id[16..], 16).expect("hex");
        let header = ViewMessageHeader { topic: None, offset };
        let answer = client.request(RequestCode::ViewMessageById, &header).await;
        assert_eq!(answer.code, 0, "message {number} is lost: {:?}", answer.remark);
        let record = Record::parse(&answer.body).expect("a record");
        assert_eq!(record.body(), body(*number));
        assert_eq!(record.queue_offset().0.cast_signed(), sent.offset);
        assert_eq!(record.queue_id().0.cast_signed(), sent.queue);
    }
}

/// Checks what earlier lives acknowledged, then sends messages from number `first` on until it is killed.
async fn live(earlier: Vec<Acknowledged>, first: u64, told: MailboxSender<Acknowledged>) {
    let place = simulated();
    let shard = Running::start(&config(&place, &[]), &place).await;
    let client = Rc::new(Client::connect(place.addr()).await);
    check(&client, &earlier).await;
    let next = Rc::new(Cell::new(first));
    for _ in 0..SENDERS {
        let (client, next, told) = (Rc::clone(&client), Rc::clone(&next), told.clone());
        let sender = async move {
            loop {
                let number = next.get();
                next.set(number + 1);
                let queue = i32::try_from(number % QUEUES).expect("small");
                let sent = client.send_with(&send_header("T", queue), &body(number)).await;
                let sent = sent.expect("nothing is refused");
                told.try_send((number, sent)).expect("the test's own queue is long enough");
            }
        };
        runtime::spawn(sender).detach();
    }
    runtime::sleep(LIMIT).await;
    shard.stop().await;
}

/// How many messages were acknowledged, and the fingerprint of all that happened.
fn lives(seed: u64) -> (usize, u64) {
    let simulation = Simulation::new(seed);
    let node = simulation.node("node", IP);
    let mut acknowledged: Vec<Acknowledged> = Vec::new();
    for life in 0..LIVES {
        let (sender, mut told) = mailbox(MAX_ACKNOWLEDGED);
        let (earlier, first) = (acknowledged.clone(), life * 1_000_000);
        let executor = node.start("broker", move || live(earlier, first, sender));
        // Not at once: it shall have acknowledged something.
        let enough = acknowledged.len() + 20;
        let grown = simulation.run_until(LIMIT, || {
            acknowledged.extend(std::iter::from_fn(|| told.try_recv()));
            acknowledged.len() > enough
        });
        assert!(grown, "seed {seed}, life {life}: nothing is acknowledged");
        simulation.run_for(Duration::from_micros(137 * (seed + 1) * (life + 1)));
        node.crash();
        acknowledged.extend(std::iter::from_fn(|| told.try_recv()));
        assert!(simulation.join(executor, LIMIT).is_err(), "it was killed");
    }
    (acknowledged.len(), simulation.trace_hash())
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill() {
    for seed in 0..4 {
        let (acknowledged, _) = lives(seed);
        assert!(acknowledged > 20 * usize::try_from(LIVES).expect("small"), "seed {seed}");
    }
}

#[test]
fn the_same_seed_is_the_same_history() {
    assert_eq!(lives(1), lives(1));
    assert_ne!(lives(1).1, lives(2).1);
}
