//! Where a command says what it does.

use std::cell::{Cell, RefCell};
use std::io::{IsTerminal, Write, stdout};
use std::time::Duration;

use runtime::{Instant, now};

/// Takes the lines of a command.
pub trait Screen {
    /// A line that stays.
    fn line(&self, text: &str);

    /// How far something is. The next one takes its place where that is possible.
    fn progress(&self, text: &str);
}

/// Without a terminal so much time lies between two lines of progress.
const QUIET: Duration = Duration::from_secs(10);

/// The standard output.
#[derive(Default)]
pub struct Terminal {
    /// Characters of the progress that stands there.
    standing: Cell<usize>,
    told: Cell<Option<Instant>>,
}

impl Screen for Terminal {
    fn line(&self, text: &str) {
        self.put(text, "\n");
        self.standing.set(0);
        self.told.set(None);
    }

    fn progress(&self, text: &str) {
        if stdout().is_terminal() {
            self.put(text, "");
            self.standing.set(text.chars().count());
        } else if self.told.get().is_none_or(|told| told.elapsed() >= QUIET) {
            self.put(text, "\n");
            self.told.set(Some(now()));
        }
    }
}

impl Terminal {
    /// Writes over the progress that stands there. Nobody may be reading: the exit code still tells.
    fn put(&self, text: &str, end: &str) {
        let begin = if self.standing.get() > 0 { "\r" } else { "" };
        let rest = self.standing.get().saturating_sub(text.chars().count());
        drop(write!(stdout(), "{begin}{text}{:rest$}{end}", ""));
        drop(stdout().flush());
    }
}

/// Keeps all lines, for a test.
#[derive(Default)]
pub struct Kept(RefCell<Vec<String>>);

impl Kept {
    /// What was said so far.
    pub fn lines(&self) -> Vec<String> {
        self.0.borrow().clone()
    }
}

impl Screen for Kept {
    fn line(&self, text: &str) {
        self.0.borrow_mut().push(text.to_owned());
    }

    fn progress(&self, text: &str) {
        self.line(text);
    }
}
