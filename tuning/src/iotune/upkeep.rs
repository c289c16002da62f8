//! What zeroing and deleting a segment do to the writes beside them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::busy::pin;
use super::error::IotuneError;
use super::run::Site;
use super::scratch::Scratch;
use super::stats::{Stats, Tally};
use super::writer::{Cursor, Method, Shape, Until, Writer};

/// Rounds of quiet, zeroing, deleting.
const ROUNDS: u32 = 2;
/// The writes that are watched.
const SHAPE: Shape = Shape { size: 4096, depth: 1 };
/// Zeroing ends after this many times the time for a point, and after a second at the earliest.
const ZEROING_POINTS: u32 = 5;

/// Latencies of single 4 KiB writes beside other work on the disk.
#[derive(Clone, Copy, Debug)]
pub struct Upkeep {
    /// Nothing beside them.
    pub quiet: Stats,
    /// While another file is filled with zeros, as fast as it goes.
    pub zeroing: Stats,
    /// While that file is deleted, and for a while after.
    pub deleting: Stats,
    /// Bytes a second of the zeroing.
    pub zeros_a_second: f64,
    /// The longest that a deletion took.
    pub deletion: Duration,
    /// Bytes of the file that was deleted.
    pub file: u64,
}

/// Measures it, with `FDATASYNC`.
///
/// # Errors
/// `Stopped`, `File`, `Ring`, `Thread`.
pub fn measure(site: &Site<'_>) -> Result<Upkeep, IotuneError> {
    site.tell("zeroing and deleting beside the writes");
    let mut writer = Writer::new(site.written, Method::Fdatasync)?;
    let mut cursor = Cursor::around(site.written.len());
    let mut tallies = [Tally::new(), Tally::new(), Tally::new()];
    let (mut zeroed, mut zeroing_time, mut deletion) = (0, Duration::ZERO, Duration::ZERO);
    for _ in 0..ROUNDS {
        let [quiet, zeroing, deleting] = &mut tallies;
        let turn = site.plan.point / ROUNDS;
        writer.measure(SHAPE, &mut cursor, &Until::after(turn, site.stop), quiet)?;

        let file = Scratch::new(&site.plan.dir, "segment", site.plan.size)?;
        let limit = (ZEROING_POINTS * site.plan.point).max(Duration::from_secs(1));
        let zero = || {
            let started = Instant::now();
            file.zero(limit, site.stop).map(|bytes| (bytes, started.elapsed()))
        };
        let (bytes, time) = beside(site, &mut writer, &mut cursor, zeroing, Duration::ZERO, zero)?;
        (zeroed, zeroing_time) = (zeroed + bytes, zeroing_time + time);

        let delete = || {
            let started = Instant::now();
            file.delete().map(|()| started.elapsed())
        };
        let took = beside(site, &mut writer, &mut cursor, deleting, turn, delete)?;
        deletion = deletion.max(took);
    }
    let [quiet, zeroing, deleting] =
        tallies.map(|tally| tally.stats().expect("at least one write in each part"));
    let zeros_a_second = zeroed as f64 / zeroing_time.as_secs_f64().max(1e-9);
    Ok(Upkeep { quiet, zeroing, deleting, zeros_a_second, deletion, file: site.plan.size })
}

/// Does `work` on a thread of its own, on the last core, while the writes are measured; goes on for at least `time`.
fn beside<T: Send>(
    site: &Site<'_>,
    writer: &mut Writer,
    cursor: &mut Cursor,
    tally: &mut Tally,
    time: Duration,
    work: impl FnOnce() -> Result<T, IotuneError> + Send,
) -> Result<T, IotuneError> {
    let done = AtomicBool::new(false);
    let core = *site.cores.last().expect("the process runs on a core");
    thread::scope(|scope| {
        let body = || {
            pin(core);
            let result = work();
            done.store(true, Ordering::Release);
            result
        };
        let thread = thread::Builder::new().name("upkeep".to_owned()).spawn_scoped(scope, body);
        let thread = thread.map_err(IotuneError::Thread)?;
        let mut until = Until::after(time, site.stop);
        until.done = Some(&done);
        let measured = writer.measure(SHAPE, cursor, &until, tally);
        let result = thread.join().expect("a panic ends the process");
        measured.and(result)
    })
}
