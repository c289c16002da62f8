//! Waiting until the shards serve, or until the process is told to stop.

use futures::future::join_all;
use futures::{FutureExt, select_biased};
use runtime::channel::{Closed, PromiseReceiver};
use runtime::process::{StopSignal, StopSignals};
use runtime::{Placement, Spec};

use super::BootError;
use crate::shard::Started;

/// What came first.
pub(super) enum Outcome {
    /// Every shard serves, or has an error.
    All(Vec<Result<Started, Closed>>),
    /// The wish to stop.
    Told(Option<StopSignal>),
}

/// Waits for all shards, in their order, or for the first signal. Blocks the calling thread.
pub(super) fn wait(
    shards: Vec<PromiseReceiver<Started>>,
    mut signals: StopSignals,
) -> Result<(Outcome, StopSignals), BootError> {
    let spec = Spec { name: "boot".to_owned(), placement: Placement::Any, busy_poll: None };
    let waiting = runtime::start(spec, move || async move {
        let outcome = select_biased! {
            all = join_all(shards).fuse() => Outcome::All(all),
            signal = signals.next().fuse() => Outcome::Told(signal),
        };
        (outcome, signals)
    })?;
    Ok(waiting.join()?)
}
