//! What goes out while runs go on: progress lines, and the log of latencies.

use std::cell::RefCell;
use std::io::{self, Write, stderr};
use std::time::Duration;

use runtime::Instant;

use super::hdr::{HdrLog, Told};
use super::progress;
use crate::recorder::Latencies;
use crate::seconds::Second;

/// Where progress goes. Runs that overlap may share it.
pub struct Screen {
    shows: bool,
    log: Option<RefCell<HdrLog>>,
    begin: Instant,
    /// The first thing that went wrong with the log.
    failure: RefCell<Option<io::Error>>,
}

const SECOND: Duration = Duration::from_secs(1);

impl Screen {
    /// Shows progress if `shows`, and writes the latencies to `log` if there is one.
    #[must_use]
    pub fn new(shows: bool, log: Option<HdrLog>) -> Screen {
        let (log, begin) = (log.map(RefCell::new), runtime::now());
        Screen { shows, log, begin, failure: RefCell::default() }
    }

    /// Says something that is not a result.
    pub fn say(&self, line: &str) {
        if self.shows {
            // Nobody reads it: so be it.
            drop(writeln!(stderr(), "{line}"));
        }
    }

    /// A second of the run called `label`; `told` is what of it the log knows.
    pub fn second(&self, label: &str, told: &mut Told, second: &Second) {
        self.say(&progress::line(label, second));
        if self.log.is_some() {
            let measured = &second.window.measured;
            self.log(label, (runtime::now() - self.begin).saturating_sub(SECOND), SECOND, measured);
            told.add(measured);
        }
    }

    /// The run called `label` has ended with these latencies.
    pub fn end(&self, label: &str, told: &Told, all: &Latencies) {
        if self.log.is_some() {
            self.log(label, runtime::now() - self.begin, SECOND, &told.rest(all));
        }
    }

    fn log(&self, label: &str, start: Duration, length: Duration, latencies: &Latencies) {
        let Some(log) = &self.log else { return };
        let written = log.borrow_mut().interval(label, start, length, latencies);
        if let Err(error) = written {
            self.failure.borrow_mut().get_or_insert(error);
        }
    }

    /// Closes the log.
    ///
    /// # Errors
    /// The first failure in writing it.
    pub fn close(self) -> io::Result<()> {
        if let Some(error) = self.failure.into_inner() {
            return Err(error);
        }
        self.log.map_or(Ok(()), |log| log.into_inner().flush())
    }
}
