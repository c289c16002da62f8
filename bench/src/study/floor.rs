//! Sends one at a time beside the floor, and the floor alone.

use std::time::Duration;

use super::{Figures, Metric, Session, Side, Spread, Study, Window, of_pairs};
use crate::args::{Device, Floor, Limit, Mode, Produce, Run};
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
    fn sums(&self, metric: Metric) -> Vec<Option<f64>> {
        added(self.device.values(metric), self.loopback.values(metric))
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
        let values = ground.sums(metric).into_iter().flatten().collect();
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
    let mode = |namesrv: &str, pid| {
        let run = Run { namesrv: namesrv.to_owned(), pid, ..run.clone() };
        Mode::Produce(Produce { run, in_flight: 1, blocking, ..args.send.clone() })
    };
    let mut sends = Loaded::new("sends, 1 in flight", mode(&run.namesrv, run.pid.clone()));
    let mut alone =
        args.one_replica.as_deref().map(|namesrv| Loaded::new("one replica", mode(namesrv, None)));
    let runs = async {
        for _ in 0..args.turns.windows {
            sends.window(session).await?;
            if let Some(alone) = &mut alone {
                alone.window(session).await?;
            }
            if !session.is_interrupted() {
                ground.window(session, extent).await?;
            }
        }
        Ok(())
    };
    let runs = runs.await;
    let loads: Vec<&Side> = [&sends].into_iter().chain(&alone).map(|load| &load.side).collect();
    study.stop(runs, &loads)?;
    for (metric, name) in SUMS {
        let (what, floor) = match &alone {
            None => ("write + echo", ground.sums(metric)),
            Some(alone) => (
                "one replica + write + echo",
                added(alone.side.values(metric), ground.sums(metric).into_iter()),
            ),
        };
        let name = format!("{name}, sends / ({what})");
        study.spreads.extend(of_pairs(&name, sends.side.values(metric), floor));
    }
    study.add(sends.side);
    if let Some(alone) = alone {
        study.add(alone.side);
    }
    study.add(ground.device);
    study.add(ground.loopback);
    study.interrupted = session.is_interrupted();
    Ok(study)
}

/// Windows of sends.
struct Loaded {
    side: Side,
    mode: Mode,
}

impl Loaded {
    fn new(label: &str, mode: Mode) -> Self {
        Self { side: Side::new(label), mode }
    }

    /// One more, unless somebody wants the end.
    async fn window(&mut self, session: &Session) -> Result<(), BenchError> {
        if !session.is_interrupted() {
            let label = format!("{} #{}", self.side.label, self.side.windows.len() + 1);
            let summary = session.load(&label, &self.mode).await?;
            self.side.push(Window::Load(Box::new(summary)));
        }
        Ok(())
    }
}

/// The sums, window by window.
fn added(
    one: impl Iterator<Item = Option<f64>>,
    other: impl Iterator<Item = Option<f64>>,
) -> Vec<Option<f64>> {
    one.zip(other).map(|(one, other)| Some(one? + other?)).collect()
}
