//! The last words of a process that ends with an error.

use std::fmt::Display;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use tracing::Level;

use super::lines::{flush_log, last_words};

/// Tells `failure`, and returns the exit code for it. `program` begins the line on the standard error.
///
/// Each line of it is an ERROR event of the log, if there is a log by now that takes one, so that whoever reads the log
/// sees it. It goes to the standard error as well, except where both would come to one terminal.
pub fn end_with_error(program: &str, failure: &dyn Display) -> ExitCode {
    let failure = failure.to_string();
    let is_logged = tracing::enabled!(Level::ERROR);
    for line in failure.lines() {
        tracing::error!("{line}");
    }
    if must_be_printed(is_logged, io::stdout().is_terminal(), io::stderr().is_terminal()) {
        last_words(&format!("{program}: {failure}"));
    }
    flush_log();
    ExitCode::FAILURE
}

fn must_be_printed(is_logged: bool, stdout_is_terminal: bool, stderr_is_terminal: bool) -> bool {
    !(is_logged && stdout_is_terminal && stderr_is_terminal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_terminal_that_shows_the_log_is_spared() {
        assert!(!must_be_printed(true, true, true));
        assert!(must_be_printed(false, true, true), "nothing was logged");
        assert!(must_be_printed(true, false, true), "the log goes elsewhere");
        assert!(must_be_printed(true, true, false), "the standard error goes elsewhere");
        assert!(must_be_printed(true, false, false), "as under a service manager");
    }
}
