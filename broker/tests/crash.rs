//! The process dies at any moment: what was acknowledged is there, at the offset the reply named.

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::Record;
use remoting::RequestCode;
use remoting::header::pull::ViewMessageHeader;
use runtime::sim::Simulation;
use support::{Client, IP, LIMIT, Running, Sent, config, send_header, simulated};

const LIVES: u64 = 5;
const SENDERS: u64 = 8;
const QUEUES: u64 = 4;

/// What outlives the process: the messages that were acknowledged, with their numbers.
#[derive(Default)]
struct Witness {
    acknowledged: Vec<(u64, Sent)>,
    sent: u64,
}

type Shared = Arc<Mutex<Witness>>;

fn witness<T>(shared: &Shared, change: impl FnOnce(&mut Witness) -> T) -> T {
    change(&mut shared.lock().expect("no test thread has panicked"))
}

fn body(number: u64) -> Vec<u8> {
    let mut body = number.to_be_bytes().to_vec();
    body.resize(8 + usize::try_from(number * 37 % 3000).expect("small"), 0xAB);
    body
}

async fn check(client: &Client, shared: &Shared) {
    let acknowledged = witness(shared, |witness| witness.acknowledged.clone());
    for (number, sent) in &acknowledged {
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

/// Checks what earlier lives acknowledged, then sends until it is killed.
async fn live(shared: Shared) {
    let place = simulated();
    let shard = Running::start(&config(&place, &[]), &place).await;
    let client = std::rc::Rc::new(Client::connect(place.addr()).await);
    check(&client, &shared).await;
    for _ in 0..SENDERS {
        let (client, shared) = (std::rc::Rc::clone(&client), Arc::clone(&shared));
        let sender = async move {
            loop {
                let number = witness(&shared, |witness| {
                    witness.sent += 1;
                    witness.sent
                });
                let queue = i32::try_from(number % QUEUES).expect("small");
                let sent = client.send_with(&send_header("T", queue), &body(number)).await;
                let sent = sent.expect("nothing is refused");
                witness(&shared, |witness| witness.acknowledged.push((number, sent)));
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
    let shared = Shared::default();
    for life in 0..LIVES {
        let (mine, before) = (Arc::clone(&shared), witness(&shared, |w| w.acknowledged.len()));
        let executor = node.start("broker", move || live(mine));
        // Not at once: it shall have acknowledged something.
        let grown = || witness(&shared, |w| w.acknowledged.len()) > before + 20;
        assert!(
            simulation.run_until(LIMIT, grown),
            "seed {seed}, life {life}: nothing is acknowledged"
        );
        simulation.run_for(Duration::from_micros(137 * (seed + 1) * (life + 1)));
        node.crash();
        assert!(simulation.join(executor, LIMIT).is_err(), "it was killed");
    }
    let acknowledged = witness(&shared, |witness| witness.acknowledged.len());
    (acknowledged, simulation.trace_hash())
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
