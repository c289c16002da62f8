//! The whole measurement.

use std::io::{IsTerminal, Write, stderr};
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use super::advice::IDLE_LOAD;
use super::busy::pin;
use super::error::IotuneError;
use super::extents::{self, Extents};
use super::grid::{self, Grid};
use super::plan::Plan;
use super::scratch::Scratch;
use super::upkeep::{self, Upkeep};

/// Writing the file for the first time may take this long; a disk that is slower is measured on what was written.
const FIRST_FILL: Duration = Duration::from_secs(60);

/// Everything that was measured.
#[derive(Clone, Debug)]
pub struct Measurements {
    /// By size, depth, method and load.
    pub grid: Grid,
    /// Written against unwritten blocks.
    pub extents: Vec<Extents>,
    /// Zeroing and deleting.
    pub upkeep: Upkeep,
    /// How busy the machine was before: the load average of the last minute for each core. `None`: unknown.
    pub load: Option<f64>,
}

/// Where the parts of the measurement happen.
pub struct Site<'a> {
    pub plan: &'a Plan,
    /// A file whose blocks were all written.
    pub written: &'a Scratch,
    /// The cores that the process may use; the writes are on the first.
    pub cores: &'a [usize],
    /// Set when the measurement shall end at once.
    pub stop: &'a AtomicBool,
}

impl Site<'_> {
    /// Tells a person at a terminal what goes on.
    pub fn tell(&self, what: &str) {
        tell(what);
    }
}

/// What is said at once about a machine that does other things: a minute later it would be too late.
fn not_idle(load: Option<f64>) -> Option<String> {
    let load = load.filter(|load| *load > IDLE_LOAD)?;
    Some(format!(
        "the machine is not idle (load average {load:.1} for each core, more than {IDLE_LOAD}): the profile will be the \
         defaults, whatever is measured. Ctrl-C stops this; measure again when it is"
    ))
}

fn tell(what: &str) {
    if stderr().is_terminal() {
        drop(writeln!(stderr(), "mqtune: {what}"));
    }
}

/// Measures, on a thread of its own that stays on the first allowed core, as a shard does. Blocks until it is done or
/// `stop` is set. All files that it makes are removed when it returns.
///
/// # Errors
/// Each of [`IotuneError`] but `Exists`.
pub fn run(plan: &Plan, stop: &AtomicBool) -> Result<Measurements, IotuneError> {
    plan.check_room()?;
    let cores = runtime::allowed_cores();
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("iotune".to_owned());
        let body = || {
            pin(cores[0]);
            measure(plan, &cores, stop)
        };
        let thread = thread.spawn_scoped(scope, body).map_err(IotuneError::Thread)?;
        thread.join().expect("a panic ends the process")
    })
}

fn measure(plan: &Plan, cores: &[usize], stop: &AtomicBool) -> Result<Measurements, IotuneError> {
    let load = load_average().map(|load| load / cores.len() as f64);
    if let Some(warning) = not_idle(load) {
        drop(writeln!(stderr(), "mqtune: {warning}"));
    }
    tell(&format!("about {} s; Ctrl-C stops it and cleans up", seconds(plan)));
    let mut written = Scratch::new(&plan.dir, "main", plan.size)?;
    tell("writing the file for the first time");
    let filled = written.zero(FIRST_FILL, stop)?;
    written.shorten(filled);
    let site = Site { plan, written: &written, cores, stop };
    let grid = grid::measure(&site)?;
    let extents = extents::measure(&site)?;
    let upkeep = upkeep::measure(&site)?;
    Ok(Measurements { grid, extents, upkeep, load })
}

/// Tasks that ran or waited for the disk, on average over the last minute.
fn load_average() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

/// What it will take, roughly.
fn seconds(plan: &Plan) -> u64 {
    let points = u32::try_from(2 * grid::points().len() + 8).expect("a small number");
    (plan.point * points).as_secs() + 5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_is_not_idle_is_told_before_anything_is_measured() {
        let told = not_idle(Some(1.5)).expect("it is busy");
        assert!(
            told.contains("load average 1.5 for each core") && told.contains("Ctrl-C"),
            "{told}"
        );
        assert_eq!(not_idle(Some(IDLE_LOAD)), None);
        assert_eq!(not_idle(None), None, "where the load is not known nothing is said");
    }
}
