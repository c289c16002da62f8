//! What follows from the measurements for a broker, and why.

use super::grid::{FITTED, Grid, HELD_OUT};
use super::model::{Model, fit};
use super::run::Measurements;
use super::stats::{LEAST_FOR_P50, LEAST_FOR_P99, Stats, too_few};
use super::writer::Method;

/// Sizes that show which method is faster: what a lone message and a small batch make of a write.
const SMALL: [usize; 3] = [FITTED[0], FITTED[1], FITTED[2]];
/// Sizes that show what a second write in flight is worth: batches under load.
const LARGE: [usize; 2] = [FITTED[2], FITTED[3]];
/// `O_DSYNC` must be at least this much faster on idle cores …
const FASTER: f64 = 0.9;
/// … and at most this much slower on busy ones, in the median and in the 99th percentile.
const NOT_SLOWER: f64 = 1.1;
/// A second write in flight must bring at least this much more.
const WORTH_A_SECOND: f64 = 1.25;
/// A machine with a higher load average for each core is not idle.
pub const IDLE_LOAD: f64 = 0.25;
/// The part of the disk's bandwidth that the largest write should reach.
const BANDWIDTH_SHARE: f64 = 0.8;
/// How far a median may lie from what the model predicted, either way, for the model to be trusted.
const MISFIT: f64 = 1.5;
/// Beside other work, a p99 that grows by less than this shows nothing.
const NOTICEABLE: f64 = 1.5;
/// Bounds of the recommended batch: what the key takes, and what was measured.
const BATCH: (usize, usize) = (64 << 10, 1 << 20);
/// The remedy for too few writes.
const LONGER: &str = "measure longer (--seconds-per-point)";

/// A recommendation. What could not be decided is left at the broker's default.
#[derive(Clone, Debug)]
pub struct Advice {
    /// Why nothing was decided, if that is so; the settings have no reasons of their own then.
    pub withheld: Option<String>,
    /// `flushMethod`, and why.
    pub method: (Method, String),
    /// `maxBatchBytes`, and why.
    pub max_batch: (Option<usize>, String),
    /// `writesInFlight`, and why.
    pub in_flight: (u32, String),
    /// What else is worth knowing.
    pub notes: Vec<String>,
    /// Median latency by size, by the recommended method on idle cores with one write in flight.
    pub median: Option<Model>,
    /// 99th percentile of the same.
    pub p99: Option<Model>,
}

/// Decides; looks at nothing but `measured`.
#[must_use]
pub fn advise(measured: &Measurements) -> Advice {
    let grid = &measured.grid;
    let method = method(grid);
    let model = |part: fn(&Stats) -> f64| {
        let point = |size| grid.at(size, 1, false, method.0).map(|stats| (size, part(&stats)));
        fit(&FITTED.into_iter().filter_map(point).collect::<Vec<_>>())
    };
    let median = model(|stats| stats.p50);
    let p99 = model(|stats| stats.p99);
    let notes = notes(measured);
    if let Some(load) = measured.load.filter(|load| *load > IDLE_LOAD) {
        return withheld(load, notes, median, p99);
    }
    Advice {
        withheld: None,
        max_batch: max_batch(grid, method.0, median),
        in_flight: in_flight(grid, method.0),
        notes,
        median,
        p99,
        method,
    }
}

/// Numbers of a machine that does other things say how busy it was, not what the disk can do: the defaults stay.
fn withheld(load: f64, notes: Vec<String>, median: Option<Model>, p99: Option<Model>) -> Advice {
    let why = format!(
        "the defaults: the machine was not idle (load average {load:.1} for each core before the start)"
    );
    Advice {
        withheld: Some(why),
        method: (Method::Fdatasync, String::new()),
        max_batch: (None, String::new()),
        in_flight: (1, String::new()),
        notes,
        median,
        p99,
    }
}

/// What is said of a figure that rests on too few writes: on medians of `p50`, and on 99th percentiles of `p99`.
fn few(p50: impl Iterator<Item = Stats>, p99: impl Iterator<Item = Stats>) -> Option<String> {
    let told = |writes, what, least| {
        format!(
            ", of as few as {writes} writes at a point, and a {what} takes {least} to be more than chance"
        )
    };
    let p50 = too_few(p50, LEAST_FOR_P50).map(|writes| told(writes, "median", LEAST_FOR_P50));
    p50.or_else(|| too_few(p99, LEAST_FOR_P99).map(|writes| told(writes, "p99", LEAST_FOR_P99)))
}

