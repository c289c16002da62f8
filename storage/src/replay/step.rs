//! Reading a log that is known: what is damaged of it is an answer, and no reason to refuse it.

use super::{Entry, Found, Replay};
use crate::error::StoreError;
use crate::position::Position;

/// What is wrong where an entry should be.
#[derive(Clone, Debug)]
pub(crate) struct Unsound {
    pub why: String,
    /// The disk does not give it.
    pub is_unreadable: bool,
}

impl Replay {
    /// What stands next, also if it is damaged: a start is not what asks, and what is there of the log is known. It does not go on
    /// behind damage.
    pub(crate) async fn step(&mut self) -> Result<Result<Entry, Unsound>, StoreError> {
        loop {
            let unsound = match self.read().await {
                Ok(Found::Entry(entry)) => {
                    self.advance(&entry);
                    return Ok(Ok(entry));
                }
                Ok(Found::Bad(bad)) => Unsound { why: bad.to_string(), is_unreadable: false },
                Ok(Found::Version(found)) => {
                    Unsound { why: format!("it has format version {found}"), is_unreadable: false }
                }
                Err(error) if error.is_unreadable() => {
                    Unsound { why: error.to_string(), is_unreadable: true }
                }
                Err(error) => return Err(error.into()),
            };
            match self.log.at(self.segment.end()) {
                Some(next) if self.goes_on_in(&next) => self.go_to(next),
                Some(_) | None => return Ok(Err(unsound)),
            }
        }
    }

    /// Looks at another point of the log next.
    pub(crate) fn stand_at(&mut self, at: Position) {
        let is_here = at.offset >= self.segment.first_entry() && at.offset < self.segment.end();
        self.position = at;
        let Some(segment) = self.log.at(at.offset).filter(|_| !is_here) else { return };
        let offset = at.offset.max(segment.first_entry());
        self.go_to(segment);
        self.position.offset = offset;
    }
}
