//! More messages at a time than may wait in a broker.

use futures::future::join_all;

use super::producer;
use super::stock::Stock;
use crate::content::Queue;

/// Messages, together some times what may wait: see [`crate::machine::MOST_WAITING`].
const MESSAGES: usize = 90;

/// Sends all of them to one broker; how many were answered.
pub async fn run(stock: &Stock, addr: &str, queue: Queue) -> usize {
    let answers = join_all((0..MESSAGES).map(|_| producer::asks(stock, addr, queue, true))).await;
    let mut answered = 0;
    for answer in answers.into_iter().flatten() {
        let code = answer.as_ref().err().and_then(client::ClientError::refused_with);
        if answer.is_ok() || code.is_some() {
            stock.witness.seen().bounded.answers(code);
            answered += 1;
        }
    }
    answered
}

/// Whether all were answered.
pub async fn is_answered(stock: &Stock, addr: &str, queue: Queue) -> bool {
    run(stock, addr, queue).await == MESSAGES
}