fn method(grid: &Grid) -> (Method, String) {
    // How much longer O_DSYNC takes.
    let ratio = |busy, part: fn(&Stats) -> f64| {
        let ratios = SMALL.into_iter().filter_map(|size| {
            let [one, other] = Method::BOTH.map(|method| grid.at(size, 1, busy, method));
            Some(part(&other?) / part(&one?))
        });
        geometric_mean(ratios)
    };
    let idle = ratio(false, |stats| stats.p50);
    let busy = ratio(true, |stats| stats.p50);
    let busy_p99 = ratio(true, |stats| stats.p99);
    let (Some(idle), Some(busy), Some(busy_p99)) = (idle, busy, busy_p99) else {
        return (Method::Fdatasync, "the two were not compared".to_owned());
    };
    let points = |busy| {
        let at = move |size| Method::BOTH.map(|method| grid.at(size, 1, busy, method));
        SMALL.into_iter().flat_map(at).flatten()
    };
    let few = few(points(false).chain(points(true)), points(true));
    let told = format!(
        "writes of up to 64 KiB take {idle:.2} times as long with O_DSYNC on idle cores (median), and {busy:.2} times on busy \
         ones (p99: {busy_p99:.2} times){}",
        few.as_deref().unwrap_or_default()
    );
    if idle <= FASTER && busy <= NOT_SLOWER && busy_p99 <= NOT_SLOWER {
        if few.is_some() {
            return (Method::Fdatasync, format!("{told}: the default stays, {LONGER}"));
        }
        (Method::Dsync, format!("{told}: faster, and no slower under load"))
    } else if idle <= FASTER {
        (Method::Fdatasync, format!("{told}: what is gained on idle cores is lost on busy ones"))
    } else {
        (Method::Fdatasync, format!("{told}: O_DSYNC gains too little"))
    }
}

fn max_batch(grid: &Grid, method: Method, model: Option<Model>) -> (Option<usize>, String) {
    let Some(model) = model else {
        let why = "latency does not grow with size in these measurements, so there is no knee: the default stays";
        return (None, why.to_owned());
    };
    let points = FITTED.into_iter().chain(HELD_OUT);
    let points = points.filter_map(|size| grid.at(size, 1, false, method));
    if let Some(few) = too_few(points, LEAST_FOR_P50) {
        let why = format!(
            "some sizes had as few as {few} writes, and a median takes {LEAST_FOR_P50} to be more than chance: the default stays, \
             {LONGER}"
        );
        return (None, why);
    }
    for size in HELD_OUT {
        let Some(stats) = grid.at(size, 1, false, method) else { continue };
        let ratio = stats.p50 / model.predict(size);
        if !(MISFIT.recip()..=MISFIT).contains(&ratio) {
            let why = format!(
                "writes of {} take {ratio:.2} times what the model predicts: too far off to conclude anything, the default stays",
                kib(size as f64)
            );
            return (None, why);
        }
    }
    // share = size / (size + knee)
    let wanted = model.knee() * BANDWIDTH_SHARE / (1.0 - BANDWIDTH_SHARE);
    let (smallest, largest) = BATCH;
    let fits = |size: &usize| *size as f64 >= wanted;
    let sizes = std::iter::successors(Some(smallest), |size| Some(size * 2));
    let batch = sizes.take_while(|size| *size <= largest).find(fits).unwrap_or(largest);
    let why = format!(
        "the knee is at {}: beyond it latency grows in proportion. Writes of {} reach {:.0} % of the disk's bandwidth and take \
         about {:.0} us",
        kib(model.knee()),
        kib(batch as f64),
        100.0 * model.share(batch as f64),
        model.predict(batch)
    );
    (Some(batch), why)
}

fn in_flight(grid: &Grid, method: Method) -> (u32, String) {
    let ratio = |part: fn(&Stats) -> f64| {
        let ratios = LARGE.into_iter().filter_map(|size| {
            let [one, two] = [1, 2].map(|depth| grid.at(size, depth, false, method));
            Some(part(&two?) / part(&one?))
        });
        geometric_mean(ratios)
    };
    let (Some(rate), Some(p99)) = (ratio(|it| it.bytes_a_second), ratio(|it| it.p99)) else {
        return (1, "two writes in flight were not measured".to_owned());
    };
    let points = || {
        let at = |size| [1, 2].map(|depth| grid.at(size, depth, false, method));
        LARGE.into_iter().flat_map(at).flatten()
    };
    let few = few(points(), points());
    let told = format!(
        "a second write in flight brings {rate:.2} times the bandwidth and {p99:.2} times the p99{}",
        few.unwrap_or_default()
    );
    let enough = too_few(points(), LEAST_FOR_P50).is_none();
    (if enough && rate >= WORTH_A_SECOND { 2 } else { 1 }, told)
}

