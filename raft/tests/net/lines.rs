//! What is logged on a thread. A simulation runs on the thread that joins it, and an executor on its own.

use std::fmt::{self, Write};
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Level, Metadata, Subscriber};

/// The warnings of this thread, from its begin to its end.
pub struct Lines {
    kept: Arc<Mutex<Vec<String>>>,
    _guard: DefaultGuard,
}

impl Lines {
    pub fn keep() -> Self {
        let kept = Arc::default();
        let guard = tracing::subscriber::set_default(Keeper(Arc::clone(&kept)));
        Self { kept, _guard: guard }
    }

    /// The lines that contain `part`: each its fields, as `name=value`.
    pub fn with(&self, part: &str) -> Vec<String> {
        let kept = self.kept.lock().unwrap();
        kept.iter().filter(|line| line.contains(part)).cloned().collect()
    }
}

struct Keeper(Arc<Mutex<Vec<String>>>);

impl Subscriber for Keeper {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, "{}={value:?} ", field.name()).unwrap();
    }
}
