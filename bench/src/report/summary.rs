//! The result as one JSON object.

use serde::Serialize;
use serde_json::Value;

use crate::args::Mode;
use crate::failures::Failure;
use crate::recorder::{Broken, Latencies, Tally};
use crate::run::Outcome;

/// Everything a run says. Serialised, it is the object that `--json` prints; names that end in `_us` are microseconds,
/// rates are per second of the measured time.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// `produce` or `consume`.
    pub mode: &'static str,
    /// Messages a second: acknowledged, or received.
    pub rate: f64,
    /// Bytes of their bodies a second.
    pub bytes_per_s: f64,
    /// What the latencies are measured from and to.
    pub latency: &'static str,
    /// The smallest difference that they can tell.
    pub latency_resolution_us: f64,
    /// Latencies measured. The percentiles are `null` without any.
    pub latency_count: u64,
    /// Smallest latency.
    pub min_us: Option<f64>,
    /// Mean.
    pub mean_us: Option<f64>,
    /// Median.
    pub p50_us: Option<f64>,
    /// 90 %.
    pub p90_us: Option<f64>,
    /// 99 %.
    pub p99_us: Option<f64>,
    /// 99.9 %.
    pub p999_us: Option<f64>,
    /// 99.99 %.
    pub p9999_us: Option<f64>,
    /// Largest.
    pub max_us: Option<f64>,
    /// Messages sent, warm-up included (produce).
    pub sent: u64,
    /// Messages acknowledged with code 0, warm-up included (produce).
    pub acked: u64,
    /// Messages received, warm-up included (consume).
    pub received: u64,
    /// Messages acknowledged or received in the measured time.
    pub measured: u64,
    /// Messages that got no answer (produce).
    pub unanswered: u64,
    /// How often the broker moved a consumer (code 21), as retention makes it.
    pub moved: u64,
    /// Failures of all kinds.
    pub errors: u64,
    /// The same by kind, the most frequent first.
    pub errors_by_code: Vec<Failure>,
    /// What the broker promised and did not keep.
    pub broken: Broken,
    /// Measured time in seconds.
    pub duration_s: f64,
    /// CPU time of this process for one measured message; its share of the machine, not the broker's.
    pub own_cpu_us_per_msg: Option<f64>,
    /// Whether it was ended early by a signal.
    pub interrupted: bool,
    /// Brokers that it talked to.
    pub brokers: Vec<String>,
    /// Queues in use.
    pub queues: usize,
    /// Connections in use.
    pub connections: usize,
    /// Executors (threads) that made the load.
    pub executors: usize,
    /// What the operator should know.
    pub notes: Vec<String>,
    /// The flags of the run.
    pub parameters: Value,
}

/// What a consumer measures: the producer writes whole milliseconds.
const BORN_RESOLUTION_US: f64 = 1000.0;
/// The clock's nanoseconds.
const CLOCK_RESOLUTION_US: f64 = 0.001;

impl Summary {
    /// The result of the run that `mode` asked for.
    #[must_use]
    pub fn new(mode: &Mode, outcome: Outcome) -> Summary {
        let Outcome { layout, executors, tally, measured, cpu, interrupted } = outcome;
        let Tally { latencies, failures, broken, .. } = tally;
        let seconds = measured.as_secs_f64();
        let per_second = |count: u64| if seconds > 0.0 { float(count) / seconds } else { 0.0 };
        let at = |quantile: f64| micros(&latencies, latencies.value_at_quantile(quantile));
        let (latency, latency_resolution_us, parameters) = match mode {
            Mode::Produce(args) => {
                ("enqueue to acknowledgement", CLOCK_RESOLUTION_US, serde_json::to_value(args))
            }
            Mode::Consume(args) => {
                ("born to receive", BORN_RESOLUTION_US, serde_json::to_value(args))
            }
        };
        let produces = matches!(mode, Mode::Produce(_));
        Summary {
            mode: mode.name(),
            rate: round(per_second(tally.measured)),
            bytes_per_s: round(per_second(tally.measured_bytes)),
            latency,
            latency_resolution_us,
            latency_count: latencies.len(),
            min_us: micros(&latencies, latencies.min()),
            mean_us: (!latencies.is_empty()).then(|| round(latencies.mean() / 1000.0)),
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            p9999_us: at(0.9999),
            max_us: micros(&latencies, latencies.max()),
            sent: tally.sent,
            acked: if produces { tally.done } else { 0 },
            received: if produces { 0 } else { tally.done },
            measured: tally.measured,
            unanswered: tally.unanswered,
            moved: tally.moved,
            errors: failures.total(),
            errors_by_code: failures.into_kinds(),
            broken,
            duration_s: round(seconds),
            own_cpu_us_per_msg: (tally.measured > 0)
                .then(|| round(cpu.as_secs_f64() * 1e6 / float(tally.measured))),
            interrupted,
            connections: layout.lanes.len(),
            brokers: layout.brokers,
            queues: layout.queues,
            executors,
            notes: layout.notes,
            parameters: parameters.expect("flags are plain values"),
        }
    }

    /// The object as one line of JSON.
    ///
    /// # Panics
    /// Never: its parts are plain values.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("plain values")
    }

    /// Why the run counts as failed, if it does: nothing came through, or the broker broke a promise.
    #[must_use]
    pub fn verdict(&self) -> Option<String> {
        if self.broken.total() > 0 {
            return Some(format!("the broker broke promises: {:?}", self.broken));
        }
        let nothing = self.acked + self.received == 0;
        let failed = nothing && (self.errors > 0 || self.mode == "produce");
        (failed && !self.interrupted).then(|| "not one message came through".to_owned())
    }
}

/// Nanoseconds of a histogram as microseconds; `None` if it is empty.
fn micros(latencies: &Latencies, nanos: u64) -> Option<f64> {
    (!latencies.is_empty()).then(|| round(float(nanos) / 1000.0))
}

/// Three digits behind the point: more would be noise.
fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "counts and times of a run stay below 2^53")]
fn float(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
#[path = "summary_tests.rs"]
mod tests;
