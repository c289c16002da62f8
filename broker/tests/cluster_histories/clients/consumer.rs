//! Consumes queues in order, as a client with an orderly listener does: locks one, goes on where the group has committed, and
//! commits what it was given.

use std::time::Duration;

use remoting::RequestCode;
use remoting::body::{Body, LockReply, LockRequest};
use remoting::fastjson::MessageQueue;
use runtime::random_below;

use super::stock::{Found, GROUP, Stock, pause};
use crate::content::Queue;

const PAUSE_MILLIS: u64 = 30;
/// The same, once nothing is sent any more.
const RARELY_MILLIS: u64 = 400;
/// Pulls of one turn, at most.
const PULLS: u64 = 8;
/// A turn ends that long before its lock does.
const TURN: Duration = Duration::from_secs(30);

/// A consumer. Its name is another one once nobody knows whether a lock was given back.
pub struct Consumer {
    pub stock: Stock,
    pub number: u64,
    pub names: u32,
}

impl Consumer {
    pub async fn run(mut self) {
        loop {
            if let Some(found) = self.stock.find(false).await
                && let Some(addr) = found.somebody()
            {
                let name = format!("c{}-{}", self.number, self.names);
                self.turn(&found, addr, &name).await;
            }
            let is_over = self.stock.witness.seen().is_over;
            pause(if is_over { RARELY_MILLIS } else { PAUSE_MILLIS }).await;
        }
    }

    async fn turn(&mut self, found: &Found, addr: &str, name: &str) -> Option<()> {
        let (queue, asked) = (found.queue, runtime::now());
        self.stock.witness.seen().locks.asks(queue, name);
        let request = lock_request(found, name);
        let code = RequestCode::LockBatchMq;
        let locked = self.stock.client.ask(addr, code, &(), &request);
        let answer = self.stock.bounded(locked).await?.ok()?;
        self.stock.witness.seen().locks.has_answer(queue, name);
        if LockReply::decode(&answer.body).expect("a set").locked.is_empty() {
            return None;
        }
        self.stock.witness.seen().locks.granted(queue, name, asked);
        if let Some(mut at) = self.stock.offset(addr, queue).await {
            for _ in 0..1 + random_below(PULLS) {
                if asked.elapsed() > TURN || self.goes_on(addr, queue, &mut at).await.is_none() {
                    break;
                }
            }
        }
        if random_below(4) > 0 {
            self.gives_back(addr, &request, (queue, name)).await;
        }
        Some(())
    }

    /// Takes what there is, and commits it.
    async fn goes_on(&self, addr: &str, queue: Queue, at: &mut u64) -> Option<()> {
        let (next, got) = self.stock.pull(addr, queue, *at).await?;
        if got.is_empty() {
            return None;
        }
        {
            let mut seen = self.stock.witness.seen();
            got.iter().for_each(|one| seen.delivered.given(queue, one.offset));
            seen.offsets.of(queue).sets(next.cast_signed());
        }
        *at = next;
        let (Queue { topic, id, .. }, offset) = (queue, next.cast_signed());
        let committed = self.stock.client.commit_offset(addr, GROUP, topic, id, offset);
        self.stock.bounded(committed).await?.ok()?;
        self.stock.witness.seen().offsets.of(queue).is_set(offset);
        Some(())
    }

    async fn gives_back(&mut self, addr: &str, request: &[u8], (queue, name): (Queue, &str)) {
        self.stock.witness.seen().locks.gives_back(queue, name);
        let code = RequestCode::UnlockBatchMq;
        let given_back = self.stock.client.ask(addr, code, &(), request);
        match self.stock.bounded(given_back).await {
            Some(Ok(_)) => self.stock.witness.seen().locks.is_given_back(queue, name),
            // It may be carried out at any time: what this name gets from now on it may lose.
            _ => self.names += 1,
        }
    }
}

fn lock_request(found: &Found, name: &str) -> Vec<u8> {
    let Queue { topic, id, .. } = found.queue;
    let queue = MessageQueue {
        topic: topic.to_owned(),
        broker_name: found.broker_name.clone(),
        queue_id: id,
    };
    let request = LockRequest {
        client_id: name.to_owned(),
        consumer_group: GROUP.to_owned(),
        mq_set: vec![queue],
        only_this_broker: false,
    };
    request.encode()
}
