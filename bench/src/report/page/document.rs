//! What the page takes from a result, as it was printed with `--json`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::outages::OutagePlot;
use crate::report::curve::Curve;
use crate::report::text::{bytes, micros};
use crate::seconds::Point;

/// One run on the page.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Plot {
    /// Its name.
    pub label: String,
    /// Which of the sides it belongs to; runs of one side have one colour.
    pub side: String,
    /// Messages a second.
    pub rate: f64,
    /// Percentiles in microseconds.
    pub p50_us: Option<f64>,
    /// 99 %.
    pub p99_us: Option<f64>,
    /// 99.9 %.
    pub p999_us: Option<f64>,
    /// 99.99 %.
    pub p9999_us: Option<f64>,
    /// Largest.
    pub max_us: Option<f64>,
    /// What the latencies are measured from and to.
    pub latency: String,
    /// How many latencies these are.
    pub latency_count: u64,
    /// What the server's processes used.
    pub server: Option<Server>,
    /// Failures.
    pub errors: u64,
    /// Latency by percentile.
    pub percentiles: Curve,
    /// The course.
    pub points: Vec<Point>,
}

/// What the page says about a server.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Server {
    /// CPU time for a message.
    pub cpu_us_per_msg: Option<f64>,
    /// Memory.
    pub resident_bytes: f64,
}

/// A ratio or a sum on the page.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Spread {
    /// What it is.
    pub name: String,
    /// `ratio`, `us`, or `bytes`.
    pub unit: String,
    /// The middle of its values.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// How its numbers are shown.
    #[must_use]
    pub fn show(&self) -> fn(f64) -> String {
        match self.unit.as_str() {
            "us" => micros,
            "bytes" => bytes,
            _ => |ratio| format!("{ratio:.3}"),
        }
    }
}

/// One result: a run, or a study with several.
#[derive(Clone, Debug, Default)]
pub struct Document {
    /// Where it comes from.
    pub name: String,
    /// The subcommand.
    pub mode: String,
    /// Its runs, side by side.
    pub plots: Vec<Plot>,
    /// Its ratios and sums.
    pub spreads: Vec<Spread>,
    /// Faults and windows, of `failover`.
    pub outages: Option<OutagePlot>,
    /// What the operator should know.
    pub notes: Vec<String>,
    /// The flags, as `name value`.
    pub parameters: Vec<String>,
}

#[derive(Deserialize)]
struct Side {
    label: String,
    windows: Vec<Plot>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Parts {
    mode: String,
    sides: Option<Vec<Side>>,
    spreads: Vec<Spread>,
    notes: Vec<String>,
    parameters: serde_json::Map<String, Value>,
}

impl Document {
    /// Reads one result. `name` says which of several it is, and stands for a single run that has no label.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(name: &str, value: &Value) -> Result<Document, String> {
        let parts = Parts::deserialize(value).map_err(|error| error.to_string())?;
        let mut outages = None;
        let plots = match parts.sides {
            None if parts.mode == "failover" => {
                let plot = OutagePlot::deserialize(value).map_err(|error| error.to_string())?;
                outages = Some(plot);
                Vec::new()
            }
            None => {
                let mut plot = Plot::deserialize(value).map_err(|error| error.to_string())?;
                if parts.mode.is_empty() || plot.percentiles.is_empty() && plot.points.is_empty() {
                    return Err("no result of mqbench with something to plot".to_owned());
                }
                if plot.label.is_empty() {
                    name.clone_into(&mut plot.label);
                }
                plot.side.clone_from(&plot.label);
                vec![plot]
            }
            Some(sides) => sides.into_iter().flat_map(of_side).collect(),
        };
        let parameters = parts.parameters.iter().filter(|(_, value)| !value.is_null());
        Ok(Document {
            name: name.to_owned(),
            mode: parts.mode,
            plots,
            spreads: parts.spreads,
            outages,
            notes: parts.notes,
            parameters: parameters
                .map(|(name, value)| format!("{name} {}", plain(value)))
                .collect(),
        })
    }
}

fn of_side(side: Side) -> impl Iterator<Item = Plot> {
    let label = side.label;
    side.windows.into_iter().map(move |plot| Plot { side: label.clone(), ..plot })
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
