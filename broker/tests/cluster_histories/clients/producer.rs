//! Sends messages, each once, to whom routes name.

use std::net::Ipv4Addr;

use client::{ClientError, Form, Message, SendStatus, Sent};
use runtime::Instant;

use super::stock::{Stock, pause};
use crate::content::{Queue, body};
use crate::machine::node_at;

const PAUSE_MILLIS: u64 = 25;

pub async fn run(stock: Stock) {
    while !stock.witness.seen().is_over {
        send(&stock).await;
        pause(PAUSE_MILLIS).await;
    }
}

/// Sends to some queue; which one, if it was acknowledged.
async fn send(stock: &Stock) -> Option<Queue> {
    let found = stock.find(true).await?;
    let addr = found.somebody()?;
    send_to(stock, addr, found.queue).await
}

/// Sends to a queue; which one, if it was acknowledged.
pub async fn send_to(stock: &Stock, addr: &str, queue: Queue) -> Option<Queue> {
    let answer = asks(stock, addr, queue, false).await?;
    answer.ok().map(|()| queue)
}

/// Sends to a queue, a large message if it is `heavy`; what is answered, if anything is.
pub async fn asks(
    stock: &Stock,
    addr: &str,
    queue: Queue,
    heavy: bool,
) -> Option<Result<(), ClientError>> {
    let number = stock.witness.seen().sends(queue, heavy);
    let (asked, body) = (runtime::now(), body(number));
    let (topic, id) = (queue.topic, Some(queue.id));
    let message = Message { topic, queue: id, body: &body, ..Message::default() };
    let sent = stock.bounded(stock.client.send(addr, "PG", &message, Form::Short)).await?;
    Some(sent.map(|sent| {
        assert_eq!(sent.status, SendStatus::Ok, "a group has it, or has not");
        acknowledged(stock, queue, (number, asked), &sent);
    }))
}

fn acknowledged(stock: &Stock, queue: Queue, (number, asked): (u64, Instant), sent: &Sent) {
    assert_eq!(sent.queue_id, queue.id);
    let mut seen = stock.witness.seen();
    seen.acknowledged(queue, number, sent.queue_offset.cast_unsigned());
    seen.alone.acknowledged(stored_by(&sent.message_id), number, asked);
}

/// The node whose address is in the id of a message.
fn stored_by(id: &str) -> usize {
    let ip = u32::from_str_radix(&id[..8], 16).expect("an id begins with an address");
    node_at(Ipv4Addr::from_bits(ip))
}
