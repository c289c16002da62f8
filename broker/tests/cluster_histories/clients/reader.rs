//! Reads what there is, and asks how far the group has come, anywhere: any member of a group answers, late perhaps, wrong never.

use runtime::random_below;

use super::stock::{Stock, pause};

const PAUSE_MILLIS: u64 = 60;

pub async fn run(stock: Stock) {
    while !stock.witness.seen().is_over {
        if let Some(found) = stock.find(false).await {
            let end = stock.witness.seen().places.end(found.queue);
            let from = random_below(end + 1);
            match random_below(3) {
                0 => drop(stock.offset(found.anybody(), found.queue).await),
                _ => drop(stock.pull(found.anybody(), found.queue, from).await),
            }
        }
        pause(PAUSE_MILLIS).await;
    }
}
