//! What a shard of a simulation logs.

use std::cell::RefCell;
use std::io;
use std::sync::Once;

thread_local! {
    /// The log of this thread; `None` when nobody keeps it.
    static KEPT: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Keeps the log lines of this thread from now on. A simulation runs on the thread that joins it.
pub struct Lines;

impl Lines {
    pub fn keep() -> Self {
        // One for all threads: whether a line is wanted is remembered by its place in the code.
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            tracing_subscriber::fmt()
                .with_writer(|| Kept)
                .with_ansi(false)
                .with_max_level(tracing::Level::INFO)
                .init();
        });
        KEPT.set(Some(Vec::new()));
        Self
    }

    /// The lines that contain `part`.
    pub fn with(&self, part: &str) -> Vec<String> {
        let bytes = KEPT.with_borrow(|kept| kept.clone().expect("they are kept"));
        let text = String::from_utf8(bytes).expect("text");
        text.lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
    }
}

struct Kept;

impl io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        KEPT.with_borrow_mut(|kept| kept.iter_mut().for_each(|kept| kept.extend_from_slice(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
