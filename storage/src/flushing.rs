//! Flushes of what was written to the log before: one at a time, and none after one that failed.
//!
//! A flush that fails may have given up what it was to cover, and one caller is told of that. Another flush, beside it or
//! after it, may succeed and have saved nothing of the same bytes. So nobody flushes while another does, and whoever comes
//! after one that failed is refused: a segment that begins, or a checkpoint, would say that the log before it is durable.

use std::cell::{Cell, RefCell};
use std::io;

use runtime::channel::Notify;
use runtime::{IoError, IoOp};

/// Whose turn it is to flush a log.
#[derive(Default)]
pub(crate) struct Flushing {
    under_way: Cell<bool>,
    ended: Notify,
    /// What may be lost, and why.
    lost: RefCell<Option<String>>,
}

/// A flush that is under way; dropped when it has ended, or was given up.
struct Turn<'a>(&'a Flushing);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.under_way.set(false);
        self.0.ended.notify_all();
    }
}

impl Flushing {
    /// Flushes once no other flush is under way. What was written before this was called is durable when it returns. Not
    /// to be cancelled: how the flush has ended is unknown then, and every later one is refused.
    ///
    /// # Errors
    /// This flush has failed, or one before it.
    pub(crate) async fn flush(
        &self,
        flush: impl AsyncFnOnce() -> Result<(), IoError>,
    ) -> Result<(), IoError> {
        while self.under_way.get() {
            self.ended.notified().await;
        }
        self.under_way.set(true);
        let _turn = Turn(self);
        if let Some(why) = self.lost.borrow().clone() {
            return Err(IoError::name(IoOp::Sync, "the log", io::Error::other(why)));
        }
        self.lost.replace(Some("nobody has heard how an earlier flush ended".to_owned()));
        let flushed = flush().await;
        let why = |error| format!("what an earlier flush was to cover may be lost: {error}");
        self.lost.replace(flushed.as_ref().err().map(why));
        flushed
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use futures::future::{join3, select};
    use runtime::sim::{DiskOp, Simulation, When};
    use runtime::{File, OpenMode};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(1);

    #[test]
    fn a_flush_waits_for_the_one_before_and_none_follows_one_that_failed() {
        let simulation = Simulation::new(1);
        let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
        node.disk().fail(DiskOp::Flush, When::Nth(2));
        let life = node.start("life", || async {
            let file = File::open("/file", OpenMode::CreateNew).await.expect("made");
            let flushing = Flushing::default();
            let flush = || flushing.flush(async || file.sync().await);
            let (first, second, third) = join3(flush(), flush(), flush()).await;
            assert!(first.is_ok());
            let failed = second.expect_err("the disk fails").to_string();
            let refused = third.expect_err("it would succeed").to_string();
            assert!(refused.contains(&failed), "{refused}");
            assert!(file.sync().await.is_ok(), "and say nothing of what is lost");
            flush().await.expect_err("and so for ever");
        });
        simulation.join(life, LIMIT).expect("it ends");
        assert_eq!(node.disk().failures(), 1);
    }

    #[test]
    fn nobody_knows_what_a_flush_has_done_that_was_given_up() {
        let simulation = Simulation::new(1);
        let node = simulation.node("node", Ipv4Addr::new(10, 0, 0, 1));
        let life = node.start("life", || async {
            let file = File::open("/file", OpenMode::CreateNew).await.expect("made");
            let flushing = Flushing::default();
            let flush = || Box::pin(flushing.flush(async || file.sync().await));
            drop(select(flush(), Box::pin(runtime::yield_now())).await);
            flush().await.expect_err("how the first one has ended is not known");
        });
        simulation.join(life, LIMIT).expect("it ends");
    }
}
