//! The result as one JSON object.

use remoting::ResponseCode;
use serde::Serialize;
use serde_json::Value;

use crate::args::{Mode, Produce};
use crate::audit::Findings;
use crate::error::BenchError;
use crate::failures::Failure;
use crate::limits::OWN_CPU_WARN;
use crate::recorder::{Broken, Latencies, Tally};
use crate::report::curve::{Curve, curve, float, micros, round};
use crate::run::Outcome;
use crate::seconds::Point;
use crate::server::{self, ServerUse};

/// Everything a run says. Serialised, it is the object that `--json` prints; names that end in `_us` are microseconds,
/// rates are per second of the measured time.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// `produce` or `consume`.
    pub mode: &'static str,
    /// Which of several runs it is; empty if it is the only one.
    pub label: String,
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
    /// Messages of an open loop that were due and could not be sent, because too many were in flight. They count in the
    /// percentiles with the time that they had waited at the end.
    pub unsent: u64,
    /// How late the generator itself was with the messages of an open loop: 99 % of them less than this.
    pub late_p99_us: Option<f64>,
    /// The same, at most.
    pub late_max_us: Option<f64>,
    /// How often the broker moved a consumer (code 21), as retention makes it.
    pub moved: u64,
    /// Failures of all kinds.
    pub errors: u64,
    /// The same by kind, the most frequent first.
    pub errors_by_code: Vec<Failure>,
    /// What the broker promised and did not keep.
    pub broken: Broken,
    /// What reading back has shown (`--audit`).
    pub audit: Option<Findings>,
    /// Why it was not read back although that was asked for; `audit` is `null` then, and the run counts as failed.
    pub audit_not_done: Option<String>,
    /// Measured time in seconds.
    pub duration_s: f64,
    /// Seconds of it after which nothing came any more, if that was a good part of it (consume): the topic was empty. The
    /// rates are up to then.
    pub caught_up_s: Option<f64>,
    /// The longest time within the measured time in which no message was acknowledged or received, seconds. With several
    /// executors, the longest of one of them.
    pub longest_silence_s: f64,
    /// CPU time of this process for one measured message; its share of the machine, not the broker's.
    pub own_cpu_us_per_msg: Option<f64>,
    /// Which part of its executors' time this process was busy; near 1 it is itself what was measured.
    pub own_cpu_part: f64,
    /// What the server's processes used (`--pid`).
    pub server: Option<ServerUse>,
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
    /// Latency by percentile: pairs of per cent and microseconds.
    pub percentiles: Curve,
    /// The course of the run, one point a second or fewer.
    pub points: Vec<Point>,
    /// The latencies themselves.
    #[serde(skip)]
    pub latencies: Latencies,
}

/// What a consumer measures: the producer writes whole milliseconds.
const BORN_RESOLUTION_US: f64 = 1000.0;
/// A consumer that gets nothing in the last part of its time (one of so many) has caught up.
const CAUGHT_UP_PART: u32 = 10;
/// Seconds without an acknowledgement that are worth a note.
const SILENCE_TOLD: f64 = 1.0;
/// The clock's nanoseconds.
const CLOCK_RESOLUTION_US: f64 = 0.001;

impl Summary {
    /// The result of the run that `mode` asked for.
    #[must_use]
    pub fn new(mode: &Mode, outcome: Outcome) -> Summary {
        let caught_up = caught_up(mode, &outcome);
        let Outcome { layout, executors, tally, measured, cpu, server, points, audit, .. } =
            outcome;
        let (interrupted, silent_end) = (outcome.interrupted, measured - outcome.until_last);
        let (audit, audit_error) = audit.map_or((None, None), told);
        let Tally { latencies, failures, broken, lateness, longest_gap, .. } = tally;
        let seconds = measured.as_secs_f64();
        let counted = caught_up.unwrap_or(seconds);
        let per_second = |count: u64| if counted > 0.0 { float(count) / counted } else { 0.0 };
        let per_message = |seconds: f64| {
            (tally.measured > 0).then(|| round(seconds * 1e6 / float(tally.measured)))
        };
        let at = |quantile: f64| micros(&latencies, latencies.value_at_quantile(quantile));
        let (latency, latency_resolution_us, parameters) = about(mode);
        let produces = matches!(mode, Mode::Produce(_));
        let late =
            |value: fn(&Latencies) -> u64| lateness.as_deref().and_then(|l| micros(l, value(l)));
        let mut summary = Summary {
            mode: mode.name(),
            label: String::new(),
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
            unsent: tally.unsent,
            late_p99_us: late(|lateness| lateness.value_at_quantile(0.99)),
            late_max_us: late(Latencies::max),
            moved: tally.moved,
            errors: failures.total(),
            errors_by_code: failures.into_kinds(),
            broken,
            audit,
            audit_not_done: audit_error,
            duration_s: round(seconds),
            caught_up_s: caught_up.map(round),
            longest_silence_s: round(longest_gap.max(silent_end).as_secs_f64()),
            own_cpu_us_per_msg: per_message(cpu.as_secs_f64()),
            own_cpu_part: busy(cpu.as_secs_f64(), seconds, executors),
            server: server.map(|used| server_use(&used, per_message(used.cpu.as_secs_f64()))),
            interrupted,
            connections: layout.lanes.len(),
            brokers: layout.brokers,
            queues: layout.queues,
            executors,
            notes: layout.notes,
            parameters,
            percentiles: curve(&latencies),
            points,
            latencies,
        };
        summary.warn(mode);
        summary
    }

