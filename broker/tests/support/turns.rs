//! Who has which queue to itself, as clients were told: no two at a time.

use std::collections::BTreeMap;
use std::time::Duration;

use remoting::body::{Body, LockReply, LockRequest};
use remoting::{Command, RequestCode, ResponseCode};
use runtime::{Instant, random_below};
use transport::Connection;

use super::answers::{Queue, Shared, ask, with};
use super::member;

/// How long a lock holds that is not renewed (Apache RocketMQ 5.5.0, `RebalanceLockManager`).
const LEASE: Duration = Duration::from_secs(60);
const GROUP: &str = "G";

/// The locks that clients have, and the names by which they ask.
#[derive(Debug, Default)]
pub struct Turns {
    /// Who has a queue, and until when nobody else may.
    held: BTreeMap<Queue, (String, Instant)>,
    /// How often a client has taken another name.
    names: BTreeMap<u64, u32>,
}

impl Turns {
    fn name(&self, client: u64) -> String {
        format!("{client}-{}", self.names.get(&client).copied().unwrap_or(0))
    }

    fn granted(&mut self, queue: Queue, name: &str, asked: Instant) {
        if let Some((holder, until)) = self.held.get(&queue) {
            let may = holder == name || runtime::now() > *until;
            assert!(may, "{queue:?} was given to {name} while {holder} had it");
        }
        // From when it was asked for on: it was given later.
        self.held.insert(queue, (name.to_owned(), asked + LEASE));
    }
}

/// Asks for a queue, or gives it back if the client has it; `None` when there was no answer.
pub async fn turn(
    shared: &Shared,
    client: u64,
    connection: &Connection,
    queue: Queue,
) -> Option<()> {
    let (name, has_it) = with(shared, |answers| {
        let name = answers.turns.name(client);
        let has_it = answers.turns.held.get(&queue).is_some_and(|(holder, _)| *holder == name);
        (name, has_it)
    });
    match has_it && random_below(2) == 0 {
        true => give_back(shared, client, name, connection, queue).await,
        false => take(shared, name, connection, queue).await,
    }
}

async fn take(shared: &Shared, name: String, connection: &Connection, queue: Queue) -> Option<()> {
    let asked = runtime::now();
    let command = request(RequestCode::LockBatchMq, &name, queue);
    let answer = ask(connection, command).await?;
    if answer.code == ResponseCode::Success.code() {
        let given = LockReply::decode(&answer.body).expect("a set").locked;
        if !given.is_empty() {
            with(shared, |answers| answers.turns.granted(queue, &name, asked));
        }
    }
    Some(())
}

async fn give_back(
    shared: &Shared,
    client: u64,
    name: String,
    connection: &Connection,
    queue: Queue,
) -> Option<()> {
    with(shared, |answers| answers.turns.held.remove(&queue));
    let command = request(RequestCode::UnlockBatchMq, &name, queue);
    let answer = ask(connection, command).await;
    if answer.is_none() {
        // It may be carried out at any time: what this name gets from now on it may lose.
        with(shared, |answers| {
            answers.turns.held.retain(|_, (holder, _)| *holder != name);
            *answers.turns.names.entry(client).or_default() += 1;
        });
    }
    answer.map(drop)
}

fn request(code: RequestCode, name: &str, queue: Queue) -> Command {
    let request = LockRequest {
        client_id: name.to_owned(),
        consumer_group: GROUP.to_owned(),
        mq_set: vec![member::queue(queue.0, "broker-a", queue.1)],
        only_this_broker: false,
    };
    Command::request(code).with_body(request.encode())
}
