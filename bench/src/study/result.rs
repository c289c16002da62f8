//! The result of a study.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::spread::{Metric, Spread, of_pairs};
use crate::error::BenchError;
use crate::recorder::Latencies;
use crate::report::Summary;
use crate::report::curve::{Curve, curve, float, micros, round};

/// A window of bare operations, named as in [`Summary`].
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// What was done.
    pub label: String,
    /// Operations a second.
    pub rate: f64,
    /// Operations.
    pub latency_count: u64,
    /// Median; all percentiles are `null` without an operation.
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
    /// Latency by percentile.
    pub percentiles: Curve,
}

impl Figures {
    /// What these operations come to; they took `time` together.
    #[must_use]
    pub fn new(label: &str, latencies: &Latencies, time: Duration) -> Figures {
        let at = |quantile: f64| micros(latencies, latencies.value_at_quantile(quantile));
        let seconds = time.as_secs_f64();
        Figures {
            label: label.to_owned(),
            rate: if seconds > 0.0 { round(float(latencies.len()) / seconds) } else { 0.0 },
            latency_count: latencies.len(),
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            p9999_us: at(0.9999),
            max_us: micros(latencies, latencies.max()),
            percentiles: curve(latencies),
        }
    }
}

/// One window of one side.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Window {
    /// A run of load.
    Load(Box<Summary>),
    /// Bare operations.
    Figures(Box<Figures>),
}

impl Window {
    /// One of its numbers, if it has it.
    #[must_use]
    pub fn metric(&self, metric: Metric) -> Option<f64> {
        match self {
            Window::Load(run) => match metric {
                Metric::Rate => Some(run.rate),
                Metric::P50 => run.p50_us,
                Metric::P99 => run.p99_us,
                Metric::P999 => run.p999_us,
                Metric::ServerCpu => run.server.and_then(|server| server.cpu_us_per_msg),
                Metric::Resident => run.server.map(|server| float(server.resident_bytes)),
            },
            Window::Figures(figures) => match metric {
                Metric::Rate => Some(figures.rate),
                Metric::P50 => figures.p50_us,
                Metric::P99 => figures.p99_us,
                Metric::P999 => figures.p999_us,
                Metric::ServerCpu | Metric::Resident => None,
            },
        }
    }
}

/// One side of a study: its windows, in their order.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Side {
    /// What it is.
    pub label: String,
    /// Medians over the windows.
    pub medians: Medians,
    /// Its windows.
    pub windows: Vec<Window>,
}

/// Medians over the windows of a side; `null` where no window has the number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Medians {
    /// Messages or operations a second.
    pub rate: Option<f64>,
    /// Median latency.
    pub p50_us: Option<f64>,
    /// 99 %.
    pub p99_us: Option<f64>,
    /// 99.9 %.
    pub p999_us: Option<f64>,
    /// CPU time of the server for one message.
    pub server_cpu_us_per_msg: Option<f64>,
    /// Resident memory of the server.
    pub resident_bytes: Option<f64>,
}

impl Side {
    /// A side without a window yet.
    #[must_use]
    pub fn new(label: &str) -> Side {
        Side { label: label.to_owned(), ..Side::default() }
    }

    /// Adds a window.
    pub fn push(&mut self, window: Window) {
        self.windows.push(window);
        let median = |metric| {
            let values = self.values(metric).flatten().collect();
            Spread::new("", "", values).map(|spread| spread.median)
        };
        self.medians = Medians {
            rate: median(Metric::Rate),
            p50_us: median(Metric::P50),
            p99_us: median(Metric::P99),
            p999_us: median(Metric::P999),
            server_cpu_us_per_msg: median(Metric::ServerCpu),
            resident_bytes: median(Metric::Resident),
        };
    }

    /// One number of each window.
    pub fn values(&self, metric: Metric) -> impl Iterator<Item = Option<f64>> + '_ {
        self.windows.iter().map(move |window| window.metric(metric))
    }
}

/// Everything a study says. Serialised, it is the object that `--json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct Study {
    /// The subcommand.
    pub mode: &'static str,
    /// Its sides, each with its windows.
    pub sides: Vec<Side>,
    /// Ratios and sums, with their spread.
    pub spreads: Vec<Spread>,
    /// What the operator should know.
    pub notes: Vec<String>,
    /// Whether it was ended early by a signal.
    pub interrupted: bool,
    /// Why a run could not take place, so that those after it were left out; it counts as failed then.
    pub stopped: Option<String>,
    /// The flags.
    pub parameters: Value,
}

impl Study {
    /// A study without a result yet. `parameters` are its flags.
    #[must_use]
    pub fn new(mode: &'static str, parameters: &impl Serialize) -> Study {
        let parameters = serde_json::to_value(parameters).expect("flags are plain values");
        Study {
            mode,
            sides: Vec::new(),
            spreads: Vec::new(),
            notes: Vec::new(),
            interrupted: false,
            stopped: None,
            parameters,
        }
    }

    /// Adds the ratio of a number of two sides, if both have it.
    pub fn ratio(&mut self, over: &Side, under: &Side, metric: Metric, name: &str) {
        let name = format!("{name}, {} / {}", over.label, under.label);
        self.spreads.extend(of_pairs(&name, over.values(metric), under.values(metric)));
    }

    /// Ends the study with what its runs came to, these being its sides. Figures that are there stand, although a later
    /// run could not take place.
    ///
    /// # Errors
    /// That of the run, if there is no figure.
    pub fn stop(
        &mut self,
        runs: Result<(), BenchError>,
        sides: &[&Side],
    ) -> Result<(), BenchError> {
        let Err(error) = runs else { return Ok(()) };
        if self.sides.iter().chain(sides.iter().copied()).all(|side| side.windows.is_empty()) {
            return Err(error);
        }
        // That somebody has ended it is told elsewhere, and is no failure.
        if !matches!(error, BenchError::Interrupted) {
            self.notes.push(format!("stopped before the last window: {error}"));
            self.stopped = Some(error.to_string());
        }
        Ok(())
    }

    /// Adds a side, with the notes of its windows, each once.
    pub fn add(&mut self, side: Side) {
        for window in &side.windows {
            let Window::Load(run) = window else { continue };
            for note in &run.notes {
                let note = format!("{}: {note}", run.label);
                if !self.notes.contains(&note) {
                    self.notes.push(note);
                }
            }
        }
        self.sides.push(side);
    }

    /// The object as one line of JSON.
    ///
    /// # Panics
    /// Never: its parts are plain values.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("plain values")
    }

    /// Why it counts as failed, if one of its runs does or could not take place.
    #[must_use]
    pub fn verdict(&self) -> Option<String> {
        let windows = self.sides.iter().flat_map(|side| &side.windows);
        windows
            .filter_map(|window| match window {
                Window::Load(run) => Some((&run.label, run.verdict()?)),
                Window::Figures(_) => None,
            })
            .map(|(label, verdict)| format!("{label}: {verdict}"))
            .next()
            .or_else(|| self.stopped.clone())
    }
}
