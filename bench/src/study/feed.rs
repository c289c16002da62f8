//! A fed store, and bare durable writes of the same size.

use super::floor::push;
use super::{Session, Side, Spread, Study};
use crate::args::{Device, Feed};
use crate::error::BenchError;
use crate::feed::Fountain;
use crate::limit::{Extent, Track, on_thread};
use crate::limits::{BLOCK, WRITE_MAX};
use crate::report::curve::float;

/// Feeds a store, and writes to a file, in turn.
///
/// # Errors
/// [`BenchError::Store`], [`BenchError::Floor`].
pub async fn feed(session: &Session, args: &Feed) -> Result<Study, BenchError> {
    let mut study = Study::new("feed", args);
    let in_flight = usize::try_from(args.in_flight).expect("a small number");
    let Device { dir, method, .. } = &args.device;
    let mut fountain = Fountain::open(dir, *method, args.size, in_flight).await?;
    let mut stored = Side::new(&format!("store, {} B, {in_flight} in flight", args.size));
    let mut bare: Option<(Track, Side, usize)> = None;
    let (mut ratios, mut stored_bytes, mut bare_bytes) = (Vec::new(), Vec::new(), Vec::new());
    let mut cpu = Vec::new();
    for _ in 0..args.turns.windows {
        if session.is_interrupted() {
            break;
        }
        let fed = fountain.window(args.duration).await?;
        push(session, &mut stored, &fed.measured);
        let messages = float(fed.measured.latencies.len().max(1));
        cpu.push(fed.cpu.as_secs_f64() * 1e6 / messages);
        let (track, mut side, size) = match bare.take() {
            Some(bare) => bare,
            None => lay(&args.device, fed.bytes, fed.writes)?,
        };
        let extent = Extent { duration: Some(args.duration), count: None };
        let window = move |track: &mut Track, stop: &_| track.window(extent, stop);
        let (track, measured) = on_thread(&session.interrupts, track, window).await?;
        push(session, &mut side, &measured);
        let store_rate = float(fed.bytes) / fed.measured.time.as_secs_f64();
        let written = measured.latencies.len() * u64::try_from(size).expect("a small number");
        let bare_rate = float(written) / measured.time.as_secs_f64();
        ratios.push(store_rate / bare_rate);
        stored_bytes.push(store_rate);
        bare_bytes.push(bare_rate);
        bare = Some((track, side, size));
    }
    fountain.end().await?;
    study.spreads.extend(Spread::new("bytes/s, store / bare writes", "ratio", ratios));
    study.spreads.extend(Spread::new("bytes/s, store", "bytes", stored_bytes));
    study.spreads.extend(Spread::new("bytes/s, bare writes", "bytes", bare_bytes));
    study.spreads.extend(Spread::new("CPU a message, store", "us", cpu));
    study.add(stored);
    if let Some((_, side, _)) = bare {
        study.add(side);
    }
    study.interrupted = session.is_interrupted();
    Ok(study)
}

/// The file for bare writes, as large as the store's `writes` of `bytes` were on average.
fn lay(device: &Device, bytes: u64, writes: u64) -> Result<(Track, Side, usize), BenchError> {
    let mean = usize::try_from(bytes / writes.max(1)).expect("a batch fits in memory");
    let mean = mean.next_multiple_of(BLOCK).clamp(BLOCK, WRITE_MAX);
    let size = device.write_size.unwrap_or(mean);
    let side = Side::new(&format!("{size} B {}, one at a time", device.method.name()));
    Ok((Track::lay(device, size)?, side, size))
}
