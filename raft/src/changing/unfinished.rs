//! A change that was left in the middle, and nobody goes on with: whoever leads ends it.
//!
//! In the middle the group needs a majority of the old voters and one of the new ones: it may bear the loss of nobody, where an
//! operator has just replaced a dead member to make it bear one again.

use std::time::Duration;

use openraft::type_config::alias::LogIdOf;
use runtime::sleep;

use crate::group::Group;
use crate::log::Helm;
use crate::types::Types;

/// Time between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// So many looks in a row must find the same change in its middle: whoever makes it needs one round of the network.
const LOOKS: u32 = 5;

/// Where the change is, in the log, that this member could end; how often it was seen in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    at: Option<LogIdOf<Types>>,
    times: u32,
}

impl Seen {
    /// One look more. Whether it is to be ended now; if that fails, the counting begins anew.
    fn look(&mut self, at: Option<LogIdOf<Types>>) -> bool {
        let times = if at == self.at && at.is_some() { self.times + 1 } else { 1 };
        let is_due = at.is_some() && times >= LOOKS;
        *self = if is_due { Self::default() } else { Self { at, times } };
        is_due
    }
}

/// Ends what nobody ends, for as long as this member runs.
pub(crate) async fn run(group: Group, helm: Helm) {
    let mut seen = Seen::default();
    loop {
        sleep(LOOK).await;
        if seen.look(group.in_the_middle())
            && let Some(_turn) = group.busy.take()
        {
            match group.settle().await {
                Ok(()) => tracing::info!(
                    group = %helm.group(),
                    "a change of the members was left in the middle, by a leader that was lost or an operator's command that \
                     was: this member has ended it"
                ),
                Err(error) => tracing::debug!(
                    group = %helm.group(), %error, "a change that was left in the middle is not ended yet"
                ),
            }
        }
    }
}

impl Group {
    /// Where the entry is that has begun a change, if it is committed, this member leads, and nobody here goes on with it.
    fn in_the_middle(&self) -> Option<LogIdOf<Types>> {
        let (view, at) = self.leading().ok()?;
        at.filter(|_| view.voters.len() > 1 && !self.busy.is_taken())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_change_that_stays_in_the_middle_is_ended() {
        let at = |index| Some(LogIdOf::<Types>::new_term_index(1, index));
        let mut seen = Seen::default();
        for _ in 0..3 * LOOKS {
            assert!(!seen.look(None));
        }
        for _ in 1..LOOKS {
            assert!(!seen.look(at(7)));
        }
        // Somebody has gone on with it, and begun another one.
        for _ in 1..LOOKS {
            assert!(!seen.look(at(9)));
        }
        assert!(seen.look(at(9)));
        assert!(!seen.look(at(9)), "and is given time again");
    }
}