    /// Notes what makes the numbers worth less than they look.
    fn warn(&mut self, mode: &Mode) {
        self.notes.extend(self.audit_failure());
        if self.own_cpu_part >= OWN_CPU_WARN {
            self.notes.push(format!(
                "mqbench itself was busy {:.0} % of the time of its {} executor(s): this run measures mqbench; give it \
                 more cores (--cores)",
                self.own_cpu_part * 100.0,
                self.executors
            ));
        }
        if self.measured == 0 && self.acked + self.received > 0 {
            self.notes.push(
                "no message was done in the measured time: the run ended in its warm-up, or stood still for all of it"
                    .to_owned(),
            );
        }
        let late = self.late_p99_us.zip(self.p50_us).filter(|(late, p50)| late > p50);
        if let Some((late, _)) = late {
            self.notes.push(format!(
                "mqbench sent 1 % of its messages {late:.0} µs or more after their time: the latencies hold its own delay"
            ));
        }
        if self.unsent > 0 {
            self.notes.push(format!(
                "{} messages were due and could not be sent: the broker does not keep up with the rate, or --in-flight \
                 is too small for it",
                self.unsent
            ));
        }
        if let Some(caught_up) = self.caught_up_s {
            self.notes.push(format!(
                "caught up after {caught_up:.1} s of {:.1}: nothing more came, and the rate is up to then",
                self.duration_s
            ));
        }
        if self.mode == "produce" && self.longest_silence_s >= SILENCE_TOLD {
            self.notes.push(format!(
                "no message was acknowledged for {:.1} s: the broker was away or stood still. This command stays with the brokers that it began with; \
                 mqbench failover follows a new leader",
                self.longest_silence_s
            ));
        }
        if mode.run().pid.is_some() && self.server.is_none() {
            self.notes
                .push("the processes given by --pid could not be read all the time".to_owned());
        }
    }

    /// That what was sent was not read back, and why.
    fn audit_failure(&self) -> Option<String> {
        self.audit_not_done.as_ref().map(|why| format!("audit not done: {why}"))
    }

    /// The object as one line of JSON.
    ///
    /// # Panics
    /// Never: its parts are plain values.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("plain values")
    }

    /// Why the run counts as failed, if it does: nothing came through, the broker broke a promise, what was sent could
    /// not be read back, or a consumer was refused. Refused for want of room (code 2) it comes again and misses nothing.
    #[must_use]
    pub fn verdict(&self) -> Option<String> {
        if self.broken.total() > 0 {
            return Some(format!("the broker broke promises: {:?}", self.broken));
        }
        if let Some(failure) = self.audit_failure() {
            return Some(failure);
        }
        if self.mode == "consume" {
            let busy = ResponseCode::SystemBusy.code();
            let refused = |kind: &&Failure| kind.code.is_some_and(|code| code != busy);
            let refused: u64 = self.errors_by_code.iter().filter(refused).map(|k| k.count).sum();
            if refused > 0 {
                return Some(format!("the broker refused {refused} reads or commits"));
            }
        }
        let nothing = self.acked + self.received == 0;
        let failed = nothing && (self.errors > 0 || self.mode == "produce");
        (failed && !self.interrupted).then(|| "not one message came through".to_owned())
    }
}

/// What an audit has shown, or why there was none.
fn told(audit: Result<Findings, BenchError>) -> (Option<Findings>, Option<String>) {
    match audit {
        Ok(findings) => (Some(findings), None),
        Err(error) => (None, Some(error.to_string())),
    }
}

fn server_use(used: &server::Use, cpu_us_per_msg: Option<f64>) -> ServerUse {
    let cpu_s = round(used.cpu.as_secs_f64());
    ServerUse { cpu_s, cpu_us_per_msg, resident_bytes: used.resident }
}

/// Seconds of the measured time after which nothing came any more, if the rest is too long for a pause between two
/// messages.
fn caught_up(mode: &Mode, outcome: &Outcome) -> Option<f64> {
    assert!(outcome.until_last <= outcome.measured, "the last message is not after the end");
    let rest = outcome.measured - outcome.until_last;
    let consumes = matches!(mode, Mode::Consume(_)) && outcome.tally.measured > 0;
    let is_over = rest > outcome.measured / CAUGHT_UP_PART;
    (consumes && is_over).then_some(outcome.until_last.as_secs_f64())
}

/// What the latencies of a run are, how fine they are, and its flags.
fn about(mode: &Mode) -> (&'static str, f64, Value) {
    let plain = "flags are plain values";
    match mode {
        Mode::Produce(args) => {
            let what = match args {
                Produce { rate: None, .. } => "enqueue to acknowledgement",
                Produce { rate: Some(_), .. } => "due to acknowledgement",
            };
            (what, CLOCK_RESOLUTION_US, serde_json::to_value(args).expect(plain))
        }
        Mode::Consume(args) => {
            ("born to receive", BORN_RESOLUTION_US, serde_json::to_value(args).expect(plain))
        }
    }
}

/// Which part of so many executors' time was spent.
fn busy(cpu: f64, seconds: f64, executors: usize) -> f64 {
    let executors = f64::from(u32::try_from(executors).expect("a small number"));
    if seconds > 0.0 { round(cpu / (seconds * executors)) } else { 0.0 }
}

#[cfg(test)]
#[path = "summary_tests.rs"]
mod tests;
