//! Long work, cut into slices between which everything else gets its turn.

/// Work between two yields: about a tenth of a millisecond.
const SLICE: u32 = 10_000;
/// Work of sorting one of `n` items, in the same measure.
const SORT: usize = 3;

/// Counts work, in steps of about ten nanoseconds. Counted and not timed, so that a simulated run takes
/// the same turns every time.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    spent: u32,
}

impl Pace {
    /// Notes that `work` was done, and lets others run if it was enough. Cancel safe.
    pub(crate) async fn spend(&mut self, work: u32) {
        self.spent = self.spent.saturating_add(work);
        if self.spent >= SLICE {
            self.spent = 0;
            runtime::yield_now().await;
        }
    }

    /// As [`Pace::spend`] for the sorting of `items` items.
    pub(crate) async fn spend_sorting(&mut self, items: usize) {
        self.spend(u32::try_from(SORT * items).unwrap_or(u32::MAX)).await;
    }
}
