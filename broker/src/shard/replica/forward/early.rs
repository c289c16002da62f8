//! Consumer offsets for a leader that was elected a moment ago, and takes nothing yet.
//!
//! It says so at once. A client that waits for an answer tries again; offsets that are told oneway are told once, and those that waited while
//! leadership was handed over come just then. So the first ones are handed on again until the leader takes one; all others
//! stay behind them.

use std::cell::Cell;
use std::time::Duration;

use model::Term;
use raft::net::{HandedOn, NoAnswer};
use runtime::{Elapsed, Instant};

/// How long a leader that was elected is given to take something.
const GRACE: Duration = Duration::from_millis(200);
/// A word that does not come within this time comes too late to be waited for with all that is behind.
const SOON: Duration = Duration::from_millis(20);
/// Pause before the same is handed on again.
const AGAIN: Duration = Duration::from_millis(2);

/// What a leader has said at once.
pub(super) enum Word {
    /// It has taken it.
    Taken,
    /// It takes nothing yet, and nobody has acted on it: it may be handed on again.
    TooEarly,
    /// It does not take it, or nobody knows.
    Refused(NoAnswer),
    /// Nothing yet.
    None(HandedOn),
}

/// Whether the leader is one that takes something.
#[derive(Default)]
pub(super) struct Early {
    /// The newest term in which the leader has taken something, or has been given time enough.
    settled: Cell<Term>,
}

impl Early {
    /// Whether the leader of this term is to be listened to.
    pub(super) fn is_possible(&self, term: Term) -> bool {
        self.settled.get() < term
    }

    /// Listens for a moment to what the leader of this term says to a request to whose answer nobody listens; it is tried since
    /// then.
    pub(super) async fn word(&self, term: Term, mut handed_on: HandedOn, since: Instant) -> Word {
        let told = runtime::timeout(SOON, handed_on.answer()).await;
        let is_early = matches!(told, Ok(Err(NoAnswer::NotTaken(_)))) && since.elapsed() < GRACE;
        if is_early {
            runtime::sleep(AGAIN).await;
            return Word::TooEarly;
        }
        self.settled.set(term);
        match told {
            Ok(Ok(_)) => Word::Taken,
            Ok(Err(why)) => Word::Refused(why),
            Err(Elapsed) => Word::None(handed_on),
        }
    }
}