fn notes(measured: &Measurements) -> Vec<String> {
    let mut notes = Vec::new();
    for it in &measured.extents {
        let few = few([it.written, it.unwritten].into_iter(), std::iter::empty());
        notes.push(format!(
            "a write of {} into blocks that were only reserved takes {:.2} times as long as one over blocks that were written \
             before (median){}",
            kib(it.size as f64),
            it.unwritten.p50 / it.written.p50,
            few.unwrap_or_default()
        ));
    }
    let upkeep = &measured.upkeep;
    let [zeroing, deleting] =
        [upkeep.zeroing, upkeep.deleting].map(|stats| stats.p99 / upkeep.quiet.p99);
    let few = too_few([upkeep.quiet, upkeep.zeroing, upkeep.deleting], LEAST_FOR_P99);
    let conclusion = match few {
        Some(few) => format!(
            "of as few as {few} writes, and a p99 takes {LEAST_FOR_P99}, so nothing follows from it: {LONGER}"
        ),
        None if zeroing.max(deleting) >= NOTICEABLE => "do neither under load".to_owned(),
        None => "too little to tell from noise".to_owned(),
    };
    notes.push(format!(
        "the p99 of writes is {zeroing:.1} times as long beside the zeroing of a file ({:.0} MB/s), and {deleting:.1} times \
         beside the deletion of one: {conclusion}",
        upkeep.zeros_a_second / 1e6
    ));
    notes
}

/// Bytes as KiB, to people.
pub fn kib(bytes: f64) -> String {
    if bytes < 10_240.0 {
        format!("{:.1} KiB", bytes / 1024.0)
    } else {
        format!("{:.0} KiB", bytes / 1024.0)
    }
}

/// `None` if there are no values.
fn geometric_mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let logarithms: Vec<f64> = values.map(f64::ln).collect();
    let count = logarithms.len() as f64;
    (!logarithms.is_empty()).then(|| (logarithms.iter().sum::<f64>() / count).exp())
}

#[cfg(test)]
mod tests {
    use super::super::samples::Disk;
    use super::*;

    #[test]
    fn fdatasync_stays_where_busy_cores_ruin_the_other() {
        let disk = Disk { dsync_idle: 0.8, dsync_busy: 50.0, ..Disk::default() };
        let (method, why) = advise(&disk.measurements()).method;
        assert_eq!(method, Method::Fdatasync);
        assert!(why.contains("0.80 times") && why.contains("50.00 times"), "{why}");
        assert!(why.contains("lost on busy ones"), "{why}");
    }

    #[test]
    fn the_other_is_taken_where_it_wins_both_ways() {
        let disk = Disk { dsync_idle: 0.7, dsync_busy: 1.0, ..Disk::default() };
        assert_eq!(advise(&disk.measurements()).method.0, Method::Dsync);
        let disk = Disk { dsync_idle: 0.95, dsync_busy: 0.5, ..Disk::default() };
        assert_eq!(advise(&disk.measurements()).method.0, Method::Fdatasync);
    }

    #[test]
    fn the_batch_follows_from_the_knee() {
        // Knee at 50 KiB: four times that is 200 KiB.
        let disk = Disk { fixed: 51.2, per_byte: 0.001, ..Disk::default() };
        let (batch, why) = advise(&disk.measurements()).max_batch;
        assert_eq!(batch, Some(256 << 10), "{why}");
        assert!(why.contains("knee is at 50 KiB") && why.contains("84 %"), "{why}");
        // A disk that turns: more than was measured is not recommended.
        let slow = Disk { fixed: 8000.0, per_byte: 0.01, ..Disk::default() };
        assert_eq!(advise(&slow.measurements()).max_batch.0, Some(1 << 20));
        let quick = Disk { fixed: 1.0, per_byte: 0.01, ..Disk::default() };
        assert_eq!(advise(&quick.measurements()).max_batch.0, Some(64 << 10));
        let noise = Disk { per_byte: -0.00001, ..Disk::default() };
        let (batch, why) = advise(&noise.measurements()).max_batch;
        assert_eq!(batch, None);
        assert!(why.contains("no knee"), "{why}");
    }

