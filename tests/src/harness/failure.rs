//! Why a check did not pass.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

/// Why a check did not pass, in words for whoever reads the log of a run.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The system refused something that the harness itself needs.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// A program ended with another exit status than it should have.
    #[error("{program} ended with {status}\n{output}")]
    Exit {
        /// The program, as named in the log.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it wrote.
        output: String,
    },
    /// A program did not end, or did not say what was waited for, in time; it was killed.
    #[error("{program}: not within {} s: {what}\n{output}", .limit.as_secs())]
    Deadline {
        /// The program, as named in the log.
        program: String,
        /// What was waited for.
        what: String,
        /// How long it was given.
        limit: Duration,
        /// The end of what it wrote.
        output: String,
    },
    /// What was seen is not what a right server shows.
    #[error("{0}")]
    Wrong(String),
    /// A part that the check needs could not be built; it is a failed line of its own.
    #[error("not run: {0} could not be built")]
    NotBuilt(&'static str),
}

/// What a step of a check comes to.
pub type Verdict<T = ()> = Result<T, Failure>;

/// Names what was tried when the system refuses it.
pub trait Trying<T> {
    /// Turns an I/O error into a failure that says what was tried.
    ///
    /// # Errors
    /// The error it was called on.
    fn trying(self, what: impl Into<String>) -> Verdict<T>;
}

impl<T> Trying<T> for io::Result<T> {
    fn trying(self, what: impl Into<String>) -> Verdict<T> {
        self.map_err(|source| Failure::System { what: what.into(), source })
    }
}

/// Fails with `what` unless it holds.
///
/// # Errors
/// `Wrong` with the text.
pub fn expect(holds: bool, what: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(Failure::Wrong(what())) }
}
