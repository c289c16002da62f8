//! Standard output, which whoever reads it may close.

use std::io::{BufWriter, IsTerminal, Stderr, Stdout, Write, stderr, stdout};

use storage::inspect::Progress;

/// Nobody reads the output any more.
#[derive(Debug, thiserror::Error)]
#[error("the output was closed")]
pub struct Closed;

/// Standard output, in larger pieces.
pub struct Lines {
    out: BufWriter<Stdout>,
}

impl Lines {
    pub fn new() -> Self {
        Self { out: BufWriter::new(stdout()) }
    }

    pub fn line(&mut self, text: impl std::fmt::Display) -> Result<(), Closed> {
        writeln!(self.out, "{text}").map_err(|_| Closed)
    }

    pub fn flush(&mut self) -> Result<(), Closed> {
        self.out.flush().map_err(|_| Closed)
    }
}

/// How far a check is, on a terminal.
pub struct Gauge {
    err: Option<Stderr>,
}

impl Gauge {
    pub fn new() -> Self {
        Self { err: Some(stderr()).filter(IsTerminal::is_terminal) }
    }

    pub fn show(&mut self, progress: Progress) {
        let Some(err) = &mut self.err else { return };
        let Progress { what, done, total } = progress;
        let mib = |bytes: u64| bytes >> 20;
        let shown = match total {
            0 => write!(err, "\r\x1b[K{what}: {} MiB", mib(done)),
            _ => write!(
                err,
                "\r\x1b[K{what}: {} of {} MiB, {} %",
                mib(done),
                mib(total),
                done * 100 / total
            ),
        };
        drop(shown.and_then(|()| err.flush())); // a terminal that is gone shows nothing
    }

    pub fn clear(&mut self) {
        if let Some(err) = &mut self.err {
            drop(write!(err, "\r\x1b[K").and_then(|()| err.flush()));
        }
    }
}
