//! Sends one at a time beside the floor, and the floor alone.

use std::time::Duration;

use super::{Figures, Metric, Session, Side, Spread, Study, Window, of_pairs};
use crate::args::{Device, Floor, Limit, Mode, Produce};
use crate::error::BenchError;
use crate::limit::{Echo, Extent, Measured, Sizes, Track, on_thread};

/// A window of bare operations where nothing else is asked for.
const USUAL: Duration = Duration::from_secs(5);

/// The device and the loopback, ready to be measured.
struct Ground {
    track: Option<Track>,
    echo: Option<Echo>,
    device: Side,
    loopback: Side,
}

impl Ground {
    fn new(device: &Device, sizes: Sizes) -> Result<Ground, BenchError> {
        Ok(Ground {
            track: Some(Track::lay(device, sizes.write)?),
            echo: Some(Echo::start(sizes)?),
            device: Side::new(&format!("{} B {}", sizes.write, device.method.name())),
            loopback: Side::new(&format!("echo {} B, {} B", sizes.request, sizes.reply)),
        })
    }

    /// One window of each.
    async fn window(&mut self, session: &Session, extent: Extent) -> Result<(), BenchError> {
        let interrupts = &session.interrupts;
        let track = self.track.take().expect("given back after each window");
        let window = move |track: &mut Track, stop: &_| track.window(extent, stop);
        let (track, measured) = on_thread(interrupts, track, window).await?;
        self.track = Some(track);
        push(session, &mut self.device, &measured);
        let echo = self.echo.take().expect("given back after each window");
        let window = move |echo: &mut Echo, stop: &_| echo.window(extent, stop);
        let (echo, measured) = on_thread(interrupts, echo, window).await?;
        self.echo = Some(echo);
        push(session, &mut self.loopback, &measured);
        Ok(())
    }

    /// The sum of a number of both, window by window.
    fn sums(&self, metric: Metric) -> impl Iterator<Item = Option<f64>> + '_ {
        let pairs = self.device.values(metric).zip(self.loopback.values(metric));
        pairs.map(|(device, echo)| Some(device? + echo?))
    }
}

pub(super) fn push(session: &Session, side: &mut Side, measured: &Measured) {
    let label = format!("{} #{}", side.label, side.windows.len() + 1);
    let figures = Figures::new(&label, &measured.latencies, measured.time);
    let micros =
        |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.0} µs"));
    let (p50, p99) = (micros(figures.p50_us), micros(figures.p99_us));
    session.screen.say(&format!("{label}  p50 {p50}  p99 {p99}"));
    session.screen.end(&label, &crate::report::Told::default(), &measured.latencies);
    side.push(Window::Figures(Box::new(figures)));
}

const SUMS: [(Metric, &str); 3] =
    [(Metric::P50, "p50"), (Metric::P99, "p99"), (Metric::P999, "p99.9")];

/// Measures the device and the loopback in turn.
///
/// # Errors
/// [`BenchError::Floor`].
pub async fn limit(session: &Session, args: &Limit) -> Result<Study, BenchError> {
    let mut study = Study::new("limit", args);
    let mut ground = Ground::new(&args.device, Sizes::of(args.size, args.device.write_size))?;
    let duration = if args.count.is_none() { Some(USUAL) } else { None };
    let extent = Extent { duration: args.duration.or(duration), count: args.count };
    for _ in 0..args.turns.windows {
        if !session.is_interrupted() {
            ground.window(session, extent).await?;
        }
    }
    for (metric, name) in SUMS {
        let values = ground.sums(metric).flatten().collect();
        study.spreads.extend(Spread::new(&format!("{name}, write + echo"), "us", values));
    }
    study.add(ground.device);
    study.add(ground.loopback);
    study.interrupted = session.is_interrupted();
    Ok(study)
}

/// Sends one at a time, and measures the floor, in turn.
///
/// # Errors
/// [`BenchError`].
pub async fn floor(session: &Session, args: &Floor) -> Result<Study, BenchError> {
    let mut study = Study::new("floor", args);
    let mut ground = Ground::new(&args.device, Sizes::of(args.send.size, args.device.write_size))?;
    let mut run = args.send.run.clone();
    if run.duration.is_none() && run.count.is_none() {
        run.duration = Some(USUAL);
    }
    let extent = Extent { duration: run.duration, count: run.count };
    // As the echo does it, unless the load is to look for its answers all the time.
    let blocking = run.busy_poll == 0;
    let mode = Mode::Produce(Produce { run, in_flight: 1, blocking, ..args.send.clone() });
    let mut sends = Side::new("sends, 1 in flight");
    let runs = async {
        for turn in 0..args.turns.windows {
            if !session.is_interrupted() {
                let label = format!("{} #{}", sends.label, turn + 1);
                sends.push(Window::Load(Box::new(session.load(&label, &mode).await?)));
            }
            if !session.is_interrupted() {
                ground.window(session, extent).await?;
            }
        }
        Ok(())
    };
    let runs = runs.await;
    study.stop(runs, &[&sends])?;
    for (metric, name) in SUMS {
        let name = format!("{name}, sends / (write + echo)");
        study.spreads.extend(of_pairs(&name, sends.values(metric), ground.sums(metric)));
    }
    study.add(sends);
    study.add(ground.device);
    study.add(ground.loopback);
    study.interrupted = session.is_interrupted();
    Ok(study)
}