    #[test]
    fn a_second_write_must_be_worth_it() {
        let disk = Disk { second: 1.2, ..Disk::default() };
        assert_eq!(advise(&disk.measurements()).in_flight.0, 1);
        let disk = Disk { second: 1.6, ..Disk::default() };
        let (count, why) = advise(&disk.measurements()).in_flight;
        assert_eq!(count, 2);
        assert!(why.contains("1.60 times the bandwidth"), "{why}");
    }

    #[test]
    fn nothing_follows_from_a_machine_that_was_not_idle() {
        let disk = Disk { dsync_idle: 0.7, second: 1.6, ..Disk::default() };
        let advice = advise(&Measurements { load: Some(1.5), ..disk.measurements() });
        assert_eq!((advice.method.0, advice.max_batch.0), (Method::Fdatasync, None));
        assert_eq!(advice.in_flight.0, 1);
        let why = advice.withheld.expect("a reason, and one only");
        assert!(why.contains("not idle (load average 1.5"), "{why}");
        assert_eq!([advice.method.1, advice.max_batch.1, advice.in_flight.1], [""; 3]);
        assert!(advice.median.is_some(), "it is still shown");
        // Where the load is not known the numbers count.
        let advice = advise(&Measurements { load: None, ..disk.measurements() });
        assert_eq!((advice.method.0, advice.in_flight.0), (Method::Dsync, 2));
    }

    #[test]
    fn a_model_that_does_not_fit_decides_nothing() {
        let mut measured = Disk::default().measurements();
        for it in measured.grid.0.iter_mut().filter(|it| it.shape.size == 512 << 10) {
            it.stats.p50 *= 3.0;
        }
        let (batch, why) = advise(&measured).max_batch;
        assert_eq!(batch, None);
        assert!(why.contains("writes of 512 KiB take 3.00 times"), "{why}");
    }

    #[test]
    fn nothing_follows_from_a_few_writes_and_what_is_told_of_them_says_so() {
        let disk = Disk { dsync_idle: 0.7, second: 1.6, ..Disk::default() };
        let advice = advise(&disk.of_writes(20));
        assert_eq!((advice.method.0, advice.max_batch.0), (Method::Fdatasync, None));
        assert_eq!(advice.in_flight.0, 1);
        for why in [&advice.method.1, &advice.max_batch.1, &advice.in_flight.1] {
            assert!(why.contains("as few as 20 writes") && why.contains("takes 100"), "{why}");
        }
        for note in &advice.notes {
            assert!(note.contains("of as few as 20 writes"), "{note}");
        }
        assert!(advice.max_batch.1.contains("--seconds-per-point"), "{}", advice.max_batch.1);
        // Enough for medians, and not for a 99th percentile.
        let advice = advise(&disk.of_writes(LEAST_FOR_P99 - 1));
        assert_eq!((advice.method.0, advice.in_flight.0), (Method::Fdatasync, 2));
        assert!(advice.max_batch.0.is_some(), "{}", advice.max_batch.1);
        assert!(advice.method.1.contains("a p99 takes 1000"), "{}", advice.method.1);
        assert!(!advice.notes[0].contains("as few as"), "{}", advice.notes[0]);
        assert!(advice.notes[2].contains("of as few as 999 writes"), "{}", advice.notes[2]);
        let advice = advise(&disk.of_writes(LEAST_FOR_P99));
        assert_eq!(advice.method.0, Method::Dsync);
        assert!(!advice.notes[2].contains("as few as"), "{}", advice.notes[2]);
    }

    #[test]
    fn upkeep_is_told() {
        let notes = advise(&Disk::default().measurements()).notes;
        assert_eq!(notes.len(), 3);
        assert!(notes[0].contains("write of 4.0 KiB") && notes[0].contains("2.00 times"));
        assert!(notes[2].contains("10.0 times as long beside the zeroing"), "{}", notes[2]);
        assert!(notes[2].contains("do neither under load"), "{}", notes[2]);
        let mut calm = Disk::default().measurements();
        (calm.upkeep.zeroing, calm.upkeep.deleting) = (calm.upkeep.quiet, calm.upkeep.quiet);
        let notes = advise(&calm).notes;
        assert!(notes[2].ends_with("too little to tell from noise"), "{}", notes[2]);
    }
}
